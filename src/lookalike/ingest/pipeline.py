"""Brings a collection up to date with a source: find, read, decode, encode, commit, on every core.

One thread a core reads, decodes and encodes. The calling thread compares with the catalog and commits, in the source's
order, so that the same source always gives the same rows.
"""

import itertools
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from lookalike.ingest import embedding
from lookalike.ingest.changes import Changed, Unchanged, Vanished, changes
from lookalike.ingest.embedding import Embedded, Embedder, Failed, Outcome
from lookalike.results import Skipped
from lookalike.sources.folder import Found, Source, Unreadable
from lookalike.storage.catalog import Catalog
from lookalike.storage.checksums import crc32s
from lookalike.storage.transaction import Transaction
from lookalike.storage.vectors import VectorWriter

# A commit costs some milliseconds; after a crash, what was not committed is done again.
_COMMIT_SECONDS = 1.0
_COMMIT_IMAGES = 512
_WINDOW_PER_THREAD = 3  # groups under way, so that a large image holds up nobody


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        done: the number of files that are done.
        total: the number of files, or None until they are counted.
        added: the number of images that have been added.
        skipped: the number of files that have been left out.
        committed: the number of files whose outcome survives a crash.
    """

    done: int
    total: int | None
    added: int
    skipped: int
    committed: int


@dataclass(frozen=True)
class Report:
    """What a run has done.

    Attributes:
        added: images that were not there before.
        updated: images whose files had changed.
        renamed: images whose files were moved; they keep their ids.
        unchanged: images that were there and are as they were.
        removed: images that are dropped because their files are gone or can no longer be read.
        skipped: files that were tried and left out, without Lookalike's own contact sheets.
        skipped_before: files that were left out by an earlier run and have not changed since.
        seconds: how long it took.
    """

    added: int = 0
    updated: int = 0
    renamed: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: tuple[Skipped, ...] = ()
    skipped_before: int = 0
    seconds: float = 0.0


class Ingest:
    """One run over one source."""

    def __init__(
        self,
        catalog: Catalog,
        writer: VectorWriter,
        embedder: Embedder,
        *,
        threads: int,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._catalog, self._writer, self._embedder = catalog, writer, embedder
        self._threads, self._progress = threads, progress
        self._pending: list[Outcome] = []
        self._committed, self._committed_at = 0, time.monotonic()
        self._counts: Counter[str] = Counter()
        self._skipped: list[Skipped] = []
        self._total: Future[int] | None = None
        self._vanished = False

    def run(self, source: Source) -> Report:
        """Brings the catalog up to date with the source.

        The callback for progress may raise to stop the run: what was done by then is committed first.

        Raises:
            StorageError: the disk is full or failing. What was committed before is there.
        """
        start, newest = time.monotonic(), self._catalog.newest_id()
        pool = ThreadPoolExecutor(self._threads, "lookalike-ingest")
        try:
            if self._progress:
                self._total = pool.submit(lambda: sum(1 for _ in source.files()))
            for outcome in self._outcomes(source, pool):
                self._take(outcome)
            self._commit()
        finally:
            pool.shutdown(cancel_futures=True)
        if self._vanished:
            self._drop(source, newest)
        return self._report(time.monotonic() - start)

    def _report(self, seconds: float) -> Report:
        names = ("added", "updated", "renamed", "unchanged", "removed", "skipped_before")
        return Report(**{name: self._counts[name] for name in names}, skipped=tuple(self._skipped), seconds=seconds)

    def _outcomes(self, source: Source, pool: ThreadPoolExecutor) -> Iterator[Outcome]:
        """The outcome for each file that has changed, in the source's order."""
        window: deque[Future[list[Outcome]]] = deque()
        group: list[Found] = []
        for change in changes(source, self._catalog):
            match change:
                case Changed(found):
                    group.append(found)
                case Unchanged(known):
                    self._counts["skipped_before" if known.skipped else "unchanged"] += 1
                    self._report_progress()
                case Vanished():
                    self._vanished = True
                case Unreadable(path, key, reason):
                    yield Failed(Found(path, key, -1, -1), reason, lasting=False)
            if len(group) == embedding.GROUP:
                window.append(pool.submit(self._embedder.outcomes, group))
                group = []
            if len(window) >= self._threads * _WINDOW_PER_THREAD:
                yield from window.popleft().result()
        window.append(pool.submit(self._embedder.outcomes, group))
        while window:
            yield from window.popleft().result()

    def _take(self, outcome: Outcome) -> None:
        self._pending.append(outcome)
        due = time.monotonic() - self._committed_at >= _COMMIT_SECONDS
        if due or len(self._pending) >= _COMMIT_IMAGES:
            self._commit()
        self._report_progress()

    def _report_progress(self) -> None:
        if not self._progress:
            return
        total = self._total.result() if self._total and self._total.done() else None
        try:
            done = self._counts.total() + len(self._pending)
            self._progress(Progress(done, total, self._counts["added"], len(self._skipped), self._committed))
        except BaseException:
            self._commit()  # it is called between two images, so everything that is pending is complete
            raise

    def _commit(self) -> None:
        """Writes the pending vectors to the disk and then, in one commit, their entries to the catalog."""
        if not self._pending:
            return
        embedded = {outcome.hash: outcome for outcome in reversed(self._pending) if isinstance(outcome, Embedded)}
        rows = self._catalog.rows_of(embedded)  # by hash
        new = [outcome for hash_, outcome in reversed(embedded.items()) if hash_ not in rows]
        rows |= {outcome.hash: row for row, outcome in enumerate(new, self._writer.count)}
        stored = np.array([outcome.stored for outcome in new], np.float16)
        first = self._writer.count
        if new:
            self._writer.append(stored)
        with self._catalog.writing() as transaction:
            for row, (outcome, crc32) in enumerate(zip(new, crc32s(stored), strict=True), first):
                transaction.add_vector(row, outcome.hash, crc32, width=outcome.width, height=outcome.height)
            events = [self._record(transaction, outcome, rows) for outcome in self._pending]
        self._counts.update(events)  # only what is committed counts
        self._skipped.extend(
            Skipped(outcome.found.path, outcome.reason)
            for outcome in self._pending
            if isinstance(outcome, Failed) and not outcome.own
        )
        self._committed += len(self._pending)
        self._pending, self._committed_at = [], time.monotonic()

    def _record(self, transaction: Transaction, outcome: Outcome, rows: dict[bytes, int]) -> str:
        """Changes the catalog for one file, and returns the name of the report's field that counts it."""
        found = outcome.found
        if isinstance(outcome, Embedded):
            row = rows[outcome.hash]
            before = transaction.put_image(found.key, row, size=outcome.size, changed_ns=outcome.changed_ns)
            if before is None:
                return "added"
            return "updated" if before != row else "unchanged"  # it was only touched
        # It is left out as hidden files are, or vanished while it was read, or was never there.
        if outcome.own or not found.key or not os.path.lexists(found.path):
            return "removed" if transaction.remove([found.key]) else "failed"
        # A failure that is not the file's own, such as a missing permission, is tried again: no file has the time -1.
        changed_ns = found.changed_ns if outcome.lasting else -1
        was_image = transaction.put_skipped(found.key, outcome.reason, size=found.size, changed_ns=changed_ns)
        return "removed" if was_image else "failed"

    def _drop(self, source: Source, newest: int) -> None:
        """Drops the images whose files are gone, unless the same image was added under another name: it was renamed.

        That is known only at the end of a run. The vanished files are looked for once more then, since there may be too
        many to remember.
        """
        keys = (change.key for change in changes(source, self._catalog) if isinstance(change, Vanished))
        while batch := list(itertools.islice(keys, _COMMIT_IMAGES)):
            with self._catalog.writing() as transaction:
                gone = [key for key in batch if not transaction.rename(key, newest)]
                removed = transaction.remove(gone)
            renamed = len(batch) - len(gone)
            self._counts.update(removed=removed, renamed=renamed, added=-renamed)
