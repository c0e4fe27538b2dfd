"""The matrix of vectors: a FAISS file to FAISS, the truth to NumPy, and nothing to trust where it is damaged."""

import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from lookalike.errors import CorruptError, StorageError, UsageError
from lookalike.storage import vectors
from lookalike.storage.rows import RowSet
from lookalike.storage.vectors import VectorReader, VectorWriter, checksums, unit

DIMS = [1, 7, 25, 383, 1280]
HEADER = 81  # bytes, as FAISS has written it since the type exists


def random_units(count: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).normal(size=(count, dim)))


def write(path: Path, units: NDArray[np.float32], *, in_parts_of: int = 64) -> NDArray[np.float16]:
    """A file of these vectors; gives them as they are stored."""
    stored = units.astype(np.float16)
    vectors.create(path, units.shape[1])
    append(path, stored, in_parts_of=in_parts_of)
    return stored


def append(path: Path, stored: NDArray[np.float16], *, count: int = 0, in_parts_of: int = 64) -> None:
    """Writes rows behind the first `count`."""
    writer = VectorWriter(path, stored.shape[1], count)
    for start in range(0, len(stored), in_parts_of):
        writer.append(stored[start : start + in_parts_of])
    writer.close()


def assert_best(
    scores: NDArray[np.float32], rows: NDArray[np.int64], exact: NDArray[np.float32], *, tolerance: float = 2e-6
) -> None:
    """They are the best of the exact scores, (queries, rows), where those within rounding may change places."""
    assert scores.shape == rows.shape
    best = -np.sort(-exact, axis=1)[:, : rows.shape[1]]
    np.testing.assert_allclose(scores, best, atol=tolerance)
    np.testing.assert_allclose(np.take_along_axis(exact, rows, axis=1), scores, atol=tolerance)
    assert all(len(set(of_query)) == len(of_query) for of_query in rows.tolist())


def exact_scores(queries: NDArray[np.float32], stored: NDArray[np.float16]) -> NDArray[np.float32]:
    return (queries.astype(np.float64) @ stored.astype(np.float64).T).astype(np.float32)


# Searching


@pytest.mark.parametrize("dim", DIMS)
def test_the_file_gives_the_same_answers_through_the_reader_through_faiss_and_by_brute_force(
    tmp_path: Path, dim: int
) -> None:
    stored = write(path := tmp_path / "v.faiss", random_units(300, dim))
    queries = random_units(20, dim, seed=1)
    exact = exact_scores(queries, stored)

    scores, rows = VectorReader(path, dim).search(queries, 10, RowSet(300))
    assert_best(scores, rows, exact)

    index = faiss.read_index(str(path))  # as any other program would
    assert (index.d, index.ntotal, index.metric_type) == (dim, 300, faiss.METRIC_INNER_PRODUCT)
    scores_of_faiss, rows_of_faiss = index.search(queries, 10)
    np.testing.assert_array_equal(scores_of_faiss, scores)
    np.testing.assert_array_equal(rows_of_faiss, rows)
    np.testing.assert_array_equal(index.reconstruct_n(0, 300), stored.astype(np.float32))


@pytest.mark.parametrize("dim", DIMS)
def test_the_file_is_byte_for_byte_the_one_that_faiss_writes(tmp_path: Path, dim: int) -> None:
    stored = write(tmp_path / "ours.faiss", random_units(9, dim))
    index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    index.add(stored.astype(np.float32))
    faiss.write_index(index, str(tmp_path / "theirs.faiss"))
    assert (tmp_path / "ours.faiss").read_bytes() == (tmp_path / "theirs.faiss").read_bytes()


@pytest.mark.parametrize("rows_at_a_time", [1, 7, 100])
def test_the_file_does_not_depend_on_how_many_rows_are_written_at_a_time(tmp_path: Path, rows_at_a_time: int) -> None:
    units = random_units(30, 7)
    write(tmp_path / "in_parts.faiss", units, in_parts_of=rows_at_a_time)
    write(tmp_path / "at_once.faiss", units)
    assert (tmp_path / "in_parts.faiss").read_bytes() == (tmp_path / "at_once.faiss").read_bytes()


