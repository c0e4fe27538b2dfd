"""Policies by which some hundred images are treated as many thousands are: indexes, joins, rebuilds, compactions."""

from lookalike import MaintenancePolicy, Policies, TuningPolicy
from lookalike.index.policies import QueryCounts
from tests.support.pictures import ColourEncoder

_FEW = {k: QueryCounts(20, 20, 10) for k in (10, 100, 1000)}
_SLOW_MS = 1e3  # an exact search is taken to be as slow as that of very many vectors


def quick_policies(*, exact: int | None = None, dim: int = ColourEncoder.dim) -> Policies:
    """Indexes are measured with fewer queries.

    Args:
        exact: from so many images on there is an index by default; None is the default policy.
        dim: of the vectors.
    """
    tuning = TuningPolicy(queries=_FEW, exact_milliseconds=_SLOW_MS)
    if exact is not None:
        tuning = TuningPolicy(exact * dim, _FEW, _SLOW_MS)
    return Policies(tuning, MaintenancePolicy(check_queries=20))


def small_policies(
    *, exact: int = 100, young: int = 20, growth: float = 2, dead: float = 0.1, dim: int = ColourEncoder.dim
) -> Policies:
    """The same, and collections of few images are maintained as large ones are.

    Args:
        exact: from so many images on there is an index by default.
        young: so many new ones are taken into it.
        growth: so many times as many images as it was trained for are worth another.
        dead: that share of the vectors is removed when they belong to no image.
        dim: of the vectors.
    """
    maintenance = MaintenancePolicy(dead, growth, young_rows=young, check_queries=20)
    return Policies(quick_policies(exact=exact, dim=dim).tuning, maintenance)
