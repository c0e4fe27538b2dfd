"""Takes vectors over from other collections of the same encoder, instead of making them anew.

A vector is looked up by the SHA-256 of the file, and is used only if its checksum is right. Attributes follow to images
that are at the same path with the same contents.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import CollectionError
from lookalike.sources.folder import key_of
from lookalike.storage import layout
from lookalike.storage import manifest as manifests
from lookalike.storage.catalog import Catalog
from lookalike.storage.checksums import crc32s
from lookalike.storage.manifest import Manifest
from lookalike.storage.mapped_vectors import MappedVectors


@dataclass(frozen=True)
class TakenVector:
    """A vector of another collection.

    Attributes:
        width: of its image in pixels.
        height: likewise.
        decoding: the revision of the decoders that it was made with.
        stored: the unit vector, float16 (dim,).
    """

    width: int
    height: int
    decoding: int
    stored: NDArray[np.float16]


@dataclass(frozen=True)
class _Other:
    folder: Path
    catalog: Catalog
    vectors: MappedVectors


class OtherCollections:
    """Open collections, from which vectors may be taken. Threads may share it."""

    def __init__(self, others: Sequence[_Other] = ()) -> None:
        self._others, self._lock, self._count = others, threading.Lock(), 0

    def vector_of(self, hash_: bytes) -> TakenVector | None:
        """The vector of the file with that SHA-256; None if there is none, or it is damaged."""
        for other in self._others:
            found = other.catalog.vector_of(hash_)
            if found and found.row < other.vectors.count:
                stored = other.vectors.stored(np.array([found.row]))
                if crc32s(stored) == [found.crc32]:
                    return TakenVector(found.width, found.height, found.decoding, stored[0])
        return None

    def taken(self) -> None:
        """Counts a vector that is used."""
        with self._lock:
            self._count += 1

    def take_count(self) -> int:
        """The number of vectors that have been taken since it was last asked."""
        with self._lock:
            count, self._count = self._count, 0
        return count

    def give_attributes(self, catalog: Catalog, folder: Path) -> int:
        """Gives images of a catalog the attributes that they have in the other collections, and returns their number.

        An image gets those of one at the same path with the same contents; what it has already stays.

        Args:
            catalog: the one that is written to.
            folder: what its keys are relative to.
        """
        count = 0
        for other in self._others:
            annotated = other.catalog.annotated_images()
            with catalog.writing() as transaction:
                for image in annotated:
                    key = key_of(other.folder / image.key, folder)
                    there = transaction.image_at(key)
                    if there and transaction.hash_of(there.row) == image.sha256:
                        count += transaction.add_attributes(there.id, key, image.attributes)
        return count


@contextmanager
def opened(directories: Sequence[Path], manifest: Manifest) -> Iterator[OtherCollections]:
    """Opens collections to take vectors from, for a collection with this manifest.

    Raises:
        CollectionError: one of them is damaged, or another encoder made it.
    """
    with ExitStack() as stack:
        yield OtherCollections([_opened(each, manifest, stack) for each in directories])


def _opened(directory: Path, manifest: Manifest, stack: ExitStack) -> _Other:
    other = manifests.read(directory)
    if other.made_by != manifest.made_by:
        raise CollectionError(f"{directory}: its vectors were made by {other.made_by}, not by {manifest.made_by}")
    data = other.data_directory(directory)
    catalog = stack.enter_context(closing(Catalog(data / layout.CATALOG)))
    state = catalog.state()
    return _Other(other.folder, catalog, MappedVectors(data / state.vectors, other.made_by.dim, state.count))
