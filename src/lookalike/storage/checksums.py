"""Vectors that are certain to be those that were written: each is compared with its checksum in the catalog."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import CorruptError
from lookalike.storage.catalog import Catalog
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import VectorReader, checksums

_ROWS = 4096  # read at a time


class VerifiedVectors:
    """Reads the rows of a collection in order."""

    def __init__(self, catalog: Catalog, reader: VectorReader, named: Rows | None = None) -> None:
        """`named` has the row that the catalog knows each row of the file by, where that is another, ascending."""
        self._catalog, self._reader, self._named = catalog, reader, named

    def blocks(self, rows: Rows, *, count: int) -> Iterator[NDArray[np.float16]]:
        """These rows, which are in ascending order and below `count`: half precision, (some thousand, dim) at a time.

        Raises:
            CorruptError: one of them is damaged.
        """
        for block in _blocks(rows):
            stored = self._reader.stored(block, count=count)
            for row in self._damaged(block, stored):
                raise CorruptError(self._told(row))
            yield stored

    def damages(self, count: int) -> Iterator[str]:
        """Reads every row, and names those that are not what was written."""
        for block in _blocks(np.arange(count)):
            for row in self._damaged(block, self._reader.stored(block, count=count)):
                yield self._told(row)

    def _damaged(self, rows: Rows, stored: NDArray[np.float16]) -> Iterator[int]:
        names = rows if self._named is None else self._named[rows]
        crc32s = self._catalog.crc32s(int(names[0]), int(names[-1]) + 1)
        for row, name, crc32 in zip(rows.tolist(), names.tolist(), checksums(stored), strict=True):
            if crc32s.get(name) != crc32:
                yield row

    def _told(self, row: int) -> str:
        return f"{self._reader.path}: the vector in row {row} is damaged"


def _blocks(rows: Rows) -> Iterator[Rows]:
    return (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))
