"""One rule for checksums: the CRC-32 of a row as the file holds it, compared whenever a row is read."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import CorruptError
from lookalike.storage import checksums
from lookalike.storage.catalog import Catalog
from lookalike.storage.checksums import crc32s, find_damage, read_checked, read_checked_blocks
from lookalike.storage.mapped_vectors import MappedVectors
from tests.support.vector_files import HEADER, mapped, random_units, write

ROWS, DIM = 10, 7


def test_a_checksum_is_the_crc32_of_the_row_in_the_file(tmp_path: Path) -> None:
    vectors, stored = mapped(path := tmp_path / "v.faiss", random_units(5, DIM))
    codes = path.read_bytes()[HEADER:]
    expected = [zlib.crc32(codes[row * 14 : (row + 1) * 14]) for row in range(5)]
    assert crc32s(stored) == expected
    assert crc32s(vectors.stored(np.arange(5))) == expected
    assert crc32s(stored.astype(">f2")) == expected  # whatever the machine's order of bytes
    assert crc32s(np.asfortranarray(stored)) == expected
    assert crc32s(stored[:0]) == []


def test_every_flipped_bit_of_a_row_changes_its_checksum() -> None:
    row = random_units(1, 25).astype(np.float16)
    [sound] = crc32s(row)
    for bit in range(25 * 16):
        damaged = row.copy()
        damaged.view(np.uint16)[0, bit // 16] ^= 1 << bit % 16
        assert crc32s(damaged) != [sound]


# Reading


@pytest.fixture
def vectors(tmp_path: Path, catalog: Catalog) -> MappedVectors:
    """A file of ten vectors whose checksums are in the catalog."""
    vectors, stored = mapped(tmp_path / "v.faiss", random_units(ROWS, DIM))
    with catalog.writing() as transaction:
        for row, crc32 in enumerate(crc32s(stored)):
            transaction.add_vector(row, bytes([row]) * 32, crc32, width=1, height=1)
    return vectors


def damage(vectors: MappedVectors, *rows: int) -> MappedVectors:
    """Flips a bit in each of these rows, and maps the file again."""
    content = bytearray(vectors.path.read_bytes())
    for row in rows:
        content[HEADER + row * DIM * 2] ^= 1
    vectors.path.write_bytes(content)
    return MappedVectors(vectors.path, DIM, ROWS)


@pytest.mark.parametrize("rows", [[], [0], [9, 0, 3, 3], range(10)], ids=str)
def test_rows_whose_checksums_match_are_read_in_any_order(
    catalog: Catalog, vectors: MappedVectors, rows: Sequence[int]
) -> None:
    wanted = np.array(rows, np.int64)
    np.testing.assert_array_equal(read_checked(catalog, vectors, wanted), vectors.stored(wanted))


def test_a_row_is_refused_if_it_is_damaged_and_no_other(catalog: Catalog, vectors: MappedVectors) -> None:
    damaged = damage(vectors, 3)
    others = np.array([9, 2, 4])
    np.testing.assert_array_equal(read_checked(catalog, damaged, others), vectors.stored(others))
    with pytest.raises(CorruptError) as raised:
        read_checked(catalog, damaged, np.array([9, 3, 4]))
    assert str(raised.value) == f"{vectors.path}: the vector in row 3 is damaged: checksum mismatch"


def test_a_row_without_a_checksum_is_refused(catalog: Catalog, tmp_path: Path) -> None:
    vectors, stored = mapped(tmp_path / "v.faiss", random_units(2, DIM))
    with catalog.writing() as transaction:
        transaction.add_vector(0, bytes(32), crc32s(stored)[0], width=1, height=1)
    with pytest.raises(CorruptError, match="row 1 is damaged: checksum mismatch"):
        read_checked(catalog, vectors, np.array([0, 1]))


def test_rows_of_a_compacted_file_have_the_checksums_of_the_catalogs_rows(
    catalog: Catalog, vectors: MappedVectors, tmp_path: Path
) -> None:
    kept = np.array([1, 4, 5, 9])
    write(tmp_path / "compacted.faiss", vectors.stored(kept).astype(np.float32))
    compacted = MappedVectors(tmp_path / "compacted.faiss", DIM, len(kept))
    rows = np.array([3, 0, 2])
    found = read_checked(catalog, compacted, rows, kept)
    np.testing.assert_array_equal(found, vectors.stored(kept[rows]))
    blocks = list(read_checked_blocks(catalog, compacted, np.arange(4), kept))
    np.testing.assert_array_equal(np.concatenate(blocks), vectors.stored(kept))
    with pytest.raises(CorruptError, match="row 3 is damaged"):
        read_checked(catalog, compacted, rows)  # as if they had the same rows in both


@pytest.mark.parametrize("size", [1, 3, 10, 4096])
def test_blocks_are_read_one_after_the_other_and_checked_each(
    catalog: Catalog, vectors: MappedVectors, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(checksums, "_ROWS", size)
    rows = np.array([0, 1, 2, 5, 6, 8, 9])
    blocks = list(read_checked_blocks(catalog, vectors, rows))
    assert all(0 < len(block) <= size for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), vectors.stored(rows))
    assert list(read_checked_blocks(catalog, vectors, rows[:0])) == []
    reading = read_checked_blocks(catalog, damage(vectors, 8), rows)
    whole_blocks_before = 5 // size
    for block in blocks[:whole_blocks_before]:
        np.testing.assert_array_equal(next(reading), block)
    with pytest.raises(CorruptError, match="row 8 is damaged"):
        next(reading)


@pytest.mark.parametrize("size", [1, 3, 4096])
def test_every_damaged_row_is_reported(
    catalog: Catalog, vectors: MappedVectors, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(checksums, "_ROWS", size)
    assert list(find_damage(catalog, vectors, ROWS)) == []
    damaged = damage(vectors, 0, 4, 5, 9)
    expected = [f"{vectors.path}: the vector in row {row} is damaged: checksum mismatch" for row in (0, 4, 5, 9)]
    assert [str(error) for error in find_damage(catalog, damaged, ROWS)] == expected
    assert [str(error) for error in find_damage(catalog, damaged, 5)] == expected[:2]  # no others are committed
