"""A collection: the images of a folder, their vectors, and the ways to search them. Begin reading here.

storage/layout.py draws the directory that it is on the disk. A search begins in searching.py, which asks encoder.py for
the query vector; with that, search/searcher.py asks a snapshot for rows and the catalog for their images. `add`, in
updating.py, hands a source to ingest/pipeline.py, and sources.py remembers it; `build` and `maintain` are in
index/maintenance.py.
"""

import dataclasses
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike import arguments
from lookalike.collection import compatibility, missing
from lookalike.collection.encoder import CollectionEncoder
from lookalike.collection.exporting import Exportable
from lookalike.collection.indexes import CollectionIndexes
from lookalike.collection.info import Info, info_of
from lookalike.collection.missing import Missing
from lookalike.collection.reviewing import Reviewable
from lookalike.collection.searching import Searchable
from lookalike.collection.sources import CollectionSources
from lookalike.collection.uploads import Uploadable
from lookalike.collection.writing import WriteAccess
from lookalike.duplicates.folding import Folds
from lookalike.errors import CollectionError, CorruptError
from lookalike.evaluation import QUERIES
from lookalike.filters import Where, checked_where
from lookalike.index.build_progress import BuildProgress
from lookalike.index.faiss_index import Index
from lookalike.index.generation import Generation
from lookalike.index.maintenance import Maintenance
from lookalike.index.options import BuildOptions, memory_bytes
from lookalike.index.policies import DEFAULT, TARGET_RECALL, Policies
from lookalike.results import Skipped
from lookalike.search.probability import FittedCurves, KeptCurves
from lookalike.search.searcher import Searcher
from lookalike.search.snapshot import Snapshots
from lookalike.sources import places
from lookalike.storage import layout
from lookalike.storage import manifest as manifests
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Manifest

if TYPE_CHECKING:
    from lookalike.evaluation.results import Evaluation


