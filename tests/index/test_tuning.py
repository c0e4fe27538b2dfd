"""Measuring an index: the queries, their recall against brute force, and the operating points that are kept."""

import atexit
import itertools
import shutil
import tempfile
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.index import tuning
from lookalike.index.faiss_index import Index
from lookalike.index.operating_point import OperatingPoint, SearchParameters, cheapest
from lookalike.index.policies import TARGET_RECALL, TuningPolicy
from lookalike.index.spec import IndexSpec
from lookalike.index.tuning import RecallQueries, Tuner
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.rows import Rows, RowSet
from tests.support.built_indexes import mapped
from tests.support.vector_collections import clustered

ROWS, DIM = 1500, 32
POLICY = TuningPolicy()


@cache
def stored() -> tuple[NDArray[np.float16], MappedVectors]:
    half = clustered(ROWS, DIM, seed=1).astype(np.float16)
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    return half, mapped(Path(folder) / "v.faiss", half)


@cache
def built(factory: str) -> Index:
    units = stored()[0].astype(np.float32)
    index = Index.trained(IndexSpec(factory, DIM), units)
    index.add(units)
    return index


def tuner(factory: str, row_set: RowSet, probes: RecallQueries) -> Tuner:
    search = partial(built(factory).search, stored=stored()[1].part(0, ROWS), row_set=row_set)
    return Tuner(built(factory).spec, search, probes, POLICY)


def brute_force(queries: Rows, row_set: RowSet, k: int) -> tuple[Rows, NDArray[np.float64]]:
    """The k nearest of each of these rows, itself left out, and the scores of all others."""
    wide = stored()[0].astype(np.float64)
    scores = wide[queries] @ wide.T
    scores[:, np.setdiff1d(np.arange(ROWS), row_set.rows())] = -9
    scores[np.arange(len(queries)), queries] = -9
    return np.argsort(-scores, axis=1, kind="stable")[:, :k], scores


DEAD = np.arange(0, ROWS, 7)
ROW_SETS = [RowSet(ROWS), RowSet(ROWS, dead=DEAD)]


# Queries


@pytest.mark.parametrize("row_set", ROW_SETS, ids=["all", "some deleted"])
def test_queries_are_live_rows_with_their_exact_neighbours(row_set: RowSet) -> None:
    probes = tuning.draw(stored()[1], row_set, POLICY, queries=300, k=20)
    assert len(set(probes.rows.tolist())) == 300
    assert np.isin(probes.rows, row_set.rows()).all()
    np.testing.assert_array_equal(probes.vectors, stored()[0][probes.rows].astype(np.float32))
    expected, scores = brute_force(probes.rows, row_set, 20)
    np.testing.assert_array_equal(probes.best[200:, 10:], -np.inf)  # of the others only the nearest ten are found
    for part, k in ((slice(0, 200), 20), (slice(200, 300), 10)):
        found = probes.best[part, :k]
        best = np.take_along_axis(scores[part], expected[part, :k], axis=1)
        np.testing.assert_allclose(found, best, atol=3e-6)
    assert probes.milliseconds > 0


def test_the_same_queries_are_drawn_each_time() -> None:
    first, second = (tuning.draw(stored()[1], ROW_SETS[0], POLICY, queries=50, k=10) for _ in range(2))
    np.testing.assert_array_equal(first.rows, second.rows)
    np.testing.assert_array_equal(first.best, second.best)


def test_queries_and_neighbours_are_of_the_row_set_alone() -> None:
    some = RowSet(ROWS, only=np.arange(100, 140))
    probes = tuning.draw(stored()[1], some, POLICY, k=5)
    assert sorted(probes.rows.tolist()) == some.rows().tolist()
    nearest, scores = brute_force(probes.rows, some, 5)
    np.testing.assert_allclose(probes.best, np.take_along_axis(scores, nearest, axis=1), atol=3e-6)


@pytest.mark.parametrize("live", [1, 2, 5])
def test_of_few_images_there_are_few_queries_with_few_neighbours(live: int) -> None:
    row_set = RowSet(ROWS, only=np.arange(10, 10 + live))
    probes = tuning.draw(stored()[1], row_set, POLICY)
    assert sorted(probes.rows.tolist()) == row_set.rows().tolist()
    assert probes.best.shape == (live, live - 1)
    nearest, scores = brute_force(probes.rows, row_set, live - 1)
    np.testing.assert_allclose(probes.best, np.take_along_axis(scores, nearest, axis=1), atol=3e-6)


def test_progress_is_reported_in_queries() -> None:
    reported: list[tuple[int, int]] = []
    tuning.draw(
        stored()[1], ROW_SETS[0], POLICY, queries=450, k=3, progress=lambda done, total: reported.append((done, total))
    )
    assert reported == [(200, 450), (450, 450)]


def test_the_policy_may_give_the_time_of_an_exact_search() -> None:
    probes = tuning.draw(stored()[1], ROW_SETS[0], TuningPolicy(exact_milliseconds=123.5), queries=5, k=3)
    assert probes.milliseconds == 123.5


