"""Who may write to a collection, and where: the lock, and what is made sure of before anything is written."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.collection import compatibility
from lookalike.collection.indexes import CollectionIndexes
from lookalike.encoders import Encoder
from lookalike.index.build_progress import OnBuildProgress
from lookalike.index.policies import Policies
from lookalike.search.snapshot import Snapshots
from lookalike.storage import directory as directories
from lookalike.storage import lock, vectors
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Manifest
from lookalike.storage.vectors import VectorWriter

if TYPE_CHECKING:
    from lookalike.ingest.regions import RegionIngest
    from lookalike.ingest.suspects import UnderWay


class WriteAccess:
    """Gives one process at a time what it needs to write to a collection.

    All methods raise LockedError if another process is writing, IncompatibleError if the collection has been indexed
    again with another model since it was opened, and StorageError if the disk is full or failing.
    """

    def __init__(self, catalog: Catalog, directory: Path, manifest: Manifest, policies: Policies) -> None:
        self._catalog, self._directory, self._manifest, self._policies = catalog, directory, manifest, policies
        self._data_directory, self._dim = manifest.data_directory(directory), manifest.made_by.dim

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the writer's lock of a collection that is still the one that was opened."""
        with lock.locked(self._directory), self._catalog.pinned():
            compatibility.check_unchanged(self._directory, self._manifest)
            directories.sweep(self._directory, self._manifest)
            yield

    @contextmanager
    def vectors(self) -> Iterator[VectorWriter]:
        """Holds the lock, and gives a writer that appends to the committed vectors."""
        with self.locked():
            state = self._catalog.state()
            path = self._data_directory / state.vectors
            if vectors.has_leftovers(path, self._dim, state.count):
                self._catalog.check()  # a damaged catalog might know of too few vectors
            with closing(VectorWriter(path, self._dim, state.count)) as writer:
                yield writer

    @contextmanager
    def regions(
        self, encoder: Encoder, folder: Path, max_pixels: int, under_way: "UnderWay"
    ) -> "Iterator[RegionIngest | None]":
        """Gives what makes the vectors of parts of the images; None if the collection keeps none.

        The caller holds the lock.
        """
        from lookalike.collection.regions import region_ingest

        opened = region_ingest(self._catalog, self._data_directory, encoder, folder, max_pixels, under_way)
        with opened as regions:
            yield regions

    @contextmanager
    def indexes(self, progress: OnBuildProgress | None) -> Iterator[CollectionIndexes]:
        """Holds the lock, and gives what maintains the indexes, without what a killed process has left behind."""
        with self.locked():
            snapshots = Snapshots(self._catalog, self._directory, self._manifest, self._policies.tuning)
            indexes = CollectionIndexes(snapshots, self._data_directory, self._dim, self._policies, progress)
            indexes.sweep()
            yield indexes

    def keep_regions(self, per_image: int) -> None:
        """Keeps vectors of so many parts of each image from now on, or of none; those of another number are removed."""
        from lookalike.collection.regions import keep_regions

        with self.indexes(None) as indexes:
            if keep_regions(self._catalog, self._data_directory, self._dim, per_image):
                indexes.sweep()