class Collection(Searchable, Uploadable, Reviewable, Exportable):
    """An open collection, made by `lookalike.open` or `lookalike.create`. Threads may share it.

    The search methods take the fields of `lookalike.SearchOptions` as keyword arguments.
    """

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        encoder: CollectionEncoder,
        *,
        policies: Policies = DEFAULT,
    ) -> None:
        self.directory, self.folder = directory, manifest.folder
        self._manifest, self._policies = manifest, policies
        check_is_mine = partial(compatibility.check_unchanged, directory, manifest)
        self._catalog = Catalog(manifest.data_directory(directory) / layout.CATALOG, on_replaced=check_is_mine)
        self._catalog.state()  # damage is noticed at once
        compatibility.check_catalog(directory, manifest, self._catalog)
        self._snapshots = Snapshots(self._catalog, directory, manifest, policies.tuning)
        access = WriteAccess(self._catalog, directory, manifest, policies)
        self._curves = KeptCurves(manifest.data_directory(directory), manifest.made_by.fingerprint)
        folds = Folds(manifest.data_directory(directory) / layout.PICTURES)
        searcher = Searcher(self._snapshots, self.folder, self._curves)
        Searchable.__init__(self, searcher, folds, encoder, manifest.made_by, lambda id_: self.original(id_).data)
        sources = CollectionSources(directory, manifest)
        sources.allow_urls()
        Uploadable.__init__(self, manifest, self._catalog, access, sources, encoder)

    def _share_encoder(self, other: "Collection") -> None:
        """Uses the encoder that another collection of the same model has loaded, so that it is loaded once."""
        self._encoder.take_from(other._encoder)

    def __len__(self) -> int:
        """The number of images."""
        return self._catalog.totals().images

    def __enter__(self) -> "Collection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its files; they are opened again when the collection is used again."""
        self._snapshots.close()
        self._catalog.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the path and the options; the copy is opened where it is unpickled."""
        from lookalike.collection import opening  # which imports this module

        return opening.reopened, (self.directory, self._policies, *self._encoder.pickled())

    def is_current(self) -> bool:
        """Whether it is still as it was opened: not indexed again with another model, moved, deleted or replaced."""
        try:
            return manifests.read(self.directory) == self._manifest
        except CollectionError:
            return False

    def reopen(self) -> "Collection":
        """Opens the collection as it is now, with the same options; this one can still be used, and is closed as usual.

        Raises:
            NoCollectionError: it is gone.
            IncompatibleError: it was indexed again, and the encoder that was given as an object cannot be used with it.
            CorruptError: one of its files is damaged.
        """
        from lookalike.collection import opening  # which imports this module

        return opening.reopened(self.directory, self._policies, *self._encoder.options)

    @property
    def snapshots(self) -> Snapshots:
        """Its committed states, for a search over several collections."""
        return self._snapshots

    # The index

    def build(
        self,
        *,
        recall: float = TARGET_RECALL,
        memory: str | int | None = None,
        spec: str | None = None,
        progress: Callable[[BuildProgress], None] | None = None,
    ) -> Generation | None:
        """Builds a new index, measures its recall, and removes the vectors of deleted images.

        Args:
            recall: the target recall: the mean share of the 10 nearest images that a search finds.
            memory: the most memory that the index may take, in bytes or as "500MB"; the vectors are on the disk.
            spec: a FAISS index factory string, such as "IVF4096,PQ320x4fs" or "HNSW32,SQ8". By default exact search if
                that takes milliseconds, else inverted lists of 4-bit codes, finer if the recall needs it.
            progress: called before and while it works; an exception that it raises ends the work, and nothing changes.

        Returns:
            What is known of the index, or None if every search is exact. `reached_recall` says whether the target was
            reached.

        Raises:
            UsageError: the index is impossible, or would take more memory than it may.
            CorruptError: a vector is damaged.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing; the present index still serves.
        """
        options = BuildOptions(recall, None if memory is None else memory_bytes(memory), spec)
        with self._write_access.indexes(arguments.callback(progress, "progress")) as indexes:
            return indexes.build(options)

    def build_on(self, trained: Index, options: BuildOptions) -> Generation | None:
        """Builds a new index with lists and codebooks that were trained before, for a sharded collection.

        Args:
            trained: an index without rows, which gets those of this collection.
            options: what was asked for.

        Returns:
            What is known of the index, or None if there are no images.

        Raises:
            CorruptError: a vector is damaged.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing; the present index still serves.
        """
        trained = arguments.instance(trained, Index, "trained", "an index without rows")
        options = arguments.instance(options, BuildOptions, "options", "BuildOptions(...)")
        with self._write_access.indexes(None) as indexes:
            return indexes.build_on(trained, options)

    def maintain(self, *, progress: Callable[[BuildProgress], None] | None = None) -> Maintenance:
        """Does what is due after adding and removing, which is mostly nothing.

        New images are found at once; when there are many of them, the index takes them in, as long as its recall,
        measured again, holds. The index is built anew when there are four times as many images as it was trained for,
        or it no longer reaches its recall. Vectors of deleted images are removed when they are a fifth of all. A
        collection that has grown too large for exact search gets its first index.

        Raises:
            CorruptError: a vector is damaged.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing; the present index still serves.
        """
        with self._write_access.indexes(arguments.callback(progress, "progress")) as indexes:
            return indexes.maintain()

    def needs_maintenance(self) -> bool:
        """Whether `maintain` has something to do, as far as can be told without reading the index; this is quick."""
        place = self._manifest.data_directory(self.directory)
        return CollectionIndexes(self._snapshots, place, self.made_by.dim, self._policies).is_due()

    def keep_augmented(self, wanted: bool = True, *, progress: Callable[[BuildProgress], None] | None = None) -> None:
        """Makes augmented vectors and keeps them from now on, or lets go of them.

        A refined order (`refine=True`) then goes by them: each image by what it has in common with its nearest. That
        finds more of a kind where kinds have more images than the 400 nearest, which are refined otherwise. They take
        as much room as the vectors, and are made anew by `maintain` and `build` once a tenth of the images has come or
        gone.

        Args:
            wanted: whether to keep them.
            progress: called while it works; an exception that it raises ends the work, and there are none yet.

        Raises:
            CorruptError: a vector is damaged.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        wanted = arguments.flag(wanted, "wanted")
        with self._write_access.indexes(arguments.callback(progress, "progress")) as indexes:
            indexes.keep_augmented(wanted)

    def maintain_apart(self, stopped: threading.Event) -> Maintenance:
        """Does as `maintain`, in a process of its own with the lowest priority, unless the event is set meanwhile.

        Raises:
            ModelError: it was stopped, or its process was killed; nothing of it is left.
            CorruptError: a vector is damaged.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing; the present index still serves.
        """
        from lookalike.collection.maintaining import maintain_apart

        stopped = arguments.instance(stopped, threading.Event, "stopped", "a threading.Event")
        return maintain_apart(self.directory, self._policies, stopped)

    # Looking after it

    def count(self, where: Where) -> int:
        """The number of images that a filter admits; raises UsageError for an attribute that no image has."""
        return self._catalog.count_where(checked_where(where) or Where())

    def info(self) -> Info:
        """What the collection is and holds."""
        leaves_out, fitted = self._sources.leaves_out(), self._curves.fitted()
        return info_of(self.directory, self._manifest, self._snapshots, self.made_of, leaves_out, fitted)

    def evaluate(self, *, queries: int = QUERIES, progress: Callable[[int, int], None] | None = None) -> "Evaluation":
        """Measures the search with the collection's own images as queries, each left out of its own answer.

        The recall is against exact search; precision and mAP are by label. The orders that a search can give are
        compared, too, also with edited copies of some images as queries; `info` then tells what is better. How probable
        it is that a match has the query's label, or is an edited copy, is learned, and told by later searches
        (`Match.probability`, `Match.copy_probability`).

        Args:
            queries: the most images to use as queries, drawn at random and always the same.
            progress: called with the number of steps that are done, and their total.

        Raises:
            UsageError: there are fewer than two images that differ.
            CorruptError: a vector is damaged.
        """
        from lookalike.evaluation import calibration, kept, search_quality
        from lookalike.evaluation.copied_images import CopiedImages

        progress = arguments.callback(progress, "progress")
        copied = CopiedImages(lambda image_id: self.original(image_id).data, self.embed)
        found = search_quality.evaluate_search(self._snapshots, self._searcher, copied, queries, progress)
        kept.keep(self._manifest.data_directory(self.directory), found)
        learned = (found.calibration, found.copy_calibration)
        curves = (calibration.fitted(each, self.made_by.fingerprint) for each in learned)
        self._curves.keep(FittedCurves(*curves))
        return dataclasses.replace(found, origin=self._origin())

    def skipped(self) -> list[Skipped]:
        """The files that were left out, with the reasons."""
        return [Skipped(places.place_of(self.folder, key), reason) for key, reason in self._catalog.skipped()]

    def other_files(self) -> int:
        """The number of files in its folders that are no images: they are left out without a word. Hidden ones aside.

        A collection that is not trusted is not asked; see `trust`.
        """
        folders = self._sources.folders()
        return sum(folder.count_others() for folder in folders)

    def missing(self) -> list[Missing]:
        """The images whose files are gone or cannot be used."""
        return missing.missing_images(self._catalog, self.folder, self._sources.leaves_out())

    def check(self) -> list[str]:
        """Reads everything, and describes each damage in a sentence; an empty list if there is none."""
        return [str(damage) for damage in self.find_damage()]

    def find_damage(self) -> list[CorruptError]:
        """Reads everything, and returns each damage as an error that says what to do about it."""
        from lookalike.collection.damage import find_damage

        return find_damage(self.directory, self._catalog, self._snapshots)
