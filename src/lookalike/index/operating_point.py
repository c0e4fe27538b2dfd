"""What one way of searching an index finds, and what it costs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchParameters:
    """How one call searches an index.

    Attributes:
        nprobe: the number of inverted lists that are visited; for a graph, the number of nodes that are kept in view
            (efSearch); 0 for an index that compares with every code.
        candidates: the number of candidates that are re-ranked by their stored vectors, for each neighbour that is
            wanted; at least 1 (FAISS's k_factor).
    """

    nprobe: int
    candidates: float

    def description(self, kind: str) -> str:
        """The parameters for people, for an index of that kind: "nprobe 32, 10 candidates each"."""
        name = {"ivf": f"nprobe {self.nprobe}, ", "hnsw": f"efSearch {self.nprobe}, "}.get(kind, "")
        return f"{name}{self.candidates:g} candidate{'' if self.candidates == 1 else 's'} each"


@dataclass(frozen=True)
class OperatingPoint:
    """The measured recall and time of a search with certain parameters.

    Attributes:
        k: the number of neighbours that were searched for.
        parameters: how the index was searched.
        recall: the mean share of the k nearest neighbours that were found, in [0, 1].
        recall_low: the lower end of that mean's one-sided 95% confidence interval.
        milliseconds: the median time of a query, one at a time on one thread.
    """

    k: int
    parameters: SearchParameters
    recall: float
    recall_low: float
    milliseconds: float


def cheapest(points: tuple[OperatingPoint, ...], recall: float, k: float) -> OperatingPoint | None:
    """The fastest point with at least that recall for k neighbours or more; None if there is none."""
    measured_k = min((point.k for point in points if point.k >= k), default=None)
    good_enough = [point for point in points if point.k == measured_k and point.recall_low >= recall]
    return min(good_enough, key=lambda point: point.milliseconds, default=None)


def reached_recall(points: tuple[OperatingPoint, ...], target: float) -> float:
    """The recall that can be relied on for the smallest k: the target, or the highest lower bound if that is less.

    With too few vectors to measure anything there are no points, every search is exact, and the target is reached.
    """
    smallest_k = min((point.k for point in points), default=0)
    return min(target, max((point.recall_low for point in points if point.k == smallest_k), default=target))
