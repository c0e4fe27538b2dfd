"""The numbers by which indexes are chosen, measured and maintained, as values that a caller may change."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from lookalike import arguments
from lookalike.errors import UsageError

TARGET_RECALL = 0.98


def checked_recall(recall: float) -> float:
    """A target recall.

    Raises:
        UsageError: it is not above 0 and at most 1.
    """
    number = arguments.number(recall, "recall", finite=False)
    if not 0 < number <= 1:
        raise UsageError(f"recall={number:g}: give a share, above 0 and at most 1")
    return number


@dataclass(frozen=True)
class QueryCounts:
    """The number of queries that measure an operating point.

    Attributes:
        all: for most points.
        above_target: for points above the target recall, which take long.
        first: for a first look: is the point worth measuring at all, and how many candidates does it need?
    """

    all: int
    above_target: int
    first: int

    def __post_init__(self) -> None:
        for name in ("all", "above_target", "first"):
            object.__setattr__(self, name, arguments.whole(getattr(self, name), name, least=1))


def _checked_queries(queries: Any) -> dict[int, QueryCounts]:
    if not isinstance(queries, Mapping) or not queries:
        raise UsageError(f"queries={arguments.shown(queries)}: give a dict from numbers of neighbours to QueryCounts")
    return {
        arguments.whole(k, "queries", least=1): arguments.instance(counts, QueryCounts, "queries", "QueryCounts(...)")
        for k, counts in queries.items()
    }


@dataclass(frozen=True)
class TuningPolicy:
    """When an index is worth having, and how its recall is measured.

    Attributes:
        exact_values: collections with fewer values (rows times dimensions) than this are searched exactly; comparing
            with 50,000 vectors of 1,280 dimensions takes some 4 ms on one core.
        queries: for each number of neighbours k that recall is measured for, in ascending order, the number of queries.
            Parameters that reach a recall for k neighbours also reach it for fewer.
        exact_milliseconds: taken as the time of an exact search instead of measuring it.
    """

    exact_values: int = 50_000 * 1280
    queries: Mapping[int, QueryCounts] = field(
        default_factory=lambda: MappingProxyType(
            {10: QueryCounts(2000, 500, 100), 100: QueryCounts(200, 100, 50), 1000: QueryCounts(100, 50, 25)}
        )
    )
    exact_milliseconds: float | None = None

    def __post_init__(self) -> None:
        set_ = partial(object.__setattr__, self)
        set_("exact_values", arguments.whole(self.exact_values, "exact_values", least=0))
        set_("queries", MappingProxyType(_checked_queries(self.queries)))
        if self.exact_milliseconds is not None:
            set_("exact_milliseconds", arguments.number(self.exact_milliseconds, "exact_milliseconds"))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the queries as a dict, since a MappingProxyType cannot be pickled."""
        return TuningPolicy, (self.exact_values, dict(self.queries), self.exact_milliseconds)

    def rough(self) -> "TuningPolicy":
        """The same with a quarter of the queries, where another measurement counts more."""

        def fewer(counts: QueryCounts) -> QueryCounts:
            return QueryCounts(*(max(each // 4, 1) for each in (counts.all, counts.above_target, counts.first)))

        return replace(self, queries={k: fewer(counts) for k, counts in self.queries.items()})

    def searches_exactly(self, dim: int, rows: int) -> bool:
        """Whether that many vectors need no index."""
        return rows * dim < self.exact_values

    @property
    def most_queries(self) -> int:
        """The largest number of queries for any k."""
        return max(counts.all for counts in self.queries.values())

    @property
    def most_deep_queries(self) -> int:
        """The largest number of queries for any k but the smallest."""
        smallest = min(self.queries)
        return max((counts.all for k, counts in self.queries.items() if k > smallest), default=0)


@dataclass(frozen=True)
class MaintenancePolicy:
    """When maintaining an index is due.

    Attributes:
        dead_share: the share of vectors that belong to no image any more, from which on they are removed.
        growth: the factor of growth since an index was trained, from which on it is trained again.
        young_rows: the number of vectors younger than the index, below which they are compared one by one.
        young_share: likewise, as a share of the vectors in the index; the larger of the two counts.
        check_queries: the number of queries that check the recall of an index that has taken in young vectors.
    """

    dead_share: float = 0.2
    growth: float = 4
    young_rows: int = 1000
    young_share: float = 0.01
    check_queries: int = 400

    def __post_init__(self) -> None:
        for name in ("dead_share", "growth", "young_share"):
            object.__setattr__(self, name, arguments.number(getattr(self, name), name, finite=False))
        for name, least in (("young_rows", 0), ("check_queries", 1)):
            object.__setattr__(self, name, arguments.whole(getattr(self, name), name, least=least))


@dataclass(frozen=True)
class Policies:
    """The policies of a collection's index."""

    tuning: TuningPolicy = field(default_factory=TuningPolicy)
    maintenance: MaintenancePolicy = field(default_factory=MaintenancePolicy)

    def __post_init__(self) -> None:
        arguments.instance(self.tuning, TuningPolicy, "tuning", "lookalike.TuningPolicy(...)")
        arguments.instance(self.maintenance, MaintenancePolicy, "maintenance", "lookalike.MaintenancePolicy(...)")


DEFAULT = Policies()
