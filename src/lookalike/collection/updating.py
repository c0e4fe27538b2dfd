"""The methods of a collection that bring it up to date, and that say what belongs to it."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike import arguments, encoders
from lookalike.collection import missing, skipping
from lookalike.collection.copies import Comparable
from lookalike.collection.encoder import CollectionEncoder
from lookalike.collection.sources import CollectionSources, Named, Sources
from lookalike.collection.writing import WriteAccess
from lookalike.errors import UsageError
from lookalike.images.grid import grid
from lookalike.results import Skipped
from lookalike.sources import keys
from lookalike.sources.folder import Files, absolute, key_of
from lookalike.sources.lists import FileList
from lookalike.storage import layout
from lookalike.storage.catalog import Catalog
from lookalike.storage.made_of import MadeOf
from lookalike.storage.manifest import Manifest
from lookalike.system.resources import checked_threads, cores

if TYPE_CHECKING:
    from lookalike.attributes.apply import AttributesReport
    from lookalike.attributes.listing import ListingTable
    from lookalike.ingest.pipeline import Ingest, Progress, Report


class Updatable(Comparable):
    """Adds images, removes them, and knows what the collection was made of.

    Attributes:
        directory: the collection's.
        folder: the folder that the keys of its images are relative to.
    """

    directory: Path
    folder: Path

    def __init__(
        self,
        manifest: Manifest,
        catalog: Catalog,
        access: WriteAccess,
        sources: CollectionSources,
        encoder: CollectionEncoder,
    ) -> None:
        self._manifest, self._catalog, self._write_access = manifest, catalog, access
        self._sources, self._encoder = sources, encoder

    def add(
        self,
        source: Sources,
        *,
        take_over: Sequence[str | os.PathLike[str]] = (),
        skip_duplicates: bool = False,
        threads: int | None = None,
        progress: "Callable[[Progress], None] | None" = None,
    ) -> "Report":
        """Brings the collection up to date with a folder, a file, or several files.

        A file that cannot be used is skipped and named in the report. An image whose file is gone or cannot be used is
        missing: it is not found, but kept until its file is back or it is pruned. What is committed survives a crash,
        and the next call carries on. Folders and lists are remembered, see `update`.

        Args:
            source: a folder, a file, files, or a `FileList`; single files are taken whatever their names.
            take_over: other collections of the same model, by their folders or directories. The vectors of files that
                they have are taken over, and so are the attributes of images at the same paths.
            skip_duplicates: leaves out new images that are copies of others, edited or not, see `duplicates`; their
                files are skipped, until the other one is gone.
            threads: the number of images to process at once; by default one for each core.
            progress: called after each image; an exception that it raises ends the run after a commit.

        Raises:
            UsageError: there is nothing at the source.
            CollectionError: another collection is damaged, or another model made it.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        source = _checked_source(source)

        def named() -> Named:
            found = self._sources.name(source)
            self._sources.remember(source, found)
            return found

        return self._without_copies(lambda: self._run(named, threads, progress, take_over), skip_duplicates)

    def update(
        self,
        *,
        take_over: Sequence[str | os.PathLike[str]] = (),
        skip_duplicates: bool = False,
        threads: int | None = None,
        progress: "Callable[[Progress], None] | None" = None,
    ) -> "Report":
        """Brings the collection up to date with what it was made of: its folders, its lists, and single files.

        A collection from someone else may name any folder. What is outside of the folder that it is in is read only if
        this user has given it to `add` or `create`, or has called `trust`.

        Args:
            take_over: other collections, as `add` takes them.
            skip_duplicates: leaves out new images that are copies of others, as `add` does.
            threads: the number of images to process at once; by default one for each core.
            progress: called after each image; an exception that it raises ends the run after a commit.

        Raises:
            UsageError: its folder is gone, a list cannot be read, or it names what is not trusted.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        again = partial(self._sources.again, self._catalog)
        return self._without_copies(lambda: self._run(again, threads, progress, take_over), skip_duplicates)

    def trust(self) -> None:
        """Trusts whatever the collection says that it was made of, so that `update` and `reindex` read it.

        That is remembered for this user, until the collection names something else.

        Raises:
            LockedError: another process is writing to the collection.
        """
        with self._write_access.locked():
            self._sources.trust(self._catalog)

    def _run(
        self,
        name_sources: Callable[[], Named],
        threads: int | None,
        progress: "Callable[[Progress], None] | None",
        take_over: Sequence[str | os.PathLike[str]],
    ) -> "Report":
        """Brings the collection up to date with sources, which are named once nobody else can write to it."""
        from lookalike.ingest import takeover
        from lookalike.ingest.embedding import Embedder
        from lookalike.ingest.pipeline import Ingest, combined
        from lookalike.ingest.suspects import under_way

        threads, progress = checked_threads(threads), arguments.callback(progress, "progress")
        given = [arguments.path(path, "take_over") for path in arguments.several(take_over, "take_over")]
        others = [layout.find_or_raise(path) for path in given]
        with (
            self._write_access.vectors() as writer,
            under_way(self.directory / layout.DECODING) as decoding,
            takeover.opened(others, self._manifest) as known,
        ):
            named = name_sources()
            skipping.forget_orphans(self._catalog)
            count_before = self._catalog.state().count
            encoder = self._encoder.for_indexing(threads or cores())
            count = threads or encoders.threads_for(encoder, cores())
            embedder = Embedder(encoder, self._catalog.decoding_of, self._encoder.max_pixels, decoding, known)

            def ingest() -> "Ingest":
                return Ingest(self._catalog, writer, embedder, folder=self.folder, threads=count, progress=progress)

            reports = [ingest().run(source) for source in named.sources]
            if named.is_everything:
                reports.append(ingest().leave_out([each.key for each in named.unnamed(self._catalog)]))
            known.give_attributes(self._catalog, self.folder)
            if any(report.added or report.updated or report.returned for report in reports):
                reports.append(self._apply_tables(named.tables))
            self._sources.note_inner(named.sources)
            # A single file, such as one that is uploaded, does not wait for others that an earlier run has left.
            first_row = count_before if all(isinstance(each, Files) for each in named.sources) else 0
            with self._write_access.regions(encoder, self.folder, self._encoder.max_pixels, decoding) as regions:
                if regions:
                    reports.append(regions.run(count, progress, first_row=first_row))
            return combined(reports)

    def _apply_tables(self, tables: "Sequence[ListingTable]") -> "Report":
        """Gives images the attributes that tables have for them; a table that cannot be used is skipped."""
        from lookalike.attributes import apply as attributes
        from lookalike.ingest.pipeline import Report

        skipped = []
        for table in tables:
            try:
                attributes.apply(self._catalog, self.folder, table.path, table.base)
            except UsageError as error:
                skipped.append(Skipped(table.path, str(error).removeprefix(f"{table.path}: ")))
        return Report(skipped=tuple(skipped))

    def keep_regions(self, count: int) -> None:
        """Keeps vectors of so many parts of each image, too, so that searches can look at parts (`regions=True`).

        The next `add` or `update` encodes the parts of all images, which takes about so many times as long as indexing
        them, and as many times the size.

        Args:
            count: 5, 9 or 16, the more the smaller the things that are found; 0 removes the vectors of parts.

        Raises:
            UsageError: it is another number.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        if count := arguments.whole(count, "count", least=0):
            grid(count)
        self._write_access.keep_regions(count)

    def _without_copies(self, run: "Callable[[], Report]", skip_duplicates: bool) -> "Report":
        """Does a run, and skips the copies among the images that it has added."""
        if not arguments.flag(skip_duplicates, "skip_duplicates"):
            return run()
        before = self._catalog.last_id()
        report = run()
        if not report.added:
            return report
        found = self.duplicates()
        with self._write_access.locked():
            skipped = skipping.skip_copies(self._catalog, self.folder, found, before)
        return replace(report, added=report.added - len(skipped), skipped=(*report.skipped, *skipped))

    def exclude(self, globs: Iterable[str]) -> None:
        """Leaves out, from the next run on, the files and folders that globs name.

        A glob without a slash, such as `*.png` or `raw`, is compared with each name; one with a slash with the path,
        relative to the collection's folder or absolute (`2019/**/scans`). One that ends with a slash is for folders
        only. The next run sets the images aside that are left out now: they are not found, and kept until `include`
        brings them back or they are pruned.

        Raises:
            UsageError: something is no glob.
            LockedError: another process is writing to the collection.
        """
        with self._write_access.locked():
            self._sources.exclude(arguments.several(globs, "globs"))

    def include(self, globs: Iterable[str]) -> None:
        """Leaves out no more, from the next run on, what globs given to `exclude` or default names leave out.

        Raises:
            UsageError: that is not what is left out.
            LockedError: another process is writing to the collection.
        """
        with self._write_access.locked():
            self._sources.include(arguments.several(globs, "globs"))

    @property
    def made_of(self) -> MadeOf:
        """What the collection was made of, and what is left out."""
        return self._sources.made_of

    def remove(self, paths: Iterable[str | os.PathLike[str]]) -> int:
        """Forgets images, named by their paths, the paths of folders, or keys; returns the number of images forgotten.

        The files stay. A file that is still in an indexed folder comes back when that is added again. A list, or a
        folder outside of the collection's, is no source of `update` any more.

        Raises:
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        names = [self._names(each) for each in arguments.several(paths, "paths")]
        with self._write_access.vectors():
            with self._catalog.writing() as transaction:
                count = sum(transaction.remove(self._catalog.keys_named(each)) for each in names)
            self._sources.forget(key for each in names for key in each)
        return count

    def named(self, paths: Iterable[str | os.PathLike[str]]) -> int:
        """The number of images that paths, the paths of folders, or keys name, as `remove` takes them."""
        names = map(self._names, arguments.several(paths, "paths"))
        keys = {key for each in names for key in self._catalog.keys_named(each)}
        return len(keys - {key for key, _ in self._catalog.skipped()})

    def is_source(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path is one of the lists, or of the folders outside of its own, that it was made of."""
        return any(self._sources.is_forgettable(key) for key in self._names(path))

    def prune(self, *, missing_for: timedelta | float = 0) -> int:
        """Forgets the images whose files have been missing for that long, and returns their number.

        Args:
            missing_for: a timedelta, or a number of seconds; 0 forgets all missing images.

        Raises:
            UsageError: the time is negative.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        with self._write_access.locked():
            return missing.prune(self._catalog, missing_for)

    def annotate(self, table: str | os.PathLike[str]) -> "AttributesReport":
        """Gives images the attributes that a CSV or Parquet file has for their paths.

        The column whose cells name most images names the image, and the report says which one it is; the others are
        attributes, by which searches can be filtered. One named `label` becomes the image's label. An empty cell, or
        one that says NA, NaN, None or the like, removes an attribute; those that the file does not mention stay.

        Raises:
            UsageError: the file cannot be used; nothing has changed.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        from lookalike.attributes import apply as attributes

        with self._write_access.locked():
            return attributes.apply(self._catalog, self.folder, arguments.path(table, "table"))

    def _names(self, path: str | os.PathLike[str]) -> tuple[str, ...]:
        """The keys that a path may stand for: that of the file, or the path itself unless it is the current folder."""
        key = key_of(absolute(checked := arguments.path(path, "path")), self.folder)
        return (key, os.fsdecode(path)) if checked.name else (key,)


def _checked_source(source: Sources) -> Sources:
    """A source that can be looked at more than once; raises UsageError for what is none."""
    if isinstance(source, FileList):
        base = Path.cwd() if source.base is None else arguments.path(source.base, "base")
        return FileList(arguments.path(source.path, "path"), base, arguments.flag(source.null, "null"))
    if isinstance(source, str) and keys.is_url(source):
        return source
    if isinstance(source, str | os.PathLike):
        return arguments.path(source, "source")
    return arguments.several(source, "source")
