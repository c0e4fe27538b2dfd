"""Row sets against sets of whole numbers."""

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.storage.rows import NO_ROWS, RowSet


def rows(*numbers: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def test_without_any_condition_all_rows_may_be_found() -> None:
    row_set = RowSet(5)
    assert (row_set.count, row_set.size, row_set.rows().tolist()) == (5, 5, [0, 1, 2, 3, 4])
    assert row_set.size_within(1, 4) == 3
    assert row_set.bitmap(0, 5) is None  # so that nothing is tested for each row


def test_the_dead_are_left_out() -> None:
    row_set = RowSet(5, dead=rows(0, 3))
    assert (row_set.size, row_set.rows().tolist()) == (3, [1, 2, 4])


def test_only_those_that_are_named_may_be_found_and_not_if_they_are_dead() -> None:
    row_set = RowSet(6, only=rows(1, 2, 5), dead=rows(2, 3))
    assert (row_set.size, row_set.rows().tolist()) == (2, [1, 5])
    assert RowSet(6, only=NO_ROWS).size == 0
    assert RowSet(6, only=NO_ROWS).rows().tolist() == []


def test_of_no_rows_none_may_be_found() -> None:
    row_set = RowSet(0)
    assert (row_set.size, row_set.rows().tolist(), row_set.size_within(0, 0)) == (0, [], 0)


def test_the_first_row_is_the_lowest_bit() -> None:
    bitmap = RowSet(10, only=rows(0, 3, 8)).bitmap(0, 10)
    assert bitmap is not None
    assert bitmap.tolist() == [0b0000_1001, 0b0000_0001]
    tail = RowSet(10, only=rows(0, 3, 8)).bitmap(3, 10)
    assert tail is not None
    assert tail.tolist() == [0b0010_0001]


@st.composite
def row_sets(draw: st.DrawFn) -> tuple[RowSet, set[int]]:
    count = draw(st.integers(0, 40))
    some = st.sets(st.integers(0, count - 1)) if count else st.just(set())
    dead, only = draw(some), draw(st.none() | some)
    expected = (set(range(count)) if only is None else only) - dead
    named = None if only is None else rows(*sorted(only))
    return RowSet(count, dead=rows(*sorted(dead)), only=named), expected


@given(row_sets(), st.data())
def test_any_row_set_is_the_set_of_its_rows(drawn: tuple[RowSet, set[int]], data: st.DataObject) -> None:
    row_set, expected = drawn
    start = data.draw(st.integers(0, row_set.count))
    stop = data.draw(st.integers(start, row_set.count))
    assert row_set.rows().tolist() == sorted(expected)
    assert row_set.size == len(expected)
    assert row_set.size_within(start, stop) == len(expected & set(range(start, stop)))
    blocks = [block.tolist() for block in row_set.blocks(7)]
    assert max(map(len, blocks), default=0) <= 7
    assert [row for block in blocks for row in block] == sorted(expected)
    places = sorted(data.draw(st.sets(st.integers(0, max(len(expected) - 1, 0)), max_size=len(expected))))
    assert row_set.picked(rows(*places)).tolist() == [sorted(expected)[place] for place in places]
    bitmap = row_set.bitmap(start, stop)
    assert bitmap is row_set.bitmap(start, stop)  # made once
    if bitmap is None:
        assert expected == set(range(row_set.count))
    else:
        members = faiss.IDSelectorBitmap(bitmap)  # as FAISS understands it
        found = {row for row in range(start, stop) if members.is_member(row - start)}
        assert found == expected & set(range(start, stop))


@pytest.mark.parametrize("dead", [[0], [7], [8], list(range(16))])
def test_faiss_finds_the_rows_of_the_set_and_no_others(dead: list[int]) -> None:
    index = faiss.IndexFlatIP(3)
    index.add(np.eye(3, dtype=np.float32).repeat(6, axis=0)[:16])
    bitmap = RowSet(16, dead=rows(*dead)).bitmap(0, 16)
    selector = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))
    _, found = index.search(np.ones((1, 3), np.float32), 16, params=selector)
    assert {row for row in found[0].tolist() if row >= 0} == set(range(16)) - set(dead)
