"""What is to come in a collection's place: the same images with the vectors of another model, while they come about."""

import heapq
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from lookalike.encoders import Encoder
from lookalike.errors import CorruptError, IncompatibleError, StorageError, UsageError
from lookalike.index import generation
from lookalike.index.build_progress import BuildProgress
from lookalike.index.maintenance import Builder
from lookalike.index.options import Wish
from lookalike.ingest.pipeline import Ingest, Progress, Report
from lookalike.results import Skipped
from lookalike.sources.folder import Found, Source, Unreadable, look_at
from lookalike.storage import layout as directories
from lookalike.storage import manifest, vectors
from lookalike.storage.catalog import Catalog, Known
from lookalike.storage.manifest import Identity, Origin
from lookalike.storage.vectors import VectorReader, VectorWriter
from lookalike.system import durable


class Migration:
    """The catalog, vectors and index that are to come, beside those that there are. The collection is locked."""

    def __init__(self, directory: Path, origin: Origin, wanted: Identity) -> None:
        """Carries on with what an earlier run has left, unless that was for another model or is damaged."""
        self._directory, self._folder, self._old_place = directory, origin.folder, origin.place(directory)
        self.then = Origin(wanted, origin.folder, origin.next_data)
        self._place = self.then.place(directory)
        with ExitStack() as opened:
            self._old = opened.enter_context(closing(Catalog(self._old_place / directories.CATALOG)))
            self._old.check()  # since it will be taken away
            if manifest.read_next(directory) != self.then or not self._is_sound():
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

    def build(self, progress: Callable[[BuildProgress], None] | None) -> None:
        """Makes the index, where there are so many images that one is due or there has been one."""
        builder = Builder(self._new, self._place, self.then.made_by.dim, progress)
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
            (self._directory / manifest.NEXT).unlink(missing_ok=True)
            if self._place.exists():
                shutil.rmtree(self._place)
            self._place.mkdir()
            Catalog.create(self._place / directories.CATALOG)
            vectors.create(self._place / directories.VECTORS, self.then.made_by.dim)
            durable.sync_folder(self._place)
        except OSError as error:
            raise StorageError(f"{self._place}: {error.strerror}") from error
        manifest.write(self._directory, self.then, manifest.NEXT)

    def _wish(self) -> Wish | None:
        """What was wanted of the index that there is, without the kind, which goes with the dimension."""
        stored = self._old.state().generation
        try:
            about = generation.read_about(self._old_place, stored) if stored else None
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
