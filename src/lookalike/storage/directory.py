"""Makes the directory of a collection, and removes from it what no longer counts."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lookalike.errors import CorruptError, LookalikeError, UsageError
from lookalike.storage import files, layout, lock, vectors
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Manifest
from lookalike.system import durable


@contextmanager
def making(directory: Path) -> Iterator[None]:
    """Holds the lock of an existing and empty directory while a collection is made in it.

    What an interrupted creation has left behind is removed.

    Raises:
        UsageError: there is a collection already, or there are files that are not Lookalike's.
        CorruptError: there is a collection that has lost its manifest.
        LockedError: another process is making it.
        StorageError: it cannot be written.
    """
    _refuse_foreign_files(directory)
    with durable.storage_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    with lock.locked(directory):
        if layout.find(directory):
            raise UsageError(f"{directory}: there is a collection already; open it, or name another directory")
        if any(_images(data / layout.CATALOG) for data in (directory, *directory.glob("data.*"))):
            raise CorruptError(
                f"{directory / layout.MANIFEST}: it is missing, although the rest of the collection is there"
            )
        for name in filter(_is_made_first, os.listdir(directory)):
            with durable.storage_errors(directory / name):
                files.remove(directory / name)
        yield


def create_data(data_directory: Path, dim: int) -> str:
    """Makes an empty catalog and an empty file of vectors of that dimension, and returns the catalog's identity.

    Raises:
        StorageError: they cannot be written.
    """
    Catalog.create(data_directory / layout.CATALOG)
    vectors.create(data_directory / layout.VECTORS, dim)
    with closing(Catalog(data_directory / layout.CATALOG)) as catalog:
        return catalog.identity()


def sweep(directory: Path, manifest: Manifest) -> None:
    """Removes the data of the models that served before the present one.

    Raises:
        StorageError: something cannot be removed.
    """
    if manifest.data is None:
        return
    with durable.storage_errors(directory):
        earlier = [
            name
            for name in os.listdir(directory)
            if layout.is_first_data(name) or layout.is_earlier_data(name, manifest.data)
        ]
        # The catalog goes first: a process that misses another of the files asks it for the reason.
        for name in sorted(earlier, key=lambda name: name != layout.CATALOG):
            if layout.is_data(name) and not (directory / name).is_symlink():
                files.remove(directory / name / layout.CATALOG)
            files.remove_directory(directory / name)


def _refuse_foreign_files(directory: Path) -> None:
    """Raises UsageError unless the directory is new, empty, or holds nothing but a collection's files.

    A new collection's lock is made first, and a collection that has lost its manifest has all its other files.
    """
    if not os.path.isdir(directory):
        return
    with durable.storage_errors(directory):
        names = os.listdir(directory)
    own = layout.lock_file(directory).name in names and all(map(layout.is_of_collection, names))
    if names and not own:
        raise UsageError(f"{directory}: it is no collection and not empty; name a directory that is new")


def _is_made_first(name: str) -> bool:
    """Whether a creation makes a file of that name before the manifest."""
    new = {durable.beside(Path(each)).name for each in (layout.MANIFEST, layout.SOURCES)}
    return name in {layout.VECTORS, layout.SOURCES} | new or name.startswith(layout.CATALOG)


def _images(catalog: Path) -> int:
    """The number of images in a catalog; 0 if there is none, or it is not complete yet."""
    try:
        return Catalog(catalog).totals().images
    except LookalikeError:
        return 0
