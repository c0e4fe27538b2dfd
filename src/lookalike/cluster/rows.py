"""The rows of all shards in one numbering: those of the first shard, then those of the second, and so on.

It belongs to one state of the shards: when one of them grows, the rows of those behind it get other numbers. Only
within a search do they mean anything.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from lookalike.storage.rows import NO_ROWS, Rows, RowSet

_FEW = 64  # rows


class Bases:
    """Where the rows of each shard begin."""

    def __init__(self, counts: Sequence[int]) -> None:
        """`counts` has the number of rows of each shard."""
        self.starts = np.array([0, *accumulate(counts)], np.int64)
        self._starts: list[int] = self.starts.tolist()
        self.count = self._starts[-1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bases) and np.array_equal(self.starts, other.starts)

    def __hash__(self) -> int:
        return hash(self.starts.tobytes())

    def shards_of(self, rows: Rows) -> Rows:
        """The place of the shard that each row is in, int64 (n,)."""
        found: Rows = np.searchsorted(self.starts, rows, side="right") - 1
        return found

    def split(self, rows: Rows) -> Iterator[tuple[int, Rows, Rows]]:
        """For each shard that some of these rows are in: its place, their positions, and their rows in it."""
        if len(rows) <= _FEW:
            yield from self._split_few(rows.tolist())
            return
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        edges = np.searchsorted(ascending, self.starts).tolist()
        for place, (start, stop) in enumerate(pairwise(edges)):
            if start < stop:
                yield place, order[start:stop], ascending[start:stop] - self._starts[place]

    def _split_few(self, rows: list[int]) -> Iterator[tuple[int, Rows, Rows]]:
        """The same without NumPy, whose calls would take longer than all the work."""
        found: dict[int, list[int]] = {}
        for position, row in enumerate(rows):
            found.setdefault(bisect_right(self._starts, row) - 1, []).append(position)
        for place, positions in sorted(found.items()):
            start = self._starts[place]
            yield place, np.array(positions), np.array([rows[position] - start for position in positions])

    def moved(self, rows: Rows, to: "Bases") -> Rows:
        """The numbers that rows have where the shards begin elsewhere."""
        shards = self.shards_of(rows)
        moved: Rows = rows - self.starts[shards] + to.starts[shards]
        return moved


class JoinedRows(RowSet):
    """Row sets of all shards as one.

    Attributes:
        parts: the row set of each shard.
    """

    def __init__(self, parts: Sequence[RowSet]) -> None:
        self.parts = tuple(parts)
        self.count, self.size = (sum(getattr(part, name) for part in parts) for name in ("count", "size"))
        self._bases = Bases([part.count for part in parts])

    def mask(self) -> NDArray[np.bool_]:
        """Whether each row is in the set: bool (count,)."""
        return np.concatenate([np.empty(0, bool), *(part.mask() for part in self.parts)])

    def rows(self) -> Rows:
        """The rows in the set, ascending, int64 (size,)."""
        starts = self._bases.starts[:-1]
        return np.concatenate([NO_ROWS, *(part.rows() + start for part, start in zip(self.parts, starts, strict=True))])

    def blocks(self, size: int = 2**22) -> Iterator[Rows]:
        """The same piece by piece, of at most `size` rows."""
        for part, start in zip(self.parts, self._bases.starts.tolist(), strict=False):
            for block in part.blocks(size):
                yield block + start

    def size_within(self, start: int, stop: int) -> int:
        """The number of rows in the set from `start` up to and without `stop`."""
        return int(np.count_nonzero(self.mask()[start:stop]))

    def bitmap(self, start: int, stop: int) -> NDArray[np.uint8]:
        """The rows of a range as a bitmap, least significant bit first."""
        return np.packbits(self.mask()[start:stop], bitorder="little")
