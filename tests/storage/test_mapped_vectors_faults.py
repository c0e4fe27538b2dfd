"""Mapping the file of vectors while it is written to, and when it is damaged."""

import os
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from lookalike.errors import CorruptError, StorageError
from lookalike.storage import mapped_vectors
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.rows import RowSet
from lookalike.storage.vectors import VectorWriter
from tests.support.vector_files import HEADER, assert_best, before_first_call, exact_scores, random_units, write

OWNERS = {"fstat": os, "read_index": faiss}


# While a writer is at work


@pytest.mark.parametrize("function", OWNERS)
def test_rows_appended_while_a_file_is_mapped_do_not_disturb_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """It is mapped before or after them, never half of each, and only committed rows are found."""
    stored = write(path := tmp_path / "v.faiss", random_units(10, 7))
    more = random_units(5, 7, seed=1)
    writer = VectorWriter(path, 7, 10)
    before_first_call(monkeypatch, OWNERS[function], function, lambda: writer.append(more.astype(np.float16)))
    scores, rows = MappedVectors(path, 7, 10).search(more, 15, RowSet(10))
    writer.close()
    assert_best(scores, rows, exact_scores(more, stored))


@pytest.mark.parametrize("function", OWNERS)
def test_leftovers_cut_off_while_a_file_is_mapped_do_not_disturb_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    stored = write(path := tmp_path / "v.faiss", random_units(15, 7))[:10]
    queries = random_units(3, 7, seed=1)
    before_first_call(monkeypatch, OWNERS[function], function, lambda: VectorWriter(path, 7, count=10).close())
    scores, rows = MappedVectors(path, 7, 10).search(queries, 15, RowSet(10))
    assert_best(scores, rows, exact_scores(queries, stored))


# Damage


def assert_refused(path: Path, dim: int, count: int) -> None:
    with pytest.raises(CorruptError, match=path.name):
        MappedVectors(path, dim, count)


@pytest.mark.parametrize("size", [0, 1, 8, 40, HEADER - 1, HEADER, HEADER + 1, HEADER + 139])
def test_a_truncated_file_is_refused(tmp_path: Path, size: int) -> None:
    write(path := tmp_path / "v.faiss", random_units(10, 7))
    os.truncate(path, size)
    assert_refused(path, 7, 10)


def test_every_flipped_bit_of_the_header_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_vectors, "_BETWEEN_ATTEMPTS_S", 0)
    write(path := tmp_path / "v.faiss", random_units(10, 7))
    sound = path.read_bytes()
    for bit in range(HEADER * 8):
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(CorruptError, match=path.name):
            MappedVectors(path, 7, 0)
    path.write_bytes(sound)
    assert MappedVectors(path, 7, 0).count == 10


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


def test_a_missing_file_is_damage(tmp_path: Path) -> None:
    assert_refused(tmp_path / "v.faiss", 7, 10)


def test_a_file_that_cannot_be_opened_is_a_fault_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not damage."""
    write(path := tmp_path / "v.faiss", random_units(3, 7))

    def no_more_files(*_: Any, **__: Any) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "open", no_more_files)
    with pytest.raises(StorageError, match=r"v\.faiss: Too many open files"):
        MappedVectors(path, 7, 3)
