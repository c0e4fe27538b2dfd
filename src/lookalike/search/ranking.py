"""Ranks the rows of a snapshot for a query: by their cosines, those of their parts, or in a refined order."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import CorruptError, UsageError
from lookalike.results import BEYOND_CHANCE
from lookalike.search import augmentation, refinement
from lookalike.search.chance import Judged
from lookalike.search.options import SearchOptions
from lookalike.search.refinement import NEIGHBOURS, POOL, Refined
from lookalike.search.searched import Searched
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Vectors, single
from lookalike.system.blas import one_thread

_PARTS_TRIED = 3  # times as many parts as images are looked for at first


@dataclass(frozen=True)
class Ranked:
    """The rows that answer a query, best first.

    Attributes:
        rows: of the whole images, int64 (k,).
        scores: their cosines with the query, or those of their nearest parts, float32 (k,).
        part_rows: the rows of these parts in their own file, -1 where the whole image is nearer: int64 (k,).
        query_parts: which of the vectors of the query each is nearest to, int64 (k,).
    """

    rows: Rows
    scores: Vectors
    part_rows: Rows
    query_parts: Rows

    @classmethod
    def whole(cls, rows: Rows, scores: Vectors) -> "Ranked":
        """Whole images that answer a query of one vector."""
        return cls(rows, scores, np.full(len(rows), -1), np.zeros(len(rows), np.int64))

    def __getitem__(self, kept: NDArray[np.bool_] | Rows) -> "Ranked":
        """The rows that are True, or those at some places."""
        return Ranked(self.rows[kept], self.scores[kept], self.part_rows[kept], self.query_parts[kept])


def ranked(
    snapshot: Searched, queries: Vectors, options: SearchOptions, row_set: RowSet, *, extra: int = 0
) -> list[Ranked]:
    """Ranks the rows nearest to each unit vector, float32 (n, dim): `options.k` of them, and a few extra ones.

    Raises:
        UsageError: the queries have another dimension.
        CorruptError: the vectors are not finite.
    """
    if options.refine:
        with one_thread():
            return [_refined(snapshot, query[None], options, row_set, options.k + extra) for query in queries]
    scores, rows = snapshot.search(queries, options, row_set, extra=extra)
    answers = [Ranked.whole(*each) for each in zip(rows, scores, strict=True)]
    if not options.regions:
        return answers
    parts = _nearest_parts(snapshot, queries, options, row_set, options.k + extra)
    return [best_of([whole, part], options.k + extra) for whole, part in zip(answers, parts, strict=True)]


def best_of(answers: Sequence[Ranked], count: int) -> Ranked:
    """The best rows of several answers, each once, by its best score, which is the earlier answer's of equal ones."""
    fields = ("rows", "scores", "part_rows", "query_parts")
    joined = Ranked(*(np.concatenate([getattr(each, name) for each in answers]) for name in fields))
    ordered = joined[np.argsort(-joined.scores, kind="stable")]
    return ordered[np.sort(np.unique(ordered.rows, return_index=True)[1])[:count]]


def _nearest_parts(
    snapshot: Searched, queries: Vectors, options: SearchOptions, row_set: RowSet, count: int
) -> list[Ranked]:
    """The images whose parts are nearest to each query, `count` of them if there are so many, maybe several times.

    So many images are among `count` times as many rows as an image has parts, mostly among fewer.
    """
    regions = snapshot.regions
    if regions is None:
        raise UsageError("the collection keeps no vectors of parts of its images", snapshot.regions_hint)
    wanted, parts = min(_PARTS_TRIED, regions.per_image) * count, regions.row_set(row_set)
    while True:
        scores, rows = regions.search(queries, replace(options, k=wanted), parts)
        images = regions.images_of(rows)
        if wanted >= regions.per_image * count or rows.shape[1] < wanted:
            break
        if all(len(np.unique(each)) >= count for each in images):
            break
        wanted = regions.per_image * count
    return [Ranked(*each, np.zeros(len(rows[0]), np.int64)) for each in zip(images, scores, rows, strict=True)]


