"""Compares networks on somebody's own pictures: which of them finds what it should, how fast, in how much memory.

    from lookalike.evaluation.model_comparison import compare

    for model in compare(["efficientnet-lite0:int8", "resnet"], "photos").models:
        print(model.model, model.recall_at_1, model.images_per_second)

Each network is measured in a process of its own, one after the other. There need be no labels: a distorted copy of a
picture (distortions.py) should find the original. Where the folders' names are labels, a picture should find others of
its own.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lookalike import encoders
from lookalike.encoders.card import Card
from lookalike.errors import ImageError, UsageError
from lookalike.evaluation import edits, model_benchmark
from lookalike.evaluation.comparison_results import Comparison
from lookalike.evaluation.model_benchmark import Task
from lookalike.images import decode
from lookalike.ingest import sampling as samples
from lookalike.results import Skipped
from lookalike.sources.folder import Folder, Found
from lookalike.storage.transaction import folder_label
from lookalike.system import worker
from lookalike.system.resources import cores

SAMPLE = 500


@dataclass(frozen=True)
class ComparisonProgress:
    """How far it is.

    Attributes:
        files: how many have been counted so far.
        model: which network is being measured; empty while the pictures are looked at.
        done: how much of `total` is done, pictures and networks together.
        total: None until the files are counted.
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
    """Measures networks on pictures of a folder, drawn at random and always the same. Nothing is written.

    What cannot be used is left out, and pictures that look exactly alike are taken once.

    Args:
        models: the names of the networks, each with the precision after a colon where it is to have another:
            "efficientnet-lite0:f32".
        folder: the folder of images.
        sample: how many files to draw, where there are as many.
        precision: what the networks compute with that name no other; by default what each has.
        threads: how many images to work on at once; by default one for each core.
        progress: called while it works; what it raises ends the work.

    Raises:
        UsageError: there is no such folder or network, none is named, a number is too small, or there are not two
            different pictures.
        ModelError: a network cannot be run.
    """
    if sample < 2 or (threads is not None and threads < 1):
        raise UsageError(f"sample={sample}, threads={threads}: give a sample of at least 2, and at least 1 thread")
    cards = list(dict.fromkeys(_card(model, precision) for model in models))
    if not cards:
        raise UsageError("no model is named; name one or more, such as efficientnet-lite0:int8")
    here, count, progress = Path(folder).resolve(), threads or cores(), progress or (lambda _: None)
    if not os.path.isdir(here):
        raise UsageError(f"{folder}: there is no such folder")
    source = Folder(here, base=here)
    census, drawn = samples.take(source, None, sample, progress=lambda files: progress(ComparisonProgress(files)))
    steps = _Steps(progress, census.files, len(drawn), len(cards))
    pictures, skipped = _pictures(drawn, count, steps)
    if len(pictures) < 2:
        raise UsageError(
            f"{folder}: of {len(drawn)} files drawn, {len(pictures)} can be compared; it takes at least two"
        )
    labels = tuple(folder_label(found.key) for found in pictures)
    tasks = [Task(card.name, card.precision, pictures, labels, count) for card in cards]
    return Comparison(
        files=census.files,
        images=len(pictures),
        labels=len({label for label in labels if label is not None}),
        duplicates=len(drawn) - len(pictures) - len(skipped),
        skipped=(*census.unlisted, *skipped),
        models=tuple(
            worker.run(model_benchmark.measured, task, name=task.model, progress=steps.of_model(number, task))
            for number, task in enumerate(tasks)
        ),
    )


def _card(model: str, precision: str | None) -> Card:
    name, _, own = model.partition(":")
    return encoders.card(name, precision=own or precision)


@dataclass(frozen=True)
class _Steps:
    """Counts the steps of all: each drawn file is looked at, and then each network takes it twice."""

    progress: OnProgress
    files: int
    drawn: int
    models: int

    def looked_at(self, done: int) -> None:
        self._say("", done)

    def of_model(self, number: int, task: Task) -> Callable[[int], None]:
        """What a network, the first of which has the number 0, tells how far it is."""
        before = self.drawn * (1 + 2 * number) + 2 * (self.drawn - len(task.pictures))
        return lambda done: self._say(task.model, before + done)

    def _say(self, model: str, done: int) -> None:
        self.progress(ComparisonProgress(self.files, model, done, self.drawn * (1 + 2 * self.models)))


def _pictures(drawn: Sequence[Found], threads: int, steps: _Steps) -> tuple[tuple[Found, ...], list[Skipped]]:
    """The files that can be used, of those that look exactly alike the first, and those that cannot.

    All of them are in the system's memory then, so that the first network reads them no more slowly than the others.
    """
    pictures: dict[bytes, Found] = {}
    skipped: list[Skipped] = []
    pool = ThreadPoolExecutor(threads, "lookalike-comparison")
    try:
        for done, (found, look) in enumerate(zip(drawn, pool.map(_look, drawn), strict=True), 1):
            if isinstance(look, Skipped):
                skipped.append(look)
            else:
                pictures.setdefault(look, found)
            steps.looked_at(done)
    finally:
        pool.shutdown(cancel_futures=True)
    return tuple(pictures.values()), skipped


def _look(found: Found) -> bytes | Skipped:
    """What tells a picture from one that looks otherwise."""
    try:
        image = edits.original(decode.read(found.path).data)
    except ImageError as error:
        return Skipped(found.path, error.reason)
    return sha256(f"{image.size}".encode() + image.tobytes()).digest()
