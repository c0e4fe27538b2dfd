"""Which rows may be found, against sets of whole numbers."""

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.storage.rows import NOTHING, Selection


def rows(*numbers: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def test_without_any_condition_all_rows_may_be_found() -> None:
    selection = Selection(5)
    assert (selection.count, selection.size, selection.rows().tolist()) == (5, 5, [0, 1, 2, 3, 4])
    assert selection.size_within(1, 4) == 3
    assert selection.bitmap(0, 5) is None  # so that nothing is tested for each row


def test_the_dead_are_left_out() -> None:
    selection = Selection(5, dead=rows(0, 3))
    assert (selection.size, selection.rows().tolist()) == (3, [1, 2, 4])


def test_only_those_that_are_named_may_be_found_and_not_if_they_are_dead() -> None:
    selection = Selection(6, only=rows(1, 2, 5), dead=rows(2, 3))
    assert (selection.size, selection.rows().tolist()) == (2, [1, 5])
    assert Selection(6, only=NOTHING).size == 0
    assert Selection(6, only=NOTHING).rows().tolist() == []


def test_of_no_rows_none_may_be_found() -> None:
    selection = Selection(0)
    assert (selection.size, selection.rows().tolist(), selection.size_within(0, 0)) == (0, [], 0)


def test_the_first_row_is_the_lowest_bit() -> None:
    bitmap = Selection(10, only=rows(0, 3, 8)).bitmap(0, 10)
    assert bitmap is not None
    assert bitmap.tolist() == [0b0000_1001, 0b0000_0001]
    tail = Selection(10, only=rows(0, 3, 8)).bitmap(3, 10)
    assert tail is not None
    assert tail.tolist() == [0b0010_0001]


@st.composite
def selections(draw: st.DrawFn) -> tuple[Selection, set[int]]:
    count = draw(st.integers(0, 40))
    some = st.sets(st.integers(0, count - 1)) if count else st.just(set())
    dead, only = draw(some), draw(st.none() | some)
    expected = (set(range(count)) if only is None else only) - dead
    named = None if only is None else rows(*sorted(only))
    return Selection(count, dead=rows(*sorted(dead)), only=named), expected


@given(selections(), st.data())
def test_any_selection_is_the_set_that_it_stands_for(drawn: tuple[Selection, set[int]], data: st.DataObject) -> None:
    selection, expected = drawn
    start = data.draw(st.integers(0, selection.count))
    stop = data.draw(st.integers(start, selection.count))
    assert selection.rows().tolist() == sorted(expected)
    assert selection.size == len(expected)
    assert selection.size_within(start, stop) == len(expected & set(range(start, stop)))
    bitmap = selection.bitmap(start, stop)
    assert bitmap is selection.bitmap(start, stop)  # made once
    if bitmap is None:
        assert expected == set(range(selection.count))
    else:
        members = faiss.IDSelectorBitmap(bitmap)  # as FAISS understands it
        found = {row for row in range(start, stop) if members.is_member(row - start)}
        assert found == expected & set(range(start, stop))


@pytest.mark.parametrize("dead", [[0], [7], [8], list(range(16))])
def test_faiss_finds_what_is_selected_and_nothing_else(dead: list[int]) -> None:
    index = faiss.IndexFlatIP(3)
    index.add(np.eye(3, dtype=np.float32).repeat(6, axis=0)[:16])
    bitmap = Selection(16, dead=rows(*dead)).bitmap(0, 16)
    selector = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))
    _, found = index.search(np.ones((1, 3), np.float32), 16, params=selector)
    assert {row for row in found[0].tolist() if row >= 0} == set(range(16)) - set(dead)
