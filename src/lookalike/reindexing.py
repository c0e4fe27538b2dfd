"""Indexes the images of a collection again with another model, beside the vectors that there are.

    collection.json      names the model that serves, and the folder of its data
    reindexing.json      the same of the model that is to come
    data.000001/         its catalog, vectors and index, while they come about and ever after

The one step that counts is the last: reindexing.json becomes collection.json. Until then the old model serves, and
nothing of it has changed. A run that was stopped or killed is carried on by the next one for the same model.
"""

import heapq
import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike import directory as directories
from lookalike import encoders, generations, identity, storage, tune, vectors
from lookalike.builder import Builder
from lookalike.catalog import Catalog, Known
from lookalike.encoders import Encoder
from lookalike.errors import CorruptError, IncompatibleError, LookalikeError, StorageError, UsageError
from lookalike.estimate import BuildProgress
from lookalike.identity import Identity, Origin
from lookalike.ingest import Ingest, Progress, Report, cores
from lookalike.match import Skipped
from lookalike.sources import Found, Source, Unreadable, look_at, source_of
from lookalike.vectors import VectorReader, VectorWriter
from lookalike.wish import Wish

_Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True)
class Unfinished:
    """A re-indexing that has been begun.

    Attributes:
        made_by: the model that is to come.
        done: how many files have been looked at.
        files: how many the collection knows.
        place: what it has made so far; deleting it gives the re-indexing up.
    """

    made_by: Identity
    done: int
    files: int
    place: Path


@dataclass(frozen=True)
class Change:
    """What indexing a collection again with another model would do.

    Attributes:
        directory: the collection's.
        origin: what it is now.
        wanted: the model that is to come.
        images: how many it has.
        bytes: the size of what would be made, about, which for a time is there besides the old.
        unfinished: what has been done of it before, or what has been begun with another model, and would be given up.
    """

    directory: Path
    origin: Origin
    wanted: Identity
    images: int
    bytes: int
    unfinished: Unfinished | None

    def __str__(self) -> str:
        told = [
            f"{self.directory}: its {self.images:,} images were indexed with {self.origin.made_by}, whose vectors"
            f" cannot be compared with those of {self.wanted}.",
            f"To index them again with that, {identity.how_to_reindex(self.directory, self.origin, self.wanted)}",
            f"- It takes {self.bytes / 1e6:,.1f} MB on the disk, about, besides what there is until it is done.",
            "- Until then searches go on as they are; ids, attributes and labels stay. It may be stopped at any time.",
        ]
        if self.wanted.precision:
            folder, options = shlex.quote(str(self.origin.folder)), identity.options(self.origin, self.wanted)
            told.insert(3, f"- How long it takes: lookalike plan {folder} {options}")
        if self.unfinished:
            far = f"{self.unfinished.done:,} of {self.unfinished.files:,} files are done"
            fate = "" if self.unfinished.made_by == self.wanted else ", and would be given up"
            told.append(f"- It has been begun with {self.unfinished.made_by}: {far}{fate}.")
        return "\n".join(told)


def unfinished(directory: Path) -> Unfinished | None:
    """The re-indexing of a collection that was begun, or is under way; None where there is none.

    Raises:
        CorruptError: the collection's own files are damaged.
    """
    origin, then = identity.read(directory), identity.read_next(directory)
    if then is None or then.data != origin.next_data:
        return None
    files = _files(origin.place(directory))
    with suppress(LookalikeError):  # half of it is there
        return Unfinished(then.made_by, _files(then.place(directory)), files, then.place(directory))
    return None


def explain(
    path: str | os.PathLike[str],
    *,
    model: str | None = None,
    precision: str | None = None,
    encoder: Encoder | None = None,
) -> Change | None:
    """What indexing a collection again with another model would do; None where that model has made it.

    Raises:
        NoCollectionError: there is no collection.
        UsageError: there is no such model.
        IncompatibleError: no other model is named, and the collection's own is not to be had here.
        CorruptError: a file of the collection is damaged.
    """
    directory = directories.located(path)
    origin = identity.read(directory)
    wanted = _wanted(directory, origin, model, precision, encoder)
    if wanted == origin.made_by:
        return None
    with closing(Catalog(origin.place(directory) / directories.CATALOG)) as catalog:
        totals, catalog_bytes = catalog.totals(), catalog.path.stat().st_size
    live = totals.vectors - totals.dead
    index = None if tune.searches_exactly(wanted.dim, live) else tune.specs(wanted.dim, live)[0]
    size = live * wanted.dim * 2 + catalog_bytes + (index.bytes(live) if index else 0)
    return Change(directory, origin, wanted, totals.images, size, unfinished(directory))


