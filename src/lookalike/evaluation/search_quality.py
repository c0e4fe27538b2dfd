"""Measures a collection's search, with the collection's own images as queries."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import arguments, metrics
from lookalike.errors import UsageError
from lookalike.evaluation import calibration, copy_calibration, orders
from lookalike.evaluation.copied_images import Copied, CopiedImages
from lookalike.evaluation.results import Calibration, Evaluation, WorstQuery
from lookalike.index import tuning
from lookalike.index.generation import Generation
from lookalike.index.spec import IndexSpec
from lookalike.metrics import Labels, Numbers
from lookalike.results import Match, Matches
from lookalike.search.options import SearchOptions
from lookalike.search.searched import Searched, SearchedCatalog, SearchedStates
from lookalike.search.searcher import Searcher
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import single

_K = 10
_WORST = 12
_VECTOR_ROWS = 8192  # converted at a time
_SEED = 5


@dataclass(frozen=True)
class _Images:
    """The images of a collection, in the order of their ids: int64 (n,) each, and their labels."""

    ids: Rows
    rows: Rows
    labels: Labels


def evaluate_search(
    snapshots: SearchedStates,
    searcher: Searcher,
    copied_images: CopiedImages,
    queries: int,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measures recall, precision and mAP. Nothing is changed, and no writer is stopped.

    Args:
        snapshots: the collection's states, of which the newest is measured.
        searcher: answers the queries.
        copied_images: makes edited copies of images.
        queries: the most images to use as queries, at least 1.
        progress: called with the number of steps that are done, and their total.

    Raises:
        UsageError: `queries` is not positive, or there are fewer than two images that differ.
        CorruptError: a vector is damaged.
    """
    queries = arguments.whole(queries, "queries", least=1)
    with snapshots.current() as snapshot:
        images = _images(snapshot.catalog)
    return _Measurement(snapshot, images, searcher, copied_images, progress).evaluation(queries)


