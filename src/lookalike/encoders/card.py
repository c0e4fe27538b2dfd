"""The model card: what an encoder computes, how its images are prepared, and the fingerprint of its vectors."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lookalike import arguments
from lookalike.images.preprocessing import Preprocessing

Triple = tuple[float, float, float]
"""One number per colour channel."""

# Keys of a card's JSON that differ from the names of the fields.
_JSON_KEYS = {"preprocessing": "recipe", "normalization": "scaling", "std": "deviation"}
# Fields of an imported model that do not change its vectors; its weights have a SHA-256.
_DESCRIPTIVE = {"name", "source", "licence", "version", "command"}
# What a card that was not damaged, or made to do harm, never exceeds.
_MOST_DIM = 2**16
_MOST_SIDE = 2**13  # pixels
_MOST_TOKENS = 2**20
_MOST_CHARACTERS = 10_000


def triple(numbers: Iterable[Any]) -> Triple:
    """Three numbers as floats.

    Raises:
        ValueError, TypeError: they are not three numbers.
    """
    first, second, third = map(float, numbers)
    return first, second, third


@dataclass(frozen=True)
class Normalization:
    """Per-channel normalization: (pixel - mean) / std.

    Attributes:
        mean: of pixels in 0..255, in the order of `channels`.
        std: likewise, above 0.
        channels: the channel order that the network takes.
    """

    mean: Triple
    std: Triple
    channels: Literal["RGB", "BGR"] = "RGB"

    @classmethod
    def from_unit_range(cls, mean: Iterable[float], std: Iterable[float]) -> "Normalization":
        """Converts the mean and std of pixels in 0..1, as in PyTorch's transforms, to those of pixels in 0..255."""
        return cls(_in_pixels(mean), _in_pixels(std))


NO_NORMALIZATION = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""Pixels enter the network as they are, in 0..255, RGB."""


@dataclass(frozen=True)
class TextSpec:
    """The text encoder of a model that also embeds text.

    Attributes:
        context: the number of tokens that it takes; longer texts are truncated.
        tokenizer: the SHA-256 of the tokenizer's file, in hexadecimal.
        unescapes: whether HTML entities ("&amp;") are decoded first, as OpenCLIP does.
    """

    context: int
    tokenizer: str
    unescapes: bool = False


@dataclass(frozen=True)
class Card:
    """The facts about an encoder; two encoders are the same if their fingerprints are.

    Attributes:
        name: the model's name.
        source: where its weights come from.
        licence: of the weights, as an SPDX identifier if there is one.
        sha256: of the weights, in hexadecimal.
        dim: the number of dimensions of its vectors.
        preprocessing: how an image is resized and cropped for it.
        precision: the inference precision, such as "f32" or "int8".
        revision: whatever else changes its vectors: a number that is raised when its graph is built differently, and
            the calibration of its quantization.
        normalization: the one that was added to the graph, or None if the network contains its own.
        output: the layer that its vectors are taken from, and their pooling; None for the bundled model.
        text: the model's text encoder, or None if it has none.
        version: the commit or other version of an imported model at its source, or None.
        command: the source and options that the model was imported with, as a shell reads them, or None.
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
    text: TextSpec | None = None
    version: str | None = None
    command: str | None = None

    @property
    def fingerprint(self) -> str:
        """The first 32 hexadecimal digits of a SHA-256 over all fields that affect the vectors.

        Vectors can be compared if, and only if, their encoders' fingerprints are equal. Fields that only describe an
        imported model, such as its name, are left out; for the bundled model, all fields count.
        """
        facts = self.as_dict()
        if self.output is not None:
            facts = {name: value for name, value in facts.items() if name not in _DESCRIPTIVE}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]

    def as_dict(self) -> dict[str, Any]:
        """The card as JSON objects; fields that are None are left out, so that older cards keep their fingerprints."""
        facts = {name: value for name, value in asdict(self, dict_factory=_with_json_keys).items() if value is not None}
        if self.preprocessing.fit == "crop":
            del facts["recipe"]["fit"]
        return facts

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> "Card":
        """Builds the card that `as_dict` returned.

        Raises:
            ValueError, TypeError, KeyError, LookalikeError: `facts` do not describe a card.
        """
        facts = _object(facts, "card")
        scaling, text = facts.get("scaling"), facts.get("text")
        return cls(
            **{name: _text(facts, name) for name in ("name", "source", "licence", "sha256", "precision", "revision")},
            dim=_number(facts, "dim", _MOST_DIM),
            preprocessing=_preprocessing(_object(facts["recipe"], "recipe")),
            normalization=None if scaling is None else _normalization(_object(scaling, "scaling")),
            text=None if text is None else _text_spec(_object(text, "text")),
            **{name: _text(facts, name) for name in ("output", "version", "command") if facts.get(name) is not None},
        )


def _with_json_keys(fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {_JSON_KEYS.get(name, name): value for name, value in fields}


def _in_pixels(shares: Iterable[float]) -> Triple:
    return triple(round(255 * float(share), 6) for share in shares)


# Reading JSON, which may have been damaged, or made to do harm


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is not an object")
    return value


def _text(facts: Mapping[str, Any], name: str) -> str:
    text = arguments.text(facts[name], name)
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"{name} has {len(text):,} characters")
    return text


def _number(facts: Mapping[str, Any], name: str, most: int) -> int:
    number = arguments.whole(facts[name], name, least=1)
    if number > most:
        raise ValueError(f"{name} is more than {most:,}")
    return number


def _preprocessing(facts: Mapping[str, Any]) -> Preprocessing:
    _number(facts, "size", _MOST_SIDE)
    return Preprocessing(**facts)


def _normalization(facts: Mapping[str, Any]) -> Normalization:
    mean, std, channels = triple(facts["mean"]), triple(facts["deviation"]), facts["channels"]
    if not all(map(math.isfinite, (*mean, *std))) or min(std) <= 0 or channels not in ("RGB", "BGR"):
        raise ValueError("scaling is out of range")
    return Normalization(mean, std, channels)


def _text_spec(facts: Mapping[str, Any]) -> TextSpec:
    unescapes = arguments.flag(facts["unescapes"], "unescapes")
    return TextSpec(_number(facts, "context", _MOST_TOKENS), _text(facts, "tokenizer"), unescapes)
