"""Makes a collection out of sight: it is there whole or not at all, whatever happens."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from lookalike.errors import UsageError
from lookalike.storage import bulk, layout, vectors
from lookalike.storage import made_of as remembered
from lookalike.storage import manifest as manifests
from lookalike.storage.bulk import Added, BulkCatalog, NewImages
from lookalike.storage.catalog import Catalog
from lookalike.storage.made_of import MadeOf
from lookalike.storage.manifest import Manifest
from lookalike.storage.vectors import StoredVectors
from lookalike.system import durable, scratch

_PREFIX = ".lookalike-making-"


class NewCollection:
    """A collection that is being made: takes images and their vectors."""

    def __init__(self, catalog: BulkCatalog, file: BinaryIO) -> None:
        self._catalog, self._file = catalog, file

    @property
    def images(self) -> int:
        """The number of images."""
        return self._catalog.images

    @property
    def rows(self) -> int:
        """The number of vectors."""
        return self._catalog.rows

    def add(self, images: NewImages, stored: StoredVectors) -> Added:
        """Adds images with their vectors, half precision (n, dim); see `BulkCatalog.add`."""
        added = self._catalog.add(images)
        if len(added.new) < len(images):
            stored = stored[list(added.new)]
        if len(stored):
            self._file.write(stored.data.cast("B"))
        return added


def check(directory: Path) -> None:
    """Raises UsageError unless a collection can be made in a directory: it is new, or empty."""
    layout.check_is_no_link(directory)
    if layout.find(directory):
        raise UsageError(f"{directory}: there is a collection already; name another directory")
    if os.path.lexists(directory) and not (directory.is_dir() and not any(directory.iterdir())):
        raise UsageError(f"{directory}: it is there and not empty; name a directory that is new")


@contextmanager
def making(directory: Path, manifest: Manifest, made_of: MadeOf = MadeOf()) -> Iterator[NewCollection]:  # noqa: B008
    """Gives a new collection to fill. At the end it is at its directory, complete; if something is raised, nothing is.

    Args:
        directory: of the collection, new or empty.
        manifest: of the collection.
        made_of: what it is made of.

    Raises:
        UsageError: there is something in the directory.
        StorageError: the disk is full or failing.
    """
    with publishing(directory) as inner, filling(inner, manifest, made_of, parent=directory.parent) as collection:
        yield collection


@contextmanager
def publishing(directory: Path) -> Iterator[Path]:
    """Gives an empty directory, which is renamed at the end, or thrown away if something is raised.

    It is made beside. What a killed process has left of one is removed by the next.

    Raises:
        UsageError: there is something in the directory.
        StorageError: the disk is full or failing.
    """
    check(directory)
    with durable.storage_errors(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        with scratch.directory(directory.parent, _PREFIX) as place:
            inner = place / directory.name
            inner.mkdir()
            yield inner
            check(directory)
            durable.rename(inner, directory)


@contextmanager
def filling(place: Path, manifest: Manifest, made_of: MadeOf, *, parent: Path) -> Iterator[NewCollection]:
    """Gives a new collection to fill in an empty directory, which will be in the folder `parent` at the end."""
    with bulk.filling(place / layout.CATALOG) as catalog:
        yield from _with_vectors(place / layout.VECTORS, manifest.made_by.dim, catalog)
    remembered.write(place, made_of)
    layout.lock_file(place).touch()
    # The folder that the directory is in is not written down by its name; until the end, that is another one.
    folder = place.parent if manifest.folder == parent else manifest.folder
    manifests.write(place, replace(manifest, folder=folder, catalog=_identity(place)))


def _with_vectors(path: Path, dim: int, catalog: BulkCatalog) -> Iterator[NewCollection]:
    vectors.create(path, dim)
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        yield NewCollection(catalog, file)
        file.seek(0)
        file.write(vectors.header(dim, catalog.rows))
        file.flush()
        durable.sync(file.fileno())


def _identity(directory: Path) -> str:
    catalog = Catalog(directory / layout.CATALOG)
    try:
        return catalog.identity()
    finally:
        catalog.close()
