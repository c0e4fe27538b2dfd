"""Vectors checked against their checksums: each row's CRC-32 is in the catalog."""

from collections.abc import Iterator

import numpy as np

from lookalike.errors import CorruptError
from lookalike.storage.catalog import Catalog
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import StoredVectors, crc32s

_ROWS = 4096  # read at a time


class CheckedVectors:
    """Reads rows, and compares each with its checksum."""

    def __init__(self, catalog: Catalog, vectors: MappedVectors, catalog_rows: Rows | None = None) -> None:
        """`catalog_rows` has, for each row of the file, its row in the catalog, ascending; None if they are the same.

        They differ in a file that has been compacted and is not yet named in the catalog.
        """
        self._catalog, self._vectors, self._catalog_rows = catalog, vectors, catalog_rows

    def read(self, rows: Rows) -> StoredVectors:
        """These rows, in any order: half precision, (n, dim).

        Raises:
            CorruptError: a row's checksum does not match.
        """
        stored = self._vectors.stored(rows)
        for mismatch in self._mismatches(rows, stored):
            raise mismatch
        return stored

    def blocks(self, rows: Rows) -> Iterator[StoredVectors]:
        """These rows, in ascending order, a few thousand at a time: half precision, (m, dim).

        Raises:
            CorruptError: a row's checksum does not match.
        """
        return (self.read(block) for block in _blocks(rows))

    def damages(self, count: int) -> Iterator[CorruptError]:
        """Reads the first `count` rows, and reports each whose checksum does not match."""
        for block in _blocks(np.arange(count)):
            yield from self._mismatches(block, self._vectors.stored(block))

    def _mismatches(self, rows: Rows, stored: StoredVectors) -> Iterator[CorruptError]:
        catalog_rows = (rows if self._catalog_rows is None else self._catalog_rows[rows]).tolist()
        expected = self._catalog.crc32s(catalog_rows)
        for row, catalog_row, crc32 in zip(rows.tolist(), catalog_rows, crc32s(stored), strict=True):
            if expected.get(catalog_row) != crc32:
                yield CorruptError(f"{self._vectors.path}: the vector in row {row} is damaged: checksum mismatch")


def _blocks(rows: Rows) -> Iterator[Rows]:
    return (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))
