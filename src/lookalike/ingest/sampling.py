"""Which files there are to index, and what trying some of them tells of all."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, fields

import numpy as np

from lookalike.encoders import Encoder
from lookalike.ingest import embedding
from lookalike.ingest.changes import Changed, Unchanged, Vanished, changes, compare
from lookalike.ingest.embedding import Embedded, Embedder, Failed, Outcome
from lookalike.results import Skipped
from lookalike.sources.folder import Found, Source, Unreadable
from lookalike.storage.catalog import Catalog
from lookalike.system.resources import peak_memory

_TOLD = 5  # files that cannot be used, with the reasons
_SEED = 3


@dataclass(frozen=True)
class Census:
    """Which files there are.

    Attributes:
        files: how many may be images, by their names.
        bytes: their sizes together.
        changed: how many of them are new or have changed and would be looked at; without a collection, all.
        images: how many are in the collection as they are now.
        left_out: how many were left out of it, and are as they were.
        vanished: how many that the collection knows are gone, or have another name.
        key_bytes: the lengths of the changed ones' keys together, in bytes.
        unlisted: the folders that cannot be listed, and why.
    """

    files: int
    bytes: int
    changed: int
    images: int
    left_out: int
    vanished: int
    key_bytes: int
    unlisted: tuple[Skipped, ...]


@dataclass(frozen=True)
class Trial:
    """What trying some files has told.

    Attributes:
        tried: how many were read, decoded and encoded.
        unusable: how many of these cannot be used.
        known: how many of these have a vector already: copies of images, or images by another name.
        skipped: the first few that cannot be used, and why.
        loading_seconds: how long it took to load the network; 0 where nothing was tried.
        files_per_second: how fast all threads together went from then on; 0 where nothing was tried.
        memory_bytes: the most memory that this process has taken, ever.
    """

    tried: int
    unusable: int
    known: int
    skipped: tuple[Skipped, ...]
    loading_seconds: float
    files_per_second: float
    memory_bytes: int

    @property
    def usable(self) -> float:
        """What part of the files can be used, from 0 to 1."""
        return 1 - self.unusable / self.tried if self.tried else 0.0

    @property
    def new(self) -> float:
        """What part of the files would give a vector that there is not yet, from 0 to 1."""
        return self.usable - self.known / self.tried if self.tried else 0.0


@dataclass
class _Drawn:
    """A sample of what passes by, each as likely as any other (Vitter's algorithm R, 1985)."""

    size: int
    items: list[Found] = field(default_factory=list)
    seen: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(_SEED))

    def offer(self, item: Found) -> None:
        self.seen += 1
        if len(self.items) < self.size:
            self.items.append(item)
        elif (place := self.chance.randrange(self.seen)) < self.size:
            self.items[place] = item


def take(
    source: Source, catalog: Catalog | None, size: int, *, progress: Callable[[int], None]
) -> tuple[Census, list[Found]]:
    """Counts a source's files, and draws some of those that are new or changed, in the order of their keys.

    Args:
        source: whose files.
        catalog: what they are compared with, if there is a collection.
        size: how many to draw, where there are as many.
        progress: is told how many files have been counted.
    """
    drawn, counts, unlisted = _Drawn(size), Counter[str](), list[Skipped]()
    for change in changes(source, catalog) if catalog else compare(source.files(), iter(())):
        match change:
            case Changed(found):
                drawn.offer(found)
                counts.update(files=1, bytes=max(found.size, 0), changed=1, key_bytes=len(os.fsencode(found.key)))
            case Unchanged(known):
                counts.update(files=1, bytes=known.size, images=not known.skipped, left_out=known.skipped)
            case Vanished():
                counts.update(vanished=1)
            case Unreadable(path, _, reason):
                unlisted.append(Skipped(path, reason))
        progress(counts["files"])
    names = (each.name for each in fields(Census) if each.name != "unlisted")
    census = Census(**{name: counts[name] for name in names}, unlisted=tuple(unlisted))
    return census, sorted(drawn.items, key=lambda found: os.fsencode(found.key))


def attempt(
    sample: Sequence[Found],
    load: Callable[[], Encoder],
    *,
    threads: int,
    row_of: Callable[[bytes], int | None],
    progress: Callable[[int], None],
) -> Trial:
    """Reads, decodes and encodes a sample as indexing does, and throws away what comes of it.

    Args:
        sample: the files.
        load: loads the network; not called where there are none.
        threads: how many work at once.
        row_of: tells by a file's hash whether its vector is there already.
        progress: is told how many files have been tried.
    """
    began = time.perf_counter()
    encoder = load() if sample else None
    loading = time.perf_counter() - began if sample else 0.0
    outcomes, rate = _outcomes(sample, encoder, threads, row_of, progress) if encoder else ([], 0.0)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    return Trial(
        tried=len(outcomes),
        unusable=len(failed),
        known=sum(isinstance(outcome, Embedded) and outcome.stored is None for outcome in outcomes),
        skipped=tuple(Skipped(each.found.path, each.reason) for each in failed[:_TOLD]),
        loading_seconds=loading,
        files_per_second=rate,
        memory_bytes=peak_memory(),
    )


def _outcomes(
    sample: Sequence[Found],
    encoder: Encoder,
    threads: int,
    row_of: Callable[[bytes], int | None],
    progress: Callable[[int], None],
) -> tuple[list[Outcome], float]:
    """What comes of each file, and how many a second the threads do while all of them are busy."""
    embedder = Embedder(encoder, row_of)
    groups = [sample[at : at + embedding.GROUP] for at in range(0, len(sample), embedding.GROUP)]
    threads = min(threads, len(groups))
    outcomes: list[Outcome] = []
    seconds = 0.0
    with _warm(encoder, threads) as pool:
        for future in [pool.submit(_timed, embedder, group) for group in groups]:
            busy, made = future.result()
            seconds += busy
            outcomes += made
            progress(len(outcomes))
    return outcomes, threads * len(outcomes) / seconds


@contextmanager
def _warm(encoder: Encoder, threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that have each encoded a picture: the first takes longer."""
    picture = np.zeros((1, encoder.preprocessing.size, encoder.preprocessing.size, 3), np.uint8)
    together = threading.Barrier(threads)

    def warm_up() -> None:
        try:
            encoder.encode(picture)
        finally:
            together.wait()  # so that no thread does it twice and another not at all

    pool = ThreadPoolExecutor(threads, "lookalike-sample")
    try:
        for future in [pool.submit(warm_up) for _ in range(threads)]:
            future.result()
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _timed(embedder: Embedder, group: Sequence[Found]) -> tuple[float, list[Outcome]]:
    began = time.perf_counter()
    outcomes = embedder.outcomes(group)
    return time.perf_counter() - began, outcomes
