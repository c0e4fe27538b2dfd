"""Snapshots: each is one committed state, whatever happens to the file of vectors meanwhile."""

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import CorruptError, StorageError
from lookalike.filters import Where
from lookalike.index.policies import TuningPolicy
from lookalike.search.options import SearchOptions
from lookalike.search.snapshot import Snapshot, Snapshots
from lookalike.storage import compaction, vectors
from lookalike.storage.catalog import Catalog
from lookalike.storage.checksums import crc32s
from lookalike.storage.manifest import Identity, Manifest
from lookalike.storage.rows import RowSet
from lookalike.storage.vector_tables import ImageVectors
from lookalike.storage.vectors import Vectors, VectorWriter
from tests.support.catalogs import STATUS
from tests.support.vector_files import append, before_first_call, random_units, write

DIM = 25
NEAREST = SearchOptions(k=1)


@pytest.fixture
def snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Snapshots]:
    """Those of an empty collection without an index."""
    Catalog.create(tmp_path / "catalog.sqlite")
    vectors.create(tmp_path / "vectors.faiss", DIM)
    with closing(Catalog(tmp_path / "catalog.sqlite")) as catalog:
        manifest = Manifest(Identity("given", "", "91fe0001", DIM), tmp_path)
        yield Snapshots(catalog, tmp_path, manifest, TuningPolicy())


def file_of(snapshots: Snapshots) -> Path:
    return snapshots.catalog.path.with_name(snapshots.catalog.state().vectors)


def add(snapshots: Snapshots, units: Vectors, writer: VectorWriter | None = None) -> None:
    """Appends vectors and commits an image of each."""
    stored, first = units.astype(np.float16), snapshots.catalog.state().count
    if writer:
        writer.append(stored)
    else:
        append(file_of(snapshots), stored, count=first)
    with snapshots.catalog.writing() as transaction:
        for row, crc32 in enumerate(crc32s(stored), first):
            transaction.add_vector(row, row.to_bytes(32, "little"), crc32, width=1, height=1)
            transaction.put_image(f"{row}.jpg", row, STATUS)


def remove(snapshots: Snapshots, *rows: int) -> None:
    with snapshots.catalog.writing() as transaction:
        transaction.remove([f"{row}.jpg" for row in rows])


def compact(snapshots: Snapshots, snapshot: Snapshot) -> None:
    """Writes the live vectors of that state to another file, and commits its name."""
    compacted = compaction.compacted(ImageVectors(snapshots.catalog), snapshot.vectors, snapshot.live)
    with snapshots.catalog.writing() as transaction:
        transaction.compact(compacted.path.name)


def sweep(snapshots: Snapshots) -> None:
    """Removes the files of vectors that the catalog does not name."""
    compaction.sweep(file_of(snapshots).parent, [file_of(snapshots).name])


def found(snapshots: Snapshots, queries: Vectors) -> list[int]:
    """The row nearest to each query."""
    with snapshots.current() as snapshot:
        return nearest(snapshot, queries)


def nearest(snapshot: Snapshot, queries: Vectors) -> list[int]:
    rows: list[int] = snapshot.search(queries, NEAREST, snapshot.live)[1].ravel().tolist()
    return rows


# The file of vectors grows or is replaced


def test_the_file_is_mapped_again_when_more_rows_are_committed(snapshots: Snapshots) -> None:
    units = random_units(40, DIM)
    counts = [0, 10, 20, 21, 40]
    for before, count in itertools.pairwise(counts):
        add(snapshots, units[before:count])
        assert found(snapshots, units[:count]) == list(range(count))


def test_the_file_is_mapped_once_while_it_holds_the_committed_rows(snapshots: Snapshots) -> None:
    units, seen = random_units(12, DIM), []
    add(snapshots, units[:10])
    changes: list[Callable[[], None]] = [
        lambda: None,
        lambda: remove(snapshots, 3),
        lambda: add(snapshots, units[10:]),
    ]
    for change in changes:
        change()
        with snapshots.current() as snapshot:
            seen.append(snapshot)
        with snapshots.current() as again:
            assert again is snapshot  # nothing has changed
    assert seen[0].vectors is seen[1].vectors is not seen[2].vectors
    assert [each.state.changes for each in seen] == [1, 2, 3]
    assert [each.live.size for each in seen] == [10, 9, 11]


def test_a_file_that_is_replaced_is_mapped_again(snapshots: Snapshots) -> None:
    units = random_units(20, DIM)
    add(snapshots, units)
    assert found(snapshots, units[3:4]) == [3]
    write(file_of(snapshots).with_name("other.faiss"), units[::-1].copy())
    file_of(snapshots).with_name("other.faiss").replace(file_of(snapshots))
    assert found(snapshots, units[3:4]) == [16]


def test_a_file_that_is_taken_away_is_missed(snapshots: Snapshots) -> None:
    units = random_units(20, DIM)
    add(snapshots, units)
    assert found(snapshots, units[3:4]) == [3]
    file_of(snapshots).unlink()
    with pytest.raises(CorruptError, match=r"vectors\.faiss: the file is missing"):
        found(snapshots, units[3:4])


