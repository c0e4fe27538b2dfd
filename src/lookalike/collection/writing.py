"""Who may write to a collection, and where: the lock, and what is made sure of before anything is written."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lookalike.collection import compatibility
from lookalike.index.build_progress import OnBuildProgress
from lookalike.index.maintenance import IndexMaintainer
from lookalike.index.policies import Policies
from lookalike.storage import directory as directories
from lookalike.storage import lock, vectors
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Manifest
from lookalike.storage.vectors import VectorWriter


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
    def index(self, progress: OnBuildProgress | None) -> Iterator[IndexMaintainer]:
        """Holds the lock, and gives what maintains the index, without what a killed process has left behind."""
        with self.locked():
            maintainer = IndexMaintainer(self._catalog, self._data_directory, self._dim, self._policies, progress)
            maintainer.sweep()
            yield maintainer
