"""The indexes of all shards, searched as if they were one."""

import numpy as np
import pytest

from lookalike import Where
from lookalike.cluster import joined_indexes
from lookalike.cluster.snapshot import JoinedSnapshot
from lookalike.cluster.vectors import Found, JoinedVectors
from lookalike.errors import CorruptError
from lookalike.index.faiss_index import Index
from lookalike.index.inverted_lists import InvertedLists, Visit
from lookalike.index.operating_point import SearchParameters
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import StoredVectors, Vectors, single, unit
from tests.support.sharded_collections import DIM, QUERIES, ROWS, Both
from tests.support.vector_collections import clustered, keys_of, put

ALL_LISTS = SearchParameters(nprobe=8, candidates=ROWS)
KINDS = ["IVF8,Flat", "IVF8,SQ8", "IVF8,PQ12x4fs", "OPQ12_24,IVF8,PQ12x4fs", "IVF8(HNSW8),SQ8", "Pad32,IVF8,SQ8"]


def state_of(both: Both) -> JoinedSnapshot:
    with both.whole._snapshots.current() as state:
        return state


def found(
    state: JoinedSnapshot, k: int, parameters: SearchParameters = ALL_LISTS, row_set: RowSet | None = None
) -> Found | None:
    rows = state.live if row_set is None else row_set
    return joined_indexes.nearest(state.vectors, QUERIES, k, rows, parameters, lambda _part, _rows: False)


def assert_exact(state: JoinedSnapshot, answer: Found | None, k: int, row_set: RowSet | None = None) -> None:
    assert answer is not None
    admitted = state.live if row_set is None else row_set
    scores, _ = state.vectors.search(QUERIES, k, admitted)
    np.testing.assert_allclose(answer[0], scores, atol=3e-6)
    for query, rows, found in zip(QUERIES, answer[1], answer[0], strict=True):  # rows of equal scores in any order
        assert len(set(rows.tolist())) == len(rows)
        assert admitted.mask()[rows].all()
        np.testing.assert_allclose(single(state.vectors.stored(rows)) @ query, found, atol=3e-6)


@pytest.mark.parametrize("spec", KINDS)
def test_with_all_lists_and_candidates_the_answer_is_exact(both: Both, spec: str) -> None:
    both.whole.build(recall=0.5, spec=spec)
    state = state_of(both)
    for k in (1, 10, ROWS):
        assert_exact(state, found(state, k), k)
    some = state.row_set(Where(under="a"))
    assert 10 < some.size < ROWS / 2
    assert_exact(state, found(state, 10, row_set=some), 10, some)


@pytest.mark.parametrize("spec", KINDS)
def test_candidates_are_those_of_the_index(both: Both, spec: str) -> None:
    """What a visit that was chosen elsewhere finds is what FAISS finds by itself."""
    both.whole.build(recall=0.5, spec=spec)
    one, other = (part.snapshot.opened for part in state_of(both).parts[:2])
    assert one
    assert other
    here, there = one.index.lists, other.index.lists
    assert here
    assert there
    assert here.key == there.key
    everything = RowSet(other.index.rows)
    for queries in (QUERIES, QUERIES[:1]):
        visit, own = here.visit(queries, 3), there.visit(queries, 3)
        scores, rows = np.empty((len(queries), 5), np.float32), np.empty((len(queries), 5), np.int64)
        there.find(visit, everything, scores, rows)
        expected = other.index._inner.search(queries, 5, params=other.index._faiss_parameters(3, None))
        assert [set(line) for line in rows.tolist()] == [set(line) for line in expected[1].tolist()]
        np.testing.assert_allclose(np.sort(scores), np.sort(expected[0]), atol=1e-5)
        np.testing.assert_array_equal(own.lists, visit.lists)


