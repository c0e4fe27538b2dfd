"""Checksums: the catalog has the CRC-32 of each row, and whatever is read is compared with it."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from lookalike.errors import CorruptError
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import STORED, StoredVectors

_ROWS = 4096  # read at a time


class KnowsChecksums(Protocol):
    """What the checksums of rows are looked up in: the catalog, for the vectors of whole images."""

    def crc32s(self, rows: Sequence[int]) -> dict[int, int]:
        """The checksums of at least these rows, by row; a row that is unknown has none."""


def crc32s(stored: StoredVectors) -> list[int]:
    """The CRC-32 of each row of half-precision vectors, (n, dim), as the file holds them."""
    return [zlib.crc32(row) for row in np.ascontiguousarray(stored, STORED)]


def read_checked(
    known: KnowsChecksums, vectors: MappedVectors, rows: Rows, catalog_rows: Rows | None = None
) -> StoredVectors:
    """Reads rows in any order, half precision (n, dim), and compares each with its checksum.

    Args:
        known: has the checksums.
        vectors: the file.
        rows: which rows of the file to read, int64 (n,).
        catalog_rows: the row in the catalog of each row of the file, if the file has been compacted and is not yet
            named in the catalog; None if they are the same.

    Raises:
        CorruptError: a checksum does not match.
    """
    stored = vectors.stored(rows)
    known_rows = (rows if catalog_rows is None else catalog_rows[rows]).tolist()
    for mismatch in _mismatches(vectors, rows, stored, known_rows, known.crc32s(known_rows)):
        raise mismatch
    return stored


def check_rows(vectors: MappedVectors, rows: Rows, expected: Mapping[int, int]) -> None:
    """Raises CorruptError unless the checksums of these rows are the expected ones, by row."""
    for mismatch in _mismatches(vectors, rows, vectors.stored(rows), rows.tolist(), expected):
        raise mismatch


def read_checked_blocks(
    known: KnowsChecksums, vectors: MappedVectors, rows: Rows, catalog_rows: Rows | None = None
) -> Iterator[StoredVectors]:
    """Reads rows in ascending order as `read_checked` does, a few thousand at a time."""
    return (read_checked(known, vectors, block, catalog_rows) for block in _blocks(rows))


def find_damage(known: KnowsChecksums, vectors: MappedVectors, count: int) -> Iterator[CorruptError]:
    """Reads the first `count` rows, and reports each whose checksum does not match."""
    for block in _blocks(np.arange(count)):
        known_rows = block.tolist()
        yield from _mismatches(vectors, block, vectors.stored(block), known_rows, known.crc32s(known_rows))


def _mismatches(
    vectors: MappedVectors, rows: Rows, stored: StoredVectors, known_rows: Sequence[int], expected: Mapping[int, int]
) -> Iterator[CorruptError]:
    """An error for each row whose checksum is not the expected one of the row that the catalog knows it by."""
    for row, known_row, crc32 in zip(rows.tolist(), known_rows, crc32s(stored), strict=True):
        if expected.get(known_row) != crc32:
            yield CorruptError(f"{vectors.path}: the vector in row {row} is damaged: checksum mismatch")


def _blocks(rows: Rows) -> Iterator[Rows]:
    return (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))
