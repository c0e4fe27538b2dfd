"""Which rows a search may find: all but the dead, or those that a filter admits."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

NOTHING: Rows = np.empty(0, np.int64)


class RowSet:
    """Some of the first `count` rows. Threads may share it.

    Attributes:
        count: how many rows there are.
        size: how many of them may be found.
    """

    def __init__(self, count: int, *, dead: Rows = NOTHING, only: Rows | None = None) -> None:
        """All rows below `count`, or `only` these, without the `dead` ones."""
        self.count = count
        self._admitted: NDArray[np.bool_] | None = None
        if only is not None or len(dead):
            self._admitted = np.full(count, only is None)
            self._admitted[only if only is not None else NOTHING] = True
            self._admitted[dead] = False
        self.size = count if self._admitted is None else int(np.count_nonzero(self._admitted))
        self._bitmaps: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def rows(self) -> Rows:
        """Those that may be found, in order."""
        return np.arange(self.count) if self._admitted is None else np.flatnonzero(self._admitted)

    def size_within(self, start: int, stop: int) -> int:
        """How many of the rows from `start` up to and without `stop` may be found."""
        return stop - start if self._admitted is None else int(np.count_nonzero(self._admitted[start:stop]))

    def bitmap(self, start: int, stop: int) -> NDArray[np.uint8] | None:
        """These rows as bits, the first one lowest, as FAISS takes them; None where all may be found."""
        if self._admitted is None:
            return None
        if (start, stop) not in self._bitmaps:
            self._bitmaps[start, stop] = np.packbits(self._admitted[start:stop], bitorder="little")
        return self._bitmaps[start, stop]
