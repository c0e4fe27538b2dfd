"""The JSON that clients get, with what each member means; OpenAPI's description is made of it and bodies.py."""

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, Field

from lookalike.server.bodies import Share, Value

CopiesOf = Annotated[
    str | None,
    Field(
        description="The same of all images that are edited copies of one another, as `lookalike duplicates` has found:"
        " the `sha256` of one of them. Null if it is in no such group.",
        examples=["5f70…"],
    ),
]


class Part(BaseModel):
    """A part of an upright image, in shares of its sides."""

    x: Share = Field(description="Of the left edge.", examples=[0.5])
    y: Share = Field(description="Of the upper edge.", examples=[0.25])
    width: Share = Field(examples=[0.5])
    height: Share = Field(examples=[0.5])


class Found(BaseModel):
    """An image of the collection that a search has found."""

    id: int = Field(description="Its number, never used again.", examples=[42])
    key: str = Field(description="Its name in the collection.", examples=["cats/tom.jpg"])
    key_bytes: str | None = Field(None, description="The bytes of the name in base64, if they are not UTF-8.")
    score: float = Field(description="The cosine similarity to the query, in [-1, 1].", examples=[0.873])
    expected: float | None = Field(
        ge=0,
        description="How many images of the collection are expected as near to the query by chance, whatever the"
        " filter: at most 0.1 is beyond chance. It does not tell whether the label is right. Null if nobody can tell,"
        " since there are too few images.",
        examples=[0.004],
    )
    probability: Share | None = Field(
        description="That it has the query's label, for a query of one image; null if nobody can tell.", examples=[0.83]
    )
    copy_probability: Share | None = Field(
        description="That it is an edited copy of the query or the query one of it, if every second query has one in"
        " the collection; null as for `probability`.",
        examples=[0.02],
    )
    region: Part | None = Field(
        None, description="The part of the image that is nearest to the query; absent if that is the whole image."
    )
    query_region: Part | None = Field(
        None, description="The part of the query that the image is nearest to; absent if that is all of it."
    )
    label: str | None = Field(None, examples=["cats"])
    width: int = Field(description="Of the upright image, in pixels.", examples=[1024])
    height: int = Field(examples=[768])
    attributes: dict[str, Value | None] = Field(examples=[{"year": 2024}])
    sha256: str = Field(description="Of the file; identical files have the same.", examples=["5f70…"])
    group: CopiesOf
    thumbnail: str = Field(examples=["/v1/images/42/thumbnail?v=5f70bf18a086007a"])


class FoldedMatch(Found):
    """An image that a search has found, perhaps with copies of it that were found, too."""

    copies: list[Found] = Field([], description="Copies of it, if the answer is folded and there are any.")


MissingShards: TypeAlias = Annotated[
    list[str],
    Field(description="Of many collections as one, those that could not be asked; left out without any."),
]


class SearchAnswer(BaseModel):
    """The matches, best first, and the time of each step in milliseconds, waiting included."""

    matches: list[FoldedMatch]
    missing_shards: MissingShards = []
    took_ms: dict[str, float] = Field(examples=[{"encode": 21.4, "search": 1.2, "total": 22.9}])


class BatchItem(BaseModel):
    """The answer to one query of several: matches, or the problem with it."""

    matches: list[FoldedMatch]
    missing_shards: MissingShards = []
    problem: dict[str, Any] | None = None


class BatchAnswer(BaseModel):
    """The answers, in the order of the queries."""

    answers: list[BatchItem]
    took_ms: dict[str, float]


class Image(BaseModel):
    """An image of the collection."""

    id: int = Field(examples=[42])
    key: str = Field(examples=["cats/tom.jpg"])
    key_bytes: str | None = None
    label: str | None = Field(None, examples=["cats"])
    width: int = Field(examples=[1024])
    height: int = Field(examples=[768])
    attributes: dict[str, Value | None] = Field(examples=[{"year": 2024}])
    sha256: str = Field(description="Of the file; identical files have the same.", examples=["5f70…"])
    group: CopiesOf
    thumbnail: str = Field(examples=["/v1/images/42/thumbnail?v=5f70bf18a086007a"])


class ValueImages(BaseModel):
    """A value and the number of images that have it."""

    value: Value | None = Field(examples=["cats"])
    value_bytes: str | None = None
    images: int = Field(examples=[120])


class FacetCounts(BaseModel):
    """The most frequent labels, folders and values of attributes."""

    labels: list[ValueImages]
    folders: list[ValueImages]
    attributes: dict[str, list[ValueImages]]


class ImagePage(BaseModel):
    """A page of images, by id."""

    images: list[Image]
    next: int | None = Field(description="The `after` of the next page; null if this is the last.", examples=[250])
    total: int | None = Field(None, description="The number of images that match, if facets are wanted.")
    facets: FacetCounts | None = Field(None, description="Counts of all images that match, if they are wanted.")


class ProblemDetail(BaseModel):
    """What is wrong, as RFC 9457 describes it."""

    type: str = Field(examples=["urn:lookalike:image-error"])
    title: str = Field(examples=["The image cannot be used"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["image: truncated"])
    hints: list[dict[str, Any]] = Field(description="What to do: `action`, `arguments`, `purpose`.", examples=[[]])
