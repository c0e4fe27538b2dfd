"""Appending to the file of vectors: what is written, what is cut off, and what is refused."""

import os
from pathlib import Path

import faiss
import numpy as np
import pytest

from lookalike.errors import CorruptError, UsageError
from lookalike.storage import vectors
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.vectors import VectorWriter
from tests.support.vector_files import HEADER, append, random_units, write


@pytest.mark.parametrize("rows_at_a_time", [1, 7, 100])
def test_the_file_does_not_depend_on_the_rows_written_at_a_time(tmp_path: Path, rows_at_a_time: int) -> None:
    units = random_units(30, 7)
    write(tmp_path / "in_parts.faiss", units, in_parts_of=rows_at_a_time)
    write(tmp_path / "at_once.faiss", units)
    assert (tmp_path / "in_parts.faiss").read_bytes() == (tmp_path / "at_once.faiss").read_bytes()


@pytest.mark.parametrize("leftover", [0, 1, 14, 200])
def test_the_next_writer_cuts_off_what_was_not_committed(tmp_path: Path, leftover: int) -> None:
    units = random_units(12, 7)
    write(path := tmp_path / "v.faiss", units[:9])
    append(path, units[9:].astype(np.float16), count=9, committed=False)
    with path.open("ab") as file:
        file.write(bytes(leftover))
    VectorWriter(path, 7, 9).close()
    write(tmp_path / "other.faiss", units[:9])
    assert path.read_bytes() == (tmp_path / "other.faiss").read_bytes()
    append(path, units[9:].astype(np.float16), count=9)
    index = faiss.read_index(str(path))
    np.testing.assert_array_equal(index.reconstruct_n(0, 12), units.astype(np.float16).astype(np.float32))


def test_what_a_newer_catalog_has_counted_is_never_cut_off(tmp_path: Path) -> None:
    """The catalog has been restored from an older backup, and the vectors have not."""
    write(path := tmp_path / "v.faiss", random_units(12, 7))
    before = path.read_bytes()
    with pytest.raises(CorruptError, match="12 vectors have been committed, and the catalog beside it knows only 9"):
        VectorWriter(path, 7, 9)
    assert path.read_bytes() == before


@pytest.mark.parametrize("leftover", [0, 3])
def test_a_file_of_an_earlier_version_is_cut_off_as_before(tmp_path: Path, leftover: int) -> None:
    """There, the header does not say how many vectors were committed."""
    units = random_units(9 + leftover, 7)
    index = vectors.empty_index(7)
    index.add(units)
    faiss.write_index(index, str(path := tmp_path / "v.faiss"))
    assert MappedVectors(path, 7, 9).count == 9 + leftover
    VectorWriter(path, 7, 9).close()
    assert path.stat().st_size == vectors.file_size(7, 9)
    np.testing.assert_array_equal(MappedVectors(path, 7, 9).stored(np.arange(9)), units[:9].astype(np.float16))


def test_rows_of_another_dimension_are_never_written(tmp_path: Path) -> None:
    write(path := tmp_path / "v.faiss", random_units(3, 7))
    before = path.read_bytes()
    writer = VectorWriter(path, 7, 3)
    with pytest.raises(UsageError, match="7 dimensions"):
        writer.append(np.ones((1, 8), np.float16))
    writer.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("size", [0, 1, 8, 40, HEADER - 1, HEADER, HEADER + 1, HEADER + 139])
def test_a_truncated_file_is_refused(tmp_path: Path, size: int) -> None:
    write(path := tmp_path / "v.faiss", random_units(10, 7))
    os.truncate(path, size)
    with pytest.raises(CorruptError, match=path.name):
        VectorWriter(path, 7, 10)


def test_a_missing_file_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "v.faiss"
    with pytest.raises(CorruptError, match=path.name):
        VectorWriter(path, 7, 0)
