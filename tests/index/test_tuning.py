"""What is measured of an index against brute force, which effort is picked, and which indexes are the default."""

import atexit
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.index import tuning
from lookalike.index.faiss_index import Effort, Index
from lookalike.index.spec import IndexSpec
from lookalike.index.tuning import OperatingPoint, Probes, cheapest
from lookalike.storage import vectors
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import VectorReader, VectorWriter
from lookalike.system import durable
from tests.support.vector_collections import clustered, one_thread

ROWS, DIM = 1500, 32


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


@cache
def stored(rows: int = ROWS, dim: int = DIM) -> tuple[NDArray[np.float16], VectorReader]:
    half = clustered(rows, dim, seed=1).astype(np.float16)
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    path = Path(folder) / "v.faiss"
    vectors.create(path, dim)
    writer = VectorWriter(path, dim, 0)
    writer.append(half)
    writer.close()
    return half, VectorReader(path, dim)


@cache
def built(factory: str) -> Index:
    units = stored()[0].astype(np.float32)
    index = Index.trained(IndexSpec(factory, DIM), units)
    index.add(units)
    return index


def brute_force(queries: Rows, row_set: RowSet, depth: int) -> tuple[Rows, NDArray[np.float64]]:
    """The nearest of each of these rows, itself left out, and the scores of all others."""
    wide = stored()[0].astype(np.float64)
    scores = wide[queries] @ wide.T
    scores[:, np.setdiff1d(np.arange(ROWS), row_set.rows())] = -9
    scores[np.arange(len(queries)), queries] = -9
    return np.argsort(-scores, axis=1, kind="stable")[:, :depth], scores


DEAD = np.arange(0, ROWS, 7)
SELECTIONS = [RowSet(ROWS), RowSet(ROWS, dead=DEAD)]


# Queries


@pytest.mark.parametrize("row_set", SELECTIONS, ids=["all", "some deleted"])
def test_queries_are_images_that_are_there_and_their_nearest_are_those_of_brute_force(row_set: RowSet) -> None:
    probes = tuning.draw(stored()[1], row_set, queries=300, depth=20)
    assert len(set(probes.rows.tolist())) == 300
    assert np.isin(probes.rows, row_set.rows()).all()
    np.testing.assert_array_equal(probes.vectors, stored()[0][probes.rows].astype(np.float32))
    expected, scores = brute_force(probes.rows, row_set, 20)
    np.testing.assert_array_equal(probes.nearest[200:, 10:], -1)  # of the others only the nearest ten are asked for
    for part, depth in ((slice(0, 200), 20), (slice(200, 300), 10)):
        found = np.take_along_axis(scores[part], probes.nearest[part, :depth], axis=1)
        best = np.take_along_axis(scores[part], expected[part, :depth], axis=1)
        np.testing.assert_allclose(found, best, atol=3e-6)
    assert probes.milliseconds > 0


def test_the_same_queries_are_drawn_each_time() -> None:
    first, second = (tuning.draw(stored()[1], SELECTIONS[0], queries=50, depth=10) for _ in range(2))
    np.testing.assert_array_equal(first.rows, second.rows)
    np.testing.assert_array_equal(first.nearest, second.nearest)


def test_queries_can_be_drawn_from_some_rows_alone() -> None:
    among = np.arange(100, 140)
    probes = tuning.draw(stored()[1], SELECTIONS[0], among=among, depth=5)
    assert sorted(probes.rows.tolist()) == among.tolist()
    np.testing.assert_array_equal(probes.nearest, brute_force(probes.rows, SELECTIONS[0], 5)[0])


@pytest.mark.parametrize("live", [1, 2, 5])
def test_of_few_images_there_are_few_queries_with_few_neighbours(live: int) -> None:
    row_set = RowSet(ROWS, only=np.arange(10, 10 + live))
    probes = tuning.draw(stored()[1], row_set)
    assert sorted(probes.rows.tolist()) == row_set.rows().tolist()
    assert probes.nearest.shape == (live, live - 1)
    for row, nearest in zip(probes.rows.tolist(), probes.nearest.tolist(), strict=True):
        assert sorted([row, *nearest]) == row_set.rows().tolist()


def test_progress_is_told_in_queries() -> None:
    told: list[tuple[int, int]] = []
    tuning.draw(stored()[1], SELECTIONS[0], queries=450, depth=3, progress=lambda done, of: told.append((done, of)))
    assert told == [(200, 450), (450, 450)]