def test_without_self_drops_the_query_or_else_the_last_row() -> None:
    found = np.array([[7, 1, 2], [1, 8, 2], [1, 2, 9], [1, 2, 3], [-1, -1, -1]])
    scores = np.array([[1, 0.9, 0.8], [0.9, 1, 0.8], [0.9, 0.8, 1], [0.9, 0.8, 0.7], [-3e38, -3e38, -3e38]], np.float32)
    without = tuning.without_self(scores, found, np.array([7, 8, 9, 10, 11]))
    np.testing.assert_array_equal(without, np.array([[0.9, 0.8]] * 4 + [[-np.inf] * 2], np.float32))


# Measuring


@pytest.mark.parametrize("factory", ["IVF32,PQ8x4fs", "IVF32,Flat", "HNSW8,SQ8", "RaBitQ", "PCA8,IVF16,SQ8"])
@pytest.mark.parametrize(
    "parameters",
    [SearchParameters(1, 1), SearchParameters(4, 2), SearchParameters(16, 4), SearchParameters(32, 32)],
    ids=str,
)
@pytest.mark.parametrize("row_set", ROW_SETS, ids=["all", "some deleted"])
def test_measured_recall_is_that_of_a_search_without_the_query(
    factory: str, parameters: SearchParameters, row_set: RowSet
) -> None:
    """An index without the query is asked for ten; of just as many candidates in the measurement one is the query."""
    index, part = built(factory), stored()[1].part(0, ROWS)
    probes = tuning.draw(stored()[1], row_set, POLICY, queries=60, k=10)
    point = tuner(factory, row_set, probes).measure(10, parameters)
    _, scores = brute_force(probes.rows, row_set, 10)
    tenth = -np.sort(-scores, axis=1)[:, 9]
    recalls = []
    for row, vector, true, least in zip(probes.rows, probes.vectors, scores, tenth, strict=True):
        others = RowSet(ROWS, only=np.setdiff1d(row_set.rows(), [row]))
        _, found = index.search(vector[None], 10, parameters, stored=part, row_set=others)
        recalls.append((true[found[found >= 0]] > least - 2e-6).sum() / 10)
    mean = float(np.mean(recalls))
    assert mean - 0.05 < point.recall <= mean + 1e-9
    assert 0 <= point.recall_low < point.recall
    assert (point.k, point.parameters) == (10, parameters)
    assert point.milliseconds > 0


def test_an_exhaustive_search_has_recall_1_and_a_bound_below_it() -> None:
    probes = tuning.draw(stored()[1], ROW_SETS[1], POLICY)
    measured = tuner("IVF32,PQ8x4fs", ROW_SETS[1], probes)
    for k in POLICY.queries:
        point = measured.measure(k, SearchParameters(32, ROWS / k))
        assert point.recall == 1
        assert 0.97 < point.recall_low < 1


def test_a_query_that_does_not_find_itself_counts_by_its_neighbours() -> None:
    """As in a graph that cannot reach it: its last answer is left out instead, and nothing is found twice."""
    deleted, live = RowSet(ROWS, only=np.arange(40)), RowSet(ROWS, dead=np.arange(40))
    drawn = tuning.draw(stored()[1], deleted, POLICY, k=10)
    assert sorted(drawn.rows.tolist()) == list(range(40))
    nearest, scores = brute_force(drawn.rows, live, 10)
    best = np.take_along_axis(scores, nearest, axis=1).astype(np.float32)
    probes = RecallQueries(drawn.rows, drawn.vectors, best, 1.0)
    point = tuner("IVF32,Flat", live, probes).measure(10, SearchParameters(32, 4))
    assert point.recall == 1


