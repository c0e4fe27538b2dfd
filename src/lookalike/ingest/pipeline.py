"""Brings a collection up to date with a source: find, read, decode, encode, commit, on every core.

Some more threads than there are cores read, decode and encode. The calling thread compares with the catalog and
commits, in the source's order, so that the same source always gives the same rows.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.images.reading import UNKNOWN
from lookalike.ingest import embedding
from lookalike.ingest.changes import Changed, Unchanged, Vanished, changes
from lookalike.ingest.displaced import ReadFile
from lookalike.ingest.embedding import Embedded, Embedder, Failed, Outcome
from lookalike.ingest.recognition import Recognition
from lookalike.results import Skipped
from lookalike.sources import places
from lookalike.sources.folder import Files, Found, Source, Unreadable
from lookalike.storage.catalog import Catalog
from lookalike.storage.checksums import crc32s
from lookalike.storage.records import FileKind, KnownFile
from lookalike.storage.transaction import Transaction
from lookalike.storage.vectors import VectorWriter

# A commit costs some milliseconds; after a crash, what was not committed is done again.
_COMMIT_SECONDS = 1.0
_COMMIT_IMAGES = 512
_MANY_MISSING = 0.2  # of the images that were there
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
        of_regions: whether the files are done, and these are the images whose parts are being encoded.
    """

    done: int
    total: int | None
    added: int
    skipped: int
    committed: int
    of_regions: bool = False


@dataclass(frozen=True)
class Report:
    """What a run has done.

    Attributes:
        added: images that were not there before.
        updated: images whose files had changed.
        renamed: images whose files were moved; they keep their ids.
        returned: images that had been missing; they keep their ids.
        reencoded: images whose files are as they were, but are decoded otherwise by this version of Lookalike.
        unchanged: images that were there and are as they were.
        missing: images whose files this run has missed: they are gone or cannot be used. They are kept, but not found.
        missing_before: images that an earlier run has missed, and this one, too.
        excluded: images that this run has set aside like missing ones, since they are left out now: by a glob, by a
            name that is left out by default, or because the list does not name them any more.
        skipped: files that were tried and left out, without Lookalike's own contact sheets.
        skipped_before: files that were left out by an earlier run and have not changed since.
        taken_over: images whose vectors were taken over from another collection.
        regions: images whose parts were encoded, in a collection that keeps vectors of them.
        without_regions: images whose parts could not be encoded, since their files cannot be read now.
        seconds: how long it took.
        misses_many: whether a folder has lost all images, or more than a fifth at once: its drive may be away.
    """

    added: int = 0
    updated: int = 0
    renamed: int = 0
    returned: int = 0
    reencoded: int = 0
    unchanged: int = 0
    missing: int = 0
    missing_before: int = 0
    excluded: int = 0
    skipped: tuple[Skipped, ...] = ()
    skipped_before: int = 0
    taken_over: int = 0
    regions: int = 0
    without_regions: int = 0
    seconds: float = 0.0
    misses_many: bool = False


def combined(reports: Sequence[Report]) -> Report:
    """What several runs have done together."""
    if len(reports) == 1:
        return reports[0]
    values = {each.name: [getattr(report, each.name) for report in reports] for each in fields(Report)}
    skipped = tuple(skip for each in values.pop("skipped") for skip in each)
    misses_many = any(values.pop("misses_many"))
    return Report(skipped=skipped, misses_many=misses_many, **{name: sum(each) for name, each in values.items()})