def test_stored_rows_are_what_was_written(tmp_path: Path) -> None:
    stored = write(path := tmp_path / "v.faiss", random_units(50, 7))
    rows = np.array([49, 0, 7, 7])
    np.testing.assert_array_equal(VectorReader(path, 7).stored(rows, count=50), stored[rows])


def test_dead_rows_never_come_back_and_leave_the_others_in_order(tmp_path: Path) -> None:
    stored = write(path := tmp_path / "v.faiss", random_units(100, 7))
    dead = np.array([0, 3, 4, 50, 98, 99])
    queries = np.vstack([stored[dead].astype(np.float32), random_units(5, 7, seed=2)])
    exact = exact_scores(queries, stored)
    exact[:, dead] = -2  # worse than anything
    scores, rows = VectorReader(path, 7).search(queries, 20, RowSet(100, dead=dead))
    assert not np.isin(rows, dead).any()
    assert_best(scores, rows, exact)


@pytest.mark.parametrize("dead", [[], [1], [0, 1, 2, 3]])
@pytest.mark.parametrize("k", [1, 5, 6, 1000, 10**12])
def test_where_there_are_fewer_rows_than_k_all_of_them_come_back(tmp_path: Path, k: int, dead: list[int]) -> None:
    write(path := tmp_path / "v.faiss", random_units(6, 7))
    scores, rows = VectorReader(path, 7).search(random_units(3, 7, seed=1), k, RowSet(6, dead=np.array(dead, np.int64)))
    assert rows.shape == scores.shape == (3, min(k, 6 - len(dead)))
    assert np.isfinite(scores).all()
    for of_query in rows.tolist():
        assert set(of_query) <= set(range(6)) - set(dead)


@pytest.mark.parametrize(("count", "dead"), [(0, []), (2, [0, 1])])
def test_where_no_row_is_left_the_answer_is_empty(tmp_path: Path, count: int, dead: list[int]) -> None:
    write(path := tmp_path / "v.faiss", random_units(count, 7))
    scores, rows = VectorReader(path, 7).search(random_units(3, 7), 5, RowSet(count, dead=np.array(dead, np.int64)))
    assert scores.shape == rows.shape == (3, 0)


def test_no_queries_give_no_answers(tmp_path: Path) -> None:
    write(path := tmp_path / "v.faiss", random_units(4, 7))
    scores, rows = VectorReader(path, 7).search(np.empty((0, 7), np.float32), 3, RowSet(4))
    assert scores.shape[0] == rows.shape[0] == 0


@pytest.mark.parametrize("shape", [(1, 6), (1, 8), (7,), (1, 1, 7)])
def test_a_query_of_another_dimension_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write(path := tmp_path / "v.faiss", random_units(4, 7))
    with pytest.raises(UsageError, match="7 dimensions"):
        VectorReader(path, 7).search(np.ones(shape, np.float32), 1, RowSet(4))


