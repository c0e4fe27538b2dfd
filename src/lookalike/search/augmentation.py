"""Augmented vectors: each vector and its nearest, weighted by similarity squared, as one (Arandjelović and Zisserman,
Three things everyone should know to improve object retrieval, CVPR 2012).

What the images of a kind have in common is stronger in them, so that an order by them finds more of a kind, also of
kinds with more images than a refined order looks at. They are centred, and of length 1.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lookalike.errors import CorruptError
from lookalike.search import refinement
from lookalike.search.options import SearchOptions
from lookalike.search.refinement import NEIGHBOURS, Order
from lookalike.search.searchable import SearchableVectors
from lookalike.storage.checksums import crc32s
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import StoredVectors, Vectors, VectorWriter, single, unit

POOL = 1000  # the nearest images that are ranked by them
_BLOCK = 256  # vectors that are made at a time


@dataclass(frozen=True)
class AugmentedVectors:
    """The augmented vectors of the first rows of a state. Threads may share it.

    Attributes:
        mapped: their file.
        crc32s: their checksums, by row.
    """

    mapped: MappedVectors
    crc32s: "array[int]" = field(compare=False, repr=False)

    def __len__(self) -> int:
        """How many there are: those of the rows below."""
        return len(self.crc32s)

    def read(self, rows: Rows) -> Vectors:
        """Those of rows that have one, float32 (n, dim).

        Raises:
            CorruptError: one is not what was written.
        """
        stored = self.mapped.stored(rows)
        for row, crc32 in zip(rows.tolist(), crc32s(stored), strict=True):
            if self.crc32s[row] != crc32:
                raise CorruptError(f"{self.mapped.path}: the vector in row {row} is damaged: checksum mismatch")
        return single(stored)

    def find_damage(self) -> CorruptError | None:
        """Reads all of them; the first that is not what was written, or None."""
        try:
            for start in range(0, len(self), _BLOCK):
                self.read(np.arange(start, min(start + _BLOCK, len(self))))
        except CorruptError as error:
            return error
        return None


def scores(known: AugmentedVectors, query: Vectors, rows: Rows, left: Vectors) -> Vectors:
    """How alike images are to an expanded query by what they have in common with their nearest: float32 (n,).

    Rows that came later are augmented by their nearest among these.

    Args:
        known: the augmented vectors.
        query: expanded, a unit vector, float32 (1, dim).
        rows: the images, int64 (n,).
        left: their vectors without the collection's mean, float32 (n, dim).
    """
    found = np.empty(len(rows), np.float32)
    is_known = rows < len(known)
    found[is_known] = known.read(rows[is_known]) @ query[0]
    young = np.flatnonzero(~is_known)
    if len(young):
        units = unit(left)
        cosines = units[young] @ units.T
        for place, row_cosines in zip(young.tolist(), cosines, strict=True):
            nearest = _nearest(row_cosines, place)
            found[place] = (refinement.expanded(left[place : place + 1], left[nearest]) @ query[0])[0]
    return found


def make(snapshot: SearchableVectors, path: Path, progress: Callable[[int, int], None]) -> "tuple[array[int], int]":
    """Writes the augmented vectors of a state to a new file, row by row; those of rows that are not found are 0.

    Args:
        snapshot: the state.
        path: of an empty file of vectors of its dimension.
        progress: is called with the number of rows that are done, and of all; it may raise.

    Returns:
        Their checksums, by row, and how many are those of images.

    Raises:
        CorruptError: the vectors are not finite.
        StorageError: the disk is full or failing.
    """
    count, found = snapshot.live.count, array("I")
    is_live = snapshot.live.mask()
    writer = VectorWriter(path, snapshot.vectors.dim, 0)
    try:
        for start in range(0, count, _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, count))
            made = np.zeros((len(rows), snapshot.vectors.dim), np.float16)
            made[is_live[rows]] = _augmented(snapshot, rows[is_live[rows]])
            writer.append(made)
            found.extend(crc32s(made))
            progress(start + len(rows), count)
    finally:
        writer.close()
    return found, snapshot.live.size


def _augmented(snapshot: SearchableVectors, rows: Rows) -> StoredVectors:
    """The augmented vectors of some rows, half precision (n, dim)."""
    centre = snapshot.centre()
    vectors = single(snapshot.vectors.stored(rows))
    others = snapshot.search(unit(vectors), SearchOptions(NEIGHBOURS + 1), snapshot.live)[1]
    made = np.empty(vectors.shape, np.float16)
    for place, (row, near) in enumerate(zip(rows.tolist(), others, strict=True)):
        nearest = centre.taken_off(single(snapshot.vectors.stored(near[near != row][:NEIGHBOURS])))
        made[place] = refinement.expanded(centre.taken_off(vectors[place : place + 1]), nearest)[0]
    return made


def _nearest(cosines: Vectors, own: int) -> Order:
    """Where the largest cosines are, without that of the vector itself: int64 (at most 20,)."""
    order = np.argsort(-cosines, kind="stable")[: NEIGHBOURS + 1]
    others: Order = order[order != own][:NEIGHBOURS]
    return others