def test_an_answer_is_taken_without_the_query_itself_or_else_without_its_last() -> None:
    found = np.array([[7, 1, 2], [1, 8, 2], [1, 2, 9], [1, 2, 3], [-1, -1, -1]])
    without = tuning.without(found, np.array([7, 8, 9, 10, 11]))
    assert without.tolist() == [[1, 2], [1, 2], [1, 2], [1, 2], [-1, -1]]


# Measuring


@pytest.mark.parametrize("factory", ["IVF32,PQ8x4fs", "IVF32,Flat", "HNSW8,SQ8", "RaBitQ", "PCA8,IVF16,SQ8"])
@pytest.mark.parametrize("effort", [Effort(1, 1), Effort(4, 2), Effort(16, 4), Effort(32, 32)], ids=str)
@pytest.mark.parametrize("row_set", SELECTIONS, ids=["all", "some deleted"])
def test_recall_that_is_measured_is_that_of_a_search_that_leaves_the_query_out(
    factory: str, effort: Effort, row_set: RowSet
) -> None:
    """An index without the query is asked for ten; of just as many candidates in the measurement one is the query."""
    index, part = built(factory), stored()[1].part(0, ROWS)
    probes = tuning.draw(stored()[1], row_set, queries=60, depth=10)
    point = tuning.measure(index, part, row_set, probes, depth=10, effort=effort)
    _, scores = brute_force(probes.rows, row_set, 10)
    tenth = -np.sort(-scores, axis=1)[:, 9]
    recalls = []
    for row, vector, true, least in zip(probes.rows, probes.vectors, scores, tenth, strict=True):
        others = RowSet(ROWS, only=np.setdiff1d(row_set.rows(), [row]))
        _, found = index.search(vector[None], 10, effort=effort, stored=part, row_set=others)
        recalls.append((true[found[found >= 0]] > least - 2e-6).sum() / 10)
    mean = float(np.mean(recalls))
    assert mean - 0.05 < point.recall <= mean + 1e-9
    assert 0 <= point.recall_low < point.recall
    assert (point.depth, point.effort) == (10, effort)
    assert point.milliseconds > 0


def test_where_it_looks_at_everything_recall_is_all_and_its_bound_is_a_little_less() -> None:
    part = stored()[1].part(0, ROWS)
    probes = tuning.draw(stored()[1], SELECTIONS[1])
    for depth in tuning.DEPTHS:
        point = tuning.measure(
            built("IVF32,PQ8x4fs"), part, SELECTIONS[1], probes, depth=depth, effort=Effort(32, ROWS / depth)
        )
        assert point.recall == 1
        assert 0.97 < point.recall_low < 1


def test_a_query_that_does_not_even_find_itself_counts_by_what_else_it_finds() -> None:
    """As with a graph that cannot reach it: its last answer is then left out instead, and nothing is found twice."""
    index, part = built("IVF32,Flat"), stored()[1].part(0, ROWS)
    gone = RowSet(ROWS, dead=np.arange(40))
    probes = tuning.draw(stored()[1], SELECTIONS[0], among=np.arange(40), depth=10)
    true = Probes(probes.rows, probes.vectors, brute_force(probes.rows, gone, 10)[0], 1.0)
    point = tuning.measure(index, part, gone, true, depth=10, effort=Effort(32, 4))
    assert point.recall == 1


