"""Encodes a collection's images again with another encoder, beside the present data."""

import heapq
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from lookalike import encoders
from lookalike.collection.indexes import CollectionIndexes
from lookalike.collection.regions import keep_regions, region_ingest
from lookalike.encoders import Encoder
from lookalike.errors import CorruptError, Hint, IncompatibleError, UsageError
from lookalike.images.reading import UNKNOWN
from lookalike.index import generation
from lookalike.index.build_progress import BuildProgress
from lookalike.index.options import BuildOptions
from lookalike.index.policies import Policies
from lookalike.ingest.embedding import Embedder
from lookalike.ingest.pipeline import Ingest, Progress, Report, are_many
from lookalike.ingest.suspects import under_way
from lookalike.results import Skipped
from lookalike.search.snapshot import Snapshots
from lookalike.sources import keys, places
from lookalike.sources.folder import Found, Source, Unreadable, found_file
from lookalike.storage import directory as directories
from lookalike.storage import files, layout
from lookalike.storage import manifest as manifests
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Identity, Manifest
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.records import FileKind
from lookalike.storage.vectors import VectorWriter
from lookalike.system import durable
from lookalike.system.resources import cores


class Migration:
    """The new catalog, vectors and index, beside the present ones. The collection is locked."""

    def __init__(
        self, directory: Path, manifest: Manifest, wanted: Identity, sources: Sequence[Source], policies: Policies
    ) -> None:
        """Carries on with what an earlier run has left, unless that was for another model or is damaged.

        Args:
            directory: the collection's.
            manifest: the collection's.
            wanted: the encoder that is to serve.
            sources: what the images are brought up to date with.
            policies: when the new index is built and how it is measured.
        """
        self._directory, self._folder = directory, manifest.folder
        self._sources, self._policies = sources, policies
        self._old_data = manifest.data_directory(directory)
        self.then = Manifest(wanted, manifest.folder, layout.next_data(manifest.data))
        self._new_data = self.then.data_directory(directory)
        with ExitStack() as opened:
            self._old = opened.enter_context(closing(Catalog(self._old_data / layout.CATALOG)))
            self._old.check()  # since it will be removed
            begun = manifests.read_next(directory)
            if begun is None or replace(begun, catalog=None) != self.then or not self._is_sound():
                begun = self._begin()
            self.then = begun
            self._new = opened.enter_context(closing(Catalog(self._new_data / layout.CATALOG)))
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Closes both catalogs."""
        self._opened.close()

    def run(
        self,
        load: Callable[[Identity, int], Encoder],
        threads: int | None,
        max_pixels: int,
        progress: Callable[[Progress], None] | None,
        build_progress: Callable[[BuildProgress], None] | None,
    ) -> Report:
        """Makes the new data, and reports what has changed. They do not count yet.

        Args:
            load: loads the encoder for a number of threads.
            threads: the number of images to process at once; None is one for each core.
            max_pixels: the most pixels of an image.
            progress: called after each image.
            build_progress: called while the index is built.

        Raises:
            UsageError: images cannot be read now.
            StorageError: the disk is full or failing.
        """
        self.check_all_are_there()
        encoder = load(self.then.made_by, threads or cores())
        count = threads or encoders.threads_for(encoder, cores())
        reports = self.encode(encoder, count, max_pixels, progress)
        self.check_none_is_lost()
        self.build(build_progress)
        return self.carry_over(reports)

    def check_all_are_there(self) -> None:
        """Raises UsageError if files of images cannot be found, although they may be there."""
        gone = (key for key in self._image_keys() if not places.is_there(places.place_of(self._folder, key)))
        self._refuse_to_lose(filter(self._may_come_back, gone))

    def encode(
        self, encoder: Encoder, threads: int, max_pixels: int, progress: Callable[[Progress], None] | None
    ) -> list[Report]:
        """Makes the vectors of the present images, and then brings them up to date with the sources."""
        self._forget_what_was_removed()
        state, dim = self._new.state(), self.then.made_by.dim
        with (
            closing(VectorWriter(self._new_data / state.vectors, dim, state.count)) as writer,
            under_way(self._directory / layout.DECODING) as decoding,
        ):

            def ingest() -> Ingest:
                embedder = Embedder(encoder, self._new.decoding_of, max_pixels, decoding)
                return Ingest(self._new, writer, embedder, folder=self._folder, threads=threads, progress=progress)

            reports = [ingest().run(source) for source in (_KnownFiles(self._old, self._folder), *self._sources)]
            self._keep_regions(dim)
            with region_ingest(self._new, self._new_data, encoder, self._folder, max_pixels, decoding) as regions:
                return [*reports, regions.run(threads, progress)] if regions else reports

    def _keep_regions(self, dim: int) -> None:
        """Has the new data keep vectors of as many parts of an image as the present."""
        present = self._old.state().regions
        keep_regions(self._new, self._new_data, dim, present.per_image if present else 0)

    def check_none_is_lost(self) -> None:
        """Looks for images that were there at the beginning, and could not be read when it was their turn.

        Raises:
            UsageError: there are some. What has been done stays for the next run.
        """
        self._refuse_to_lose(filter(self._is_lost, self._image_keys()))

    def build(self, progress: Callable[[BuildProgress], None] | None) -> None:
        """Builds the index, if one is due or there has been one."""
        snapshots = Snapshots(self._new, self._directory, self.then, self._policies.tuning)
        indexes = CollectionIndexes(snapshots, self._new_data, self.then.made_by.dim, self._policies, progress)
        indexes.sweep()
        if self._old.state().augmented and not self._new.state().augmented:
            with self._new.writing() as transaction:
                transaction.augmentation.want()
        options = self._build_options()
        if options is None or self._new.state().generation:
            indexes.maintain()
            return
        try:
            indexes.build(options)
        except UsageError:  # it would take more memory than it may
            indexes.build(BuildOptions(options.recall))

    def carry_over(self, reports: Sequence[Report]) -> Report:
        """Gives the images their ids, attributes and labels, and reports what has changed.

        Raises:
            UsageError: no image is there any more.
        """
        before, after = self._old.totals().images, self._new.totals().images
        if before and not after:
            raise UsageError(
                f"{self._folder}: none of the {before:,} images of the collection can be read there;"
                " nothing has been changed"
            )
        began_ns = time.time_ns()
        carried = self._new.carry_over(self._old.path)
        found_again = carried.kept + carried.renamed
        counts = self._new.missing_among(None, since_ns=began_ns, leaves_out=self._leaves_out)
        skipped = {each.path: each for report in reports for each in report.skipped}
        for key, reason in self._new.skipped():
            skipped[places.place_of(self._folder, key)] = Skipped(places.place_of(self._folder, key), reason)
        return Report(
            added=after - found_again - carried.returned,
            renamed=carried.renamed,
            returned=carried.returned,
            unchanged=carried.kept,
            missing=counts.new,
            missing_before=counts.before,
            excluded=counts.excluded,
            skipped=tuple(skipped.values()),
            regions=sum(report.regions for report in reports),
            without_regions=sum(report.without_regions for report in reports),
            misses_many=are_many(counts.new, found_again),
        )

    def _leaves_out(self, key: str) -> bool:
        return any(source.leaves_out(key) for source in self._sources)

    def _is_sound(self) -> bool:
        """Whether what an earlier run has left can be carried on with."""
        try:
            with closing(Catalog(self._new_data / layout.CATALOG)) as catalog:
                catalog.check()
                state = catalog.state()
                MappedVectors(self._new_data / state.vectors, self.then.made_by.dim, state.count)
        except (CorruptError, IncompatibleError):
            return False
        return True

    def _image_keys(self) -> Iterator[str]:
        """The keys of the collection's present images."""
        known_files = itertools.chain.from_iterable(map(self._old.known_files, ("", "/")))
        return (known.key for known in known_files if known.kind is FileKind.IMAGE)

    def _is_lost(self, key: str) -> bool:
        known = self._new.known_file(key)
        if known is None:
            return self._may_come_back(key)
        is_tried_again = known.kind is FileKind.SKIPPED and known.status == UNKNOWN
        return is_tried_again and keys.is_elsewhere(key)

    def _may_come_back(self, key: str) -> bool:
        """Whether a file that cannot be found may still exist; if its folder can be listed, it is gone."""
        if keys.is_elsewhere(key) or not os.path.isdir(self._folder):
            return True
        return _is_unlistable(Path(places.containing_file(self._folder / key)).parent)

    def _refuse_to_lose(self, keys: Iterator[str]) -> None:
        first = next(keys, None)
        if first is None:
            return
        path, count = places.place_of(self._folder, first), 1 + sum(1 for _ in keys)
        number = f"{count:,} images, such as {path}," if count > 1 else f"the image {path}"
        raise UsageError(
            f"{self._folder}: {number} cannot be read; if they are on a removable or network drive, connect it",
            Hint("remove_images", {"path": str(self._directory), "image": str(path)}),
        )

    def _forget_what_was_removed(self) -> None:
        """Drops what an earlier run has done and the old catalog does not know; the sources may bring it back."""
        done = (known.key for folder in ("", "/") for known in self._new.known_files(folder))
        removed = [key for key in done if self._old.known_file(key) is None]
        with self._new.writing() as transaction:
            transaction.remove(removed)

    def _begin(self) -> Manifest:
        """Makes new data without images, and notes the manifest that the collection is to have."""
        with durable.storage_errors(self._new_data):
            files.remove(self._directory / layout.NEXT_MANIFEST)
            files.remove_directory(self._new_data)
            self._new_data.mkdir()
            catalog = directories.create_data(self._new_data, self.then.made_by.dim)
            durable.sync_folder(self._new_data)
        begun = replace(self.then, catalog=catalog)
        manifests.write(self._directory, begun, layout.NEXT_MANIFEST)
        return begun

    def _build_options(self) -> BuildOptions | None:
        """What was asked of the present index, but for the kind, which depends on the dimension."""
        stored = self._old.state().generation
        try:
            card = generation.read_card(self._old_data, stored) if stored else None
        except CorruptError:
            return None
        return BuildOptions(card.target_recall, card.asked_memory) if card else None


class _KnownFiles:
    """The files that a catalog knows, under their own keys, unless they are gone from the collection's folder."""

    within: str | None = None

    def __init__(self, catalog: Catalog, folder: Path) -> None:
        self._catalog, self._folder = catalog, folder

    def covers(self, key: str) -> bool:
        return self._catalog.known_file(key) is not None

    def leaves_out(self, _key: str) -> bool:
        return False

    def files(self) -> Iterator[Found | Unreadable]:
        inside, elsewhere = self._catalog.known_files(""), self._catalog.known_files("/")
        for known in heapq.merge(inside, elsewhere, key=lambda known: os.fsencode(known.key)):
            path = places.place_of(self._folder, known.key)
            is_elsewhere = keys.is_elsewhere(known.key) and known.kind is not FileKind.MISSING
            if is_elsewhere or places.is_there(path):
                yield found_file(path, known.key)


def _is_unlistable(folder: Path) -> bool:
    """Whether a folder is there, as far as can be told, and cannot be listed."""
    try:
        with os.scandir(folder):
            return False
    except OSError as error:
        return not isinstance(error, FileNotFoundError | NotADirectoryError)
