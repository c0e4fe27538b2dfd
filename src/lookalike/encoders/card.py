"""A card says what a network is: where it comes from and how pictures have to be prepared for it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lookalike.images.decode import Preprocessing

Triple = tuple[float, float, float]

# What an imported network is called, and where it came from; its weights have a SHA-256.
# Keys on the disk that are called otherwise in code.
_KEYS = {"preprocessing": "recipe", "normalization": "scaling", "std": "deviation"}
_NAMES = {"name", "source", "licence", "version", "command"}


@dataclass(frozen=True)
class Normalization:
    """The numbers that a network takes for pixels: (pixel - mean) / deviation, channel by channel.

    Attributes:
        mean: of pixels in 0..255, for each channel in the network's order.
        deviation: likewise, above 0.
        channels: the order in which the network takes them.
    """

    mean: Triple
    std: Triple
    channels: Literal["RGB", "BGR"] = "RGB"

    @classmethod
    def from_unit_range(cls, mean: Iterable[float], std: Iterable[float]) -> "Normalization":
        """That of pixels in 0..1, as PyTorch's transforms have it."""
        return cls(_of_pixels(mean), _of_pixels(std))


@dataclass(frozen=True)
class Text:
    """That a network has a second part, which turns words into vectors of the same space.

    Attributes:
        context: how many tokens it takes; what is longer is cut off.
        tokenizer: the SHA-256 of its tokenizer's file, in hexadecimal.
        unescapes: whether what is written as in HTML ("&amp;") is read first, as OpenCLIP does.
    """

    context: int
    tokenizer: str
    unescapes: bool = False


@dataclass(frozen=True)
class Card:
    """What tells one encoder from another.

    Attributes:
        name: what the user calls it.
        source: where its weights come from.
        licence: of the weights, as an SPDX identifier where there is one.
        sha256: of the weights, in hexadecimal.
        dim: the number of dimensions of its vectors.
        preprocessing: how an image becomes pixels for it.
        precision: the numbers that it computes with.
        revision: whatever else changes its vectors: a number that is raised when its graph is built in another
            way, and the calibration of its quantization.
        scaling: how pixels are scaled inside its graph, or None where that is part of the network itself.
        output: the layer that its vectors come from, and how they are pooled; None for the bundled one.
        text: what is to be known of the part that takes words, or None where there is none.
        version: the commit or whatever else pins an imported network at its source, or None.
        command: what `lookalike models import` was told, to import the same again, or None.
    """

    name: str
    source: str
    licence: str
    sha256: str
    dim: int
    preprocessing: Preprocessing
    precision: str
    revision: str
    normalization: Normalization | None = None
    output: str | None = None
    text: Text | None = None
    version: str | None = None
    command: str | None = None

    @property
    def fingerprint(self) -> str:
        """The first 32 hexadecimal digits of a SHA-256 over everything on the card that has to do with the vectors.

        Vectors can be compared when, and only when, their encoders' fingerprints are the same. An imported network may
        have other names; of the bundled one all of the card counts.
        """
        facts = as_facts(self)
        if self.output is not None:
            facts = {name: value for name, value in facts.items() if name not in _NAMES}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def as_facts(card: Card) -> dict[str, Any]:
    """What is on a card, for JSON: without what does not apply to it, so that older cards stay as they were."""
    facts = {name: value for name, value in asdict(card, dict_factory=_renamed).items() if value is not None}
    if card.preprocessing.fit == "crop":
        del facts["recipe"]["fit"]
    return facts


def _renamed(fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {_KEYS.get(name, name): value for name, value in fields}


def from_facts(facts: Mapping[str, Any]) -> Card:
    """The card that `as_facts` has told of.

    Raises:
        ValueError, TypeError, KeyError, LookalikeError: they are not those of a card.
    """
    normalization, text = facts.get("scaling"), facts.get("text")
    return Card(
        **{name: str(facts[name]) for name in ("name", "source", "licence", "sha256", "precision", "revision")},
        dim=int(facts["dim"]),
        preprocessing=Preprocessing(**facts["recipe"]),
        normalization=normalization
        and Normalization(
            _triple(normalization["mean"]), _triple(normalization["deviation"]), normalization["channels"]
        ),
        output=facts.get("output"),
        text=text and Text(int(text["context"]), str(text["tokenizer"]), bool(text["unescapes"])),
        version=facts.get("version"),
        command=facts.get("command"),
    )


def _of_pixels(shares: Iterable[float]) -> Triple:
    return _triple(round(255 * float(share), 6) for share in shares)


def _triple(numbers: Any) -> Triple:
    first, second, third = map(float, numbers)
    return first, second, third
