"""What an evaluation found: recall and its price in time, precision by label, and the worst queries."""

from dataclasses import dataclass

from lookalike.index.operating_point import OperatingPoint
from lookalike.metrics import LabelQuality
from lookalike.results import Match, Matches, Origin
from lookalike.search.probability import CopyCurve, LabelCurve


@dataclass(frozen=True)
class WorstQuery:
    """A query that found few images of its own label.

    Attributes:
        query: the image that was searched by, with its label.
        found: its matches, best first; one is right if it has the query's label.
        precision: the share of right ones among them, in [0, 1].
    """

    query: Match
    found: Matches
    precision: float


@dataclass(frozen=True)
class OrderQuality:
    """How good one order of the matches is, for things of a kind and for copies of one thing.

    Attributes:
        name: "cosine" or "refined".
        precision_at_1: the share of queries whose first match has the query's label, in [0, 1]; None without labels.
        precision_at_10: the mean share of the first ten matches that have it, likewise.
        mean_average_precision: over the first thousand matches, likewise.
        copies_first: the share of edited copies whose original is the first match, in [0, 1]; None if no file could be
            read, or the encoder is not on this machine.
        milliseconds: the median time of a search for ten images on one thread, or None.
    """

    name: str
    precision_at_1: float | None = None
    precision_at_10: float | None = None
    mean_average_precision: float | None = None
    copies_first: float | None = None
    milliseconds: float | None = None


@dataclass(frozen=True)
class CalibrationBin:
    """Matches of about the same probability.

    Attributes:
        told: the mean of their probabilities, in (0, 1).
        found: the share of them that is right, in [0, 1]: has the query's label, or is its original.
        matches: their number.
    """

    told: float
    found: float
    matches: int


@dataclass(frozen=True)
class Calibration:
    """How far probabilities of matches hold (`Match.probability`, `Match.copy_probability`).

    Right is a match with the query's label or, of an edited copy, its original. Each half of the queries was judged by
    what the other half has taught.

    Attributes:
        queries: the number of queries.
        vectors: the number of vectors that were searched.
        error: the expected calibration error of their first ten matches, for copies of the first one: the mean
            difference of the probability and the share that is right, over the bins, in [0, 1].
        auroc: the probability that a right first match has a larger probability than a wrong one; 0.5 is a guess. None
            if all are right, or none.
        auroc_of_centred: likewise, by the cosine without the collection's mean.
        auroc_of_score: likewise, by the score.
        bins: fifteen with as many matches each, the lowest probabilities first.
        curve: the probabilities that all queries together have taught.
    """

    queries: int
    vectors: int
    error: float
    auroc: float | None
    auroc_of_centred: float | None
    auroc_of_score: float | None
    bins: tuple[CalibrationBin, ...]
    curve: LabelCurve | CopyCurve


@dataclass(frozen=True)
class Evaluation:
    """How good a collection's search is.

    Attributes:
        images: the number of images that were searched.
        queries: the number of queries that measured the recall.
        recall: the mean share of the exact answer that the search finds as it is set up, in [0, 1].
        recall_low: the lower end of that mean's one-sided 95% confidence interval.
        milliseconds: the median time of a query on one thread.
        exact_milliseconds: likewise, without an index.
        spec: the FAISS index factory string; empty if there is no index and every search is exact.
        kind: what the index searches: "ivf" (inverted lists), "hnsw" (a graph) or "flat" (every code); empty without
            one.
        points: the operating points of the index for `k` neighbours; none if every search is exact.
        chosen: the position of the one in use among `points`, or None if searches are exact.
        target_recall: the recall that was asked for when the index was built, in [0, 1], or None.
        precision_at_1: the share of queries whose first match has the query's label, in [0, 1]; None if there are fewer
            than two labels, or none that two images have.
        precision_at_10: the mean share of the first ten matches that have it, likewise.
        mean_average_precision: over whole exact rankings, likewise.
        labels: the same for each label, the lowest precision@10 first.
        worst: the queries with the lowest precision, the worst first.
        k: the number of neighbours that a query was to find.
        origin: the collection that was measured, or None if that is not known.
        orders: the orders that a search can give, each measured with the same queries, fewer than above.
        calibration: how far the probabilities hold that matches have the query's label, or None.
        copy_calibration: how far those hold that matches are edited copies, likewise; of half of the queries, the
            original is in the collection.
    """

    images: int
    queries: int
    recall: float
    recall_low: float
    milliseconds: float
    exact_milliseconds: float
    spec: str = ""
    kind: str = ""
    points: tuple[OperatingPoint, ...] = ()
    chosen: int | None = None
    target_recall: float | None = None
    precision_at_1: float | None = None
    precision_at_10: float | None = None
    mean_average_precision: float | None = None
    labels: tuple[LabelQuality, ...] = ()
    worst: tuple[WorstQuery, ...] = ()
    k: int = 10
    origin: Origin | None = None
    orders: tuple[OrderQuality, ...] = ()
    calibration: Calibration | None = None
    copy_calibration: Calibration | None = None
