"""Finds the nearest rows of all shards by their indexes as if these were one.

Each index proposes candidates by its codes, and the best of all are re-ranked by their stored vectors, so they are no
more than for one collection of all images. Indexes with the same lists visit the same of them, which are chosen once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.cluster import threads
from lookalike.cluster.parts import Part
from lookalike.cluster.rows import JoinedRows
from lookalike.cluster.vectors import Found, JoinedVectors, best
from lookalike.errors import CorruptError
from lookalike.index.faiss_index import Index, Visit
from lookalike.index.operating_point import SearchParameters
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Vectors, single

_PROPOSED = 4_000_000  # candidates of all shards and queries at a time, of 12 bytes each
_WORTH_THREADS = 8_000_000  # bytes of codes, about a millisecond; waking other threads takes half as long


def nearest(
    vectors: JoinedVectors,
    queries: Vectors,
    k: int,
    row_set: RowSet,
    parameters: SearchParameters,
    is_exact: Callable[[Part, RowSet], bool],
) -> Found | None:
    """The k nearest of some rows for each query, best first.

    Args:
        vectors: of all shards.
        queries: unit vectors, float32 (n, dim).
        k: at least 1.
        row_set: the rows that may be found.
        parameters: how the indexes are searched.
        is_exact: whether these rows of a shard are better compared one by one.

    Returns:
        Scores, float32 (n, k'), and rows, int64 (n, k'), with k' the smaller of k and the number of rows. None if they
        are not found so, and each shard has to be searched by itself: the indexes are of a kind without lists, cannot
        be searched, or have too few of the rows in the lists that are visited.
    """
    assert isinstance(row_set, JoinedRows)
    asked = [place for place, rows in enumerate(row_set.parts) if rows.size]
    indexed = {
        place: index
        for place in asked
        if (index := _index(vectors.parts[place])) and not is_exact(vectors.parts[place], row_set.parts[place])
    }
    if not all(index.lists_key for index in indexed.values()) or not indexed or not len(queries):
        return None
    wanted = max(int(k * parameters.candidates + 0.5), k)
    search = _Search(vectors, row_set, indexed, parameters, min(wanted, sum(each.rows for each in indexed.values())))
    others = [(place, 0) for place in asked if place not in indexed]
    young = [(place, index.rows) for place, index in indexed.items() if index.rows < row_set.parts[place].count]
    compared = search.compared(queries, k, [*others, *young])
    step = max(_PROPOSED // (search.count * len(indexed)), 1)
    try:
        blocks = [search.ranked(queries[start : start + step], k) for start in range(0, len(queries), step)]
    except CorruptError:  # whichever it is gives its index up when it is searched by itself
        return None
    scores, rows = (np.concatenate(each) for each in zip(*blocks, strict=True))
    scores, rows = best(np.hstack([scores, compared[0]]), np.hstack([rows, compared[1]]), min(k, row_set.size))
    return (scores, rows) if np.isfinite(scores).all() and (rows >= 0).all() else None


@dataclass(frozen=True)
class _Search:
    """A search of some indexes.

    Attributes:
        vectors: of all shards.
        row_set: the rows that may be found.
        indexed: the indexes, by the places of their shards.
        parameters: how they are searched.
        count: the candidates of all shards for each query.
    """

    vectors: JoinedVectors
    row_set: JoinedRows
    indexed: dict[int, Index]
    parameters: SearchParameters
    count: int

    def ranked(self, queries: Vectors, k: int) -> Found:
        """The k best of the candidates of each query, by their stored vectors; missing ones have the row -1.

        Raises:
            CorruptError: FAISS cannot search an index.
        """
        visits: dict[bytes, Visit] = {}
        for index in self.indexed.values():
            if index.lists_key not in visits:
                visits[index.lists_key] = index.visit(queries, self.parameters.nprobe)

        def propose(place: int) -> Found:
            index, rows = self.indexed[place], self.row_set.parts[place]
            scores, found = index.candidates(visits[index.lists_key], min(self.count, index.rows), rows)
            return scores, np.where(found < 0, -1, found + self.vectors.bases.starts[place])

        scanned = sum(index.scanned_bytes(self.parameters.nprobe) for index in self.indexed.values())
        work = threads.each if len(queries) * scanned > _WORTH_THREADS else map
        scores, rows = _beside(list(work(propose, [*self.indexed])))
        chosen = np.argpartition(-scores, self.count - 1, axis=1)[:, : self.count]
        candidates = np.take_along_axis(rows, chosen, axis=1)
        return _beside([self._by_stored(*each, k) for each in zip(queries, candidates, strict=True)], axis=0)

    def _by_stored(self, query: NDArray[np.float32], candidates: Rows, k: int) -> Found:
        """The k best of the candidates of a query, (1, k)."""
        rows = candidates[candidates >= 0]
        scores = np.full((1, k), -np.inf, np.float32)
        found = np.full((1, k), -1)
        products = np.einsum("ij,j->i", single(self.vectors.stored(rows)), query)
        order = np.argsort(-products, kind="stable")[:k]
        scores[0, : len(order)], found[0, : len(order)] = products[order], rows[order]
        return scores, found

    def compared(self, queries: Vectors, k: int, places: Sequence[tuple[int, int]]) -> Found:
        """The k best rows of each of these shards from a row of it on, compared one by one, side by side."""

        def find(place_and_start: tuple[int, int]) -> Found:
            place, start = place_and_start
            own = self.vectors.parts[place].snapshot.vectors
            scores, rows = own.search(queries, k, self.row_set.parts[place], start=start)
            return scores, rows + self.vectors.bases.starts[place]

        nothing = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        return _beside([nothing, *threads.each(find, places)])


def _index(part: Part) -> Index | None:
    """The index of a shard, if it has one with rows."""
    opened = part.snapshot.opened
    return opened.index if opened and opened.index.rows else None


def _beside(found: Sequence[Found], axis: int = 1) -> Found:
    scores, rows = zip(*found, strict=True)
    return np.concatenate(scores, axis=axis), np.concatenate(rows, axis=axis)