def reindex(
    path: str | os.PathLike[str],
    sources: Sequence[_Paths] | None = None,
    *,
    model: str | None = None,
    precision: str | None = None,
    encoder: Encoder | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    build_progress: Callable[[BuildProgress], None] | None = None,
) -> Report:
    """Indexes all images of a collection with another model, and then lets that serve.

    Images keep their ids, attributes and labels. A collection that has been open meanwhile has to be opened again:
    where it would need a file that is gone, it raises IncompatibleError.

    Args:
        path: the folder that was indexed, or the collection's directory itself.
        sources: the folders, files or lists of files that it is then brought up to date with; by default its folder.
        model: the network; by default the one of the same name, of which there is another version here.
        precision: what that computes with.
        encoder: a network of your own instead; `open` must be given it too.
        device: the processor for the network, as for `create`.
        threads: how many images to work on at once; by default one for each core.
        progress: called after each image; what it raises ends the run, and the next one carries on from there.
        build_progress: called while the new index is built, where there is one.

    Returns:
        What has changed against the collection as it was. Its images that are there again count as unchanged.

    Raises:
        NoCollectionError: there is no collection.
        UsageError: there is no such model or source, that model has made the collection, or images of it cannot be
            read now, although they may be there.
        IncompatibleError: no other model is named, and the collection's own is not to be had here.
        CorruptError: the collection's catalog is damaged.
        LockedError: another process is writing to the collection.
        StorageError: the disk is full or failing; unless the last step was done, the old model serves.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"threads={threads}: give at least 1")
    directory, start = directories.located(path), time.monotonic()
    with directories.locked(directory):
        origin = identity.read(directory)
        wanted = _wanted(directory, origin, model, precision, encoder)
        if wanted == origin.made_by:
            raise UsageError(f"{directory}: its images are indexed with {wanted} already")
        directories.sweep(directory, origin)
        new = [source_of(each, base=origin.folder, leave_out=directory) for each in sources or [origin.folder]]
        count = threads or cores()
        with closing(_Reindexing(directory, origin, wanted)) as reindexing:
            reindexing.check_all_are_there()
            network = encoder or encoders.load(wanted.model, precision=wanted.precision, threads=count, device=device)
            reports = reindexing.encode(network, new, threads or encoders.threads_for(network, cores()), progress)
            reindexing.check_none_is_lost()
            reindexing.build(build_progress)
            report = reindexing.carry_over(reports)
        identity.switch(directory)
        directories.sweep(directory, reindexing.then)
    return replace(report, seconds=time.monotonic() - start)


class _Reindexing:
    """The catalog, vectors and index that are to come, beside those that there are. The collection is locked."""

    def __init__(self, directory: Path, origin: Origin, wanted: Identity) -> None:
        """Carries on with what an earlier run has left, unless that was for another model or is damaged."""
        self._directory, self._folder, self._old_place = directory, origin.folder, origin.place(directory)
        self.then = Origin(wanted, origin.folder, origin.next_data)
        self._place = self.then.place(directory)
        with ExitStack() as opened:
            self._old = opened.enter_context(closing(Catalog(self._old_place / directories.CATALOG)))
            self._old.check()  # since it will be taken away
            if identity.read_next(directory) != self.then or not self._is_sound():
                self._begin()
            self._new = opened.enter_context(closing(Catalog(self._place / directories.CATALOG)))
            self._opened = opened.pop_all()

    def close(self) -> None:
        self._opened.close()

    def check_all_are_there(self) -> None:
        """Looks at all images before anything is done.

        Raises:
            UsageError: some may be there, but cannot be looked at.
        """
        gone = (key for key in self._images() if not os.path.lexists(self._folder / key))
        self._refuse_to_lose(filter(self._may_come_back, gone))

    def encode(
        self, encoder: Encoder, sources: Sequence[Source], threads: int, progress: Callable[[Progress], None] | None
    ) -> list[Report]:
        """Makes the vectors of the images that there were, and then brings it up to date with the sources."""
        self._forget_what_was_removed()
        state, dim = self._new.state(), self.then.made_by.dim
        with closing(VectorWriter(self._place / state.vectors, dim, state.count)) as writer:

            def ingest() -> Ingest:
                return Ingest(self._new, writer, encoder, threads=threads, progress=progress)

            return [ingest().run(source) for source in (_KnownFiles(self._old, self._folder), *sources)]

    def check_none_is_lost(self) -> None:
        """Looks for images that were there when it began, and could not be read when it was their turn.

        Raises:
            UsageError: there are some. What has been done stays for the next run.
        """
        self._refuse_to_lose(filter(self._is_lost, self._images()))

    def build(self, tell: Callable[[BuildProgress], None] | None) -> None:
        """Makes the index, where there are so many images that one is due or there has been one."""
        builder = Builder(self._new, self._place, self.then.made_by.dim, tell)
        builder.sweep()
        wish = self._wish()
        if wish is None or self._new.state().generation:
            builder.maintain()
            return
        try:
            builder.build(wish)
        except UsageError:  # it would take more memory than it may
            builder.build(Wish(wish.recall))

    def carry_over(self, reports: Sequence[Report]) -> Report:
        """Gives the images what they had, and says what is not as it was.

        Raises:
            UsageError: no image is there any more.
        """
        before, after = self._old.totals().images, self._new.totals().images
        if before and not after:
            raise UsageError(
                f"{self._folder}: none of the {before:,} images of the collection can be read there;"
                " nothing has been changed"
            )
        carried = self._new.carry_over(self._old.path)
        found_again = carried.kept + carried.renamed
        skipped = {each.path: each for report in reports for each in report.skipped}
        for key, reason in self._new.skipped():
            skipped[self._folder / key] = Skipped(self._folder / key, reason)
        return Report(
            added=after - found_again,
            renamed=carried.renamed,
            unchanged=carried.kept,
            removed=before - found_again,
            skipped=tuple(skipped.values()),
        )

    def _is_sound(self) -> bool:
        """Whether what an earlier run has left can be carried on with."""
        try:
            with closing(Catalog(self._place / directories.CATALOG)) as catalog:
                catalog.check()
                state = catalog.state()
                VectorReader(self._place / state.vectors, self.then.made_by.dim).part(0, state.count)
        except (CorruptError, IncompatibleError):
            return False
        return True

    def _images(self) -> Iterator[str]:
        """The keys of the images that there were."""
        for within in ("", "/"):
            yield from (known.key for known in _known(self._old, within) if not known.skipped)

    def _is_lost(self, key: str) -> bool:
        known = self._new.known_file(key)
        if known is None:
            return self._may_come_back(key)
        return known.skipped and key.startswith("/") and known.changed_ns < 0  # which is to be tried again

    def _may_come_back(self, key: str) -> bool:
        """Whether nothing is known of a file that cannot be looked at; where its folder can be listed, it is gone."""
        return key.startswith("/") or not os.path.isdir(self._folder) or _is_closed((self._folder / key).parent)

    def _refuse_to_lose(self, keys: Iterator[str]) -> None:
        first = next(keys, None)
        if first is None:
            return
        path, count = self._folder / first, 1 + sum(1 for _ in keys)
        number = f"{count:,} images, such as {path}," if count > 1 else f"the image {path}"
        command = f"lookalike remove -c {shlex.quote(str(self._directory))} {shlex.quote(str(path))}"
        raise UsageError(
            f"{self._folder}: {number} cannot be read now; bring the disk back, or take what is gone for good out"
            f" first, single images or their folder: {command}; nothing has been changed"
        )

    def _forget_what_was_removed(self) -> None:
        """Takes out what an earlier run has done, and the old catalog does not know; the sources may bring it back."""
        done = (known.key for within in ("", "/") for known in _known(self._new, within))
        removed = [key for key in done if self._old.known_file(key) is None]
        with self._new.writing() as transaction:
            transaction.remove(removed)

    def _begin(self) -> None:
        try:
            (self._directory / identity.NEXT).unlink(missing_ok=True)
            if self._place.exists():
                shutil.rmtree(self._place)
            self._place.mkdir()
            Catalog.create(self._place / directories.CATALOG)
            vectors.create(self._place / directories.VECTORS, self.then.made_by.dim)
            storage.sync_folder(self._place)
        except OSError as error:
            raise StorageError(f"{self._place}: {error.strerror}") from error
        identity.write(self._directory, self.then, identity.NEXT)

    def _wish(self) -> Wish | None:
        """What was wanted of the index that there is, without the kind, which goes with the dimension."""
        stored = self._old.state().generation
        try:
            about = generations.read_about(self._old_place, stored) if stored else None
        except CorruptError:
            return None
        return Wish(about.promise, about.asked_memory) if about else None


class _KnownFiles:
    """The files that a catalog knows, under their own keys, unless they are gone from the collection's folder."""

    within: str | None = None

    def __init__(self, catalog: Catalog, folder: Path) -> None:
        self._catalog, self._folder = catalog, folder

    def files(self) -> Iterator[Found | Unreadable]:
        inside, elsewhere = _known(self._catalog, ""), _known(self._catalog, "/")
        for known in heapq.merge(inside, elsewhere, key=lambda known: os.fsencode(known.key)):
            path = self._folder / known.key
            if known.key.startswith("/") or os.path.lexists(path):
                yield look_at(path, known.key)


def _known(catalog: Catalog, within: str) -> Iterator[Known]:
    after = b""
    while page := catalog.known(within, after):
        yield from page
        after = os.fsencode(page[-1].key)


def _is_closed(folder: Path) -> bool:
    """Whether a folder is there, as far as can be told, and cannot be listed."""
    try:
        with os.scandir(folder):
            return False
    except OSError as error:
        return not isinstance(error, FileNotFoundError | NotADirectoryError)


def _wanted(
    directory: Path, origin: Origin, model: str | None, precision: str | None, encoder: Encoder | None
) -> Identity:
    if encoder is not None:
        return identity.of_encoder(encoder)
    return identity.now(directory, origin, model=model, precision=precision)


def _files(place: Path) -> int:
    """How many files a catalog knows."""
    with closing(Catalog(place / directories.CATALOG)) as catalog:
        totals = catalog.totals()
        return totals.images + totals.skipped
