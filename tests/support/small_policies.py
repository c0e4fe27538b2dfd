"""Policies by which some hundred images get indexes, joins, rebuilds and compactions as many thousands do."""

from lookalike import MaintenancePolicy, Policies, TuningPolicy
from lookalike.index.policies import QueryCounts
from tests.support.pictures import ColourEncoder

_FEW = {k: QueryCounts(20, 20, 10) for k in (10, 100, 1000)}
_SLOW_MS = 1e3  # the time of an exact search, as of very many vectors


def quick_policies(*, exact: int | None = None, dim: int = ColourEncoder.dim) -> Policies:
    """Indexes are measured with fewer queries.

    Args:
        exact: the number of images from which on there is an index by default; None for the default policy.
        dim: the dimension of the vectors.
    """
    tuning = TuningPolicy(queries=_FEW, exact_milliseconds=_SLOW_MS)
    if exact is not None:
        tuning = TuningPolicy(exact * dim, _FEW, _SLOW_MS)
    return Policies(tuning, MaintenancePolicy(check_queries=20))


def small_policies(
    *, exact: int = 100, young: int = 20, growth: float = 2, dead: float = 0.1, dim: int = ColourEncoder.dim
) -> Policies:
    """Indexes are measured with fewer queries, and collections of few images are maintained as large ones are.

    Args:
        exact: the number of images from which on there is an index by default.
        young: the number of new images from which on the index takes them in.
        growth: the factor of growth from which on an index is built anew.
        dead: the share of vectors without an image from which on they are removed.
        dim: the dimension of the vectors.
    """
    maintenance = MaintenancePolicy(dead, growth, young_rows=young, check_queries=20)
    return Policies(quick_policies(exact=exact, dim=dim).tuning, maintenance)
