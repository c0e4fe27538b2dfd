"""Publishing an index: after a killed process, on a full disk, and beside another writer."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lookalike import Collection
from lookalike.errors import LockedError, StorageError
from lookalike.index.faiss_index import Index
from lookalike.index.maintenance import Maintenance
from lookalike.storage import lock, vectors
from lookalike.system import durable
from tests.support.indexed_collections import DIM, ROWS, assert_sound, built, content, files, images
from tests.support.vector_collections import clustered, drop, keys_of, put, reopened


def test_files_left_by_a_killed_process_are_ignored_and_removed(photos: Collection) -> None:
    made = built(photos)
    before = files(photos)
    for name in ("index/000002.faiss", "index/000002.faiss.new", "index/000002.json.new", "vectors.000001.faiss"):
        (photos.directory / name).write_bytes(b"left by a process that was killed")
    assert_sound(photos)
    with reopened(photos) as other:
        assert_sound(other)
        assert other.info().index == made
    drop(photos, keys_of(1))
    put(photos, clustered(1, DIM, seed=5), keys_of(1, ROWS))
    assert photos.maintain() == Maintenance()
    assert files(photos) == before
    (photos.directory / "vectors.000001.faiss").write_bytes(b"left")
    (photos.directory / "index" / "000002.faiss").write_bytes(b"left")
    photos.build(spec="SQ8")
    assert files(photos) == {"vectors.000001.faiss", "index/000002.faiss", "index/000002.json"}
    assert_sound(photos)


def full_disk(*_: Any, **__: Any) -> Any:
    raise OSError(28, "No space left on device")


def full_while_appending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "_write_all", full_disk)


def full_while_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "write", full_disk)


def full_in_the_midst_of_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    write = durable.write

    def writes_some(path: Path, source: Callable[[Callable[[bytes], int]], object]) -> durable.Written:
        write(path, source)
        return durable.Written(*full_disk())

    monkeypatch.setattr(durable, "write", writes_some)


def full_while_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full_disk)


def full_while_renaming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", full_disk)


def full_while_committing(monkeypatch: pytest.MonkeyPatch) -> None:
    def commit(*_: Any, **__: Any) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr("lookalike.storage.transaction.Transaction.drop_generation", commit)


@pytest.mark.parametrize(
    "fill",
    [
        full_while_appending,
        full_while_writing,
        full_in_the_midst_of_writing,
        full_while_syncing,
        full_while_renaming,
        full_while_committing,
    ],
)
def test_if_the_disk_is_full_the_last_index_serves_and_nothing_is_left(
    photos: Collection, monkeypatch: pytest.MonkeyPatch, fill: Callable[[pytest.MonkeyPatch], None]
) -> None:
    built(photos)
    drop(photos, keys_of(80))
    before, state, there = content(photos), photos._catalog.state(), images(photos)
    with monkeypatch.context() as full:
        fill(full)
        for change in (photos.build, photos.maintain, lambda: photos.build(spec="SQ8")):
            with pytest.raises(StorageError, match=r"[Nn]o space left|disk is full"):
                change()
            assert content(photos) == before
    assert (photos._catalog.state(), images(photos)) == (state, there)
    with mock.patch.object(Index, "search", autospec=True, side_effect=Index.search) as search:
        assert_sound(photos)
    assert search.call_count > 0
    assert photos.maintain().removed == 80
    assert_sound(photos)


@pytest.mark.parametrize("fill", [full_while_writing, full_while_renaming, full_while_committing])
def test_if_the_disk_is_full_no_vectors_join(
    photos: Collection, monkeypatch: pytest.MonkeyPatch, fill: Callable[[pytest.MonkeyPatch], None]
) -> None:
    built(photos)
    put(photos, clustered(60, DIM, seed=5), keys_of(60, ROWS))
    before, state = content(photos), photos._catalog.state()
    with monkeypatch.context() as full:
        fill(full)
        with pytest.raises(StorageError):
            photos.maintain()
    assert (content(photos), photos._catalog.state()) == (before, state)
    assert_sound(photos)
    assert photos.maintain() == Maintenance(joined=60)


def test_while_another_process_writes_nothing_is_built(photos: Collection) -> None:
    built(photos)
    before = content(photos)
    with lock.locked(photos.directory):
        for change in (photos.build, photos.maintain):
            with pytest.raises(LockedError):
                change()
    assert content(photos) == before
    assert photos.build(spec="SQ8") is not None
