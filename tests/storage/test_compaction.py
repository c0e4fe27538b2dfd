"""Compaction: the live vectors in a new file, and the old files swept away once the catalog names it."""

from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import CorruptError, StorageError
from lookalike.storage import checksums, compaction
from lookalike.storage.catalog import Catalog
from lookalike.storage.checksums import crc32s
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.rows import RowSet
from lookalike.storage.vector_tables import ImageVectors
from tests.support.vector_files import HEADER, mapped, random_units, write

DIM = 7


@pytest.fixture
def vectors(tmp_path: Path, catalog: Catalog) -> MappedVectors:
    """Twenty vectors with their checksums."""
    vectors, stored = mapped(tmp_path / "vectors.faiss", random_units(20, DIM))
    with catalog.writing() as transaction:
        for row, crc32 in enumerate(crc32s(stored)):
            transaction.add_vector(row, bytes([row]) * 32, crc32, width=1, height=1)
    return vectors


@pytest.mark.parametrize("block", [1, 3, 4096])
@pytest.mark.parametrize("dead", [[], [0], [3, 4, 19], list(range(20))], ids=len)
def test_the_live_vectors_are_written_to_the_next_file_in_their_order(
    catalog: Catalog, vectors: MappedVectors, monkeypatch: pytest.MonkeyPatch, block: int, dead: list[int]
) -> None:
    monkeypatch.setattr(checksums, "_ROWS", block)
    live = RowSet(20, dead=np.array(dead, np.int64))
    before = vectors.path.read_bytes()
    compacted = compaction.compacted(ImageVectors(catalog), vectors, live)
    assert compacted.path == vectors.path.with_name("vectors.000001.faiss")
    assert compacted.count == 20 - len(dead)
    np.testing.assert_array_equal(compacted.stored(np.arange(compacted.count)), vectors.stored(live.rows()))
    assert compacted.path.stat().st_size == HEADER + compacted.count * DIM * 2
    assert vectors.path.read_bytes() == before
    assert catalog.state().vectors == "vectors.faiss"  # until a transaction names the other one


def test_rows_that_are_not_committed_are_left_behind(catalog: Catalog, vectors: MappedVectors) -> None:
    compacted = compaction.compacted(ImageVectors(catalog), vectors, RowSet(15))
    np.testing.assert_array_equal(compacted.stored(np.arange(15)), vectors.stored(np.arange(15)))
    assert compacted.count == 15


def test_a_file_that_a_killed_compaction_left_behind_is_written_anew(catalog: Catalog, vectors: MappedVectors) -> None:
    vectors.path.with_name("vectors.000001.faiss").write_bytes(b"half a file")
    assert compaction.compacted(ImageVectors(catalog), vectors, RowSet(20)).count == 20


def test_a_damaged_vector_is_not_carried_over(catalog: Catalog, vectors: MappedVectors) -> None:
    content = bytearray(vectors.path.read_bytes())
    content[HEADER + 5 * DIM * 2] ^= 1
    vectors.path.write_bytes(content)
    damaged = MappedVectors(vectors.path, DIM, 20)
    with pytest.raises(CorruptError, match="row 5 is damaged: checksum mismatch"):
        compaction.compacted(ImageVectors(catalog), damaged, RowSet(20))
    live = RowSet(20, dead=np.array([5]))
    assert compaction.compacted(ImageVectors(catalog), damaged, live).count == 19  # it belongs to no image


def test_a_full_disk_is_said_to_be_full(
    catalog: Catalog, vectors: MappedVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(StorageError, match=r"vectors\.000001\.faiss: No space left on device"):
        compaction.compacted(ImageVectors(catalog), vectors, RowSet(20))


def test_only_the_file_that_is_named_is_kept_and_all_that_is_not_vectors(tmp_path: Path) -> None:
    others = {"catalog.sqlite", "collection.json", "vectors.1.faiss", "vectors.faiss.bak"}
    for name in (*others, "vectors.faiss", "vectors.000001.faiss", "vectors.000002.faiss"):
        (tmp_path / name).touch()
    compaction.sweep(tmp_path, ["vectors.000001.faiss"])
    assert {path.name for path in tmp_path.iterdir()} == others | {"vectors.000001.faiss"}


def test_nothing_is_swept_if_the_file_to_keep_is_missing(tmp_path: Path) -> None:
    """Any other may be the one that a damaged catalog should name."""
    write(tmp_path / "vectors.faiss", random_units(1, DIM))
    with pytest.raises(CorruptError, match=r"vectors\.000001\.faiss: the file is missing"):
        compaction.sweep(tmp_path, ["vectors.000001.faiss"])
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.faiss"]
