"""Which index a collection should have, and how hard each search has to look: measured on its own vectors.

What is measured is recall@k: how many of the k nearest, found exactly, an index finds. The queries are drawn from
the collection, each left out of its own answer.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import log2, sqrt

import numpy as np

from lookalike import metrics
from lookalike.errors import UsageError
from lookalike.index.faiss_index import Effort, Index
from lookalike.index.spec import IndexSpec
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Part, VectorReader, Vectors

RECALL = 0.98  # what is promised unless something else is asked for


@dataclass(frozen=True)
class Queries:
    """How many queries tell what an effort is worth.

    Attributes:
        all: of most efforts.
        beyond: of those that find more than was promised, since they take long.
        first: whether it is worth measuring at all, and how many candidates it needs.
    """

    all: int
    beyond: int
    first: int


# Recall is measured for so many neighbours; what is found of them is found of fewer too.
_QUERIES = {10: Queries(2000, 500, 100), 100: Queries(200, 100, 50), 1000: Queries(100, 50, 25)}
DEPTHS = tuple(_QUERIES)
_DEEP_QUERIES = max(queries.all for depth, queries in _QUERIES.items() if depth > DEPTHS[0])
QUERIES = max(queries.all for queries in _QUERIES.values())

_EXACT_VALUES = 50_000 * 1280  # numbers in the vectors; comparing with all of them takes some 4 ms on one core
_LIST_BYTES = 16  # of memory a vector, at most, that the lists' centroids may take
_GRAPH_LISTS = 256  # from so many on, a graph finds the lists sooner than comparing with all of them
_CENTROID_BYTES = 2  # for each dimension; half precision chooses the same lists, in half the time
_STEPS = sorted({round(2 ** (i / 2)) for i in range(25)})  # 1, 2, 3, 4, 6, 8, 11, ... 4096
_BREADTHS = {"ivf": _STEPS, "hnsw": [step for step in _STEPS if 16 <= step <= 1024], "flat": [0]}
_CLOSE = 1.1  # times a breadth that fails a promise is near enough to the least that keeps it
_CANDIDATES = {10: (1, 2, 4, 8, 16, 32), 100: (1, 2, 4, 8, 16), 1000: (1, 2, 4, 8)}
_WORTHWHILE = 0.8  # recall below which an effort is not worth measuring,
_GAIN = 0.002  # of recall, less than which more candidates are not,
_ENOUGH = 0.998  # recall above which nothing dearer is
_SEED = 7
_BATCH = 600  # queries that are compared at once: the vectors are then made single precision fewer times


@dataclass(frozen=True)
class OperatingPoint:
    """What an effort is worth.

    Attributes:
        depth: how many neighbours were looked for.
        effort: how hard it looked.
        recall: the mean share of the nearest `depth` that were found.
        recall_low: the lower end of that mean's 95% confidence interval, one-sided.
        milliseconds: the median time of a query, one at a time on one thread.
    """

    depth: int
    effort: Effort
    recall: float
    recall_low: float
    milliseconds: float


@dataclass(frozen=True)
class Probes:
    """Queries drawn from the collection, with their nearest by exact search.

    Attributes:
        rows: which rows they are, (n,).
        vectors: their vectors, (n, dim).
        nearest: the rows of their nearest, themselves left out, best first, (n, depth); of all but the first
            queries only the nearest ten are known, and the rest is -1.
        milliseconds: the median time of an exact search.
    """

    rows: Rows
    vectors: Vectors
    nearest: Rows
    milliseconds: float


def searches_exactly(dim: int, rows: int) -> bool:
    """Whether so few vectors need no index: comparing with all of them takes a few milliseconds."""
    return rows * dim < _EXACT_VALUES


def specs(dim: int, rows: int) -> tuple[IndexSpec, ...]:
    """The default indexes for so many vectors: the first is to be tried first, each next one is finer and larger.

    They are inverted lists of product quantizer codes, compared by 4-bit fast scan (Andre et al., 2021): four
    dimensions a code of four bits, then two dimensions, then 8-bit numbers.
    """
    return tuple(IndexSpec(factory, dim) for factory in _factories(dim, rows, (4, 2, 0)))


def smallest_specs(dim: int, rows: int) -> tuple[IndexSpec, ...]:
    """All of them and, before these, one that takes half the memory and has to rank more candidates."""
    return tuple(IndexSpec(factory, dim) for factory in _factories(dim, rows, (8, 4, 2, 0)))


def _factories(dim: int, rows: int, dims_per_code: Sequence[int]) -> Iterator[str]:
    lists = _lists(dim, rows)
    inverted = f"IVF{lists}(HNSW32,SQfp16)" if lists >= _GRAPH_LISTS else f"IVF{lists}"
    for dims in dims_per_code:
        if not dims:
            yield f"{inverted},SQ8"
        else:
            padded = -(-dim // dims) * dims
            yield f"{f'Pad{padded},' if padded != dim else ''}{inverted},PQ{padded // dims}x4fs"


def _lists(dim: int, rows: int) -> int:
    """Four times the square root of the number of vectors, unless their centroids then weigh too much."""
    wanted = min(4 * sqrt(rows), rows * _LIST_BYTES / (_CENTROID_BYTES * dim), rows / 40)
    return int(2 ** max(round(log2(max(wanted, 1))), 0))


def draw(
    reader: VectorReader,
    row_set: RowSet,
    *,
    among: Rows | None = None,
    queries: int | None = None,
    depth: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Probes:
    """Draws queries, and finds their nearest.

    Args:
        reader: the vectors.
        selection: which of them count.
        among: the rows to draw from; all that count unless given.
        queries: how many to draw at most.
        depth: how many neighbours to find at most.
        progress: is told how many queries of how many are done.
    """
    rows = row_set.rows() if among is None else among
    count = min(queries or QUERIES, len(rows))
    drawn = np.random.default_rng(_SEED).choice(rows, count, replace=False)
    vectors = reader.stored(drawn, count=row_set.count).astype(np.float32)
    depth = min(depth or max(DEPTHS), row_set.size - 1)
    nearest = np.full((count, depth), -1)
    for start, stop in itertools.pairwise([0, *range(_DEEP_QUERIES, count, _BATCH), count]):
        part = slice(start, stop)
        near = depth if start < _DEEP_QUERIES else min(depth, DEPTHS[0])
        _, found = reader.search(vectors[part], near + 1, row_set)
        nearest[part, :near] = without(found, drawn[part])
        progress(stop, count)
    return Probes(drawn, vectors, nearest, _median_ms(lambda query: reader.search(query, 10, row_set), vectors[:8]))


def operating_points(
    index: Index,
    stored: Part,
    row_set: RowSet,
    probes: Probes,
    *,
    promise: float = RECALL,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> tuple[OperatingPoint, ...]:
    """The Pareto-optimal efforts for each depth, from the fastest to the one that finds most.

    Of those for the smallest depth some lie close to what is just enough for the promise.
    """
    depths = [depth for depth in DEPTHS if depth <= probes.nearest.shape[1]]
    points: list[OperatingPoint] = []
    least = 0
    for number, depth in enumerate(depths):
        progress(number, len(depths))

        def measured(effort: Effort, queries: int | None = None, depth: int = depth) -> OperatingPoint:
            return measure(index, stored, row_set, probes, depth=depth, effort=effort, queries=queries)

        found = list(_walk(index.spec, depth, measured, promise=promise, least=least, exact_ms=probes.milliseconds))
        least = found[0].effort.breadth  # what is too little for a few is too little for many
        if depth == depths[0]:
            found += _between(found, promise, measured)
        points += _pareto(found)
    progress(len(depths), len(depths))
    return tuple(points)


def measure(
    index: Index,
    stored: Part,
    row_set: RowSet,
    probes: Probes,
    *,
    depth: int,
    effort: Effort,
    queries: int | None = None,
) -> OperatingPoint:
    """What an effort is worth for so many neighbours, asked by the first `queries`, or as many as that takes."""
    first = slice(queries or _QUERIES[depth].all)
    vectors, own = probes.vectors[first], probes.rows[first]
    # One more is looked for, since each query finds itself, among as many candidates as there will be without.
    with_self = Effort(effort.breadth, max(effort.candidates * depth / (depth + 1), 1.0))
    found, seconds = [], []
    for start in range(len(vectors)):
        begun = time.perf_counter()
        query = vectors[start : start + 1]
        found.append(index.search(query, depth + 1, effort=with_self, stored=stored, row_set=row_set)[1])
        seconds.append(time.perf_counter() - begun)
    recalls = metrics.recall(without(np.concatenate(found), own), probes.nearest[first, :depth])
    low = metrics.lower_bound(recalls, depth)
    return OperatingPoint(depth, effort, float(recalls.mean()), low, statistics.median(seconds) * 1e3)


def cheapest(points: Sequence[OperatingPoint], recall: float, depth: float) -> OperatingPoint | None:
    """The fastest point that promises so much recall for `depth` neighbours or more; None where there is none."""
    deep_enough = min((point.depth for point in points if point.depth >= depth), default=None)
    kept = [point for point in points if point.depth == deep_enough and point.recall_low >= recall]
    return min(kept, key=lambda point: point.milliseconds, default=None)


def check_recall(recall: float) -> float:
    """Raises UsageError where it is no share that one could promise."""
    if not 0 < recall <= 1:
        raise UsageError(f"recall={recall}: give a share, above 0 and at most 1")
    return float(recall)


def _walk(
    spec: IndexSpec,
    depth: int,
    measured: Callable[..., OperatingPoint],
    *,
    promise: float,
    least: int,
    exact_ms: float,
) -> Iterator[OperatingPoint]:
    """Looks wider and wider, until that brings nothing more or takes longer than to look at everything.

    A few queries tell how many candidates each breadth needs, which is no fewer than the breadth before needed, so
    that only that is measured with all.
    """
    queries = _QUERIES[depth]
    count = queries.all
    *fewer, most = _CANDIDATES[depth]
    breadths = sorted({min(step, spec.lists or step) for step in _BREADTHS[spec.kind]})
    breadths = [breadth for breadth in breadths if breadth >= least]
    for breadth in breadths:
        best = measured(Effort(breadth, most), queries.first).recall
        if best < _WORTHWHILE and breadth != breadths[-1]:
            continue
        while fewer and measured(Effort(breadth, fewer[0]), queries.first).recall < best - _GAIN:
            del fewer[0]
        point = measured(Effort(breadth, fewer[0] if fewer else most), count)
        yield point
        if point.recall_low >= promise:
            count = queries.beyond
        if point.recall >= _ENOUGH or point.milliseconds > exact_ms:
            return


def _between(
    found: Sequence[OperatingPoint], promise: float, measured: Callable[[Effort], OperatingPoint]
) -> list[OperatingPoint]:
    """Comes closer to the least breadth that keeps a promise, from what fails it and what keeps it."""
    keeping = next((point for point in found if point.recall_low >= promise), None)
    failing = [point for point in found if keeping and point.effort.breadth < keeping.effort.breadth]
    if keeping is None or not failing:
        return []
    tried, low, high = [], failing[-1].effort.breadth, keeping.effort.breadth
    while high > _CLOSE * low and high > low + 1:
        tried.append(measured(Effort(round(sqrt(low * high)), keeping.effort.candidates)))
        if tried[-1].recall_low >= promise:
            high = tried[-1].effort.breadth
        else:
            low = tried[-1].effort.breadth
    return tried


def _pareto(points: Sequence[OperatingPoint]) -> list[OperatingPoint]:
    """Those than which no other is both faster and better."""
    kept: list[OperatingPoint] = []
    for point in sorted(points, key=lambda point: (point.milliseconds, -point.recall_low)):
        if not kept or point.recall_low > kept[-1].recall_low:
            kept.append(point)
    return kept


def without(found: Rows, own: Rows) -> Rows:
    """Each query's answer without itself, or without the last where it is not in it: (n, k) from (n, k + 1)."""
    is_own = found == own[:, None]
    is_own[~is_own.any(axis=1), -1] = True
    others: Rows = found[~is_own].reshape(len(found), -1)
    return others


def _median_ms(search: Callable[[Vectors], object], queries: Vectors) -> float:
    seconds = []
    for start in range(len(queries)):
        begun = time.perf_counter()
        search(queries[start : start + 1])
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds) * 1e3
