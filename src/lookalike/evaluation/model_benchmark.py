"""Measures one model on a sample of images: its speed, its memory, and the recall and precision of its searches."""

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
from lookalike.evaluation.comparison_results import ComparedModel, CopyRecall
from lookalike.images import decode
from lookalike.ingest import embedding
from lookalike.ingest import sampling as samples
from lookalike.metrics import Labels, Numbers, Quality, Rows
from lookalike.results import BEYOND_CHANCE
from lookalike.search.chance import Chance
from lookalike.sources import places
from lookalike.sources.folder import Found
from lookalike.storage.vectors import StoredVectors, Vectors, single

_EQUAL = 1e-9  # cosines in double precision that differ by no more are taken as equal: the rest is rounding


@dataclass(frozen=True)
class Task:
    """A model to measure, and the images to measure it on.

    Attributes:
        model: the name of the model.
        precision: its inference precision.
        images: the files, all different and all usable.
        labels: the label of each image, or None.
        threads: the number of threads.
    """

    model: str
    precision: str
    images: tuple[Found, ...]
    labels: tuple[str | None, ...]
    threads: int


def measure_model(task: Task, progress: Callable[[int], None]) -> ComparedModel:
    """Measures a model; call it in a new process, since it reports that process's peak memory.

    Args:
        task: the model and the images.
        progress: called with the number of steps that are done, of two for each image: each is first encoded as
            indexing does, and then encoded with its edited copies.

    Raises:
        ModelError: the model cannot be run, or makes usable vectors of fewer than two of the images.
    """
    load = functools.cache(lambda: encoders.load(task.model, precision=task.precision, threads=task.threads))
    indexed = samples.attempt(
        _for_all_threads(task),
        load,
        threads=task.threads,
        decoding_of=lambda _: None,
        progress=lambda done: progress(min(done, len(task.images))),
    )
    vectors, labels = _usable(load(), task, progress)
    gallery = vectors[:, 0].astype(np.float16)  # as a collection stores them
    copies = tuple(
        CopyRecall(name, *_recall(gallery, vectors[:, number])) for number, name in enumerate(edits.EDITS, 1)
    )
    return ComparedModel(
        model=task.model,
        precision=task.precision,
        dim=gallery.shape[1],
        images=len(gallery),
        copies=copies,
        recall_at_1=statistics.fmean(copy.recall_at_1 for copy in copies),
        recall_at_10=statistics.fmean(copy.recall_at_10 for copy in copies),
        beyond_chance=_beyond_chance(gallery, vectors[:, 1:]),
        **asdict(_quality(single(gallery), labels)),
        images_per_second=indexed.files_per_second,
        loading_seconds=indexed.loading_seconds,
        memory_bytes=indexed.memory_bytes,  # measured before there were copies
    )


def _for_all_threads(task: Task) -> list[Found]:
    """The images, repeated until there is a group for each thread."""
    return list(task.images) * math.ceil(task.threads * embedding.GROUP / len(task.images))


def _usable(encoder: Encoder, task: Task, progress: Callable[[int], None]) -> tuple[Vectors, Labels]:
    """The unit vectors of the usable images and their edited copies, (n, 1 + edits, dim), and these images' labels."""
    count = len(task.images)
    found: list[Vectors] = []
    labels = []
    pool = ThreadPoolExecutor(task.threads, "lookalike-benchmark")
    try:
        made = pool.map(functools.partial(_vectors, encoder), task.images)
        for done, (vectors, label) in enumerate(zip(made, task.labels, strict=True), 1):
            if vectors is not None:
                found.append(vectors)
                labels.append(label)
            progress(count + done)
    finally:
        pool.shutdown(cancel_futures=True)
    if len(found) < 2:
        raise ModelError(f"{task.model}: it makes usable vectors of {len(found)} of {count} images; import another")
    return np.stack(found), Labels.of(labels)


def _vectors(encoder: Encoder, found: Found) -> Vectors | None:
    """The unit vectors of an image and its edited copies, (1 + edits, dim); None if one of them is unusable."""
    try:
        data = places.read(found.path).data
        images = [decode.decode(data, encoder.preprocessing, name=found.key)]
        images += [decode.prepare(copy, encoder.preprocessing) for copy in edits.edited_copies(data)]
        return np.concatenate([embedding.embed(encoder, image) for image in images])
    except ImageError:
        return None


# Recall and precision


def _recall(gallery: NDArray[np.float16], queries: Vectors) -> tuple[float, float]:
    """Recall@1 and recall@10 of queries, each of which should find the gallery's vector of its own number."""
    stored = gallery.astype(np.float64)
    at_1, at_10 = np.empty(len(queries)), np.empty(len(queries))
    for rows in metrics.query_blocks(np.arange(len(queries)), len(gallery)):
        scores = queries[rows].astype(np.float64) @ stored.T
        at_1[rows], at_10[rows] = chance_within(1, scores, rows), chance_within(10, scores, rows)
    return float(at_1.mean()), float(at_10.mean())


def chance_within(k: int, scores: Numbers, wanted: Rows) -> Numbers:
    """The probability that the wanted answer is among the first k, if equal scores are ranked at random.

    Images that look exactly alike are taken once, so equal scores are those of different images that the model does
    not distinguish.

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


def _beyond_chance(gallery: StoredVectors, copies: NDArray[np.float32]) -> float | None:
    """The share of copies, (n, edits, dim), to which the gallery's vector of their own number is nearer than chance."""
    known, rows = Chance(gallery, np.arange(len(gallery)), len(gallery)), np.arange(len(gallery))
    told = [
        known.judged(copy[None], rows[number : number + 1], gallery.__getitem__).expected[0]
        for number, own in enumerate(copies)
        for copy in own
    ]
    return None if np.isnan(told).any() else float(np.mean(np.array(told) <= BEYOND_CHANCE))


def _quality(vectors: Vectors, labels: Labels) -> Quality:
    """The precision and mAP of searches by every image whose label another image has."""
    found: list[tuple[Numbers, Numbers, Numbers]] = [(np.empty(0),) * 3]
    for rows in metrics.query_blocks(labels.answerable(), len(vectors)):
        scores = vectors[rows] @ vectors.T
        average = metrics.average_precision_by_score(scores, labels.codes, rows)
        scores[np.arange(len(rows)), rows] = -np.inf  # last, and cut off
        nearest = np.argsort(-scores, axis=1, kind="stable")[:, :-1][:, :10]
        relevant = labels.codes[nearest] == labels.codes[rows, None]
        found.append((metrics.precision(relevant, 1), metrics.precision(relevant, 10), average))
    return metrics.overall(*(np.concatenate(numbers) for numbers in zip(*found, strict=True)))
