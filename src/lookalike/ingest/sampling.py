"""Counts the files that there are to index, and processes a sample of them, for an estimate of the rest."""

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
from lookalike.storage.records import FileKind
from lookalike.system.resources import peak_memory

_NAMED = 5  # unusable files that a trial names
_SEED = 3


@dataclass(frozen=True)
class Census:
    """The files of a folder, compared with a collection if there is one.

    Attributes:
        files: the number of files that may be images, by their names.
        bytes: their total size.
        changed: the number of these that are new or have changed and would be processed; without a collection, all.
        images: the number that are in the collection and have not changed.
        left_out: the number that were left out of the collection and have not changed.
        vanished: the number of files that the collection knows and that are gone, or have another name.
        key_bytes: the total length of the changed files' keys, in bytes.
        unlisted: the folders that cannot be listed, with the reasons.
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
    """The results of processing a sample of files.

    Attributes:
        tried: the number of files that were read, decoded and encoded.
        unusable: the number of these that cannot be used.
        known: the number of these that have a vector already: copies of images, or renamed images.
        skipped: the first few unusable files, with the reasons.
        loading_seconds: the time that loading the model took; 0 if nothing was tried.
        files_per_second: the speed of all threads together, once the model was loaded; 0 if nothing was tried.
        memory_bytes: the peak memory of this process since it started.
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
        """The share of the files that can be used, in [0, 1]."""
        return 1 - self.unusable / self.tried if self.tried else 0.0

    @property
    def new(self) -> float:
        """The share of the files that would give a new vector, in [0, 1]."""
        return self.usable - self.known / self.tried if self.tried else 0.0


@dataclass
class _Reservoir:
    """A uniform random sample of a stream: algorithm R of Vitter, Random Sampling with a Reservoir (ACM TOMS, 1985)."""

    size: int
    items: list[Found] = field(default_factory=list)
    seen: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(_SEED))

    def offer(self, item: Found) -> None:
        self.seen += 1
        if len(self.items) < self.size:
            self.items.append(item)
        elif (position := self.chance.randrange(self.seen)) < self.size:
            self.items[position] = item


def take(
    source: Source, catalog: Catalog | None, size: int, *, progress: Callable[[int], None]
) -> tuple[Census, list[Found]]:
    """Counts a source's files, and draws some of those that are new or changed, in the order of their keys.

    Args:
        source: the files.
        catalog: the catalog of the collection that they are compared with, or None.
        size: the most files to draw.
        progress: called with the number of files that have been counted.
    """
    drawn, counts, unlisted = _Reservoir(size), Counter[str](), list[Skipped]()
    for change in changes(source, catalog) if catalog else compare(source.files(), iter(())):
        match change:
            case Changed(found):
                drawn.offer(found)
                counts.update(
                    files=1, bytes=max(found.status.size, 0), changed=1, key_bytes=len(os.fsencode(found.key))
                )
            case Unchanged(known):
                is_skipped = known.kind is FileKind.SKIPPED
                counts.update(files=1, bytes=known.status.size, images=not is_skipped, left_out=is_skipped)
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
    decoding_of: Callable[[bytes], int | None],
    progress: Callable[[int], None],
) -> Trial:
    """Reads, decodes and encodes a sample as indexing does, and discards the vectors.

    Args:
        sample: the files.
        load: loads the encoder; not called if there are no files.
        threads: the number of threads.
        decoding_of: looks up, by a file's hash, the revision of the decoders that its vector was made with, or None.
        progress: called with the number of files that have been tried.
    """
    began = time.perf_counter()
    encoder = load() if sample else None
    loading = time.perf_counter() - began if sample else 0.0
    outcomes, rate = _outcomes(sample, encoder, threads, decoding_of, progress) if encoder else ([], 0.0)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    return Trial(
        tried=len(outcomes),
        unusable=len(failed),
        known=sum(isinstance(outcome, Embedded) and outcome.stored is None for outcome in outcomes),
        skipped=tuple(Skipped(each.found.path, each.reason) for each in failed[:_NAMED]),
        loading_seconds=loading,
        files_per_second=rate,
        memory_bytes=peak_memory(),
    )


def _outcomes(
    sample: Sequence[Found],
    encoder: Encoder,
    threads: int,
    decoding_of: Callable[[bytes], int | None],
    progress: Callable[[int], None],
) -> tuple[list[Outcome], float]:
    """The outcome for each file, and the number of files per second while all threads are busy."""
    embedder = Embedder(encoder, decoding_of)
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
    """Threads that have each encoded an image, since a thread's first takes longer."""
    black = np.zeros((1, encoder.preprocessing.size, encoder.preprocessing.size, 3), np.uint8)
    together = threading.Barrier(threads)

    def warm_up() -> None:
        try:
            encoder.encode(black)
        finally:
            together.wait()  # so that each thread does it once

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
