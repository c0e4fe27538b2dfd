"""The JSON that clients send, with what each member means; OpenAPI's description is made of it and answer_bodies.py.

Types are strict: "3" is no number and 1 is no flag, a member that is not known is refused, and so is a number that is
not finite.
"""

import base64
import binascii
import os
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from lookalike.errors import UsageError
from lookalike.filters import Between, Not, Where
from lookalike.results import Region

_MAX_TEXT = 10_000  # characters
_MAX_VECTOR = 65_536
_MAX_TERMS = 100  # of a query
_MAX_VALUES = 1000  # of a condition


class Body(BaseModel):
    """What all bodies have in common."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def _is_one_part(example: "Example") -> None:
    given = (example.id, example.text, example.vector, example.image)
    if sum(part is not None for part in given) != 1:
        raise ValueError("give one of these: id, text, vector, image")


Share = Annotated[float, Field(ge=0, le=1)]
_Region = Annotated[list[Share], Field(min_length=4, max_length=4)]


class Example(Body):
    """A part of a query: an image of the collection, a text, a vector, or an image; exactly one of these."""

    id: Annotated[int, Field(ge=1, lt=2**63)] | None = Field(None, description="The id of an image of the collection.")
    text: Annotated[str, Field(min_length=1, max_length=_MAX_TEXT)] | None = Field(
        None, description="A description, if the collection's model takes text."
    )
    vector: Annotated[list[float], Field(min_length=1, max_length=_MAX_VECTOR)] | None = Field(
        None, description="A vector of the collection's dimension, of any length."
    )
    image: str | None = Field(
        None, description="The bytes of an image file in base64, perhaps as a `data:` URI. No address is ever fetched."
    )
    weight: float = Field(1.0, gt=0, le=1e6, description="How much it counts, beside the others.")
    region: _Region | None = Field(
        None, description="Only this part of the image counts: `[x, y, width, height]` in shares of its sides."
    )

    @model_validator(mode="after")
    def _check(self) -> "Example":
        _is_one_part(self)
        if self.region is not None and self.image is None and self.id is None:
            raise ValueError("region: only an image or an id has parts")
        return self

    def cut(self) -> Region | None:
        """The part of the image that counts; raises UsageError if it is not within."""
        return None if self.region is None else Region(*self.region)


Value = str | int | float


class Name(Body):
    """A label or a folder whose name is not UTF-8."""

    in_base64: str = Field(alias="bytes", description="The bytes of the name in base64, as `key_bytes` has them.")

    def text(self) -> str:
        """The name as Python has it; raises UsageError for what is not base64."""
        return os.fsdecode(image_bytes(self.in_base64, "bytes"))


class Range(Body):
    """A range of an attribute's values; without an end it has no limit there."""

    low: Value | None = None
    high: Value | None = None
    without_low: bool = Field(False, description="Leaves out the low end itself.")
    without_high: bool = Field(False, description="Leaves out the high end itself.")


class Unlike(Body):
    """Every value of an attribute but one or several; an image without the attribute passes, too."""

    values: Value | Annotated[list[Value], Field(max_length=_MAX_VALUES)] = Field(alias="not")


class Filter(Body):
    """Which images may be found: those that meet every condition that is given."""

    label: str | Name | Annotated[list[str | Name], Field(max_length=_MAX_VALUES)] | None = Field(
        None, description="The label, or several, one of which the image has."
    )
    under: str | Name | None = Field(
        None, description="The folder that the image is in or below, such as `2024/summer`."
    )
    ids: Annotated[list[int], Field(max_length=100_000)] | None = Field(None, description="The ids of the images.")
    attributes: dict[str, Value | Annotated[list[Value], Field(max_length=_MAX_VALUES)] | Range | Unlike] = Field(
        default_factory=dict,
        description="For each attribute its value, several, a range `{low, high}`, or `{not}` for all others.",
    )

    def where(self) -> Where:
        """The filter; raises UsageError for a value that no attribute can have."""
        attributes: dict[str, Any] = {name: _allowed(wanted) for name, wanted in self.attributes.items()}
        label = [_text(each) for each in self.label] if isinstance(self.label, list) else _text(self.label)
        return Where(label=label, under=_text(self.under), ids=self.ids, attributes=attributes)


def _text(name: Any) -> Any:
    return name.text() if isinstance(name, Name) else name


def _allowed(wanted: Any) -> Any:
    match wanted:
        case Range():
            ends = {"without_low": wanted.without_low, "without_high": wanted.without_high}
            return Between(wanted.low, wanted.high, **ends)
        case Unlike():
            return Not(wanted.values)
    return wanted


