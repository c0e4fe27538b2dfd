"""Finds the nearest rows of all shards by their indexes as if these were one.

Each index proposes candidates by its codes, and the best of all are re-ranked by their stored vectors, so they are no
more than for one collection of all images. Indexes with the same lists visit the same of them, which are chosen once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.cluster import threads
from lookalike.cluster.parts import Part
from lookalike.cluster.rows import JoinedRows
from lookalike.cluster.vectors import Found, JoinedVectors, best
from lookalike.errors import CorruptError
from lookalike.index.faiss_index import Index
from lookalike.index.inverted_lists import InvertedLists, Visit
from lookalike.index.operating_point import SearchParameters
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Vectors, single

_PROPOSED = 4_000_000  # candidates of all shards and queries at a time, of 12 bytes each
_WORTH_THREADS_S = 5e-4  # of scanning; waking other threads takes half as long
_SHARES, _LEAST_SHARE = 2, 8  # a shard proposes so many times its share of the candidates, and some more


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
    indexed = [
        (place, index)
        for place in asked
        if (index := _index(vectors.parts[place])) and not is_exact(vectors.parts[place], row_set.parts[place])
    ]
    lists = {place: found for place, index in indexed if (found := index.lists)}
    if len(lists) < len(indexed) or not lists or not len(queries):
        return None
    wanted = max(int(k * parameters.candidates + 0.5), k)
    search = _Search(vectors, row_set, lists, parameters, min(wanted, sum(each.rows for each in lists.values())))
    others = [(place, 0) for place in asked if place not in lists]
    young = [(place, each.rows) for place, each in lists.items() if each.rows < row_set.parts[place].count]
    compared = search.compared(queries, k, [*others, *young])
    step = max(_PROPOSED // (search.count * len(lists)), 1)
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
        lists: those of the indexes, by the places of their shards.
        parameters: how they are searched.
        count: the candidates of all shards for each query.
    """

    vectors: JoinedVectors
    row_set: JoinedRows
    lists: dict[int, InvertedLists]
    parameters: SearchParameters
    count: int

    def ranked(self, queries: Vectors, k: int) -> Found:
        """The k best of the candidates of each query, by their stored vectors; missing ones have the row -1.

        Raises:
            CorruptError: FAISS cannot search an index.
        """
        candidates = self._candidates(queries)
        return _beside([self._by_stored(*each, k) for each in zip(queries, candidates, strict=True)], axis=0)

    def _candidates(self, queries: Vectors) -> Rows:
        """The rows that are nearest by their codes, int64 (n, count), in no order.

        Each shard proposes some more than its share of them; one that might have more of the best is asked for all.
        """
        visits: dict[bytes, Visit] = {}
        for lists in self.lists.values():
            if lists.key not in visits:
                visits[lists.key] = lists.visit(queries, self.parameters.nprobe)
        share = min(-(-_SHARES * self.count // len(self.lists)) + _LEAST_SHARE, self.count)
        proposed = self._proposed(visits, [*self.lists], share)
        scores, rows = _by_query(*proposed)
        if share < self.count:
            least = np.partition(scores, -self.count, axis=1)[:, -self.count]
            might = (proposed[0].min(axis=2) > least).any(axis=1)  # have more
            if might.any():
                places = [place for place, might_have_more in zip(self.lists, might, strict=True) if might_have_more]
                others = _by_query(*(each[~might] for each in proposed))
                scores, rows = _beside([others, _by_query(*self._proposed(visits, places, self.count))])
        if scores.shape[1] == self.count:
            return rows
        return np.take_along_axis(rows, np.argpartition(-scores, self.count - 1, axis=1)[:, : self.count], axis=1)

    def _proposed(self, visits: Mapping[bytes, Visit], places: Sequence[int], count: int) -> Found:
        """What these shards propose: scores and rows, (shards, queries, count), missing ones with the row -1."""
        n = next(iter(visits.values())).queries
        scores, rows = np.empty((len(places), n, count), np.float32), np.empty((len(places), n, count), np.int64)

        def propose(number: int) -> None:
            lists, row_set = self.lists[places[number]], self.row_set.parts[places[number]]
            lists.find(visits[lists.key], row_set, scores[number], rows[number])

        seconds = n * sum(self.lists[place].scan_seconds(self.parameters.nprobe) for place in places)
        work = threads.each if seconds > _WORTH_THREADS_S else _one_by_one
        work(propose, range(len(places)))
        starts = self.vectors.bases.starts[places][:, None, None]
        return scores, np.where(rows < 0, -1, rows + starts)

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


def _by_query(scores: Vectors, rows: Rows) -> Found:
    """What was found in each shard for each query, (shards, n, count), for each query: (n, shards * count)."""
    n = scores.shape[1]
    return np.moveaxis(scores, 0, 1).reshape(n, -1), np.moveaxis(rows, 0, 1).reshape(n, -1)


def _one_by_one(work: Callable[[int], None], items: Sequence[int]) -> None:
    for item in items:
        work(item)


def _beside(found: Sequence[Found], axis: int = 1) -> Found:
    scores, rows = zip(*found, strict=True)
    return np.concatenate(scores, axis=axis), np.concatenate(rows, axis=axis)