def test_the_efforts_that_are_kept_measure_what_brute_force_says_of_them() -> None:
    index, part, row_set = built("IVF32,PQ8x4fs"), stored()[1].part(0, ROWS), SELECTIONS[1]
    probes = tuning.draw(stored()[1], row_set)
    told: list[tuple[int, int]] = []
    points = tuning.operating_points(index, part, row_set, probes, progress=lambda done, of: told.append((done, of)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert {point.depth for point in points} == set(tuning.DEPTHS)
    for depth, asked in tuning._QUERIES.items():
        nearest, _ = brute_force(probes.rows[: asked.all], row_set, depth)
        for point in (point for point in points if point.depth == depth):
            candidates = max(point.effort.candidates * depth / (depth + 1), 1)  # of one more, since each finds itself
            effort = Effort(point.effort.breadth, candidates)
            queries = probes.vectors[: asked.all]
            _, found = index.search(queries, depth + 1, effort=effort, stored=part, row_set=row_set)
            shares = [len(set(f) & set(n)) / depth for f, n in zip(found.tolist(), nearest.tolist(), strict=True)]
            recalls = [float(np.mean(shares[:count])) for count in (asked.all, asked.beyond)]
            assert min(abs(point.recall - recall) for recall in recalls) < 2e-3
            assert point.recall_low < point.recall


def test_efforts_are_kept_only_if_none_is_both_faster_and_better() -> None:
    index, part = built("IVF32,PQ8x4fs"), stored()[1].part(0, ROWS)
    points = tuning.operating_points(index, part, SELECTIONS[0], tuning.draw(stored()[1], SELECTIONS[0]))
    for depth in tuning.DEPTHS:
        of_depth = [point for point in points if point.depth == depth]
        for first, second in itertools.pairwise(of_depth):
            assert first.milliseconds <= second.milliseconds
            assert first.recall_low < second.recall_low


def test_recall_is_not_measured_deeper_than_there_are_images() -> None:
    few = RowSet(ROWS, only=np.arange(60))
    probes = tuning.draw(stored()[1], few)
    points = tuning.operating_points(built("IVF32,Flat"), stored()[1].part(0, ROWS), few, probes)
    assert {point.depth for point in points} == {10}
    two = RowSet(ROWS, only=np.arange(2))
    nothing = tuning.draw(stored()[1], two)
    assert tuning.operating_points(built("IVF32,Flat"), stored()[1].part(0, ROWS), two, nothing) == ()


@pytest.mark.parametrize("lists", [1, 2, 5, 7, 32, 100])
def test_the_widest_effort_that_is_tried_looks_at_every_list(lists: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_ENOUGH", 2)  # so that it never stops early,
    monkeypatch.setattr(tuning, "_pareto", list)  # and all that was tried is kept
    probes = tuning.draw(stored()[1], SELECTIONS[0], queries=20, depth=10)
    slow = Probes(probes.rows, probes.vectors, probes.nearest, 1e9)
    points = tuning.operating_points(built(f"IVF{lists},Flat"), stored()[1].part(0, ROWS), SELECTIONS[0], slow)
    assert points[-1].effort.breadth == lists
    assert points[-1].recall == 1
    assert all(first.effort.breadth < second.effort.breadth for first, second in itertools.pairwise(points))


# Picking


def point(depth: int, low: float, milliseconds: float, breadth: int = 1, candidates: float = 1) -> OperatingPoint:
    return OperatingPoint(depth, Effort(breadth, candidates), min(low + 0.01, 1), low, milliseconds)


MADE_UP = (
    point(10, 0.90, 1.0),
    point(10, 0.97, 2.0),
    point(10, 0.99, 5.0),
    point(100, 0.93, 3.0),
    point(100, 0.98, 8.0),
    point(1000, 0.99, 9.0),
)


@pytest.mark.parametrize(
    ("recall", "depth", "expected"),
    [
        (0.5, 1, 1.0),
        (0.90, 10, 1.0),
        (0.901, 10, 2.0),
        (0.97, 3, 2.0),
        (0.98, 10, 5.0),
        (0.991, 10, None),  # nobody promises that, and what 100 neighbours take is no promise for ten
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
def test_the_fastest_that_promises_enough_at_the_next_depth_is_picked(
    recall: float, depth: float, expected: float | None
) -> None:
    for points in (MADE_UP, MADE_UP[::-1]):
        picked = cheapest(points, recall, depth)
        assert (picked and picked.milliseconds) == expected


def test_of_no_efforts_none_is_picked() -> None:
    assert cheapest((), 0.5, 1) is None


points_drawn = st.lists(
    st.builds(point, st.just(10), st.floats(0, 0.99), st.sampled_from([0.5, 1.0, 1.5, 2.0]) | st.floats(0.01, 100.0)),
    max_size=12,
)


@given(points_drawn)
def test_what_is_kept_of_any_efforts_is_as_good_as_all(points: list[OperatingPoint]) -> None:
    kept = tuning._pareto(points)
    assert [p.milliseconds for p in kept] == sorted(p.milliseconds for p in kept)
    for one, other in itertools.permutations(kept, 2):
        assert one.milliseconds > other.milliseconds or one.recall_low < other.recall_low
    for each in points:
        assert any(p.milliseconds <= each.milliseconds and p.recall_low >= each.recall_low for p in kept)
    for recall in (0.1, 0.5, 0.9):
        best, of_all = cheapest(kept, recall, 10), cheapest(points, recall, 10)
        assert (best and best.milliseconds) == (of_all and of_all.milliseconds)


@pytest.mark.parametrize("recall", [0, -0.1, 1.0001, 2, float("nan"), float("inf")])
def test_a_recall_that_is_no_share_is_refused(recall: float) -> None:
    with pytest.raises(UsageError, match="recall="):
        tuning.check_recall(recall)


def test_a_recall_may_be_all() -> None:
    assert [tuning.check_recall(recall) for recall in (1, 1.0, 0.5)] == [1.0, 1.0, 0.5]


# Defaults

DIMS = [1, 2, 3, 25, 64, 383, 512, 768, 1279, 1280, 2048, 4097]
SIZES = [1, 39, 100, 5_000, 50_000, 180_000, 10**6, 10**7, 10**8]


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("rows", SIZES)
def test_the_default_indexes_can_be_made_and_each_is_larger_than_the_one_before(dim: int, rows: int) -> None:
    specs, small = tuning.specs(dim, rows), tuning.smallest_specs(dim, rows)
    assert len(specs) == 3
    assert small[1:] == specs
    assert all(spec.dim == dim and spec.kind == "ivf" for spec in small)
    assert all(1 <= spec.lists <= max(rows / 39 * 2**0.5, 1) for spec in small)  # enough vectors to learn a list from
    if not tuning.searches_exactly(dim, rows):
        for spec in small:
            spec.check(rows)
        sizes = [spec.bytes(rows) for spec in small]
        assert dim < 16 or all(first < second for first, second in itertools.pairwise(sizes))


@pytest.mark.parametrize(
    ("dim", "rows", "factories"),
    [
        (1280, 180_000, tuple(f"IVF1024(HNSW32,SQfp16),{code}" for code in ("PQ320x4fs", "PQ640x4fs", "SQ8"))),
        (1280, 10**6, tuple(f"IVF4096(HNSW32,SQfp16),{code}" for code in ("PQ320x4fs", "PQ640x4fs", "SQ8"))),
        (
            383,
            10**6,
            (*[f"Pad384,IVF4096(HNSW32,SQfp16),PQ{codes}x4fs" for codes in (96, 192)], "IVF4096(HNSW32,SQfp16),SQ8"),
        ),
        (25, 100, ("Pad28,IVF2,PQ7x4fs", "Pad26,IVF2,PQ13x4fs", "IVF2,SQ8")),
    ],
)
def test_the_default_indexes_are_these(dim: int, rows: int, factories: tuple[str, ...]) -> None:
    assert tuple(spec.factory for spec in tuning.specs(dim, rows)) == factories


def test_at_180_000_images_the_default_takes_a_bit_for_each_number_and_64_bytes_more() -> None:
    coarse, fine, finest = (spec.bytes(180_000) / 180_000 for spec in tuning.specs(1280, 180_000))
    assert coarse <= 1280 / 8 + 64
    assert 1280 / 4 < fine <= 1280 / 4 + 80
    assert 1280 < finest <= 1280 + 64
    assert tuning.smallest_specs(1280, 180_000)[0].bytes(180_000) / 180_000 <= 1280 / 16 + 64


@pytest.mark.parametrize("dim", [24, 25, 64, 130])
def test_the_sizes_of_the_defaults_are_those_of_their_files(dim: int, tmp_path: Path) -> None:
    rows = 3000
    units = stored(rows, dim)[0].astype(np.float32)
    for spec in tuning.smallest_specs(dim, rows):
        index = Index.trained(spec, units)
        index.add(units)
        written = durable.write(tmp_path / "i.faiss", index.write)
        assert spec.bytes(rows) == pytest.approx(written.size, rel=0.1)


@pytest.mark.parametrize(("dim", "least"), [(1280, 50_000), (640, 100_000), (25, 2_560_000), (64_000_000, 1)])
def test_few_vectors_are_searched_exactly(dim: int, least: int) -> None:
    assert tuning.searches_exactly(dim, least - 1)
    assert not tuning.searches_exactly(dim, least)
    assert tuning.searches_exactly(dim, 0)
