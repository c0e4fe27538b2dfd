"""What an import source is asked for, and what it returns: a network's graph and how its images are prepared."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from lookalike import arguments
from lookalike.encoders.card import NO_NORMALIZATION, Normalization, TextSpec, Triple
from lookalike.errors import UsageError
from lookalike.images.decode import Fit, Preprocessing, Resample


@dataclass(frozen=True)
class ImportOptions:
    """What the user specifies about a model; None leaves it to the model's source.

    Attributes:
        revision: the commit, tag or branch to take, if the source has several.
        output: the layer whose output becomes the vector.
        size: as in `Preprocessing`.
        crop: as in `Preprocessing`.
        resample: as in `Preprocessing`.
        fit: as in `Preprocessing`.
        mean: of pixels in 0..255, in the order of `channels`, as in `Normalization`.
        std: likewise.
        channels: the channel order that the network takes.
        licence: of the weights.

    Raises:
        UsageError: a value is of another type, or out of range.
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

    def __post_init__(self) -> None:
        given = self._given("size", "crop", "resample", "fit")
        checked = Preprocessing(**given)
        for name in given:
            object.__setattr__(self, name, getattr(checked, name))
        for name, text in self._given("revision", "output", "licence").items():
            arguments.text(text, name)
        for name, numbers in self._given("mean", "std").items():
            object.__setattr__(self, name, _checked_triple(numbers, name))
        if self.channels is not None and arguments.text(self.channels, "channels") not in ("RGB", "BGR"):
            raise UsageError(f"channels={arguments.shown(self.channels)}: give RGB or BGR")

    def preprocessing(self, published: Preprocessing) -> Preprocessing:
        """Returns the source's preprocessing, changed as the user specifies."""
        return replace(published, **self._given("size", "crop", "resample", "fit"))

    def normalization(self, published: Normalization | None) -> Normalization | None:
        """Returns the source's normalization, changed as the user specifies.

        Another channel order also reverses the source's mean and std.
        """
        given = self._given("mean", "std", "channels")
        if not given:
            return published
        published = published or NO_NORMALIZATION
        if self.channels not in (None, published.channels):
            published = Normalization(published.mean[::-1], published.std[::-1])
        return replace(published, **given)

    def reject(self, source: str, *names: str) -> None:
        """Raises UsageError if any of these options is given, which the source does not support."""
        if given := self._given(*names):
            raise UsageError(f"{source}: the option `{next(iter(given))}` does not apply here; leave it out")

    def as_arguments(self) -> list[str]:
        """Returns the given options as command-line arguments, in the form that a model's card keeps."""
        given = self._given(*vars(self))
        return [argument for name, value in given.items() for argument in (f"--{name}", _as_argument(value))]

    def _given(self, *names: str) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def _checked_triple(given: Any, name: str) -> Triple:
    numbers = [arguments.number(each, name) for each in arguments.several(given, name)]
    if len(numbers) != len(get_args(Triple)) or (name == "std" and min(numbers) <= 0):
        raise UsageError(f"{name}={arguments.shown(given)}: give three numbers{', above 0' if name == 'std' else ''}")
    return numbers[0], numbers[1], numbers[2]


def _as_argument(value: object) -> str:
    return ",".join(f"{number!r}" for number in value) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class TextTower:
    """The part of a network that turns text into vectors.

    Attributes:
        graph: an openvino.Model from token ids, int64 (1, context), to an embedding, float32 (1, dim).
        tokenizer: a `tokenizer.json` of the tokenizers library, which pads and truncates to `context` tokens.
        context: the number of tokens that the graph takes.
        unescapes: whether HTML entities such as "&amp;" are decoded before tokenization.
    """

    graph: Any
    tokenizer: str
    context: int
    unescapes: bool = False

    @property
    def spec(self) -> TextSpec:
        """What a model's card says about the tower."""
        return TextSpec(self.context, hashlib.sha256(self.tokenizer.encode()).hexdigest(), self.unescapes)


@dataclass(frozen=True)
class ImportedNetwork:
    """A network as a source returns it.

    Attributes:
        graph: an openvino.Model with one input and one output. The input is a batch of images of
            `preprocessing.size`, in `layout`: float32 after `normalization`, or, without normalization, pixels in
            0..255 as float32 or uint8. The output is (n, dim), (n, channels, h, w) or (n, h, w, channels) as in
            `layout`, or (n, tokens, channels).
        layout: the order of the input's dimensions.
        preprocessing: how an image becomes pixels for it.
        normalization: how pixels are normalized before they enter the graph; None if they enter as they are.
        source: what it was imported from, as the user would write it to import the same again.
        licence: of the weights, an SPDX identifier if there is one; "" if unknown.
        sha256: of the weights, in hexadecimal.
        output: the name of the layer that the output comes from.
        text_tower: the part that embeds text, or None.
        version: the commit or other version that pins the weights at their source; "" if there is none.
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
    """The progress of an import.

    Attributes:
        stage: what is being done, such as "converting".
        done: the number of bytes downloaded so far; 0 in all other stages.
        total: the size of the download in bytes; None if unknown.
    """

    stage: str
    done: int = 0
    total: int | None = None


OnProgress = Callable[[ImportProgress], None]


@dataclass(frozen=True)
class ImportRequest:
    """What a source is asked to fetch.

    Attributes:
        name: what follows the scheme: "resnet50.a1_in1k" of "timm:resnet50.a1_in1k"; for a file, its path.
        options: what the user specifies.
        progress: called with the progress of the import.
    """

    name: str
    options: ImportOptions = field(default_factory=ImportOptions)
    progress: OnProgress = lambda _: None
