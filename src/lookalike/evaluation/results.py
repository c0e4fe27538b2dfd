"""What an evaluation found: recall and its price in time, precision against labels, and the worst queries."""

from dataclasses import dataclass

from lookalike.results import Match, Matches


@dataclass(frozen=True)
class Quality:
    """How well search keeps labels together; every number is None where no image could be asked.

    Attributes:
        precision_at_1: how often the first answer has the query's label, in [0, 1].
        precision_at_10: the share of the first ten answers that have it, in [0, 1].
        mean_average_precision: over whole rankings, in [0, 1].
    """

    precision_at_1: float | None = None
    precision_at_10: float | None = None
    mean_average_precision: float | None = None


@dataclass(frozen=True)
class LabelQuality:
    """The same of the queries of one label.

    Attributes:
        label: its name.
        images: how many images have it.
        queries: how many of these were asked, at least 1.
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
class WorstQuery:
    """A query that found few images of its own label.

    Attributes:
        query: the image that was asked, with its label.
        found: its answers, best first; one is right if it has the query's label.
        precision: the share of right ones among them, in [0, 1].
    """

    query: Match
    found: Matches
    precision: float


@dataclass(frozen=True)
class Point:
    """An operating point: one way to search the index, what it finds and what it costs.

    Attributes:
        recall: the mean share of the exact answer that it finds, in [0, 1].
        recall_low: what that is at least, with a confidence of 95%.
        milliseconds: a query takes on one thread, the median.
        name: its parameters, such as "nprobe=32, k'=100".
    """

    recall: float
    recall_low: float
    milliseconds: float
    name: str


@dataclass(frozen=True)
class Evaluation:
    """How good a collection's search is.

    Attributes:
        images: how many were searched.
        queries: how many of them were asked for the recall.
        recall: of the search as it is set up, the mean share of the exact answer that it finds, in [0, 1].
        recall_low: what that is at least, with a confidence of 95%.
        milliseconds: a query takes on one thread, the median.
        exact_milliseconds: likewise without an index.
        spec: what the index is, such as "IVF1024,PQ320x4fs"; empty if there is none and every search is exact.
        points: the ways to search the index; none where every search is exact.
        chosen: the place of the one in use among `points`, or None.
        promise: the recall that was asked for when the index was built, in [0, 1], or None.
        precision_at_1: how often the first answer has the query's label, in [0, 1]; None where there are fewer
            than two labels, or none that two images have.
        precision_at_10: the share of the first ten answers that have it, likewise.
        mean_average_precision: over whole exact rankings, likewise.
        labels: the same for each label, the lowest precision@10 first.
        worst: the queries with the lowest precision, the worst first.
        k: how many neighbours a query was to find.
    """

    images: int
    queries: int
    recall: float
    recall_low: float
    milliseconds: float
    exact_milliseconds: float
    spec: str = ""
    points: tuple[Point, ...] = ()
    chosen: int | None = None
    promise: float | None = None
    precision_at_1: float | None = None
    precision_at_10: float | None = None
    mean_average_precision: float | None = None
    labels: tuple[LabelQuality, ...] = ()
    worst: tuple[WorstQuery, ...] = ()
    k: int = 10
