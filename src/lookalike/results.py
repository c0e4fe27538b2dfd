"""The results of searching and indexing: matches, and the images that were skipped."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, SupportsIndex, overload

from lookalike import arguments
from lookalike.errors import UsageError

# So many images expected as near to a query by chance, or fewer, are beyond chance; with up to so many, near it.
BEYOND_CHANCE, NEAR_CHANCE = 0.1, 1.0
_ROUNDING = 1e-6  # what a caller's arithmetic may add to the edges of a region


@dataclass(frozen=True)
class Region:
    """A part of an upright image, in shares of its sides: (0, 0, 1, 1) is all of it.

    Attributes:
        x: of the left edge, in [0, 1].
        y: of the upper edge, in [0, 1].
        width: in (0, 1], at most 1 - x.
        height: in (0, 1], at most 1 - y.

    Raises:
        UsageError: it is empty, or not within the image.
    """

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        for name in ("x", "y", "width", "height"):
            object.__setattr__(self, name, arguments.number(getattr(self, name), name))
        for start, length in ((self.x, self.width), (self.y, self.height)):
            if not (start >= 0 and length > 0 and start + length <= 1 + _ROUNDING):
                raise UsageError(f"{self}: give shares of the image's sides, such as Region(0.25, 0, 0.5, 1)")


def region_of(given: Region | Iterable[float] | None) -> Region | None:
    """A part of an image, from its shares: x, y, width, height; raises UsageError for anything else."""
    if given is None or isinstance(given, Region):
        return given
    shares = arguments.several(given, "region")
    if len(shares) != 4:
        raise UsageError(f"region={arguments.shown(given)}: give x, y, width and height as shares of the image's sides")
    return Region(*shares)


@dataclass(frozen=True)
class Match:
    """An image that a search found.

    Attributes:
        id: the image's number in its collection, at least 1, never used again.
        key: the name that it is stored under, relative to the collection's folder (`2024/cat.jpg`).
        path: the file, absolute; of an image in an archive that of the archive, "#" and a name; behind a URL the URL;
            None if it is on the machine of a service.
        score: the cosine similarity to the query, in [-1, 1]; higher is more alike.
        label: by default the name of the folder that holds the image; None if it has none.
        width: of the upright image, in pixels.
        height: of the upright image, in pixels.
        attributes: the image's attributes, by name.
        is_query: whether its file is the one that was given as the query.
        sha256: of the file as it was indexed, or None; another file at `path` is not shown.
        expected: how many images of the collection are expected as near to the query by chance, from 0 on: at most 0.1
            is beyond chance, 1 and more is what any query finds. It does not tell whether the label is right, and
            knows nothing of filters. None if the collection is too small to tell.
        probability: that the image has the query's label, in (0, 1), as the labels of the collection's own images
            teach; it supposes that the query is one image of a kind that has a label there. None if that has not been
            measured (`Collection.evaluate`), the collection has changed much since, or the image has no label.
        copy_probability: that the image is an edited copy of the query or the query one of it, in (0, 1), if every
            second query has one in the collection: what is as far beyond chance was one so often when
            `Collection.evaluate` searched for edited copies of its images. None as for `probability`, labels aside.
        copies: images that were found, too, but are copies of this one, if the answer is folded; else none.
        region: the part of the image that is nearest to the query, if that was looked for and is nearer than the whole;
            the score is that part's, and `expected` counts parts.
        query_region: the part of the query that the image is nearest to, likewise.
    """

    id: int
    key: str
    path: Path | Any
    score: float
    label: str | None = None
    width: int = 0
    height: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    is_query: bool = False
    sha256: bytes | None = field(default=None, repr=False, compare=False)
    expected: float | None = None
    probability: float | None = None
    copy_probability: float | None = None
    copies: tuple["Match", ...] = ()
    region: Region | None = None
    query_region: Region | None = None


@dataclass(frozen=True)
class Origin:
    """Where an answer comes from, so that a page of it can still be understood years later.

    Attributes:
        folder: the folder of the collection.
        model: the model that made the vectors, with its precision: "efficientnet-lite0 (int8)".
        fingerprint: of that model; only scores with the same fingerprint can be compared.
        date: when the answer was given, with the time zone.
    """

    folder: Path
    model: str
    fingerprint: str
    date: datetime


@dataclass(frozen=True)
class IndexedImage:
    """An image of a collection.

    Attributes:
        id: the image's number in its collection, at least 1, never used again.
        key: the name that it is stored under, relative to the collection's folder (`2024/cat.jpg`).
        path: as that of a match.
        label: by default the name of the folder that holds the image; None if it has none.
        width: of the upright image, in pixels.
        height: of the upright image, in pixels.
        attributes: the image's attributes, by name.
        sha256: of the file as it was indexed.
    """

    id: int
    key: str
    path: Path | Any  # None and URLs are rare, so that nobody else has to ask
    label: str | None
    width: int
    height: int
    attributes: Mapping[str, Any]
    sha256: bytes = field(repr=False)


class Matches(list[Match]):
    """Matches, best first: a list that a notebook shows as thumbnails.

    Attributes:
        queries: the query images and terms as they were given, to be shown beside the matches.
        origin: the collection that they come from; None if that is not known.
        max_pixels: the most pixels of an image that is shown; None for the usual limit.
        filtered_by: the names of the attributes that the search was filtered by, whose values are shown.
        missing_shards: the names of the shards of a sharded collection that could not be asked.
    """

    def __init__(
        self,
        matches: Iterable[Match] = (),
        *,
        queries: Iterable[Any] = (),
        origin: Origin | None = None,
        max_pixels: int | None = None,
        filtered_by: Iterable[str] = (),
        missing_shards: Iterable[str] = (),
    ) -> None:
        super().__init__(matches)
        self.queries, self.origin, self.max_pixels = tuple(queries), origin, max_pixels
        self.filtered_by, self.missing_shards = tuple(filtered_by), tuple(missing_shards)

    @property
    def partial(self) -> bool:
        """Whether some shards could not be asked, so that images may be missing."""
        return bool(self.missing_shards)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Match: ...
    @overload
    def __getitem__(self, index: slice) -> "Matches": ...
    def __getitem__(self, index: SupportsIndex | slice) -> "Match | Matches":
        """Returns one match, or a slice with the same queries, origin, limit and attributes."""
        if isinstance(index, slice):
            return Matches(
                super().__getitem__(index),
                queries=self.queries,
                origin=self.origin,
                max_pixels=self.max_pixels,
                filtered_by=self.filtered_by,
                missing_shards=self.missing_shards,
            )
        return super().__getitem__(index)

    def _repr_html_(self) -> str:
        from lookalike.display.page import fragment  # loaded only for notebooks, since it loads Pillow

        return fragment(self)


@dataclass(frozen=True)
class Skipped:
    """A file that was skipped; `reason` is a short phrase such as "truncated".

    `path` is as that of a match: the place of an image in an archive, or a URL, is no file here.
    """

    path: Path | Any
    reason: str