def test_rows_that_are_not_committed_are_not_found(snapshots: Snapshots) -> None:
    """The header's count runs ahead of the commit, for a snapshot from before and for those that are opened later."""
    units = random_units(15, DIM)
    add(snapshots, units[:10])
    before = found(snapshots, units[10:])
    append(file_of(snapshots), units[10:].astype(np.float16), count=10)
    assert found(snapshots, units[10:]) == before
    assert max(before) < 10
    snapshots.close()
    assert found(snapshots, units[10:]) == before
    with snapshots.current() as snapshot:
        assert (snapshot.vectors.count, snapshot.live.count) == (15, 10)


def test_rows_written_over_uncommitted_ones_are_found(snapshots: Snapshots) -> None:
    """A killed writer has left rows behind, which are mapped; the next writer cuts them off."""
    units = random_units(30, DIM)
    add(snapshots, units[:10])
    append(file_of(snapshots), units[10:20].astype(np.float16), count=10, committed=False)
    found(snapshots, units[:1])
    with snapshots.current() as before:
        assert before.vectors.count == 20
    add(snapshots, units[20:])
    assert found(snapshots, units[20:]) == list(range(10, 20))


def test_a_file_with_fewer_rows_than_are_committed_is_damage(snapshots: Snapshots) -> None:
    add(snapshots, random_units(10, DIM))
    path = file_of(snapshots)
    path.unlink()
    write(path, random_units(9, DIM))
    with pytest.raises(CorruptError, match=r"vectors\.faiss: it holds 9 of its 10 vectors"):
        found(snapshots, random_units(1, DIM))


def test_a_snapshot_outlives_a_compaction_and_the_next_one_follows_it(snapshots: Snapshots) -> None:
    units = random_units(20, DIM)
    add(snapshots, units)
    remove(snapshots, 0, 5)
    with snapshots.current() as before:
        pass
    compact(snapshots, before)
    assert found(snapshots, units[6:8]) == [4, 5]  # although the old file is still there
    sweep(snapshots)
    assert not before.vectors.path.exists()
    assert nearest(before, units[6:8]) == [6, 7]
    assert found(snapshots, units[6:8]) == [4, 5]
    with snapshots.current() as after:
        assert after.vectors.path.name == "vectors.000001.faiss"
    assert list(before.live.rows()) == [row for row in range(20) if row not in (0, 5)]


def test_a_snapshot_that_is_in_use_sees_no_later_commit(snapshots: Snapshots) -> None:
    """With a rollback journal the writer waits for it."""
    units = random_units(12, DIM)
    add(snapshots, units[:10])
    commit = threading.Thread(target=add, args=(snapshots, units[10:]))
    with snapshots.current() as snapshot:
        commit.start()
        commit.join(0.3)
        assert snapshot.catalog.totals().images == snapshot.state.count == 10
        assert max(nearest(snapshot, units[10:])) < 10
        assert snapshot.row_set(Where(under="")).size == 10
    commit.join()
    assert found(snapshots, units[10:]) == [10, 11]


def test_closed_snapshots_open_the_files_again(snapshots: Snapshots) -> None:
    units = random_units(3, DIM)
    add(snapshots, units)
    with snapshots.current() as before:
        pass
    snapshots.close()
    with snapshots.current() as after:
        assert after is not before
        assert after.vectors is not before.vectors
    assert nearest(before, units) == nearest(after, units) == [0, 1, 2]


def test_threads_share_snapshots_while_rows_are_appended(snapshots: Snapshots) -> None:
    units, done = random_units(400, DIM), threading.Event()
    add(snapshots, units[:100])

    def searches() -> int:
        number = 0
        while not done.is_set() or number < 3:
            with snapshots.current() as snapshot:
                count = snapshot.state.count
                assert nearest(snapshot, units[:count]) == list(range(count))
                dead = number % 7
                _, rows = snapshot.vectors.search(units[:count], 1, RowSet(count, dead=np.array([dead])))
            assert (rows.ravel() == np.arange(count)).tolist() == (np.arange(count) != dead).tolist()
            number += 1
        return number

    with ThreadPoolExecutor(4) as pool:
        searching = [pool.submit(searches) for _ in range(4)]
        try:
            with closing(VectorWriter(file_of(snapshots), DIM, 100)) as writer:
                for start in range(100, 400, 10):
                    add(snapshots, units[start : start + 10], writer)
        finally:
            done.set()
        assert all(each.result() >= 3 for each in searching)
    assert found(snapshots, units[-1:]) == [399]


# Faults


def test_a_file_that_cannot_be_opened_is_a_fault_of_the_disk(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it can be opened again, searches go on."""
    units = random_units(3, DIM)
    add(snapshots, units)

    def no_more_files(*_: object, **__: object) -> object:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", no_more_files)
        with pytest.raises(StorageError, match=r"vectors\.faiss: Too many open files"):
            found(snapshots, units)
    assert found(snapshots, units) == [0, 1, 2]


def test_a_file_that_is_replaced_while_it_is_opened_is_no_damage(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer compacts after the catalog has been read: the files are opened once more."""
    units = random_units(10, DIM)
    add(snapshots, units)
    with snapshots.current() as before:
        path = before.vectors.path
    path.rename(path.with_name("aside"))

    def compact_meanwhile() -> None:
        path.with_name("aside").rename(path)
        compact(snapshots, before)
        sweep(snapshots)

    before_first_call(monkeypatch, snapshots, "_is_replaced", compact_meanwhile)
    assert found(snapshots, units) == list(range(10))
    with snapshots.current() as after:
        assert after.vectors.path.name == "vectors.000001.faiss"
