"""What a source of networks gives: a graph, and how pictures have to be prepared for it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lookalike.encoders.card import Normalization, Triple
from lookalike.errors import UsageError
from lookalike.images.decode import Fit, Preprocessing, Resample

_UNSCALED = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class ImportOptions:
    """What the user says of a network that its source does not say, or says otherwise; None where nothing.

    Attributes:
        revision: the version to take where a source has several: a commit, a tag or a branch.
        output: the layer whose output becomes the vector.
        size: as in Recipe.
        crop: as in Recipe.
        resample: as in Recipe.
        fit: as in Recipe.
        mean: of pixels in 0..255, for each channel, as in Scaling.
        deviation: likewise.
        channels: the order in which the network takes the channels.
        licence: of the weights.
    """

    revision: str | None = None
    output: str | None = None
    size: int | None = None
    crop: float | None = None
    resample: Resample | None = None
    fit: Fit | None = None
    mean: Triple | None = None
    std: Triple | None = None
    channels: Literal["RGB", "BGR"] | None = None
    licence: str | None = None

    def preprocessing(self, told: Preprocessing) -> Preprocessing:
        """The pixels that the source tells of, unless they are wished otherwise."""
        return replace(told, **self._given("size", "crop", "resample", "fit"))

    def normalization(self, told: Normalization | None) -> Normalization | None:
        """The scaling that the source tells of, unless it is wished otherwise."""
        given = self._given("mean", "std", "channels")
        if not given:
            return told
        told = told or _UNSCALED
        if self.channels not in (None, told.channels):
            told = Normalization(told.mean[::-1], told.std[::-1])
        return replace(told, **given)

    def refuse(self, source: str, *names: str) -> None:
        """Raises UsageError where something is wished that makes no sense with a source."""
        if given := self._given(*names):
            raise UsageError(f"{source}: it cannot be had with --{next(iter(given))}; leave that out")

    def words(self) -> list[str]:
        """The options of `lookalike models import` that say the same."""
        return [word for name, value in self._given(*vars(self)).items() for word in (f"--{name}", _said(value))]

    def _given(self, *names: str) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def _said(value: object) -> str:
    return ",".join(f"{number!r}" for number in value) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class TextTower:
    """The part of a network that turns words into vectors.

    Attributes:
        graph: an openvino.Model from token ids, int64 (1, context), to an embedding, float32 (1, dim).
        tokenizer: a `tokenizer.json` of the tokenizers library, which pads and cuts to the context by itself.
        context: how many tokens the graph takes.
        unescapes: whether what is written as in HTML ("&amp;") is to be read before.
    """

    graph: Any
    tokenizer: str
    context: int
    unescapes: bool = False


@dataclass(frozen=True)
class ImportedNetwork:
    """A network as a source gives it.

    Attributes:
        graph: an openvino.Model with one input and one output. The input takes one picture or any number of them, of
            `recipe.size`, in `layout`: float32 that `scaling` has made, or, without scaling, pixels in 0..255,
            float32 or uint8. The output is (n, dim), (n, channels, h, w) or (n, h, w, channels) as in `layout`, or
            (n, tokens, channels).
        layout: the order of the input's dimensions.
        recipe: the pixels that it asks for.
        scaling: how they are scaled, or None.
        source: what it was imported from, as the user would write it to import the same again.
        licence: of the weights, an SPDX identifier where there is one, "" where it is not known.
        sha256: of the weights, in hexadecimal.
        output: the name of the layer that the output comes from.
        words: the part that takes words, or None.
        version: the commit or whatever else pins the weights at their source, "" where there is none.
    """

    graph: Any
    layout: Literal["NCHW", "NHWC"]
    preprocessing: Preprocessing
    normalization: Normalization | None
    source: str
    licence: str
    sha256: str
    output: str
    text_tower: TextTower | None = None
    version: str = ""


@dataclass(frozen=True)
class ImportProgress:
    """How far an import is: what it does, and of a download how many bytes there are (`total` None if unknown)."""

    stage: str
    done: int = 0
    total: int | None = None


OnProgress = Callable[[ImportProgress], None]


@dataclass(frozen=True)
class ImportRequest:
    """What a source is asked for.

    Attributes:
        name: what follows the scheme: "resnet50.a1_in1k" of "timm:resnet50.a1_in1k"; for a file, its path.
        wishes: what the user says of it.
        tell: is called with how far it is.
    """

    name: str
    options: ImportOptions = field(default_factory=ImportOptions)
    progress: OnProgress = lambda _: None
