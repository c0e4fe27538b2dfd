"""Asks a collection its own images, and finds out how good the answers are."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import metrics
from lookalike.errors import CorruptError, UsageError
from lookalike.evaluation.results import Evaluation, Point, WorstQuery
from lookalike.index import tuning
from lookalike.index.faiss_index import Effort
from lookalike.index.generation import Generation
from lookalike.index.spec import IndexSpec
from lookalike.metrics import Labels, Numbers
from lookalike.results import Match, Matches
from lookalike.search.searcher import Request, Searcher
from lookalike.search.snapshot import Snapshots
from lookalike.storage.rows import Rows

QUERIES = 1000
_K = 10
_WORST = 12
_SCORES = 16_000_000  # at a time, 64 MB
_VECTOR_ROWS = 8192  # at a time
_SEED = 5


@dataclass(frozen=True)
class _Images:
    """The images of a collection, in the order of their ids: int64 (n,) each, and their labels."""

    ids: Rows
    rows: Rows
    labels: Labels


def evaluation(
    snapshots: Snapshots, searcher: Searcher, queries: int, progress: Callable[[int, int], None] | None = None
) -> Evaluation:
    """Asks so many images at most; `tell` hears how much of how much is done.

    Nothing is changed, and nobody is kept from writing.

    Raises:
        UsageError: the number is not positive, or there are fewer than two images.
        CorruptError: a vector is damaged.
    """
    if queries < 1:
        raise UsageError(f"queries={queries}: ask at least 1")
    while True:
        examination = _Examination(snapshots, searcher, progress)
        try:
            return examination.evaluation(queries)
        except CorruptError:
            if examination.is_current():
                raise  # else a writer has replaced the files meanwhile


class _Examination:
    """Measures one committed state of a collection."""

    def __init__(self, snapshots: Snapshots, searcher: Searcher, progress: Callable[[int, int], None] | None) -> None:
        self._snapshots, self._searcher, self._progress = snapshots, searcher, progress or (lambda _done, _of: None)
        self._snapshot, self._images = snapshots.run(lambda snapshot: (snapshot, _images(snapshots)))

    def is_current(self) -> bool:
        """Whether the files are still those that it looks at."""
        return self._snapshots.catalog.state().files == self._snapshot.state.files

    def evaluation(self, queries: int) -> Evaluation:
        if self._snapshot.live.size < 2:
            raise UsageError("there are fewer than two images that differ; there is nothing to compare")
        answerable = self._images.labels.answerable()
        asked = np.sort(np.random.default_rng(_SEED).permutation(answerable)[:queries])
        self._steps, self._done = min(queries, self._snapshot.live.size) + 2 * len(asked), 0
        recalls, milliseconds, exact_milliseconds = self._recalls(queries)
        exact = self._effort() is None  # which finds everything by definition
        answered = {place: answer for place in asked if (answer := self._answer(int(self._images.ids[place])))}
        asked, answers = np.array(list(answered), np.int64), list(answered.values())
        at_1, at_10 = self._precision(answers, 1), self._precision(answers, 10)
        average = self._average_precision(asked)
        quality = metrics.overall(at_1, at_10, average)
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
            **({} if self._snapshot.opened is None else _about(self._snapshot.opened.about)),
        )

    def _recalls(self, queries: int) -> tuple[Numbers, float, float]:
        """The recall of each query, and the median milliseconds of a search, as it is set up and an exact one."""
        snapshot, live = self._snapshot, self._snapshot.live
        probes = tuning.draw(snapshot.reader, live, queries=queries, depth=_K)
        effort = self._effort()
        found, seconds = [], []
        for place in range(len(probes.rows)):
            begun = time.perf_counter()
            found.append(snapshot.nearest(probes.vectors[place : place + 1], _K + 1, live, effort)[1])
            seconds.append(time.perf_counter() - begun)
            self._step()
        others = tuning.without(np.concatenate(found), probes.rows)
        recalls = metrics.recall(others, probes.nearest[:, :_K])
        return recalls, statistics.median(seconds) * 1e3, probes.milliseconds

    def _effort(self) -> Effort | None:
        return self._snapshot.effort(_K, self._snapshot.live, recall=None, exact=False)

    def _answer(self, image_id: int) -> tuple[Match, Matches] | None:
        """An image and its answer; None where it has been removed meanwhile."""
        self._step()
        try:
            image, others = self._searcher.of_image(image_id, Request(_K))
        except UsageError:
            return None
        return image, Matches(others, queries=[image])

    def _precision(self, answers: Sequence[tuple[Match, Matches]], k: int) -> Numbers:
        relevant = np.zeros((len(answers), min(k, _K, len(self._images.ids) - 1)), bool)
        for place, (image, others) in enumerate(answers):
            right = [match.label == image.label for match in others[: relevant.shape[1]]]
            relevant[place, : len(right)] = right
        return metrics.precision(relevant, k)

    def _average_precision(self, asked: Rows) -> Numbers:
        """Of exact rankings of all images."""
        found = [np.empty(0)]
        at_once = max(_SCORES // max(len(self._images.ids), 1), 1)
        for start in range(0, len(asked), at_once):
            places = asked[start : start + at_once]
            scores = self._scores(places)[:, self._images.rows]
            found.append(metrics.average_precision_by_score(scores, self._images.labels.codes, places))
            self._step(len(places))
        return np.concatenate(found)

    def _scores(self, places: Rows) -> NDArray[np.float32]:
        """The inner product of some images' vectors with every row."""
        reader, count = self._snapshot.reader, self._snapshot.state.count
        queries = reader.stored(self._images.rows[places], count=count).astype(np.float32)
        scores = np.empty((len(queries), count), np.float32)
        for start in range(0, count, _VECTOR_ROWS):
            rows = np.arange(start, min(start + _VECTOR_ROWS, count))
            scores[:, rows] = queries @ reader.stored(rows, count=count).astype(np.float32).T
        return scores

    def _step(self, steps: int = 1) -> None:
        self._done += steps
        self._progress(self._done, self._steps)


def _images(snapshots: Snapshots) -> _Images:
    ids, rows, labels = [], [], []
    for id_, row, label in snapshots.catalog.live_images():
        ids.append(id_)
        rows.append(row)
        labels.append(label)
    return _Images(np.array(ids, np.int64), np.array(rows, np.int64), Labels.of(labels))


def _about(generation: Generation) -> dict[str, Any]:
    """What an evaluation says of the index, by name."""
    kind = IndexSpec(generation.spec, generation.dim).kind
    shallow = [point for point in generation.points if point.depth == _K]
    points = tuple(
        Point(point.recall, point.recall_low, point.milliseconds, point.effort.named(kind)) for point in shallow
    )
    chosen = shallow.index(generation.chosen) if generation.chosen in shallow else None
    return {"spec": generation.spec, "points": points, "chosen": chosen, "promise": generation.promise}


def _worst(answers: Sequence[tuple[Match, Matches]], average_precision: Numbers) -> tuple[WorstQuery, ...]:
    """The queries with the fewest answers of their own label, and among these the lowest average precision."""
    judged = [
        WorstQuery(image, found, sum(match.label == image.label for match in found) / max(len(found), 1))
        for image, found in answers
    ]
    order = sorted(range(len(judged)), key=lambda place: (judged[place].precision, average_precision[place]))
    return tuple(judged[place] for place in order[:_WORST])
