"""Compares models on a folder of images: the recall and precision of their searches, their speed and memory.

    from lookalike.evaluation.model_comparison import compare

    for model in compare(["efficientnet-lite0:int8", "resnet"], "photos").models:
        print(model.model, model.recall_at_1, model.images_per_second)

Each model is measured in a process of its own, one after the other. Labels are not needed: an edited copy of an image
(edits.py) should find the original. If the images are in folders, these are their labels, and an image should find
others with its label.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lookalike import arguments, encoders
from lookalike.encoders.card import Card
from lookalike.errors import ImageError, UsageError
from lookalike.evaluation import edits, model_benchmark
from lookalike.evaluation.comparison_results import Comparison
from lookalike.evaluation.model_benchmark import Task
from lookalike.images import marks
from lookalike.ingest import sampling as samples
from lookalike.results import Skipped
from lookalike.sources import places
from lookalike.sources.folder import Folder, Found
from lookalike.sources.keys import folder_label
from lookalike.system import worker
from lookalike.system.resources import checked_threads, cores

SAMPLE = 500


@dataclass(frozen=True)
class ComparisonProgress:
    """The progress of a comparison.

    Attributes:
        files: the number of files counted so far.
        model: the model that is being measured; empty while the images are read.
        done: the number of steps that are done, of `total`.
        total: the number of steps, of all images and models together; None until the files are counted.
    """

    files: int
    model: str = ""
    done: int = 0
    total: int | None = None


OnProgress = Callable[[ComparisonProgress], None]


def compare(
    models: Sequence[str],
    folder: str | os.PathLike[str],
    *,
    sample: int = SAMPLE,
    precision: str | None = None,
    threads: int | None = None,
    progress: OnProgress | None = None,
) -> Comparison:
    """Measures models on images of a folder, drawn at random and always the same. Nothing is written.

    Images that cannot be used and contact sheets are left out, and images that look exactly alike are taken once.

    Args:
        models: the names of the models, each with its inference precision after a colon if it is to have another one:
            "efficientnet-lite0:f32".
        folder: the folder of images.
        sample: the most files to draw, at least 2.
        precision: the inference precision of the models that name none (default: the model's own).
        threads: the number of images to process at once; by default one for each core.
        progress: called while it works; an exception that it raises ends the work.

    Raises:
        UsageError: there is no such folder or model, no model is named, a number is too small, or there are fewer than
            two different images.
        ModelError: a model cannot be run.
    """
    sample, threads = arguments.whole(sample, "sample", least=2), checked_threads(threads)
    progress = arguments.callback(progress, "progress")
    cards = list(dict.fromkeys(_card(model, precision) for model in arguments.several(models, "models")))
    if not cards:
        raise UsageError("no model is named; name one or more, such as efficientnet-lite0:int8")
    here = arguments.path(folder, "folder")
    if not os.path.isdir(here):
        raise UsageError(f"{folder}: there is no such folder")
    return _compare(cards, here, sample, threads or cores(), progress or (lambda _: None))


def _compare(cards: Sequence[Card], folder: Path, sample: int, threads: int, progress: OnProgress) -> Comparison:
    source = Folder(folder.resolve(), base=folder.resolve())
    census, drawn = samples.take(source, None, sample, progress=lambda files: progress(ComparisonProgress(files)))
    steps = _Steps(progress, census.files, len(drawn), len(cards))
    images, skipped, sheets = _images(drawn, threads, steps)
    if len(images) < 2:
        raise UsageError(f"{folder}: of {len(drawn)} files drawn, {len(images)} can be compared; it takes at least two")
    labels = tuple(folder_label(found.key) for found in images)
    tasks = [Task(card.name, card.precision, images, labels, threads) for card in cards]
    return Comparison(
        files=census.files,
        images=len(images),
        labels=len({label for label in labels if label is not None}),
        duplicates=len(drawn) - len(images) - len(skipped) - sheets,
        skipped=(*census.unlisted, *skipped),
        models=tuple(
            worker.run(model_benchmark.measure_model, task, name=task.model, progress=steps.of_model(number, task))
            for number, task in enumerate(tasks)
        ),
    )


def _card(model: str, precision: str | None) -> Card:
    name, _, own = arguments.text(model, "models").partition(":")
    return encoders.card(name, precision=own or precision)


@dataclass(frozen=True)
class _Steps:
    """Counts the steps: each drawn file is read once, and then twice by each model."""

    progress: OnProgress
    files: int
    drawn: int
    models: int

    def read(self, done: int) -> None:
        self._report("", done)

    def of_model(self, number: int, task: Task) -> Callable[[int], None]:
        """Takes the progress of a model; the first model has the number 0."""
        before = self.drawn * (1 + 2 * number) + 2 * (self.drawn - len(task.images))
        return lambda done: self._report(task.model, before + done)

    def _report(self, model: str, done: int) -> None:
        self.progress(ComparisonProgress(self.files, model, done, self.drawn * (1 + 2 * self.models)))


def _images(drawn: Sequence[Found], threads: int, steps: _Steps) -> tuple[tuple[Found, ...], list[Skipped], int]:
    """The usable files, only the first of those that look exactly alike, the unusable ones, and the number of sheets.

    This also brings all files into the system's cache, so that the first model reads them as fast as the others.
    """
    images: dict[bytes, Found] = {}
    skipped: list[Skipped] = []
    sheets = 0
    pool = ThreadPoolExecutor(threads, "lookalike-comparison")
    try:
        for done, (found, digest) in enumerate(zip(drawn, pool.map(_digest, drawn), strict=True), 1):
            if digest is None:
                sheets += 1
            elif isinstance(digest, Skipped):
                skipped.append(digest)
            else:
                images.setdefault(digest, found)
            steps.read(done)
    finally:
        pool.shutdown(cancel_futures=True)
    return tuple(images.values()), skipped, sheets


def _digest(found: Found) -> bytes | Skipped | None:
    """The SHA-256 of an image's size and pixels, the same for all that look exactly alike; None for a contact sheet."""
    try:
        data = places.read(found.path).data
        if marks.has_mark(data, marks.SHEET):
            return None
        image = edits.original(data)
    except ImageError as error:
        return Skipped(found.path, error.reason)
    return sha256(f"{image.size}".encode() + image.tobytes()).digest()