class _Measurement:
    """Measures one committed state of a collection."""

    def __init__(
        self,
        snapshot: Searched,
        images: _Images,
        searcher: Searcher,
        copied_images: CopiedImages,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._snapshot, self._images, self._searcher = snapshot, images, searcher
        self._copied_images = copied_images
        self._progress = progress or (lambda _done, _total: None)
        self._steps, self._done = 0, 0

    def evaluation(self, queries: int) -> Evaluation:
        if self._snapshot.live.size < 2:
            raise UsageError("there are fewer than two images that differ; there is nothing to compare")
        answerable = self._images.labels.answerable()
        asked = np.sort(np.random.default_rng(_SEED).permutation(answerable)[:queries])
        compared, drawn = asked[orders.drawn(len(asked), orders.QUERIES)], self._drawn(queries)
        self._steps = min(queries, self._snapshot.live.size) + 3 * len(asked)
        self._steps += orders.steps(len(compared)) + 2 * len(drawn)
        recalls, milliseconds, exact_milliseconds = self._recalls(queries)
        exact = self._snapshot.searches_exactly(_K)  # which finds everything by definition
        answered = {position: answer for position in asked if (answer := self._answer(int(self._images.ids[position])))}
        asked, answers = np.array(list(answered), np.int64), list(answered.values())
        at_1, at_10 = self._precision(answers, 1), self._precision(answers, 10)
        average = self._average_precision(asked)
        quality = metrics.overall(at_1, at_10, average)
        copied = self._copied(drawn)
        return Evaluation(
            images=len(self._images.ids),
            queries=len(recalls),
            k=_K,
            recall=float(recalls.mean()),
            recall_low=1.0 if exact else metrics.lower_bound(recalls, _K),
            milliseconds=milliseconds,
            exact_milliseconds=exact_milliseconds,
            precision_at_1=quality.precision_at_1,
            precision_at_10=quality.precision_at_10,
            mean_average_precision=quality.mean_average_precision,
            labels=metrics.by_label(self._images.labels, asked, at_1, at_10, average),
            worst=_worst(answers, average),
            calibration=self._calibration(asked),
            copy_calibration=self._copy_calibration(copied),
            orders=orders.compare(self._searcher, self._with_others(compared), copied, drawn, self._step),
            **({} if self._snapshot.card is None else _index_facts(self._snapshot.card)),
        )

    def _recalls(self, queries: int) -> tuple[Numbers, float, float]:
        """The recall of each query, and the median milliseconds of a search as it is set up and of an exact one."""
        snapshot, live = self._snapshot, self._snapshot.live
        probes = tuning.draw(snapshot.vectors, live, snapshot.policy, queries=queries, k=_K)
        found, seconds = [], []
        for start in range(len(probes.rows)):
            begun = time.perf_counter()
            found.append(snapshot.search(probes.vectors[start : start + 1], SearchOptions(_K), live, extra=1))
            seconds.append(time.perf_counter() - begun)
            self._step()
        scores, rows = map(np.concatenate, zip(*found, strict=True))
        recalls = metrics.recall(tuning.without_self(scores, rows, probes.rows), probes.best[:, :_K])
        return recalls, statistics.median(seconds) * 1e3, probes.milliseconds

    def _calibration(self, asked: Rows) -> Calibration | None:
        return calibration.measure(self._snapshot, self._images.rows, self._images.labels, asked, self._step)

    def _copied(self, drawn: list[int]) -> list[Copied]:
        """Those of some images, by their ids, that could be edited."""
        found = []
        for image_id in drawn:
            copied = self._copied_images.of(image_id)
            found += [copied] if copied else []
            self._step(1 if copied else 2)  # it is not searched for later
        return found

    def _copy_calibration(self, copied: list[Copied]) -> Calibration | None:
        row_of = dict(zip(self._images.ids.tolist(), self._images.rows.tolist(), strict=True))
        return copy_calibration.measure(self._snapshot, row_of, copied, self._copied_images.is_copy, self._step)

    def _drawn(self, queries: int) -> list[int]:
        """The ids of the images whose edited copies are searched for."""
        drawn = orders.drawn(len(self._images.ids), min(queries, orders.COPIED))
        return [int(image_id) for image_id in self._images.ids[drawn]]

    def _with_others(self, positions: Rows) -> list[tuple[int, int]]:
        """The ids of images that have a label, each with the number of other images that have it."""
        codes = self._images.labels.codes
        counts = np.bincount(codes[codes >= 0]) - 1
        return list(zip(self._images.ids[positions].tolist(), counts[codes[positions]].tolist(), strict=True))

    def _answer(self, image_id: int) -> tuple[Match, Matches] | None:
        """An image and its matches; None if it has been removed meanwhile."""
        self._step()
        try:
            image, others = self._searcher.by_image(image_id, SearchOptions(_K))
        except UsageError:
            return None
        return image, Matches(others, queries=[image])

    def _precision(self, answers: Sequence[tuple[Match, Matches]], k: int) -> Numbers:
        relevant = np.zeros((len(answers), min(k, _K, len(self._images.ids) - 1)), bool)
        for row, (image, others) in enumerate(answers):
            right = [match.label == image.label for match in others[: relevant.shape[1]]]
            relevant[row, : len(right)] = right
        return metrics.precision(relevant, k)

    def _average_precision(self, asked: Rows) -> Numbers:
        """The average precision of each query, over an exact ranking of all images."""
        found = [np.empty(0)]
        for block in metrics.query_blocks(asked, len(self._images.ids)):
            scores = self._scores(block)[:, self._images.rows]
            found.append(metrics.average_precision_by_score(scores, self._images.labels.codes, block))
            self._step(len(block))
        return np.concatenate(found)

    def _scores(self, positions: Rows) -> NDArray[np.float32]:
        """The inner product of some images' vectors with every row."""
        vectors, count = self._snapshot.vectors, self._snapshot.state.count
        queries = single(vectors.stored(self._images.rows[positions]))
        scores = np.empty((len(queries), count), np.float32)
        for start in range(0, count, _VECTOR_ROWS):
            rows = np.arange(start, min(start + _VECTOR_ROWS, count))
            scores[:, rows] = queries @ single(vectors.stored(rows)).T
        return scores

    def _step(self, steps: int = 1) -> None:
        self._done += steps
        self._progress(self._done, self._steps)


def _images(catalog: SearchedCatalog) -> _Images:
    ids, rows, labels = [], [], []
    for id_, row, label in catalog.live_images():
        ids.append(id_)
        rows.append(row)
        labels.append(label)
    return _Images(np.array(ids, np.int64), np.array(rows, np.int64), Labels.of(labels))


def _index_facts(card: Generation) -> dict[str, Any]:
    """The fields of an evaluation that describe the index."""
    points = tuple(point for point in card.points if point.k == _K)
    return {
        "spec": card.spec,
        "kind": IndexSpec(card.spec, card.dim).kind,
        "points": points,
        "chosen": points.index(card.chosen) if card.chosen in points and not card.is_exact_better else None,
        "target_recall": card.target_recall,
    }


def _worst(answers: Sequence[tuple[Match, Matches]], average_precision: Numbers) -> tuple[WorstQuery, ...]:
    """The queries with the fewest matches of their own label, and among these the lowest average precision."""
    judged = [
        WorstQuery(image, found, sum(match.label == image.label for match in found) / max(len(found), 1))
        for image, found in answers
    ]
    order = sorted(range(len(judged)), key=lambda position: (judged[position].precision, average_precision[position]))
    return tuple(judged[position] for position in order[:_WORST])