def test_a_query_of_another_dimension_is_refused_without_assertions_too(tmp_path: Path) -> None:
    write(path := tmp_path / "v.faiss", random_units(4, 7))
    program = f"""if True:
        import numpy
        from lookalike.errors import UsageError
        from lookalike.storage.rows import Selection
        from lookalike.storage.vectors import VectorReader
        assert False, "assertions are on"
        try:
            VectorReader(__import__("pathlib").Path({str(path)!r}), 7).search(
                numpy.ones((1, 8), numpy.float32), 1, Selection(4))
        except UsageError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=True)
    assert "7 dimensions" in done.stdout


def test_a_directory_whose_name_is_not_utf8_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9 \xff")
    folder.mkdir()
    stored = write(folder / "v.faiss", random_units(5, 7))
    reader = VectorReader(folder / "v.faiss", 7)
    _, rows = reader.search(unit(stored), 1, RowSet(5))
    assert rows.ravel().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("queries", [1, 31, 32, 100])
@pytest.mark.parametrize("start", [0, 1, 8, 63, 100, 149, 150])
def test_a_search_from_a_row_on_finds_the_best_of_the_rest_by_their_own_numbers(
    tmp_path: Path, queries: int, start: int
) -> None:
    stored = write(path := tmp_path / "v.faiss", random_units(150, 25))
    dead = np.array([5, 64, 100, 148])
    asked = random_units(queries, 25, seed=1)
    exact = exact_scores(asked, stored)
    exact[:, dead] = exact[:, :start] = -2
    reader = VectorReader(path, 25)
    scores, rows = reader.search(asked, 10, RowSet(150, dead=dead), start=start)
    assert rows.shape[1] == min(10, 150 - start - (dead >= start).sum())
    assert_best(scores, rows, exact)


@pytest.mark.parametrize("block", [1, 25, 25 * 7, 10**9])
def test_many_queries_at_once_get_the_answers_of_each_however_many_rows_are_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(vectors, "_BLOCK_VALUES", block)
    stored = write(path := tmp_path / "v.faiss", random_units(90, 25))
    asked = random_units(40, 25, seed=1)
    reader = VectorReader(path, 25)
    for row_set in (RowSet(90), RowSet(90, dead=np.arange(0, 90, 3)), RowSet(90, only=np.array([2, 3, 89]))):
        scores, rows = reader.search(asked, 12, row_set)
        one_by_one = [reader.search(query[None], 12, row_set) for query in asked]
        np.testing.assert_allclose(scores, np.concatenate([each[0] for each in one_by_one]), atol=2e-6)
        exact = exact_scores(asked, stored)
        exact[:, np.setdiff1d(np.arange(90), row_set.rows())] = -2
        assert_best(scores, rows, exact)


def test_a_part_is_an_index_of_its_rows_alone_and_copies_nothing(tmp_path: Path) -> None:
    stored = write(path := tmp_path / "v.faiss", random_units(60, 25))
    reader = VectorReader(path, 25)
    for start, stop in ((0, 60), (0, 1), (13, 29), (59, 60), (7, 7)):
        part = reader.part(start, stop)
        assert (part.start, part.stop, part.faiss.ntotal) == (start, stop, stop - start)
        np.testing.assert_array_equal(part.faiss.reconstruct_n(0, stop - start), stored[start:stop].astype(np.float32))
    whole, part = reader.part(0, 60).faiss, reader.part(13, 29).faiss
    assert int(part.codes.data()) - int(whole.codes.data()) == 13 * 50


def test_a_part_outlives_its_reader_and_its_file(tmp_path: Path) -> None:
    stored = write(path := tmp_path / "v.faiss", random_units(60, 25))
    reader = VectorReader(path, 25)
    part = reader.part(10, 60)
    reader.close()
    path.unlink()
    del reader
    _, rows = part.faiss.search(unit(stored[10:]), 1)
    assert rows.ravel().tolist() == list(range(50))


def test_a_file_that_is_replaced_is_mapped_anew_and_one_that_is_taken_away_is_missed(tmp_path: Path) -> None:
    units = random_units(20, 7)
    write(path := tmp_path / "v.faiss", units)
    reader = VectorReader(path, 7)
    assert reader.search(units[3:4], 1, RowSet(20))[1].tolist() == [[3]]
    write(tmp_path / "other.faiss", units[::-1].copy())
    (tmp_path / "other.faiss").replace(path)
    assert reader.search(units[3:4], 1, RowSet(20))[1].tolist() == [[16]]
    path.unlink()
    with pytest.raises(CorruptError, match="missing"):
        reader.search(units[3:4], 1, RowSet(20))


@pytest.mark.parametrize("queries", [1, 40])
def test_vectors_that_are_not_numbers_are_damage_and_never_an_answer(tmp_path: Path, queries: int) -> None:
    units = random_units(10, 7)
    units[4] = np.nan
    write(path := tmp_path / "v.faiss", units)
    with pytest.raises(CorruptError, match="not finite"):
        VectorReader(path, 7).search(random_units(queries, 7, seed=1), 10, RowSet(10))


# What has not been committed


def test_rows_behind_the_committed_ones_are_not_found(tmp_path: Path) -> None:
    """The header's count runs ahead of the commit; a fresh reader and one that had mapped the file both obey."""
    stored = write(path := tmp_path / "v.faiss", random_units(10, 7))
    before = VectorReader(path, 7)
    before.search(random_units(1, 7), 1, RowSet(10))
    append(path, random_units(5, 7, seed=1).astype(np.float16), count=10)
    for reader in (before, VectorReader(path, 7)):
        for dead in ([], [2]):
            queries = random_units(5, 7, seed=1)  # which the rows behind would answer best
            exact = exact_scores(queries, stored)
            exact[:, dead] = -2
            scores, rows = reader.search(queries, 15, RowSet(10, dead=np.array(dead, np.int64)))
            assert rows.shape == (5, 10 - len(dead))
            assert_best(scores, rows, exact)


