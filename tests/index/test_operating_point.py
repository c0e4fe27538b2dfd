"""Operating points: which one is picked for a recall, and the recall that they reach."""

import pytest

from lookalike.index.operating_point import OperatingPoint, SearchParameters, cheapest, reached_recall


def point(k: int, low: float, milliseconds: float) -> OperatingPoint:
    return OperatingPoint(k, SearchParameters(1, 1), min(low + 0.01, 1), low, milliseconds)


MADE_UP = (
    point(10, 0.90, 1.0),
    point(10, 0.97, 2.0),
    point(10, 0.99, 5.0),
    point(100, 0.93, 3.0),
    point(100, 0.98, 8.0),
    point(1000, 0.99, 9.0),
)


@pytest.mark.parametrize(
    ("recall", "k", "expected"),
    [
        (0.5, 1, 1.0),
        (0.90, 10, 1.0),
        (0.901, 10, 2.0),
        (0.97, 3, 2.0),
        (0.98, 10, 5.0),
        (0.991, 10, None),  # none for ten neighbours reaches it, and those for a hundred say nothing about ten
        (0.9, 10.5, 3.0),
        (0.9, 11, 3.0),
        (0.98, 100, 8.0),
        (0.99, 100, None),
        (0.5, 101, 9.0),
        (0.5, 1000, 9.0),
        (0.5, 1001, None),
        (0.5, 10**9, None),
    ],
)
def test_the_fastest_point_with_enough_recall_for_the_next_k_is_picked(
    recall: float, k: float, expected: float | None
) -> None:
    for points in (MADE_UP, MADE_UP[::-1]):
        picked = cheapest(points, recall, k)
        assert (picked and picked.milliseconds) == expected


def test_of_no_points_none_is_picked() -> None:
    assert cheapest((), 0.5, 1) is None


def test_a_point_is_picked_by_the_lower_bound_of_its_recall() -> None:
    """The mean of the first is high enough, but cannot be relied on."""
    unsure = OperatingPoint(10, SearchParameters(1, 1), 0.99, 0.97, 1.0)
    sure = OperatingPoint(10, SearchParameters(2, 1), 0.985, 0.98, 2.0)
    assert cheapest((unsure, sure), 0.98, 10) is sure
    assert cheapest((unsure,), 0.98, 10) is None


@pytest.mark.parametrize(
    ("points", "target", "expected"),
    [
        ((), 0.98, 0.98),  # nothing could be measured: every search is exact
        ((point(10, 0.98, 1.0),), 0.98, 0.98),
        ((point(10, 0.99, 1.0),), 0.98, 0.98),  # no more than was asked for
        ((point(10, 0.9799, 1.0),), 0.98, 0.9799),
        ((point(10, 0.90, 1.0), point(10, 0.95, 2.0), point(10, 0.93, 3.0)), 0.98, 0.95),
        ((point(10, 0.90, 1.0), point(100, 0.99, 1.0)), 0.98, 0.90),  # only the smallest k counts
        ((point(100, 0.91, 1.0), point(1000, 0.99, 1.0)), 0.98, 0.91),
        (MADE_UP, 0.98, 0.98),
        (MADE_UP, 1.0, 0.99),
        (MADE_UP, 0.5, 0.5),
    ],
)
def test_the_reached_recall_is_the_target_or_the_best_lower_bound(
    points: tuple[OperatingPoint, ...], target: float, expected: float
) -> None:
    assert reached_recall(points, target) == expected
    assert reached_recall(points[::-1], target) == expected


def test_parameters_are_described_in_the_terms_of_the_kind_of_index() -> None:
    assert SearchParameters(32, 10).description("ivf") == "nprobe 32, 10 candidates each"
    assert SearchParameters(64, 2.5).description("hnsw") == "efSearch 64, 2.5 candidates each"
    assert SearchParameters(0, 1).description("flat") == "1 candidate each"
