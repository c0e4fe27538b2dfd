"""Ranks the rows of a snapshot for a query: by their cosines alone, or in a refined order."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import CorruptError
from lookalike.results import BEYOND_CHANCE
from lookalike.search import refinement
from lookalike.search.chance import Judged
from lookalike.search.options import SearchOptions
from lookalike.search.refinement import NEIGHBOURS, POOL
from lookalike.search.snapshot import Snapshot
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Vectors, single
from lookalike.system.blas import one_thread


@dataclass(frozen=True)
class Ranked:
    """The rows that answer a query, best first.

    Attributes:
        rows: int64 (k,).
        scores: their cosines with the query, float32 (k,).
    """

    rows: Rows
    scores: Vectors

    def __getitem__(self, kept: NDArray[np.bool_]) -> "Ranked":
        """The rows that are True."""
        return Ranked(self.rows[kept], self.scores[kept])


def ranked(
    snapshot: Snapshot, queries: Vectors, options: SearchOptions, row_set: RowSet, *, extra: int = 0
) -> list[Ranked]:
    """Ranks the rows nearest to each unit vector, float32 (n, dim): `options.k` of them, and a few extra ones.

    Raises:
        UsageError: the queries have another dimension.
        CorruptError: the vectors are not finite.
    """
    if not options.refine:
        scores, rows = snapshot.search(queries, options, row_set, extra=extra)
        return [Ranked(*each) for each in zip(rows, scores, strict=True)]
    with one_thread():
        return [_refined(snapshot, query[None], options, row_set, options.k + extra) for query in queries]


def _refined(snapshot: Snapshot, query: Vectors, options: SearchOptions, row_set: RowSet, count: int) -> Ranked:
    """Ranks rows that are near to a query and to what its nearest rows add to it.

    Rows that are the query itself come first, and do not count as neighbours. Behind the pool, if more rows are wanted,
    they go by the expanded query.
    """
    around = snapshot.centre().taken_off(query)
    nearest = snapshot.search(query, replace(options, k=NEIGHBOURS + 1), row_set)[1][0]
    left, scores = _left(snapshot, nearest, query)
    expanded = refinement.expanded(around, left[~refinement.is_same(scores)][:NEIGHBOURS])

    wide = snapshot.search(expanded, replace(options, k=max(POOL, count)), row_set)[1][0]
    rows = np.union1d(nearest, wide)
    left, scores = _left(snapshot, rows, query)
    by_expanded = np.argsort(-(left @ expanded[0] / np.sqrt(np.vecdot(left, left))), kind="stable")
    is_same = refinement.is_same(scores[by_expanded])
    same, pool, tail = by_expanded[is_same], *np.split(by_expanded[~is_same], [POOL])
    found = refinement.refine(around, left[pool])
    order = np.concatenate([same[np.argsort(-scores[same])], pool[refinement.guarded_order(found)], tail])[:count]
    return Ranked(rows[order], scores[order])


def _left(snapshot: Snapshot, rows: Rows, query: Vectors) -> tuple[Vectors, Vectors]:
    """What is left of the vectors of rows without the mean, float32 (n, dim), and their cosines with a query, (n,).

    Whether they are what was written is checked when they are named.
    """
    centre = snapshot.centre()
    left = centre.taken_off(single(snapshot.vectors.stored(rows)))
    scores = left @ query[0] + np.float32(centre.along(query))
    if not np.isfinite(scores).all():
        raise CorruptError(f"{snapshot.vectors.path}: there are vectors in it that are not finite")
    return left, scores


def judged(snapshot: Snapshot, query: Vectors, answer: Ranked, options: SearchOptions) -> tuple[Ranked, Judged]:
    """The rows of an answer that the options do not leave out, and how near they are.

    The query is a unit vector, float32 (1, dim).
    """
    if options.min_score is not None:
        answer = answer[answer.scores >= options.min_score]
    told = snapshot.judged(query, answer.rows)
    if not options.confident:
        return answer, told
    is_beyond = told.expected <= BEYOND_CHANCE
    return answer[is_beyond], told[is_beyond]