@pytest.mark.parametrize("ending", [b"\1", bytes(13), bytes(14 * 3 + 1)])
def test_bytes_behind_the_committed_rows_are_ignored_by_readers(tmp_path: Path, ending: bytes) -> None:
    stored = write(path := tmp_path / "v.faiss", random_units(10, 7))
    with path.open("ab") as file:
        file.write(ending)
    scores, rows = VectorReader(path, 7).search(unit(stored), 10, RowSet(10))
    assert_best(scores, rows, exact_scores(unit(stored), stored))


@pytest.mark.parametrize("leftover", [0, 1, 14, 200])
def test_the_next_writer_cuts_off_what_was_not_committed(tmp_path: Path, leftover: int) -> None:
    units = random_units(12, 7)
    write(path := tmp_path / "v.faiss", units)
    with path.open("ab") as file:
        file.write(bytes(leftover))
    VectorWriter(path, 7, 9).close()
    write(tmp_path / "other.faiss", units[:9])
    assert path.read_bytes() == (tmp_path / "other.faiss").read_bytes()
    append(path, units[9:].astype(np.float16), count=9)
    index = faiss.read_index(str(path))
    np.testing.assert_array_equal(index.reconstruct_n(0, 12), units.astype(np.float16).astype(np.float32))


def test_a_reader_that_had_mapped_rows_that_were_cut_off_finds_those_that_came_in_their_place(tmp_path: Path) -> None:
    units = random_units(30, 7)
    write(path := tmp_path / "v.faiss", units[:20])
    reader = VectorReader(path, 7)
    reader.search(units[:1], 1, RowSet(10))  # it maps all 20
    append(path, units[20:].astype(np.float16), count=10)
    _, rows = reader.search(units[20:], 1, RowSet(20))
    assert rows.ravel().tolist() == list(range(10, 20))


def test_a_reader_maps_the_file_anew_once_more_rows_are_committed(tmp_path: Path) -> None:
    units = random_units(40, 7)
    write(path := tmp_path / "v.faiss", units[:10])
    reader = VectorReader(path, 7)
    for count in (10, 20, 21, 40):
        append(path, units[reader_count(path) : count].astype(np.float16), count=reader_count(path))
        _, rows = reader.search(units[:count], 1, RowSet(count))
        assert rows.ravel().tolist() == list(range(count))


def reader_count(path: Path) -> int:
    count: int = faiss.read_index(str(path)).ntotal
    return count


# Readers and the writer at the same time


