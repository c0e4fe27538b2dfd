"""What a search returns, apart from what it searches for."""

from dataclasses import dataclass, field
from typing import TypedDict

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.filters import Where, checked_where
from lookalike.index.policies import checked_recall

_LARGEST_K = 2**31  # more than any collection has, and few enough for FAISS and SQLite to count


@dataclass(frozen=True)
class SearchOptions:
    """The options of a search.

    Attributes:
        k: the number of images to return, at least 1; if there are fewer, all of them are returned.
        min_score: leaves out images with a lower score, in [-1, 1].
        where: which images may be found.
        exact: compares with every vector, whether or not there is an index.
        recall: the target recall, in (0, 1]; None is that of the index. If the index cannot reach it, the search is
            exact.
        refine: orders the images by what the nearest of them have in common, which finds more things of a kind; the
            scores stay cosines, and copies stay first. It takes some milliseconds more.
        confident: leaves out images that may be as near by chance: those of which more than 0.1 are expected, or of
            which nobody can tell (`Match.expected`).
        fold: shows of images that are copies of one another only the first, which has the others as its `copies`. Other
            copies than those of the same bytes are known once `duplicates` has been called.
        regions: compares with the parts of each image, too, for things that fill a part of it; `Match.region` tells
            which one it was. The collection has to keep vectors of them (`Collection.keep_regions`).
        crops: cuts the query into parts, too, for images of a thing that is somewhere in it; `Match.query_region` tells
            which one it was.

    Raises:
        UsageError: an option is of another type, or out of range.
    """

    k: int = 10
    min_score: float | None = None
    where: Where | None = field(default=None, kw_only=True)
    exact: bool = field(default=False, kw_only=True)
    recall: float | None = field(default=None, kw_only=True)
    refine: bool = field(default=False, kw_only=True)
    confident: bool = field(default=False, kw_only=True)
    fold: bool = field(default=False, kw_only=True)
    regions: bool = field(default=False, kw_only=True)
    crops: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", min(arguments.whole(self.k, "k", least=1), _LARGEST_K))
        if self.min_score is not None:
            object.__setattr__(self, "min_score", arguments.number(self.min_score, "min_score", finite=False))
        object.__setattr__(self, "where", checked_where(self.where))
        object.__setattr__(self, "exact", arguments.flag(self.exact, "exact"))
        object.__setattr__(self, "recall", None if self.recall is None else checked_recall(self.recall))
        for name in ("refine", "confident", "fold", "regions", "crops"):
            object.__setattr__(self, name, arguments.flag(getattr(self, name), name))
        if self.refine and (self.regions or self.crops):
            raise UsageError("refine orders whole images; give it without regions and crops")


class SearchKeywords(TypedDict, total=False):
    """The fields of `SearchOptions` as keyword arguments of the search methods."""

    k: int
    min_score: float | None
    where: Where | None
    exact: bool
    recall: float | None
    refine: bool
    confident: bool
    fold: bool
    regions: bool
    crops: bool