class SearchOptions(Body):
    """The options of a search, whatever it is for."""

    k: int = Field(10, ge=1, description="The number of matches; `/v1/info` has the most that it can be.")
    min_score: float | None = Field(None, ge=-1, le=1, description="Leaves out images with a lower score.")
    where: Filter | None = Field(None, description="Which images may be found.")
    exact: bool = Field(False, description="Compares with every image, even if there is an index.")
    recall: float | None = Field(None, gt=0, le=1, description="The target recall; by default that of the index.")
    refine: bool = Field(False, description="Orders by what the nearest have in common, which finds more of a kind.")
    confident: bool = Field(False, description="Leaves out images that may be as near by chance: `expected` over 0.1.")
    fold: bool = Field(False, description="Folds copies behind the first of them, as its `copies`.")
    regions: bool = Field(False, description="Compares with parts of the images, too, if the collection has them.")
    crops: bool = Field(False, description="Cuts the query, which is one image, into parts, and searches for each.")
    region: _Region | None = Field(
        None,
        description="Searches for a part of the only positive image: `[x, y, width, height]` in shares of its sides.",
    )

    def cut(self) -> Region | None:
        """The part of the image that is searched for; raises UsageError if it is not within."""
        return None if self.region is None else Region(*self.region)


_SEARCH_EXAMPLES: list[JsonValue] = [
    {"positive": [{"id": 42}], "k": 20, "where": {"label": "cat", "attributes": {"year": {"low": 2020}}}},
    {"positive": [{"text": "a red dress"}, {"id": 7, "weight": 0.5}], "negative": [{"id": 9}], "min_score": 0.3},
]


class Search(SearchOptions):
    """A search for images that are like the positive examples and unlike the negative ones."""

    model_config = ConfigDict(json_schema_extra={"examples": _SEARCH_EXAMPLES})

    positive: Annotated[list[Example], Field(max_length=_MAX_TERMS)] = Field(default_factory=list)
    negative: Annotated[list[Example], Field(max_length=_MAX_TERMS)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check(self) -> "Search":
        if not self.positive and not self.negative:
            raise ValueError("give at least one positive or negative example")
        return self


class Batch(Body):
    """Several searches, which are answered in their order."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"queries": [{"positive": [{"id": 1}]}, {"positive": [{"id": 2}], "k": 3}]}]}
    )

    queries: Annotated[list[Search], Field(min_length=1)]


class Session(Body):
    """The token, for which a page gets a cookie."""

    token: Annotated[str, Field(max_length=1000)]


class Input(Body):
    """An image or a text to embed; exactly one of these."""

    image: str | None = Field(None, description="The bytes of an image file in base64, perhaps as a `data:` URI.")
    text: Annotated[str, Field(min_length=1, max_length=_MAX_TEXT)] | None = None

    @model_validator(mode="after")
    def _check(self) -> "Input":
        if (self.image is None) == (self.text is None):
            raise ValueError("give an image or a text, one of the two")
        return self


def _known_format(name: str | None) -> str | None:
    if name not in (None, "float", "base64"):
        raise ValueError('give "float" or "base64"')
    return name


# A GIF of one pixel.
_EXAMPLE_IMAGE = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
_Format = Annotated[str | None, AfterValidator(_known_format)]
_Text = Annotated[str, Field(min_length=1, max_length=_MAX_TEXT)]


class Embeddings(Body):
    """What to embed, in the form of OpenAI's and Jina's clients; members that only they know are ignored."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={"examples": [{"input": [{"image": _EXAMPLE_IMAGE}]}, {"input": ["a red dress"]}]},
    )

    input: _Text | Input | Annotated[list[_Text | Input], Field(min_length=1)] = Field(
        description="A text, or `{image}` or `{text}`, or a list of these."
    )
    model: str | None = Field(None, description="The collection's model, or nothing.")
    dimensions: int | None = Field(None, description="The collection's dimension, or nothing.")
    encoding_format: _Format = Field(None, description="`float` (the default), or `base64` for float32 in base64.")
    embedding_type: _Format = Field(None, description="The same, as Jina's clients call it.")

    def inputs(self) -> list[Input]:
        """What to embed, each as an image or a text."""
        given = self.input if isinstance(self.input, list) else [self.input]
        return [Input(image=None, text=each) if isinstance(each, str) else each for each in given]


def image_bytes(text: str, name: str = "image") -> bytes:
    """The bytes of an image that is given in base64, with or without `data:image/jpeg;base64,` before it.

    Raises:
        UsageError: it is not base64, such as an address.
    """
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        if not head.endswith(";base64"):
            raise UsageError(f"{name}: a data: URI without ;base64; give the bytes of the file in base64")
    try:
        return base64.b64decode("".join(text.split()), validate=True)  # many programs break its lines
    except (binascii.Error, ValueError):
        raise UsageError(f"{name}: not base64; give the bytes of the file in base64, not an address") from None