def _refined(snapshot: Searched, query: Vectors, options: SearchOptions, row_set: RowSet, count: int) -> Ranked:
    """Ranks rows that are near to a query and to what its nearest rows add to it.

    Rows that are the query itself come first, and do not count as neighbours. Behind the pool, if more rows are wanted,
    they go by the expanded query.
    """
    around = snapshot.centre().taken_off(query)
    nearest = snapshot.search(query, replace(options, k=NEIGHBOURS + 1), row_set)[1][0]
    left, scores = _left(snapshot, nearest, query)
    expanded = refinement.expanded(around, left[~refinement.is_same(scores)][:NEIGHBOURS])

    size = augmentation.POOL if snapshot.augmented else POOL
    wide = snapshot.search(expanded, replace(options, k=max(size, count)), row_set)[1][0]
    rows = np.union1d(nearest, wide)
    left, scores = _left(snapshot, rows, query)
    by_expanded = np.argsort(-(left @ expanded[0] / np.sqrt(np.vecdot(left, left))), kind="stable")
    is_same = refinement.is_same(scores[by_expanded])
    same, pool, tail = by_expanded[is_same], *np.split(by_expanded[~is_same], [size])
    found = _compared(snapshot, around, expanded, rows[pool], left[pool])
    order = np.concatenate([same[np.argsort(-scores[same])], pool[refinement.guarded_order(found)], tail])[:count]
    return Ranked.whole(rows[order], scores[order])


def _compared(snapshot: Searched, around: Vectors, expanded: Vectors, rows: Rows, left: Vectors) -> Refined:
    """Compares a query with images by what each has in common with its nearest: by augmented vectors, if there are any.

    Args:
        snapshot: the state.
        around: the query without the collection's mean, float32 (1, dim).
        expanded: the same with what its nearest add.
        rows: the images, int64 (n,).
        left: their vectors without the mean, float32 (n, dim).
    """
    if snapshot.augmented is None:
        return refinement.refine(around, left)
    lengths = np.sqrt(np.vecdot(left, left) * np.vecdot(around, around))
    return Refined(augmentation.scores(snapshot.augmented, expanded, rows, left), left @ around[0] / lengths)


def _left(snapshot: Searched, rows: Rows, query: Vectors) -> tuple[Vectors, Vectors]:
    """What is left of the vectors of rows without the mean, float32 (n, dim), and their cosines with a query, (n,).

    Whether they are what was written is checked when they are named.
    """
    vectors = single(snapshot.vectors.stored(rows))
    scores = vectors @ query[0]
    if not np.isfinite(scores).all():
        raise CorruptError(f"{snapshot.vectors.path}: there are vectors in it that are not finite")
    return snapshot.centre().taken_off(vectors), scores


def judged(snapshot: Searched, queries: Vectors, answer: Ranked, options: SearchOptions) -> tuple[Ranked, Judged]:
    """The rows of an answer that the options do not leave out, and how near they are.

    Args:
        snapshot: the state.
        queries: the unit vectors of the query, float32 (n, dim): the whole of it and, maybe, its parts.
        answer: to them.
        options: `min_score` and `confident` count.
    """
    if options.min_score is not None:
        answer = answer[answer.scores >= options.min_score]
    told = _told(snapshot, queries, answer)
    if not options.confident:
        return answer, told
    is_beyond = told.expected <= BEYOND_CHANCE
    return answer[is_beyond], told[is_beyond]


def _told(snapshot: Searched, queries: Vectors, answer: Ranked) -> Judged:
    """How near the rows of an answer are. Of parts of images or of the query, only what is expected can be told.

    A query of n vectors has n times as many chances.
    """
    is_part = answer.part_rows >= 0
    if len(queries) == 1 and not is_part.any():
        return snapshot.judged(queries, answer.rows)
    expected = np.full(len(answer.rows), np.nan)
    for at, query in enumerate(queries):
        whole, part = (np.flatnonzero((answer.query_parts == at) & (is_part == of_part)) for of_part in (False, True))
        if len(whole):
            expected[whole] = len(queries) * snapshot.judged(query[None], answer.rows[whole]).expected
        if len(part) and snapshot.regions:
            expected[part] = len(queries) * snapshot.regions.judged(query[None], answer.part_rows[part]).expected
    return Judged(expected, np.full(len(expected), np.nan), math.nan)
