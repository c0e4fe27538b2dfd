"""Reads the images of a collection and their vectors, some thousands at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.errors import CorruptError
from lookalike.images.reading import FileStatus
from lookalike.storage.catalog import Catalog
from lookalike.storage.checksums import read_checked
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.records import State, StoredImage
from lookalike.storage.vectors import StoredVectors

_IMAGES, _VALUES = 10_000, 16_000_000  # read at a time: so many images, or numbers of their vectors


@dataclass(frozen=True)
class Block:
    """Some images of a collection, by id.

    Attributes:
        images: the images.
        vectors: of each: half precision, (n, dim).
        files: the status of the file of each, and the revision of the decoders that read it; empty if not asked for.
    """

    images: list[StoredImage]
    vectors: StoredVectors
    files: list[tuple[FileStatus, int]]

    def part(self, start: int, stop: int) -> "Block":
        """The images from one place up to and without another."""
        return Block(self.images[start:stop], self.vectors[start:stop], self.files[start:stop])


class BlockReader:
    """Reads the images of a collection in the order of their ids. Each vector is compared with its checksum.

    A block is of one committed state, and no state is held between two of them, so that writers do not wait: an image
    that is removed meanwhile may be left out, and one that is added comes at the end.
    """

    def __init__(self, catalog: Catalog, data_directory: Path, dim: int, *, with_files: bool = False) -> None:
        self._catalog, self._directory, self._dim = catalog, data_directory, dim
        self._mapped: MappedVectors | None = None
        self._with_files = with_files
        self._size = max(1, min(_IMAGES, _VALUES // dim))

    def blocks(self) -> Iterator[Block]:
        """Yields the blocks.

        Raises:
            CorruptError: a record or a vector is damaged.
        """
        last = 0
        while (block := self._read(last)).images:
            yield block
            last = block.images[-1].id

    def _read(self, after_id: int) -> Block:
        while True:
            state = self._catalog.state()
            try:
                return self._read_now(after_id)
            except CorruptError:
                if self._catalog.state().files == state.files:
                    raise  # else the file of vectors has been replaced just now

    def _read_now(self, after_id: int) -> Block:
        with self._catalog.reading() as state:
            images = self._catalog.images_after(after_id, where=None, limit=self._size)
            rows = np.array([image.row for image in images], np.int64)
            if rows.size and rows.max() >= state.count:
                raise CorruptError(f"{self._catalog.path}: the file is damaged: row number out of range")
            files = self._catalog.files_after(after_id, limit=len(images)) if self._with_files else []
            return Block(images, read_checked(self._catalog, self._mapped_of(state), rows), files)

    def _mapped_of(self, state: State) -> MappedVectors:
        path, mapped = self._directory / state.vectors, self._mapped
        if mapped is None or mapped.path != path or mapped.count < state.count or not mapped.is_current():
            mapped = self._mapped = MappedVectors(path, self._dim, state.count)
        return mapped