def test_the_candidates_are_those_of_all_shards_together(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were each shard's re-ranked by itself, sixteen times as many stored vectors would be read."""
    both.whole.build(recall=0.5, spec="IVF8,SQ8")
    state, read, stored = state_of(both), list[int](), JoinedVectors.stored

    def counted(self: JoinedVectors, rows: Rows) -> StoredVectors:
        read.append(len(rows))
        return stored(self, rows)

    monkeypatch.setattr(JoinedVectors, "stored", counted)
    assert found(state, 10, SearchParameters(8, 2.0)) is not None
    assert read == [20] * len(QUERIES)


@pytest.mark.parametrize("spread", ["dealt out", "all in one shard"])
def test_shards_propose_their_share_and_more_where_they_have_more(
    both: Both, spread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is nearest lies in all shards, or in a single one, which is then asked for all."""
    if spread == "all in one shard":
        near = QUERIES.repeat(40, axis=0)
        near = unit(near + np.random.default_rng(5).normal(scale=0.01, size=near.shape))
        put(both.shards[3], near, keys_of(len(near), first=ROWS))
    both.whole.build(recall=0.5, spec="IVF8,Flat")
    state, asked, find = state_of(both), list[int](), InvertedLists.find

    def counted(self: InvertedLists, visit: Visit, row_set: RowSet, scores: Vectors, rows: Rows) -> None:
        asked.append(rows.shape[1])
        find(self, visit, row_set, scores, rows)

    monkeypatch.setattr(InvertedLists, "find", counted)
    assert_exact(state, found(state, 10, SearchParameters(8, 4.0)), 10)
    assert asked[:16] == [2 * 40 // 16 + 8] * 16
    assert asked[16:] == ([40] if spread == "all in one shard" else [])


def test_young_rows_and_shards_without_an_index_are_compared_one_by_one(both: Both) -> None:
    both.whole.build(recall=0.5, spec="IVF8,SQ8")
    both.put(clustered(40, DIM, seed=3), keys_of(40, first=ROWS))
    both.drop(keys_of(300, first=50))
    state = state_of(both)
    assert_exact(state, found(state, 60), 60)
    answer = joined_indexes.nearest(
        state.vectors, QUERIES, 10, state.live, ALL_LISTS, lambda part, _rows: part is state.parts[3]
    )
    assert_exact(state, answer, 10)


def test_a_shard_with_lists_of_its_own_visits_those(both: Both) -> None:
    both.whole.build(recall=0.5, spec="IVF8,SQ8")
    both.shards[5].build(recall=0.5, spec="IVF4,SQ8")
    state = state_of(both)
    lists = [part.snapshot.opened.index.lists for part in state.parts if part.snapshot.opened]
    assert len({each.key for each in lists if each}) == 2
    assert_exact(state, found(state, 10), 10)


def test_too_few_rows_in_the_lists_that_are_visited_are_no_answer(both: Both) -> None:
    both.whole.build(recall=0.5, spec="IVF8,SQ8")
    state = state_of(both)
    assert found(state, ROWS, SearchParameters(1, 1.0)) is None
    scores, rows = state.nearest(QUERIES, ROWS, state.live, SearchParameters(1, 1.0))
    assert_exact(state, (scores, rows), ROWS)


def test_rows_come_in_blocks(both: Both) -> None:
    both.drop(keys_of(300, first=50))
    live = state_of(both).live
    blocks = [*live.blocks(64)]
    assert np.concatenate(blocks).tolist() == live.rows().tolist()
    assert max(map(len, blocks)) <= 64
    assert live.picked(np.arange(0, live.size, 7)).tolist() == live.rows()[::7].tolist()


def test_indexes_without_lists_are_searched_one_by_one(both: Both) -> None:
    both.whole.build(recall=0.5, spec="HNSW16,SQ8")
    state = state_of(both)
    assert found(state, 10) is None
    assert state.nearest(QUERIES, 10, state.live, SearchParameters(64, 4.0))[1].shape == (len(QUERIES), 10)


def test_an_index_that_cannot_be_searched_is_given_up(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    both.whole.build(recall=0.5, spec="IVF8,SQ8")
    state = state_of(both)
    broken = state.parts[2].snapshot.opened
    assert broken
    for kind, instance, name in (
        (InvertedLists, broken.index.lists, "find"),
        (Index, broken.index, "search"),
    ):
        original = getattr(kind, name)

        def failing(self: object, *given: object, _of: object = (original, instance), **named: object) -> object:
            if self is _of[1]:  # type: ignore[index]
                raise CorruptError("the index is damaged")
            return _of[0](self, *given, **named)  # type: ignore[index]

        monkeypatch.setattr(kind, name, failing)
    with pytest.warns(UserWarning, match="damaged"):
        answer = state.nearest(QUERIES, 10, state.live, ALL_LISTS)
    assert_exact(state, answer, 10)
