"""One network on a sample of pictures: how fast it is, what memory it takes, and how often it finds what it should."""

import functools
import math
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike import encoders, metrics
from lookalike.encoders import Encoder
from lookalike.errors import ImageError, ModelError
from lookalike.evaluation import edits
from lookalike.evaluation.comparison_results import Compared, CopyRecall
from lookalike.images import decode
from lookalike.ingest import embedding
from lookalike.ingest import sampling as samples
from lookalike.metrics import Labels, Numbers, Quality, Rows
from lookalike.sources.folder import Found
from lookalike.storage.vectors import Vectors

_EQUAL = 1e-9  # cosines in double precision that differ by no more are those of the same vector


@dataclass(frozen=True)
class Task:
    """What is to be measured.

    Attributes:
        model: the name of the network.
        precision: what it computes with.
        pictures: the files, all different and all usable.
        labels: of each of them.
        threads: how many work at once.
    """

    model: str
    precision: str
    pictures: tuple[Found, ...]
    labels: tuple[str | None, ...]
    threads: int


def measured(task: Task, progress: Callable[[int], None]) -> Compared:
    """Measures a network in a process that has done nothing before.

    `tell` hears how much of twice the number of pictures is done: each is first indexed and then distorted.

    Raises:
        ModelError: the network cannot be run, or makes vectors of fewer than two of the pictures.
    """
    load = functools.cache(lambda: encoders.load(task.model, precision=task.precision, threads=task.threads))
    indexed = samples.attempt(
        _for_all_threads(task),
        load,
        threads=task.threads,
        row_of=lambda _: None,
        progress=lambda done: progress(min(done, len(task.pictures))),
    )
    vectors, labels = _usable(load(), task, progress)
    gallery = vectors[:, 0].astype(np.float16)  # as a collection stores them
    copies = tuple(
        CopyRecall(name, *_recall(gallery, vectors[:, place])) for place, name in enumerate(edits.DISTORTIONS, 1)
    )
    return Compared(
        model=task.model,
        precision=task.precision,
        dim=gallery.shape[1],
        images=len(gallery),
        copies=copies,
        recall_at_1=statistics.fmean(copy.recall_at_1 for copy in copies),
        recall_at_10=statistics.fmean(copy.recall_at_10 for copy in copies),
        **asdict(_quality(gallery.astype(np.float32), labels)),
        images_per_second=indexed.files_per_second,
        loading_seconds=indexed.loading_seconds,
        memory_bytes=indexed.memory_bytes,  # before there were copies
    )


def _for_all_threads(task: Task) -> list[Found]:
    """The pictures, as often as it takes to give a group to each thread."""
    return list(task.pictures) * math.ceil(task.threads * embedding.GROUP / len(task.pictures))


def _usable(encoder: Encoder, task: Task, progress: Callable[[int], None]) -> tuple[Vectors, Labels]:
    """The unit vectors of pictures and of their copies, (n, 1 + distortions, dim), and the labels of these pictures."""
    count = len(task.pictures)
    found: list[Vectors] = []
    labels = []
    pool = ThreadPoolExecutor(task.threads, "lookalike-contestant")
    try:
        made = pool.map(functools.partial(_of_picture, encoder), task.pictures)
        for done, (vectors, label) in enumerate(zip(made, task.labels, strict=True), 1):
            if vectors is not None:
                found.append(vectors)
                labels.append(label)
            progress(count + done)
    finally:
        pool.shutdown(cancel_futures=True)
    if len(found) < 2:
        raise ModelError(f"{task.model}: it makes usable vectors of {len(found)} of {count} pictures; import another")
    return np.stack(found), Labels.of(labels)


def _of_picture(encoder: Encoder, found: Found) -> Vectors | None:
    """Of the picture and of its copies, or None where one of them is unusable."""
    try:
        data = decode.read(found.path).data
        pictures = [decode.decode(data, encoder.preprocessing, name=found.key)]
        pictures += [decode.prepare(copy, encoder.preprocessing) for copy in edits.copies(data)]
        return np.concatenate([embedding.embed(encoder, picture) for picture in pictures])
    except ImageError:
        return None


# How often it finds what it should


def _recall(gallery: NDArray[np.float16], queries: Vectors) -> tuple[float, float]:
    """How often the gallery's picture of the same number is the first, and among the first ten, that a query finds."""
    stored = gallery.astype(np.float64)
    at_1, at_10 = np.empty(len(queries)), np.empty(len(queries))
    for rows in metrics.query_blocks(np.arange(len(queries)), len(gallery)):
        scores = queries[rows].astype(np.float64) @ stored.T
        at_1[rows], at_10[rows] = chance_within(1, scores, rows), chance_within(10, scores, rows)
    return float(at_1.mean()), float(at_10.mean())


def chance_within(k: int, scores: Numbers, wanted: Rows) -> Numbers:
    """How likely it is that the wanted answer is among the first k, where equal scores come in any order.

    An exact copy of a picture is not counted twice, so that equal scores are those of different pictures, which the
    network cannot tell apart.

    Args:
        k: at least 1.
        scores: of each query with every answer, higher is better, float64 (q, n).
        wanted: the position of the wanted answer of each query, int64 (q,).

    Returns:
        float64 (q,), in [0, 1].
    """
    own = scores[np.arange(len(wanted)), wanted][:, None]
    better = (scores > own + _EQUAL).sum(axis=1)
    equal = (np.abs(scores - own) <= _EQUAL).sum(axis=1)
    chances: Numbers = np.clip((k - better) / equal, 0, 1)
    return chances


def _quality(vectors: Vectors, labels: Labels) -> Quality:
    """How well labels keep together, where each picture that can be asked looks for the others."""
    found: list[tuple[Numbers, Numbers, Numbers]] = [(np.empty(0),) * 3]
    for rows in metrics.query_blocks(labels.answerable(), len(vectors)):
        scores = vectors[rows] @ vectors.T
        average = metrics.average_precision_by_score(scores, labels.codes, rows)
        scores[np.arange(len(rows)), rows] = -np.inf  # last, and cut off
        nearest = np.argsort(-scores, axis=1, kind="stable")[:, :-1][:, :10]
        relevant = labels.codes[nearest] == labels.codes[rows, None]
        found.append((metrics.precision(relevant, 1), metrics.precision(relevant, 10), average))
    return metrics.overall(*(np.concatenate(numbers) for numbers in zip(*found, strict=True)))