class Ingest:
    """One run over one source."""

    def __init__(
        self,
        catalog: Catalog,
        writer: VectorWriter,
        embedder: Embedder,
        *,
        folder: Path,
        threads: int,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """`folder` is the one that the keys are relative to."""
        self._catalog, self._writer, self._embedder = catalog, writer, embedder
        self._threads, self._progress = threads, progress
        self._recognition = Recognition(folder, since_ns=time.time_ns())
        self._pending: list[Outcome] = []
        self._gone: list[KnownFile] = []
        self._done, self._committed, self._committed_at = 0, 0, time.monotonic()
        self._counts: Counter[str] = Counter()
        self._skipped: list[Skipped] = []
        self._total: Future[int] | None = None

    def run(self, source: Source) -> Report:
        """Brings the catalog up to date with the source.

        The callback for progress may raise to stop the run: what was done by then is committed first.

        Raises:
            StorageError: the disk is full or failing. What was committed before is there.
        """
        start = time.monotonic()
        pool = ThreadPoolExecutor(self._threads, "lookalike-ingest")
        try:
            if self._progress:
                self._total = pool.submit(lambda: sum(1 for _ in source.files()))
            for outcome in self._outcomes(source, pool):
                self._take(outcome)
            self._commit()
        finally:
            pool.shutdown(cancel_futures=True)
        self._catalog.forget_edits(source.covers)
        return self._report(source, time.monotonic() - start)

    def leave_out(self, keys: Sequence[str]) -> Report:
        """Sets these files aside, which the sources do not name any more: their images are not found from then on.

        Raises:
            StorageError: the disk is full or failing.
        """
        if not keys:
            return Report()
        with self._catalog.writing() as transaction:
            count = transaction.missing.set_aside(keys, self._recognition.since_ns)
            transaction.forget_skipped(keys)
        return Report(excluded=count)

    def _report(self, source: Source, seconds: float) -> Report:
        names = ("added", "updated", "renamed", "returned", "reencoded", "unchanged", "skipped_before")
        counts: dict[str, Any] = {name: self._counts[name] for name in names}
        since_ns = self._recognition.since_ns
        found = self._catalog.missing_among(source.within, since_ns=since_ns, leaves_out=source.leaves_out)
        report = Report(skipped=tuple(self._skipped), missing=found.new, excluded=found.excluded, **counts)
        report = replace(report, seconds=seconds, taken_over=self._embedder.take_count())
        if source.within is not None:  # else other files were not looked for
            report = replace(report, missing_before=found.before)
        elif not (isinstance(source, Files) and source.is_whole):
            return report
        return replace(report, misses_many=_misses_many(report))

    def _outcomes(self, source: Source, pool: ThreadPoolExecutor) -> Iterator[Outcome]:
        """The outcome for each file that has changed, in the source's order."""
        window: deque[Future[list[Outcome]]] = deque()
        group: list[Found | Unchanged] = []
        for change in changes(source, self._catalog):
            match change:
                case Changed(found):
                    group.append(found)
                case Unchanged(known) if known.is_outdated:
                    group.append(change)
                case Unchanged(known, file) if known.kind is FileKind.MISSING or known.status != file.status:
                    yield change
                case Unchanged(known):
                    self._done += 1
                    self._counts["skipped_before" if known.kind is FileKind.SKIPPED else "unchanged"] += 1
                    self._report_progress()
                case Vanished(known):
                    self._gone.append(known)
                case Unreadable(path, key, reason):
                    yield Failed(Found(path, key, UNKNOWN), reason, lasting=False)
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
        if due or len(self._pending) + len(self._gone) >= _COMMIT_IMAGES:
            self._commit()
        self._report_progress()

    def _report_progress(self) -> None:
        if not self._progress:
            return
        total = self._total.result() if self._total and self._total.done() else None
        try:
            done = self._done + len(self._pending)
            self._progress(Progress(done, total, self._counts["added"], len(self._skipped), self._committed))
        except BaseException:
            self._commit()  # it is called between two images, so everything that is pending is complete
            raise

    def _commit(self) -> None:
        """Writes the pending vectors to the disk and then, in one commit, their entries to the catalog."""
        if not self._pending and not self._gone:
            return
        embedded = {outcome.hash: outcome for outcome in reversed(self._pending) if isinstance(outcome, Embedded)}
        known = self._catalog.rows_of(embedded)  # by hash
        outdated = self._catalog.outdated_among(known.values())
        new = [each for each in reversed(embedded.values()) if _is_new(each, known.get(each.hash), outdated)]
        rows = known | {outcome.hash: row for row, outcome in enumerate(new, self._writer.count)}
        stored = np.array([outcome.stored for outcome in new], np.float16)
        if new:
            self._writer.append(stored)
        with self._catalog.writing() as transaction:
            for outcome, crc32 in zip(new, crc32s(stored), strict=True):
                _put_vector(transaction, outcome, rows[outcome.hash], crc32, known.get(outcome.hash))
            transaction.note_decoding(outdated.intersection(rows.values()))
            self._miss(transaction, self._gone)
            events = [self._record(transaction, outcome, rows, known) for outcome in self._pending]
        self._writer.committed()
        self._counts.update(events)  # only what is committed counts
        self._skipped.extend(
            Skipped(outcome.found.path, outcome.reason)
            for outcome in self._pending
            if isinstance(outcome, Failed) and not outcome.own
        )
        self._done, self._committed = self._done + len(self._pending), self._committed + len(self._pending)
        self._pending, self._gone, self._committed_at = [], [], time.monotonic()

    def _miss(self, transaction: Transaction, gone: Sequence[KnownFile]) -> None:
        """Makes the images of these files missing, and forgets the skipped files among them."""
        transaction.missing.set_aside([known.key for known in gone], self._recognition.since_ns)
        transaction.forget_skipped(known.key for known in gone)

    def _record(
        self, transaction: Transaction, outcome: Outcome, rows: dict[bytes, int], known_rows: dict[bytes, int]
    ) -> str:
        """Changes the catalog for one file, and returns the name of the report's field that counts it."""
        match outcome:
            case Unchanged(known, found):
                return self._record_unchanged(transaction, known, found)
            case Embedded(found, hash_):
                row, status = rows[hash_], outcome.status.settled(self._recognition.since_ns)
                file = ReadFile(found.key, hash_, row, status)
                event = self._recognition.record(transaction, file, is_new=hash_ not in known_rows)
                if outcome.facts:
                    transaction.set_attributes(found.key, outcome.facts)
                return "reencoded" if event == "unchanged" and row != known_rows[hash_] else event
            case Failed(found) if outcome.own or not found.key or not places.is_there(found.path):
                # It is left out as hidden files are, or vanished while it was read, or was never there.
                self._miss(transaction, [KnownFile(found.key, found.status, FileKind.IMAGE)])
            case Failed(found, reason):
                # A failure that is not the file's own, such as a missing permission, is tried again.
                status = found.status.settled(self._recognition.since_ns) if outcome.lasting else UNKNOWN
                transaction.put_skipped(found.key, reason, status, since_ns=self._recognition.since_ns)
        return "failed"

    def _record_unchanged(self, transaction: Transaction, known: KnownFile, found: Found) -> str:
        event = "skipped_before" if known.kind is FileKind.SKIPPED else "unchanged"
        if known.kind is FileKind.MISSING:
            event = "returned" if transaction.bring_back_unchanged(known.key) else "failed"
        else:
            transaction.put_status(known.key, found.status)  # an earlier version has kept only one of its times
        if known.is_outdated and (image := transaction.image_at(known.key)):
            transaction.note_decoding([image.row])
        return event


def _put_vector(transaction: Transaction, outcome: Embedded, row: int, crc32: int, old: int | None) -> None:
    """Adds a vector to the catalog; if there was one in row `old`, its images get the new one."""
    size = {"width": outcome.width, "height": outcome.height}
    if old is None:
        transaction.add_vector(row, outcome.hash, crc32, **size)
    else:
        transaction.replace_vector(old, row, crc32, **size)


def _is_new(outcome: Embedded, row: int | None, outdated: Container[int]) -> bool:
    """Whether the vector of an outcome is to be stored: there is none, or `row` has that of earlier decoders."""
    return row is None or (row in outdated and outcome.stored is not None)


def are_many(missing: int, present: int) -> bool:
    """Whether so many images are missing beside those that are present that a drive may be away."""
    return missing > _MANY_MISSING * (present + missing)


def _misses_many(report: Report) -> bool:
    present = report.unchanged + report.updated + report.renamed + report.reencoded
    if not present + report.added + report.returned:
        return report.missing + report.missing_before > 0
    return are_many(report.missing, present)
