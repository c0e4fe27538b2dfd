"""The stored vectors of all shards."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from lookalike.cluster import threads
from lookalike.cluster.parts import Part
from lookalike.cluster.rows import Bases, JoinedRows
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import STORED, StoredVectors, Vectors

Found: TypeAlias = tuple[Vectors, Rows]
"""Scores, float32 (n, k), and rows, int64 (n, k), best first."""


@dataclass(frozen=True)
class JoinedVectors:
    """The stored vectors of all shards.

    Attributes:
        path: the directory of the whole.
        parts: the shards.
        bases: where their rows begin.
        dim: the dimension of the vectors.
    """

    path: Path
    parts: tuple[Part, ...]
    bases: Bases
    dim: int

    def stored(self, rows: Rows) -> StoredVectors:
        """A copy of these rows as the files hold them: half precision, (n, dim)."""
        vectors = np.empty((len(rows), self.dim), STORED)
        for place, positions, local in self.bases.split(rows):
            vectors[positions] = self.parts[place].snapshot.vectors.stored(local)
        return vectors

    def search(self, queries: Vectors, k: int, row_set: RowSet) -> Found:
        """Finds the k rows with the largest inner product for each query, best first, by comparing with all."""
        return self.merged(queries, k, row_set, lambda part, rows: part.snapshot.vectors.search(queries, k, rows))

    def merged(self, queries: Vectors, k: int, row_set: RowSet, find: Callable[[Part, RowSet], Found]) -> Found:
        """The k best of what is found in each shard.

        Args:
            queries: (n, dim).
            k: at least 1.
            row_set: the rows that may be found.
            find: finds, in a shard, those of the rows that are nearest to each query, best first.

        Returns:
            Scores, float32 (n, k'), and rows, int64 (n, k'), with k' at most k.
        """
        assert isinstance(row_set, JoinedRows)
        asked = [place for place, rows in enumerate(row_set.parts) if rows.size]
        found = threads.each(lambda place: find(self.parts[place], row_set.parts[place]), asked)
        starts = self.bases.starts[asked]
        scores = np.concatenate([np.empty((len(queries), 0), np.float32), *(each[0] for each in found)], axis=1)
        no_rows = np.empty((len(queries), 0), np.int64)
        rows = np.concatenate([no_rows, *(each[1] + start for each, start in zip(found, starts, strict=True))], axis=1)
        return best(scores, rows, k)


def best(scores: Vectors, rows: Rows, k: int) -> Found:
    """The k best of each line, best first."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
