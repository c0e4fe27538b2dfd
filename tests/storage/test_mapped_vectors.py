"""Exact search and single rows of a mapped file of vectors, against brute force."""

import os
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

from lookalike.errors import CorruptError, UsageError
from lookalike.storage import mapped_vectors
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.rows import RowSet
from lookalike.storage.vectors import faiss_threads, unit
from tests.support.vector_files import append, assert_best, exact_scores, mapped, random_units, write


@pytest.mark.parametrize("dim", [1, 7, 25, 383, 1280])
def test_a_search_is_the_same_here_in_faiss_and_by_brute_force(tmp_path: Path, dim: int) -> None:
    vectors, stored = mapped(tmp_path / "v.faiss", random_units(300, dim))
    queries = random_units(20, dim, seed=1)
    exact = exact_scores(queries, stored)

    scores, rows = vectors.search(queries, 10, RowSet(300))
    assert_best(scores, rows, exact)

    index = faiss.read_index(str(vectors.path))  # as any other program would
    assert (index.d, index.ntotal, index.metric_type) == (dim, 300, faiss.METRIC_INNER_PRODUCT)
    scores_of_faiss, rows_of_faiss = index.search(queries, 10)
    np.testing.assert_array_equal(scores_of_faiss, scores)
    np.testing.assert_array_equal(rows_of_faiss, rows)
    np.testing.assert_array_equal(index.reconstruct_n(0, 300), stored.astype(np.float32))


def test_stored_rows_are_copies_of_what_was_written(tmp_path: Path) -> None:
    vectors, stored = mapped(tmp_path / "v.faiss", random_units(50, 7))
    rows = np.array([49, 0, 7, 7])
    found = vectors.stored(rows)
    np.testing.assert_array_equal(found, stored[rows])
    found[:] = 0
    np.testing.assert_array_equal(vectors.stored(rows), stored[rows])


def test_dead_rows_never_come_back_and_leave_the_others_in_order(tmp_path: Path) -> None:
    vectors, stored = mapped(tmp_path / "v.faiss", random_units(100, 7))
    dead = np.array([0, 3, 4, 50, 98, 99])
    queries = np.vstack([stored[dead].astype(np.float32), random_units(5, 7, seed=2)])
    exact = exact_scores(queries, stored)
    exact[:, dead] = -2  # worse than anything
    scores, rows = vectors.search(queries, 20, RowSet(100, dead=dead))
    assert not np.isin(rows, dead).any()
    assert_best(scores, rows, exact)


@pytest.mark.parametrize("dead", [[], [1], [0, 1, 2, 3]])
@pytest.mark.parametrize("k", [1, 5, 6, 1000, 10**12])
def test_if_there_are_fewer_rows_than_k_all_of_them_come_back(tmp_path: Path, k: int, dead: list[int]) -> None:
    vectors, _ = mapped(tmp_path / "v.faiss", random_units(6, 7))
    scores, rows = vectors.search(random_units(3, 7, seed=1), k, RowSet(6, dead=np.array(dead, np.int64)))
    assert rows.shape == scores.shape == (3, min(k, 6 - len(dead)))
    assert np.isfinite(scores).all()
    for of_query in rows.tolist():
        assert set(of_query) <= set(range(6)) - set(dead)


@pytest.mark.parametrize(("count", "dead"), [(0, []), (2, [0, 1])])
def test_if_no_row_is_left_the_answer_is_empty(tmp_path: Path, count: int, dead: list[int]) -> None:
    vectors, _ = mapped(tmp_path / "v.faiss", random_units(count, 7))
    scores, rows = vectors.search(random_units(3, 7), 5, RowSet(count, dead=np.array(dead, np.int64)))
    assert scores.shape == rows.shape == (3, 0)


def test_no_queries_give_no_answers(tmp_path: Path) -> None:
    vectors, _ = mapped(tmp_path / "v.faiss", random_units(4, 7))
    scores, rows = vectors.search(np.empty((0, 7), np.float32), 3, RowSet(4))
    assert scores.shape[0] == rows.shape[0] == 0


