"""What is due for an index: a table of states and policies with each border, and what holds for all of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike import MaintenancePolicy
from lookalike.index.generation import Generation
from lookalike.index.maintenance import Due, IndexState, what_is_due

DEFAULT = MaintenancePolicy()  # a fifth dead, four times as many vectors, 1000 young ones or a hundredth
NOTHING, JOIN, COMPACT, REBUILD = Due.NOTHING, Due.JOIN, Due.COMPACT, Due.REBUILD


def index_of(rows: int, trained_rows: int | None = None) -> Generation:
    return Generation(
        spec="SQ8",
        dim=8,
        rows=rows,
        trained_rows=rows if trained_rows is None else trained_rows,
        target_recall=0.98,
        reached_recall=0.98,
        asked_spec=None,
        asked_memory=None,
        points=(),
        exact_milliseconds=1.0,
    )


def due(
    live: int,
    dead: int = 0,
    *,
    index: Generation | None = None,
    is_damaged: bool = False,
    wants_index: bool = False,
    policy: MaintenancePolicy = DEFAULT,
) -> Due:
    return what_is_due(IndexState(live, dead, index, is_damaged, wants_index), policy)


@pytest.mark.parametrize(
    ("live", "dead", "policy", "expected"),
    [
        (0, 0, DEFAULT, NOTHING),
        (100, 0, DEFAULT, NOTHING),
        (81, 19, DEFAULT, NOTHING),
        (80, 20, DEFAULT, COMPACT),
        (5, 1, DEFAULT, NOTHING),
        (4, 1, DEFAULT, COMPACT),
        (0, 1, DEFAULT, COMPACT),
        (91, 9, MaintenancePolicy(dead_share=0.1), NOTHING),
        (90, 10, MaintenancePolicy(dead_share=0.1), COMPACT),
        (1, 99, MaintenancePolicy(dead_share=1), NOTHING),
        (0, 100, MaintenancePolicy(dead_share=1), COMPACT),
        (100, 0, MaintenancePolicy(dead_share=0), NOTHING),
        (10**9, 1, MaintenancePolicy(dead_share=0), COMPACT),
    ],
)
def test_without_an_index_enough_dead_vectors_are_removed(
    live: int, dead: int, policy: MaintenancePolicy, expected: Due
) -> None:
    assert due(live, dead, policy=policy) == expected


@pytest.mark.parametrize("dead", [0, 1, 100])
def test_a_collection_that_wants_an_index_and_has_none_gets_one(dead: int) -> None:
    assert due(100, dead, wants_index=True) == REBUILD


@pytest.mark.parametrize("index", [None, index_of(100), index_of(50)], ids=["card", "index", "young"])
@pytest.mark.parametrize("wants_index", [False, True])
@pytest.mark.parametrize("dead", [0, 100])
def test_a_damaged_index_is_rebuilt_whatever_else_is_due(
    index: Generation | None, wants_index: bool, dead: int
) -> None:
    assert due(100, dead, index=index, is_damaged=True, wants_index=wants_index) == REBUILD


@pytest.mark.parametrize(
    ("live", "dead", "rows", "policy", "expected"),
    [
        (1000, 0, 1000, DEFAULT, NOTHING),
        (1999, 0, 1000, DEFAULT, NOTHING),
        (2000, 0, 1000, DEFAULT, JOIN),
        (1990, 9, 1000, DEFAULT, NOTHING),
        (1990, 10, 1000, DEFAULT, JOIN),  # the dead among the young count
        (100_999, 0, 100_000, DEFAULT, NOTHING),
        (101_000, 0, 100_000, DEFAULT, JOIN),  # a thousand is just a hundredth
        (201_999, 0, 200_000, DEFAULT, NOTHING),
        (202_000, 0, 200_000, DEFAULT, JOIN),
        (400, 0, 400, MaintenancePolicy(young_rows=1), NOTHING),
        (403, 0, 400, MaintenancePolicy(young_rows=1), NOTHING),
        (404, 0, 400, MaintenancePolicy(young_rows=1), JOIN),
        (419, 0, 400, MaintenancePolicy(young_rows=1, young_share=0.05), NOTHING),
        (420, 0, 400, MaintenancePolicy(young_rows=1, young_share=0.05), JOIN),
        (449, 0, 400, MaintenancePolicy(young_rows=50, young_share=0.05), NOTHING),
        (450, 0, 400, MaintenancePolicy(young_rows=50, young_share=0.05), JOIN),
    ],
)
def test_young_vectors_join_once_there_are_enough(
    live: int, dead: int, rows: int, policy: MaintenancePolicy, expected: Due
) -> None:
    assert due(live, dead, index=index_of(rows), policy=policy) == expected


@pytest.mark.parametrize(
    ("live", "dead", "rows", "trained_rows", "policy", "expected"),
    [
        (999, 0, 250, 250, DEFAULT, NOTHING),
        (1000, 0, 250, 250, DEFAULT, REBUILD),
        (999, 0, 999, 250, DEFAULT, NOTHING),
        (1000, 0, 999, 250, DEFAULT, REBUILD),  # also if most of them have joined
        (999, 100, 999, 250, DEFAULT, NOTHING),  # the dead do not count
        (3999, 0, 1000, 1000, DEFAULT, JOIN),
        (4000, 0, 1000, 1000, DEFAULT, REBUILD),  # rather than join
        (199, 0, 100, 100, MaintenancePolicy(growth=2), NOTHING),
        (200, 0, 100, 100, MaintenancePolicy(growth=2), REBUILD),
        (149, 0, 100, 100, MaintenancePolicy(growth=1.5), NOTHING),
        (150, 0, 100, 100, MaintenancePolicy(growth=1.5), REBUILD),
    ],
)
def test_an_index_is_rebuilt_once_the_collection_has_outgrown_it(
    live: int, dead: int, rows: int, trained_rows: int, policy: MaintenancePolicy, expected: Due
) -> None:
    assert due(live, dead, index=index_of(rows, trained_rows), policy=policy) == expected


@pytest.mark.parametrize(
    ("live", "dead", "rows", "policy", "expected"),
    [
        (801, 199, 1000, DEFAULT, NOTHING),
        (800, 200, 1000, DEFAULT, REBUILD),
        (0, 1000, 1000, DEFAULT, REBUILD),
        (1601, 400, 1000, DEFAULT, JOIN),
        (1600, 400, 1000, DEFAULT, REBUILD),  # rather than join
        (901, 99, 1000, MaintenancePolicy(dead_share=0.1), NOTHING),
        (900, 100, 1000, MaintenancePolicy(dead_share=0.1), REBUILD),
        (1000, 0, 1000, MaintenancePolicy(dead_share=0), NOTHING),
        (999, 1, 1000, MaintenancePolicy(dead_share=0), REBUILD),
    ],
)
def test_an_index_is_rebuilt_once_too_many_of_its_vectors_are_dead(
    live: int, dead: int, rows: int, policy: MaintenancePolicy, expected: Due
) -> None:
    assert due(live, dead, index=index_of(rows), policy=policy) == expected


@pytest.mark.parametrize(("live", "expected"), [(100, NOTHING), (1100, JOIN)])
def test_an_index_that_is_not_needed_is_kept_until_it_is_rebuilt(live: int, expected: Due) -> None:
    """It was asked for, or the collection has shrunk."""
    index = index_of(100, 1000)
    assert due(live, index=index, wants_index=False) == due(live, index=index, wants_index=True) == expected


counts = st.integers(0, 10**9)


@given(st.integers(1, 10**9))
def test_a_fifth_is_a_fifth_of_any_number(dead: int) -> None:
    """Rounding moves no border."""
    assert due(4 * dead, dead) == COMPACT
    assert due(4 * dead + 1, dead) == NOTHING


@given(live=counts, dead=counts, rows=counts, trained_rows=counts, wants_index=st.booleans())
def test_after_a_rebuild_or_a_join_nothing_is_due(
    live: int, dead: int, rows: int, trained_rows: int, wants_index: bool
) -> None:
    """So that `maintain` does not do the same work twice."""
    before = due(live, dead, index=index_of(rows, trained_rows), wants_index=wants_index)
    if before == REBUILD and live:
        assert due(live, index=index_of(live), wants_index=wants_index) == NOTHING
    if before == JOIN:
        assert due(live, dead, index=index_of(live + dead, trained_rows), wants_index=wants_index) == NOTHING


@given(live=counts, dead=counts, wants_index=st.booleans())
def test_without_an_index_nothing_can_join(live: int, dead: int, wants_index: bool) -> None:
    assert due(live, dead, wants_index=wants_index) != JOIN