@pytest.mark.parametrize("copies", [30, 300])
@pytest.mark.parametrize("factory", ["IVF3,SQ8", "IVF3,PQ8x4fs"])
def test_equal_vectors_are_no_misses(tmp_path: Path, factory: str, copies: int) -> None:
    """Each vector is there many times; a search that visits one list finds some of its copies, any of which will do."""
    half = np.repeat(clustered(900 // copies, DIM, seed=3), copies, axis=0).astype(np.float16)
    units, every = half.astype(np.float32), RowSet(len(half))
    vectors = mapped(tmp_path / "v.faiss", half)
    index = Index.trained(IndexSpec(factory, DIM), units)
    index.add(units)
    probes = tuning.draw(vectors, every, POLICY, queries=100, k=10)
    np.testing.assert_allclose(probes.best, 1, atol=2e-3)
    search = partial(index.search, stored=vectors.part(0, len(half)), row_set=every)
    found = Tuner(index.spec, search, probes, POLICY).measure(10, SearchParameters(1, 4))
    assert found.recall == 1


def test_the_recall_of_kept_points_is_that_of_brute_force() -> None:
    index, part, row_set = built("IVF32,PQ8x4fs"), stored()[1].part(0, ROWS), ROW_SETS[1]
    probes = tuning.draw(stored()[1], row_set, POLICY)
    reported: list[tuple[int, int]] = []
    points = tuner("IVF32,PQ8x4fs", row_set, probes).points(
        TARGET_RECALL, lambda done, total: reported.append((done, total))
    )
    assert reported == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert {point.k for point in points} == set(POLICY.queries)
    for k, counts in POLICY.queries.items():
        nearest, _ = brute_force(probes.rows[: counts.all], row_set, k)
        for point in (point for point in points if point.k == k):
            candidates = max(point.parameters.candidates * k / (k + 1), 1)  # of one more, since each finds itself
            parameters = SearchParameters(point.parameters.nprobe, candidates)
            queries = probes.vectors[: counts.all]
            _, found = index.search(queries, k + 1, parameters, stored=part, row_set=row_set)
            shares = [len(set(f) & set(n)) / k for f, n in zip(found.tolist(), nearest.tolist(), strict=True)]
            recalls = [float(np.mean(shares[:count])) for count in (counts.all, counts.above_target)]
            assert min(abs(point.recall - recall) for recall in recalls) < 2e-3
            assert point.recall_low < point.recall


def test_points_are_kept_only_if_none_is_both_faster_and_better() -> None:
    probes = tuning.draw(stored()[1], ROW_SETS[0], POLICY)
    points = tuner("IVF32,PQ8x4fs", ROW_SETS[0], probes).points(TARGET_RECALL)
    for k in POLICY.queries:
        of_k = [point for point in points if point.k == k]
        for first, second in itertools.pairwise(of_k):
            assert first.milliseconds <= second.milliseconds
            assert first.recall_low < second.recall_low


def test_recall_is_not_measured_for_more_neighbours_than_images() -> None:
    few = RowSet(ROWS, only=np.arange(60))
    points = tuner("IVF32,Flat", few, tuning.draw(stored()[1], few, POLICY)).points(TARGET_RECALL)
    assert {point.k for point in points} == {10}
    two = RowSet(ROWS, only=np.arange(2))
    assert tuner("IVF32,Flat", two, tuning.draw(stored()[1], two, POLICY)).points(TARGET_RECALL) == ()


@pytest.mark.parametrize("lists", [1, 2, 5, 7, 32, 100])
def test_the_largest_nprobe_that_is_tried_visits_every_list(lists: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_ENOUGH", 2)  # so that it never stops early,
    monkeypatch.setattr(tuning, "_pareto_optimal", list)  # and all that was tried is kept
    probes = tuning.draw(stored()[1], ROW_SETS[0], POLICY, queries=20, k=10)
    slow = RecallQueries(probes.rows, probes.vectors, probes.best, 1e9)
    points = tuner(f"IVF{lists},Flat", ROW_SETS[0], slow).points(TARGET_RECALL)
    assert points[-1].parameters.nprobe == lists
    assert points[-1].recall == 1
    assert all(first.parameters.nprobe < second.parameters.nprobe for first, second in itertools.pairwise(points))


# Keeping


def point(low: float, milliseconds: float, nprobe: int = 1, candidates: int = 1) -> OperatingPoint:
    return OperatingPoint(10, SearchParameters(nprobe, candidates), min(low + 0.01, 1), low, milliseconds)


TIMES = st.sampled_from([0.5, 1.0, 1.5, 2.0]) | st.floats(0.01, 100.0)


@st.composite
def drawn_points(draw: st.DrawFn) -> list[OperatingPoint]:
    """Points none of which does more than another one in less time."""
    drawn = draw(st.lists(st.tuples(st.floats(0, 0.99), TIMES), max_size=12))
    return [point(low, time, nprobe=2 + n, candidates=len(drawn) - n) for n, (low, time) in enumerate(drawn)]


def test_a_point_that_was_delayed_counts_as_quick_as_those_that_do_more() -> None:
    """The second was measured while something else had the processor."""
    measured = [point(0.90, 1.0, 8), point(0.97, 9.0, 16), point(0.98, 2.0, 32), point(0.99, 3.0, 64, 2)]
    kept = tuning._pareto_optimal(measured)
    assert [(each.parameters.nprobe, each.milliseconds) for each in kept] == [(8, 1.0), (32, 2.0), (64, 3.0)]
    other = tuning._pareto_optimal([point(0.985, 9.0, 16, 4), point(0.98, 2.0, 32, 2)])
    assert [each.milliseconds for each in other] == [2.0, 9.0]  # neither does more


@given(drawn_points())
def test_the_points_that_are_kept_are_as_good_as_all(points: list[OperatingPoint]) -> None:
    kept = tuning._pareto_optimal(points)
    assert [p.milliseconds for p in kept] == sorted(p.milliseconds for p in kept)
    for one, other in itertools.permutations(kept, 2):
        assert one.milliseconds > other.milliseconds or one.recall_low < other.recall_low
    for each in points:
        assert any(p.milliseconds <= each.milliseconds and p.recall_low >= each.recall_low for p in kept)
    for recall in (0.1, 0.5, 0.9):
        best, of_all = cheapest(tuple(kept), recall, 10), cheapest(tuple(points), recall, 10)
        assert (best and best.milliseconds) == (of_all and of_all.milliseconds)