@pytest.mark.parametrize("shape", [(1, 6), (1, 8), (7,), (1, 1, 7)])
def test_a_query_of_another_dimension_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    vectors, _ = mapped(tmp_path / "v.faiss", random_units(4, 7))
    with pytest.raises(UsageError, match="7 dimensions"):
        vectors.search(np.ones(shape, np.float32), 1, RowSet(4))


def test_a_query_of_another_dimension_is_refused_without_assertions_too(tmp_path: Path) -> None:
    write(path := tmp_path / "v.faiss", random_units(4, 7))
    program = f"""if True:
        import numpy
        from lookalike.errors import UsageError
        from lookalike.storage.mapped_vectors import MappedVectors
        from lookalike.storage.rows import RowSet
        assert False, "assertions are on"
        try:
            MappedVectors(__import__("pathlib").Path({str(path)!r}), 7, 4).search(
                numpy.ones((1, 8), numpy.float32), 1, RowSet(4))
        except UsageError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=True)
    assert "7 dimensions" in done.stdout


def test_a_directory_whose_name_is_not_utf8_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9 \xff")
    folder.mkdir()
    vectors, stored = mapped(folder / "v.faiss", random_units(5, 7))
    _, rows = vectors.search(unit(stored), 1, RowSet(5))
    assert rows.ravel().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("queries", [1, 31, 32, 100])
@pytest.mark.parametrize("start", [0, 1, 8, 63, 100, 149, 150])
def test_a_search_from_a_row_on_finds_the_best_of_the_rest(tmp_path: Path, queries: int, start: int) -> None:
    """The rows have their own numbers, as in a search of all."""
    vectors, stored = mapped(tmp_path / "v.faiss", random_units(150, 25))
    dead = np.array([5, 64, 100, 148])
    asked = random_units(queries, 25, seed=1)
    exact = exact_scores(asked, stored)
    exact[:, dead] = exact[:, :start] = -2
    scores, rows = vectors.search(asked, 10, RowSet(150, dead=dead), start=start)
    assert rows.shape[1] == min(10, 150 - start - (dead >= start).sum())
    assert_best(scores, rows, exact)


@pytest.mark.parametrize("block", [1, 25, 25 * 7, 10**9])
def test_many_queries_at_once_get_the_answers_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """However many rows are read at a time."""
    monkeypatch.setattr(mapped_vectors, "_BLOCK_VALUES", block)
    vectors, stored = mapped(tmp_path / "v.faiss", random_units(90, 25))
    asked = random_units(40, 25, seed=1)
    for row_set in (RowSet(90), RowSet(90, dead=np.arange(0, 90, 3)), RowSet(90, only=np.array([2, 3, 89]))):
        scores, rows = vectors.search(asked, 12, row_set)
        one_by_one = [vectors.search(query[None], 12, row_set) for query in asked]
        np.testing.assert_allclose(scores, np.concatenate([each[0] for each in one_by_one]), atol=2e-6)
        exact = exact_scores(asked, stored)
        exact[:, np.setdiff1d(np.arange(90), row_set.rows())] = -2
        assert_best(scores, rows, exact)


@pytest.mark.parametrize("queries", [1, 40])
def test_vectors_that_are_not_numbers_are_damage_and_never_an_answer(tmp_path: Path, queries: int) -> None:
    units = random_units(10, 7)
    units[4] = np.nan
    vectors, _ = mapped(tmp_path / "v.faiss", units)
    with pytest.raises(CorruptError, match="not finite"):
        vectors.search(random_units(queries, 7, seed=1), 10, RowSet(10))


def test_a_search_uses_no_more_threads_than_it_has_queries() -> None:
    before = faiss.omp_get_max_threads()
    for queries in (0, 1, 2, 1000):
        with faiss_threads(queries):
            assert faiss.omp_get_max_threads() == max(1, min(before, queries))
        assert faiss.omp_get_max_threads() == before


# Parts


def test_a_part_is_an_index_of_its_rows_alone_and_copies_nothing(tmp_path: Path) -> None:
    vectors, stored = mapped(tmp_path / "v.faiss", random_units(60, 25))
    for start, stop in ((0, 60), (0, 1), (13, 29), (59, 60), (7, 7)):
        part = vectors.part(start, stop)
        assert (part.start, part.stop, part.faiss.ntotal) == (start, stop, stop - start)
        np.testing.assert_array_equal(part.faiss.reconstruct_n(0, stop - start), stored[start:stop].astype(np.float32))
    whole, part = vectors.part(0, 60).faiss, vectors.part(13, 29).faiss
    assert int(part.codes.data()) - int(whole.codes.data()) == 13 * 50


def test_a_part_outlives_its_mapping_and_its_file(tmp_path: Path) -> None:
    vectors, stored = mapped(path := tmp_path / "v.faiss", random_units(60, 25))
    part = vectors.part(10, 60)
    path.unlink()
    del vectors
    _, rows = part.faiss.search(unit(stored[10:]), 1)
    assert rows.ravel().tolist() == list(range(50))


# A mapping and its file


def test_a_mapping_stays_what_it_was_when_its_file_is_replaced_or_removed(tmp_path: Path) -> None:
    units = random_units(20, 7)
    vectors, stored = mapped(path := tmp_path / "v.faiss", units)
    assert vectors.is_current()
    write(tmp_path / "other.faiss", units[::-1].copy())
    (tmp_path / "other.faiss").replace(path)
    for _ in range(2):
        assert not vectors.is_current()
        assert vectors.search(units[3:4], 1, RowSet(20))[1].tolist() == [[3]]
        np.testing.assert_array_equal(vectors.stored(np.arange(20)), stored)
        path.unlink(missing_ok=True)


def test_a_mapping_is_current_while_its_file_grows(tmp_path: Path) -> None:
    units = random_units(30, 7)
    vectors, _ = mapped(path := tmp_path / "v.faiss", units[:10])
    append(path, units[10:].astype(np.float16), count=10)
    assert vectors.is_current()
    assert (vectors.count, MappedVectors(path, 7, 30).count) == (10, 30)


def test_a_file_may_hold_more_rows_than_are_asked_for(tmp_path: Path) -> None:
    write(path := tmp_path / "v.faiss", random_units(10, 7))
    assert [MappedVectors(path, 7, count).count for count in (0, 9, 10)] == [10, 10, 10]


# Rows that are not committed


def test_rows_behind_the_committed_ones_are_not_found(tmp_path: Path) -> None:
    """The header's count runs ahead of the commit; a new mapping and one from before both obey the row set."""
    before, stored = mapped(path := tmp_path / "v.faiss", random_units(10, 7))
    before.search(random_units(1, 7), 1, RowSet(10))
    append(path, random_units(5, 7, seed=1).astype(np.float16), count=10)
    for vectors in (before, MappedVectors(path, 7, 10)):
        for dead in ([], [2]):
            queries = random_units(5, 7, seed=1)  # which the rows behind would answer best
            exact = exact_scores(queries, stored)
            exact[:, dead] = -2
            scores, rows = vectors.search(queries, 15, RowSet(10, dead=np.array(dead, np.int64)))
            assert rows.shape == (5, 10 - len(dead))
            assert_best(scores, rows, exact)


@pytest.mark.parametrize("ending", [b"\1", bytes(13), bytes(14 * 3 + 1)])
def test_bytes_behind_the_committed_rows_are_ignored(tmp_path: Path, ending: bytes) -> None:
    stored = write(path := tmp_path / "v.faiss", random_units(10, 7))
    with path.open("ab") as file:
        file.write(ending)
    scores, rows = MappedVectors(path, 7, 10).search(unit(stored), 10, RowSet(10))
    assert_best(scores, rows, exact_scores(unit(stored), stored))


def test_an_old_mapping_finds_rows_written_over_those_that_were_cut_off(tmp_path: Path) -> None:
    units = random_units(30, 7)
    write(path := tmp_path / "v.faiss", units[:10])
    append(path, units[10:20].astype(np.float16), count=10, committed=False)
    vectors = MappedVectors(path, 7, 20)
    vectors.search(units[:1], 1, RowSet(10))
    append(path, units[20:].astype(np.float16), count=10)
    _, rows = vectors.search(units[20:], 1, RowSet(20))
    assert rows.ravel().tolist() == list(range(10, 20))