def during(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, action: Callable[[], None]) -> None:
    """Does something in the moment before a function is called for the first time."""
    function = getattr(owner, name)

    def first_act(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(owner, name, function)
        action()
        return function(*args, **options)

    monkeypatch.setattr(owner, name, first_act)


@pytest.mark.parametrize("function", ["os.fstat", "faiss.read_index"])
def test_rows_appended_while_a_reader_maps_the_file_do_not_disturb_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """It maps before or after them, never half of each, and finds only what was committed."""
    stored = write(path := tmp_path / "v.faiss", random_units(10, 7))
    more = random_units(5, 7, seed=1)
    writer = VectorWriter(path, 7, 10)
    module, name = function.split(".")
    during(monkeypatch, {"os": os, "faiss": faiss}[module], name, lambda: writer.append(more.astype(np.float16)))
    scores, rows = VectorReader(path, 7).search(more, 15, RowSet(10))
    writer.close()
    assert_best(scores, rows, exact_scores(more, stored))


@pytest.mark.parametrize("function", ["os.fstat", "faiss.read_index"])
def test_leftovers_cut_off_while_a_reader_maps_the_file_do_not_disturb_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    stored = write(path := tmp_path / "v.faiss", random_units(15, 7))[:10]
    queries = random_units(3, 7, seed=1)
    module, name = function.split(".")
    during(monkeypatch, {"os": os, "faiss": faiss}[module], name, lambda: VectorWriter(path, 7, count=10).close())
    scores, rows = VectorReader(path, 7).search(queries, 15, RowSet(10))
    assert_best(scores, rows, exact_scores(queries, stored))


def test_threads_share_a_reader_while_rows_are_appended(tmp_path: Path) -> None:
    units = random_units(400, 25)
    write(path := tmp_path / "v.faiss", units[:100])
    committed = [100]
    reader, done = VectorReader(path, 25), threading.Event()

    def searches() -> int:
        number = 0
        while not done.is_set() or number < 3:
            count = committed[0]
            dead = np.array([number % 7])
            _, rows = reader.search(units[:count], 1, RowSet(count, dead=dead))
            found = rows.ravel()
            expected = np.arange(count) != dead[0]
            assert (found == np.arange(count)).tolist() == expected.tolist()
            number += 1
        return number

    with ThreadPoolExecutor(4) as pool:
        searching = [pool.submit(searches) for _ in range(4)]
        try:
            writer = VectorWriter(path, 25, 100)
            for start in range(100, 400, 10):
                writer.append(units[start : start + 10].astype(np.float16))
                committed[0] = start + 10
            writer.close()
        finally:
            done.set()
        assert all(each.result() >= 3 for each in searching)


# Damage


def assert_refused(path: Path, dim: int, count: int) -> None:
    with pytest.raises(CorruptError, match=path.name):
        VectorReader(path, dim).search(random_units(1, dim), 1, RowSet(count))
    with pytest.raises(CorruptError, match=path.name):
        VectorReader(path, dim).stored(np.array([0]), count=count)


@pytest.mark.parametrize("size", [0, 1, 8, 40, HEADER - 1, HEADER, HEADER + 1, HEADER + 139])
def test_a_truncated_file_is_refused_by_readers_and_writers(tmp_path: Path, size: int) -> None:
    write(path := tmp_path / "v.faiss", random_units(10, 7))
    os.truncate(path, size)
    assert_refused(path, 7, 10)
    with pytest.raises(CorruptError, match=path.name):
        VectorWriter(path, 7, 10)


def test_every_flipped_bit_of_the_header_is_noticed(tmp_path: Path) -> None:
    write(path := tmp_path / "v.faiss", random_units(10, 7))
    sound = path.read_bytes()
    for bit in range(HEADER * 8):
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(CorruptError, match=path.name):
            vectors._Mapping(path, 7)
    path.write_bytes(sound)
    assert vectors._Mapping(path, 7).count == 10


@pytest.mark.parametrize("content", [bytes(300), b"\xff" * 300, b"<html>" * 50])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "v.faiss"
    path.write_bytes(content)
    assert_refused(path, 7, 10)


def test_a_faiss_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.faiss"
    index = faiss.IndexFlatIP(7)
    index.add(random_units(30, 7))
    faiss.write_index(index, str(path))
    assert_refused(path, 7, 10)


def test_a_file_of_another_dimension_is_refused(tmp_path: Path) -> None:
    write(path := tmp_path / "v.faiss", random_units(10, 8))
    assert_refused(path, 7, 10)


def test_a_file_of_fewer_rows_than_were_committed_is_refused(tmp_path: Path) -> None:
    write(path := tmp_path / "v.faiss", random_units(10, 7))
    assert_refused(path, 7, 11)


def test_a_missing_file_is_damage_to_readers_and_writers(tmp_path: Path) -> None:
    path = tmp_path / "v.faiss"
    assert_refused(path, 7, 10)
    with pytest.raises(CorruptError, match=path.name):
        VectorWriter(path, 7, 0)


def test_a_file_that_cannot_be_opened_is_a_fault_of_the_disk_and_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path := tmp_path / "v.faiss", random_units(3, 7))

    def no_more_files(*_: Any, **__: Any) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Path, "open", no_more_files)
    with pytest.raises(StorageError, match=r"v\.faiss: Too many open files"):
        VectorReader(path, 7).search(random_units(1, 7), 1, RowSet(3))


