"""What a search returns, apart from what it searches for."""

import operator
from dataclasses import dataclass, field
from typing import TypedDict

from lookalike.errors import UsageError
from lookalike.filters import Where
from lookalike.index.options import checked_recall

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

    Raises:
        UsageError: k is not positive, or the recall is out of range.
    """

    k: int = 10
    min_score: float | None = None
    where: Where | None = field(default=None, kw_only=True)
    exact: bool = field(default=False, kw_only=True)
    recall: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", _checked_k(self.k))
        if self.recall is not None:
            checked_recall(self.recall)


class SearchKeywords(TypedDict, total=False):
    """The fields of `SearchOptions` as keyword arguments of the search methods."""

    k: int
    min_score: float | None
    where: Where | None
    exact: bool
    recall: float | None


def _checked_k(k: int) -> int:
    try:
        number = min(operator.index(k), _LARGEST_K)
    except TypeError:
        raise UsageError(f"k={k!r}: give a whole number") from None
    if number < 1:
        raise UsageError(f"k={k}: ask for at least 1")
    return number
