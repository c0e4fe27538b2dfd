"""Row sets: the rows that a search may find."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

NO_ROWS: Rows = np.empty(0, np.int64)
_BLOCK = 2**22  # rows


class RowSet:
    """A subset of the first `count` rows. Threads may share it.

    Attributes:
        count: the number of rows.
        size: the number of rows in the set.
    """

    def __init__(self, count: int, *, dead: Rows = NO_ROWS, only: Rows | None = None) -> None:
        """All rows below `count`, or `only` those given, without the `dead` ones."""
        self.count = count
        self._admitted: NDArray[np.bool_] | None = None
        if only is not None or len(dead):
            self._admitted = np.full(count, only is None)
            self._admitted[only if only is not None else NO_ROWS] = True
            self._admitted[dead] = False
        self.size = count if self._admitted is None else int(np.count_nonzero(self._admitted))
        self._bitmaps: dict[tuple[int, int], NDArray[np.uint8]] = {}

    @classmethod
    def of(cls, is_in: NDArray[np.bool_]) -> "RowSet":
        """The rows where an array, bool (count,), is True."""
        return cls(len(is_in), only=np.flatnonzero(is_in))

    def mask(self) -> NDArray[np.bool_]:
        """Whether each row is in the set: bool (count,)."""
        return np.ones(self.count, bool) if self._admitted is None else self._admitted.copy()

    def rows(self) -> Rows:
        """The rows in the set, ascending, int64 (size,)."""
        return np.arange(self.count) if self._admitted is None else np.flatnonzero(self._admitted)

    def blocks(self, size: int = _BLOCK) -> Iterator[Rows]:
        """The same piece by piece, of at most `size` rows: all rows of a billion images would take 8 GB at once."""
        for start in range(0, self.count, size):
            stop = min(start + size, self.count)
            if self._admitted is None:
                yield np.arange(start, stop)
            else:
                yield np.flatnonzero(self._admitted[start:stop]) + start

    def picked(self, places: Rows) -> Rows:
        """Those of the rows in the set, in ascending order, that are at these places, also ascending: int64 (n,)."""
        found, before = [NO_ROWS], 0
        for block in self.blocks():
            here = places[np.searchsorted(places, before) : np.searchsorted(places, before + len(block))]
            found.append(block[here - before])
            before += len(block)
        return np.concatenate(found)

    def size_within(self, start: int, stop: int) -> int:
        """The number of rows in the set from `start` up to and without `stop`."""
        return stop - start if self._admitted is None else int(np.count_nonzero(self._admitted[start:stop]))

    def bitmap(self, start: int, stop: int) -> NDArray[np.uint8] | None:
        """The rows of a range as a bitmap for FAISS, least significant bit first; None if all rows are in the set."""
        if self._admitted is None:
            return None
        if (start, stop) not in self._bitmaps:
            self._bitmaps[start, stop] = np.packbits(self._admitted[start:stop], bitorder="little")
        return self._bitmaps[start, stop]
