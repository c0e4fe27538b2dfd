"""Compares the orders that a search can give: by cosine, and refined; for things of a kind, and for copies of one."""

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from lookalike import metrics
from lookalike.errors import NoImageError
from lookalike.evaluation.copied_images import Copied
from lookalike.evaluation.results import OrderQuality
from lookalike.metrics import Numbers
from lookalike.results import Match
from lookalike.search.options import SearchOptions
from lookalike.search.searcher import Searcher
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import Vectors

ORDERS = {"cosine": False, "refined": True}  # names, and `SearchOptions.refine`
QUERIES = 200  # images of a label
COPIED = 100  # images whose edited copies are searched for
DEEP = 1000  # matches of which the average precision is taken
_SEED = 11


def compare(
    searcher: Searcher,
    labelled: Sequence[tuple[int, int]],
    copied: Sequence[Copied],
    timed: Sequence[int],
    step: Callable[[], None],
) -> tuple[OrderQuality, ...]:
    """Measures each of `ORDERS` with the same queries.

    Args:
        searcher: answers the queries.
        labelled: the ids of images whose label others have, each with the number of these others.
        copied: images whose edited copies are searched for.
        timed: the ids of images with which the time of a search is measured.
        step: is called after each query of `labelled`, `steps` times in all.
    """
    orders = (_quality(name, searcher, labelled, copied, step) for name in ORDERS)
    return tuple(replace(order, milliseconds=_milliseconds(searcher, timed, ORDERS[order.name])) for order in orders)


def steps(labelled: int) -> int:
    """How often `compare` calls `step` if it is given so many images of a label."""
    return len(ORDERS) * labelled


def drawn(count: int, most: int) -> Rows:
    """At most so many of the numbers below `count`, in order, the same ones each time."""
    return np.sort(np.random.default_rng(_SEED).permutation(count)[:most])


def _quality(
    name: str,
    searcher: Searcher,
    labelled: Sequence[tuple[int, int]],
    copied: Sequence[Copied],
    step: Callable[[], None],
) -> OrderQuality:
    refine = ORDERS[name]
    found = []
    for image_id, others in labelled:
        try:
            image, matches = searcher.by_image(image_id, SearchOptions(DEEP, refine=refine))
        except NoImageError:  # removed meanwhile
            continue
        finally:
            step()
        found.append(_precisions(image, matches, others))
    at_1, at_10, average = np.array(found).reshape(-1, 3).T
    firsts = [_is_first(searcher, each, vector, refine) for each in copied for vector in each.vectors]
    return OrderQuality(
        name,
        precision_at_1=_mean(at_1),
        precision_at_10=_mean(at_10),
        mean_average_precision=_mean(average),
        copies_first=_mean(np.array(firsts, np.float64)),
    )


def _precisions(image: Match, matches: Sequence[Match], others: int) -> tuple[float, float, float]:
    """Precision@1, precision@10, and the average precision, of which the best that could be is 1."""
    relevant = np.array([[match.label == image.label for match in matches]], bool).reshape(1, -1)
    at_1, at_10 = (float(metrics.precision(relevant, k)[0]) for k in (1, 10))
    right = float(relevant.sum())
    average = float(metrics.average_precision(relevant)[0]) * right / max(min(others, relevant.shape[1]), 1)
    return at_1, at_10, average


def _is_first(searcher: Searcher, copied: Copied, vector: Vectors, refine: bool) -> bool:
    [matches] = searcher.by_vectors(vector, SearchOptions(1, refine=refine))
    return bool(matches) and matches[0].sha256 == copied.sha256


def _milliseconds(searcher: Searcher, images: Sequence[int], refine: bool) -> float | None:
    """The median time of a search for ten images."""
    seconds = []
    for image_id in images:
        begun = time.perf_counter()
        with suppress(NoImageError):
            searcher.by_image(image_id, SearchOptions(10, refine=refine))
            seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds) * 1e3 if seconds else None


def _mean(numbers: Numbers) -> float | None:
    return float(numbers.mean()) if len(numbers) else None