def test_a_place_where_no_file_can_be_made_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"v\.faiss"):
        vectors.create(tmp_path / "missing" / "v.faiss", 7)
    write(path := tmp_path / "v.faiss", random_units(3, 7))
    with pytest.raises(StorageError, match=r"v\.faiss"):
        vectors.create(path, 7)  # what is there is never overwritten
    assert faiss.read_index(str(path)).ntotal == 3


def test_rows_of_another_dimension_are_never_written(tmp_path: Path) -> None:
    write(path := tmp_path / "v.faiss", random_units(3, 7))
    before = path.read_bytes()
    writer = VectorWriter(path, 7, 3)
    with pytest.raises(UsageError, match="7 dimensions"):
        writer.append(np.ones((1, 8), np.float16))
    writer.close()
    assert path.read_bytes() == before


# Checksums and normalisation


def test_a_checksum_is_the_crc32_of_the_row_in_the_file(tmp_path: Path) -> None:
    stored = write(path := tmp_path / "v.faiss", random_units(5, 7))
    codes = path.read_bytes()[HEADER:]
    expected = [zlib.crc32(codes[row * 14 : (row + 1) * 14]) for row in range(5)]
    assert checksums(stored) == expected
    assert checksums(VectorReader(path, 7).stored(np.arange(5), count=5)) == expected
    assert checksums(stored.astype(">f2")) == expected  # whatever the machine's order of bytes
    assert checksums(np.asfortranarray(stored)) == expected
    assert checksums(stored[:0]) == []


def test_every_flipped_bit_of_a_row_changes_its_checksum() -> None:
    row = random_units(1, 25).astype(np.float16)
    [sound] = checksums(row)
    for bit in range(25 * 16):
        damaged = row.copy()
        damaged.view(np.uint16)[0, bit // 16] ^= 1 << bit % 16
        assert checksums(damaged) != [sound]


@given(
    arrays.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.uint8, np.int64]),
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
    )
)
def test_unit_gives_length_1_and_the_same_direction_or_refuses(rows: NDArray[Any]) -> None:
    wide = rows.astype(np.longdouble)
    if not (np.isfinite(wide).all() and (wide != 0).any(axis=1).all()):
        with pytest.raises(UsageError, match="finite and not zero"):
            unit(rows)
        return
    units = unit(rows)
    assert (units.dtype.name, units.shape, units.flags.c_contiguous) == ("float32", rows.shape, True)
    np.testing.assert_allclose(np.linalg.norm(units.astype(np.float64), axis=1), 1, atol=1e-6)
    scaled = wide / np.abs(wide).max(axis=1, keepdims=True)
    expected = scaled / np.sqrt((scaled**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(units, expected.astype(np.float64), atol=1e-6)


@pytest.mark.parametrize(
    "row",
    [
        [1e308, -1e308],
        [5e-324, 0],
        [1e-200, 1e200],
        [3, 4],
        np.array([3e38, 3e38], np.float32),
        np.array([1e-45, 1e-45], np.float32),
        np.array([60000, 60000], np.float16),
        np.array([-(2**63), 2**63 - 1]),
        np.array([255, 1], np.uint8),
    ],
    ids=str,
)
def test_neither_huge_nor_tiny_numbers_lose_their_direction(row: Any) -> None:
    exact = np.asarray(row, np.longdouble)
    np.testing.assert_allclose(unit(row)[0], (exact / np.sqrt((exact**2).sum())).astype(np.float64), atol=1e-7)


@pytest.mark.parametrize(
    "rows", [[[0, 0]], [[1, 0], [0, 0]], [[np.nan, 1]], [[np.inf, 1]], [[1, -np.inf]], [[np.nan, np.inf]]], ids=str
)
def test_zero_and_what_is_not_finite_is_refused(rows: Any) -> None:
    with pytest.raises(UsageError, match="finite and not zero"):
        unit(rows)


def test_unit_leaves_its_argument_as_it_is() -> None:
    rows = np.array([[3.0, 4.0]])
    assert unit(rows).tolist() == [[np.float32(0.6), np.float32(0.8)]]
    assert rows.tolist() == [[3, 4]]
    row = np.array([1, 0], np.float32)  # already of length 1
    assert not np.shares_memory(unit(row), row)
