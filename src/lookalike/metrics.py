"""Recall against the exact answer, and precision and mAP by label. Arrays in, numbers out."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError

Numbers = NDArray[np.float64]
Rows = NDArray[np.int64]
Relevance = NDArray[np.bool_]

Scores = NDArray[np.float32]

CONFIDENCE = 0.95  # that the true recall is not below its lower bound
_SCORES = 16_000_000  # scores held at a time: 64 MB in single precision
# Cosines that differ by no more are equal: single precision rounds them by up to half of that, differently in searches
# for one query and for many.
_EQUAL = 2e-6
_UNSEEN = 0.1  # queries of recall 0, added to the variance; found by simulation, see lower_bound

# Recall


def recall(found: Scores, exact: Scores) -> Numbers:
    """The share of each query's k best answers that was found: recall@k, by their scores.

    An answer as good as the last of the k best may stand for that, and for each other that is no better.

    Args:
        found: the true scores of the rows that were found, each of them once, in any order, float32 (n, k'); -inf
            stands for no row.
        exact: the k best scores that there are, in any order, float32 (n, k); -inf stands for no row.

    Returns:
        float64 (n,), in [0, 1]; 1 where the exact answer is empty, since nothing was missed.

    Raises:
        UsageError: the two have different numbers of queries.

    Source: Aumüller, Bernhardsson & Faithfull, ANN-Benchmarks (Information Systems 87, 2020), which compares distances.
    """
    if found.ndim != 2 or exact.ndim != 2 or len(found) != len(exact):
        raise UsageError(f"found {found.shape} and exact {exact.shape}: give a row for each query in both")
    there = exact > -np.inf
    worst = np.where(there, exact, np.inf).min(axis=1, initial=np.inf)[:, None]
    wanted, wanted_better = there.sum(axis=1), (exact > worst + _EQUAL).sum(axis=1)
    better = (found > worst + _EQUAL).sum(axis=1)
    equals = (found >= worst - _EQUAL).sum(axis=1) - better
    hits = np.minimum(better, wanted_better) + np.minimum(equals, wanted - wanted_better)
    return np.where(wanted > 0, hits / np.maximum(wanted, 1), 1.0)


def lower_bound(recalls: Numbers, k: int, *, confidence: float = CONFIDENCE) -> float:
    """A lower confidence bound of the mean recall over all queries, from the recalls of a random sample of them.

    The neighbours of one query tend to be found or missed together, so that n queries with k neighbours each are worth
    less than n * k independent trials. Wilson's score bound is therefore taken at the effective sample size
    p (1 - p) / var(mean), kept within n and n * k; it is n if p is 0 or 1. The variance is computed with a tenth of a
    query of recall 0 added: near 1 a sample has few of the queries that make recall vary, or none, and without it
    between one bound in ten and one in five would be too high, instead of one in twenty. The tenth was found by
    simulation, for 50 to 2,000 queries, 10 and 100 neighbours, and recalls from 0.9 to 0.999.

    Args:
        recalls: the recall of each query, float64 (n,), in [0, 1].
        k: the number of neighbours that each query was to find, at least 1.
        confidence: the probability that the bound is not too high, in (0.5, 1).

    Returns:
        The bound, in [0, 1].

    Raises:
        UsageError: there is no query, or a number is out of its range.

    Sources: Wilson (1927); for the effective sample size Korn & Graubard, Survey Methodology 24 (1998), and
    Dean & Pagano, Journal of Survey Statistics and Methodology 3 (2015).
    """
    if not len(recalls) or k < 1 or not 0.5 < confidence < 1:
        given = f"{len(recalls)} queries, k={k}, confidence={confidence}"
        raise UsageError(f"{given}: give at least one query, k of at least 1, and a confidence between 0.5 and 1")
    mean = float(np.mean(recalls))
    return _wilson(mean, _effective_size(recalls, mean, k), NormalDist().inv_cdf(confidence))


def _effective_size(recalls: Numbers, mean: float, k: int) -> float:
    count = len(recalls)
    if count == 1 or not 0 < mean < 1:
        return count
    squares = float(np.square(recalls - mean).sum()) + _UNSEEN * mean**2
    return min(max(mean * (1 - mean) * (count - 1) * count / squares, count), count * k)


def _wilson(p: float, n: float, z: float) -> float:
    """The lower end of Wilson's score interval for a share p of n trials, at the normal quantile z."""
    spread = z * math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    return max(0.0, (p + z**2 / (2 * n) - spread) / (1 + z**2 / n))


# Precision


def precision(relevant: Relevance, k: int) -> Numbers:
    """The share of relevant images among the first k matches: precision@k.

    Args:
        relevant: whether each match is relevant, best first, bool (n, m).
        k: at least 1. If there are fewer matches, the share is that among all of them.

    Returns:
        float64 (n,), in [0, 1]; 0 if there are no matches.

    Raises:
        UsageError: k is not positive.

    Source: Manning, Raghavan & Schütze, Introduction to Information Retrieval (2008), section 8.4.
    """
    if k < 1:
        raise UsageError(f"k={k}: ask for the precision of at least 1 match")
    first = relevant[:, :k]
    shares: Numbers = first.sum(axis=1) / max(first.shape[1], 1)
    return shares


def average_precision(relevant: Relevance) -> Numbers:
    """The average precision of each query: the mean, over its relevant images, of the precision at the rank of each.

    mAP is the mean of this over the queries that have a relevant image, which are those of `Labels.answerable`.

    Args:
        relevant: whether each image of the whole ranking is relevant, best first, bool (n, m).

    Returns:
        float64 (n,), in [0, 1]; 0 where no image is relevant.

    Source: Manning, Raghavan & Schütze, Introduction to Information Retrieval (2008), section 8.4.
    """
    hits = np.cumsum(relevant, axis=1)
    precisions = hits / np.arange(1, relevant.shape[1] + 1)
    means: Numbers = (precisions * relevant).sum(axis=1) / np.maximum(relevant.sum(axis=1), 1)
    return means


def average_precision_by_score(scores: NDArray[np.float32], codes: Rows, queries: Rows) -> Numbers:
    """The average precision of images as queries, each of which ranks all other images by their scores.

    An image is relevant if it has the query's label. Equal scores are ranked by position. The memory beyond the
    arguments is some 25 bytes for each image, for any number of queries.

    Args:
        scores: the score of each query with every image, higher is more alike, finite, float32 (q, n).
        codes: the label of every image as a number, int64 (n,); -1 for none.
        queries: the positions of the queries among the images, int64 (q,).

    Returns:
        float64 (q,), in [0, 1]; 0 where no other image has the query's label.

    Raises:
        UsageError: the shapes do not match, or a query has no label.
    """
    if scores.shape != (len(queries), len(codes)):
        raise UsageError(f"scores {scores.shape}: {len(queries)} queries and {len(codes)} images have other scores")
    if (codes[queries] < 0).any():
        raise UsageError("an image without a label cannot be a query; ask those that are answerable")
    found = np.empty(len(queries))
    for number, query in enumerate(queries):
        relevant = codes[_ranking(scores[number], query)] == codes[query]
        found[number] = average_precision(relevant[None])[0]
    return found


def query_blocks(queries: Rows, count: int) -> Iterator[Rows]:
    """Splits queries into blocks, so that the scores of a block with `count` images are at most 16 million."""
    at_once = max(_SCORES // max(count, 1), 1)
    return (queries[start : start + at_once] for start in range(0, len(queries), at_once))


def _ranking(scores: NDArray[np.float32], query: np.int64) -> Rows:
    """The positions of all images but the query, best first: a stable argsort, some six times as fast as NumPy's.

    The bits of positive floats, read as integers, sort as the floats do; for negative ones the bits of the magnitude
    are inverted. With the position in the lower half of 64 bits, one sort of integers is a stable argsort.
    """
    falling = np.float32(0) - scores  # unlike -scores, this gives 0.0 for both zeros
    falling[query] = np.inf
    bits = falling.view(np.int32)
    bits[bits < 0] ^= 0x7FFFFFFF
    keys = (bits.astype(np.int64) << 32) | np.arange(len(scores))
    keys.sort()
    return keys[:-1] & 0xFFFFFFFF


# Labels


@dataclass(frozen=True)
class Quality:
    """The means of a search over all queries; every number is None if no image could be a query.

    Attributes:
        precision_at_1: the share of queries whose first match has the query's label, in [0, 1].
        precision_at_10: the mean share of the first ten matches that have it, in [0, 1].
        mean_average_precision: mAP over whole rankings, in [0, 1].
    """

    precision_at_1: float | None = None
    precision_at_10: float | None = None
    mean_average_precision: float | None = None


@dataclass(frozen=True)
class LabelQuality:
    """The means of a search over the queries of one label.

    Attributes:
        label: its name.
        images: the number of images that have it.
        queries: the number of these that were queries, at least 1.
        precision_at_1: in [0, 1].
        precision_at_10: in [0, 1].
        mean_average_precision: in [0, 1].
    """

    label: str
    images: int
    queries: int
    precision_at_1: float
    precision_at_10: float
    mean_average_precision: float


@dataclass(frozen=True)
class Labels:
    """The labels of all images, as numbers.

    Attributes:
        names: each label once, sorted.
        codes: the position of each image's label among the names, int64 (n,); -1 for an image that has none.
    """

    names: tuple[str, ...]
    codes: Rows

    @classmethod
    def of(cls, labels: Iterable[str | None]) -> "Labels":
        """The labels of images, in the order of the images."""
        given = list(labels)
        names = tuple(sorted({label for label in given if label is not None}))
        codes: dict[str | None, int] = {name: code for code, name in enumerate(names)} | {None: -1}
        return cls(names, np.array([codes[label] for label in given], np.int64))

    def answerable(self) -> Rows:
        """The positions of the images that can be queries, since another image has their label, int64 (m,).

        With fewer than two labels there are none, since then no match could be wrong.
        """
        if len(self.names) < 2:
            return np.empty(0, np.int64)
        shared = np.bincount(self.codes[self.codes >= 0]) > 1
        return np.flatnonzero((self.codes >= 0) & shared[self.codes])


def overall(precision_at_1: Numbers, precision_at_10: Numbers, average_precision: Numbers) -> Quality:
    """The means over all queries; the arrays hold a number for each query, float64 (q,)."""
    if not len(precision_at_1):
        return Quality()
    return Quality(float(precision_at_1.mean()), float(precision_at_10.mean()), float(average_precision.mean()))


def by_label(
    labels: Labels, queries: Rows, precision_at_1: Numbers, precision_at_10: Numbers, average_precision: Numbers
) -> tuple[LabelQuality, ...]:
    """The means over the queries of each label, the lowest precision@10 first; a label without queries is left out.

    Args:
        labels: the labels of all images.
        queries: the positions of the queries among the images, all with a label, int64 (q,).
        precision_at_1: that of each query, float64 (q,).
        precision_at_10: likewise.
        average_precision: likewise.
    """
    images = Counter(labels.codes.tolist())
    asked = labels.codes[queries]
    counts = np.bincount(asked, minlength=len(labels.names))
    means = [
        np.bincount(asked, values, minlength=len(labels.names)) / np.maximum(counts, 1)
        for values in (precision_at_1, precision_at_10, average_precision)
    ]
    found = [
        LabelQuality(labels.names[code], images[code], int(counts[code]), *(float(mean[code]) for mean in means))
        for code in np.flatnonzero(counts).tolist()
    ]
    return tuple(sorted(found, key=lambda one: (one.precision_at_10, one.mean_average_precision, one.label)))
