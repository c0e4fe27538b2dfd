"""What else happens to many thousands of images, at some hundred: indexes, joins, rebuilds, compactions."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

from lookalike.index import build_progress, maintenance, tuning
from tests.support.pictures import ColourEncoder


@contextmanager
def quick_builds() -> Iterator[None]:
    """An index is measured with fewer queries, and nobody is told how long that will take."""
    with ExitStack() as changes:
        for name, value in {"QUERIES": 20, "_DEEP_QUERIES": 10}.items():
            changes.enter_context(mock.patch.object(tuning, name, value))
        changes.enter_context(
            mock.patch.dict(tuning._QUERIES, dict.fromkeys(tuning._QUERIES, tuning.Queries(20, 20, 10)))
        )
        changes.enter_context(mock.patch.object(maintenance, "_CHECK_QUERIES", 20))
        changes.enter_context(mock.patch.object(tuning, "_median_ms", return_value=1e3))  # as if of very many
        changes.enter_context(mock.patch.object(build_progress, "_TRIAL", 16))
        yield


@contextmanager
def small_thresholds(*, exact: int = 100, young: int = 20, growth: float = 2, dead: float = 0.1) -> Iterator[None]:
    """The same, and collections of few images are maintained as large ones are.

    Args:
        exact: from so many images on there is an index by default.
        young: so many new ones are taken into it.
        growth: so many times as many images as it was made for are worth another.
        dead: that share of the vectors is taken out when nobody has them.
    """
    with quick_builds(), ExitStack() as changes:
        changes.enter_context(mock.patch.object(tuning, "_EXACT_VALUES", exact * ColourEncoder.dim))
        values = {"_YOUNG_ROWS": young, "GROWTH": growth, "_DEAD_SHARE": dead}
        for name, value in values.items():
            changes.enter_context(mock.patch.object(maintenance, name, value))
        yield
