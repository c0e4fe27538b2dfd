"""Measures how much an index finds, and how long it takes, on the collection's own vectors.

The measure is recall@k: the share of the k nearest neighbours, found exactly, that the index finds, or others that are
just as near. The queries are drawn from the collection, each left out of its own answer.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from typing import TypeAlias

import numpy as np

from lookalike import metrics
from lookalike.index.operating_point import OperatingPoint, SearchParameters
from lookalike.index.policies import QueryCounts, TuningPolicy
from lookalike.index.spec import IndexSpec
from lookalike.metrics import Scores
from lookalike.storage.mapped_vectors import ExactVectors
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Vectors, single

OnProgress: TypeAlias = Callable[[int, int], None]
IndexSearch: TypeAlias = Callable[[Vectors, int, SearchParameters], tuple[Vectors, Rows]]
"""Finds the k nearest of each query, (n, dim): scores, float32 (n, k), and rows, int64 (n, k), best first."""

_STEPS = sorted({round(2 ** (i / 2)) for i in range(25)})  # 1, 2, 3, 4, 6, 8, 11, ... 4096
_NPROBES = {"ivf": _STEPS, "hnsw": [step for step in _STEPS if 16 <= step <= 1024], "flat": [0]}
_CLOSE = 1.1  # the ratio of a passing and a failing nprobe at which bisection stops
# The most candidates for each neighbour, by the number of neighbours up to which they are tried.
_MOST_CANDIDATES = ((10, 32), (100, 16), (float("inf"), 8))
_WORTHWHILE = 0.8  # recall below which parameters are not worth measuring
_GAIN = 0.002  # of recall, below which more candidates are not worth it
_ENOUGH = 0.998  # recall above which nothing slower is measured
_SEED = 7
_BATCH = 600  # queries compared at once: the more, the fewer times the stored vectors are converted
_TIMED_QUERIES = 8
_TIMED_K = 10


@dataclass(frozen=True)
class RecallQueries:
    """Queries drawn from the collection, with the scores of their exact nearest neighbours.

    Attributes:
        rows: their rows, int64 (n,).
        vectors: float32 (n, dim).
        best: the scores of their nearest neighbours without themselves, float32 (n, k). For all but the first queries
            only those for the smallest k are known, and the rest is -inf.
        milliseconds: the median time of an exact search.
    """

    rows: Rows
    vectors: Vectors
    best: Scores
    milliseconds: float


def draw(
    stored: ExactVectors,
    row_set: RowSet,
    policy: TuningPolicy,
    *,
    queries: int | None = None,
    k: int | None = None,
    progress: OnProgress = lambda _done, _total: None,
) -> RecallQueries:
    """Draws queries, the same ones each time, and finds their exact nearest neighbours.

    Args:
        stored: the vectors.
        row_set: the rows that may be drawn and found.
        policy: how many queries to draw for how many neighbours.
        queries: the most queries to draw instead.
        k: the most neighbours to find instead.
        progress: called with the number of queries that are done, and their total.
    """
    rows = row_set.rows()
    count = min(queries or policy.most_queries, len(rows))
    drawn = np.random.default_rng(_SEED).choice(rows, count, replace=False)
    vectors = single(stored.stored(drawn))
    k = min(k or max(policy.queries), row_set.size - 1)
    smallest_k, deep = min(policy.queries), policy.most_deep_queries
    best = np.full((count, k), -np.inf, np.float32)
    for start, stop in itertools.pairwise(sorted({0, *range(deep, count, _BATCH), count})):
        part = slice(start, stop)
        wanted = k if start < deep else min(k, smallest_k)
        scores, found = stored.search(vectors[part], wanted + 1, row_set)
        best[part, :wanted] = without_self(scores, found, drawn[part])
        progress(stop, count)
    milliseconds = policy.exact_milliseconds or _exact_milliseconds(stored, row_set, vectors[:_TIMED_QUERIES])
    return RecallQueries(drawn, vectors, best, milliseconds)


@dataclass(frozen=True)
class Tuner:
    """Measures the operating points of one index.

    Attributes:
        spec: the kind of index.
        search: searches it for the k nearest of each query, by some parameters.
        probes: the queries.
        policy: how many of the queries measure a point.
        timed: so many queries are asked one at a time, which tells how long one takes, and the others together.
    """

    spec: IndexSpec
    search: IndexSearch
    probes: RecallQueries
    policy: TuningPolicy
    timed: int | None = None

    def points(self, target: float, progress: OnProgress = lambda _done, _total: None) -> tuple[OperatingPoint, ...]:
        """The Pareto-optimal operating points for each k, from the fastest to the one with the highest recall.

        For the smallest k, some of them lie close to the least that reaches the target recall.
        """
        ks = [k for k in self.policy.queries if k <= self.probes.best.shape[1]]
        points: list[OperatingPoint] = []
        least = 0
        for number, k in enumerate(ks):
            progress(number, len(ks))
            found = list(self._sweep_nprobe(k, target, least))
            least = found[0].parameters.nprobe  # what is too little for few neighbours is too little for many
            if k == ks[0]:
                found += self._bisect_nprobe(found, target)
            points += _pareto_optimal(found)
        progress(len(ks), len(ks))
        return tuple(points)

    def measure(self, k: int, parameters: SearchParameters, queries: int | None = None) -> OperatingPoint:
        """Measures certain parameters for k neighbours, with the first `queries` or as many as the policy says."""
        first = slice(queries or self.policy.queries[k].all)
        vectors, own = self.probes.vectors[first], self.probes.rows[first]
        # Each query finds itself: one more is searched for, among as many candidates as there would be without.
        with_self = SearchParameters(parameters.nprobe, max(parameters.candidates * k / (k + 1), 1.0))
        found, seconds = [], []
        timed = len(vectors) if self.timed is None else min(self.timed, len(vectors))
        for start in range(timed):
            begun = time.perf_counter()
            query = vectors[start : start + 1]
            answer = self.search(query, k + 1, with_self)
            found.append(answer)
            seconds.append(time.perf_counter() - begun)
        if timed < len(vectors):
            found.append(self.search(vectors[timed:], k + 1, with_self))
        scores, rows = map(np.concatenate, zip(*found, strict=True))
        recalls = metrics.recall(without_self(scores, rows, own), self.probes.best[first, :k])
        low = metrics.lower_bound(recalls, k)
        return OperatingPoint(k, parameters, float(recalls.mean()), low, statistics.median(seconds) * 1e3)

    def _sweep_nprobe(self, k: int, target: float, least: int) -> Iterator[OperatingPoint]:
        """Points of growing nprobe, until that brings nothing more or takes longer than an exact search.

        A first few queries say how many candidates each nprobe needs, which are no fewer than the one before needed, so
        that only those are measured with all queries.
        """
        counts: QueryCounts = self.policy.queries[k]
        queries = counts.all
        *fewer, most = _candidates(k)
        nprobes = [nprobe for nprobe in _nprobes(self.spec) if nprobe >= least]
        for nprobe in nprobes:
            best = self.measure(k, SearchParameters(nprobe, most), counts.first).recall
            if best < _WORTHWHILE and nprobe != nprobes[-1]:
                continue
            while fewer and self._first_recall(k, nprobe, fewer[0]) < best - _GAIN:
                del fewer[0]
            point = self.measure(k, SearchParameters(nprobe, fewer[0] if fewer else most), queries)
            yield point
            if point.recall_low >= target:
                queries = counts.above_target
            if point.recall >= _ENOUGH or point.milliseconds > self.probes.milliseconds:
                return

    def _first_recall(self, k: int, nprobe: int, candidates: int) -> float:
        return self.measure(k, SearchParameters(nprobe, candidates), self.policy.queries[k].first).recall

    def _bisect_nprobe(self, found: Sequence[OperatingPoint], target: float) -> list[OperatingPoint]:
        """Points closer to the least nprobe that reaches the target, between one that fails and one that reaches it."""
        reaching = next((point for point in found if point.recall_low >= target), None)
        if reaching is None:
            return []
        failing = [point for point in found if point.parameters.nprobe < reaching.parameters.nprobe]
        if not failing:
            return []
        tried, low, high = [], failing[-1].parameters.nprobe, reaching.parameters.nprobe
        while high > _CLOSE * low and high > low + 1:
            parameters = SearchParameters(round(sqrt(low * high)), reaching.parameters.candidates)
            tried.append(self.measure(reaching.k, parameters))
            if tried[-1].recall_low >= target:
                high = parameters.nprobe
            else:
                low = parameters.nprobe
        return tried


def without_self(scores: Scores, found: Rows, own: Rows) -> Scores:
    """The scores of each answer without the query itself, or without the last row if it is not in it.

    Args:
        scores: float32 (n, k + 1), best first.
        found: the rows that they are of, int64 (n, k + 1); -1 for none.
        own: the rows of the queries, int64 (n,).

    Returns:
        float32 (n, k); -inf for no row.
    """
    is_own = found == own[:, None]
    is_own[~is_own.any(axis=1), -1] = True
    others: Scores = np.where(found >= 0, scores, np.float32(-np.inf))[~is_own].reshape(len(found), -1)
    return others


def _nprobes(spec: IndexSpec) -> list[int]:
    """The values of nprobe that are tried, ascending."""
    return sorted({min(step, spec.lists or step) for step in _NPROBES[spec.kind]})


def _candidates(k: int) -> list[int]:
    """The numbers of candidates for each of k neighbours that are tried: powers of two, ascending."""
    most = next(candidates for largest_k, candidates in _MOST_CANDIDATES if k <= largest_k)
    return [2**power for power in range(most.bit_length())]


def _pareto_optimal(points: Sequence[OperatingPoint]) -> list[OperatingPoint]:
    """The points that no other point beats in both time and recall, fastest first."""
    kept: list[OperatingPoint] = []
    for point in sorted(
        map(partial(_undisturbed, points), points), key=lambda point: (point.milliseconds, -point.recall_low)
    ):
        if not kept or point.recall_low > kept[-1].recall_low:
            kept.append(point)
    return kept


def _undisturbed(points: Sequence[OperatingPoint], point: OperatingPoint) -> OperatingPoint:
    """A point whose time is no longer than those of points that do more, which something else had delayed."""
    nprobe, candidates = point.parameters.nprobe, point.parameters.candidates
    times = (
        each.milliseconds
        for each in points
        if each.parameters.nprobe >= nprobe and each.parameters.candidates >= candidates
    )
    return replace(point, milliseconds=min(times))


def _exact_milliseconds(stored: ExactVectors, row_set: RowSet, queries: Vectors) -> float:
    """The median time of an exact search, one query at a time."""
    seconds = []
    for start in range(len(queries)):
        begun = time.perf_counter()
        stored.search(queries[start : start + 1], _TIMED_K, row_set)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds) * 1e3
