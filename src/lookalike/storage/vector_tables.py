"""The files of vectors that a collection has, each with what the catalog says of it: what an index is built over.

There are the vectors of whole images and, if they are wanted, those of parts of images. Both grow by appending, may
have an index, and are compacted when too many of their rows belong to no image any more.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lookalike.storage import layout
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import RegionState, State, StoredGeneration
from lookalike.storage.rows import Rows
from lookalike.storage.transaction import Transaction


class VectorTable(Protocol):
    """A file of vectors, and what the catalog says of it."""

    @property
    def catalog(self) -> Catalog:
        """What says it."""

    def state(self) -> State | RegionState:
        """The name of the file, the number of its committed rows, and the index."""

    def dead_rows(self) -> Rows:
        """The rows that belong to no image any more, be it missing or not, in order: int64 (n,)."""

    def crc32s(self, rows: Sequence[int]) -> dict[int, int]:
        """The checksums of at least these rows, by row; a row that is unknown has none."""

    def next_name(self) -> str:
        """The name of the file that a compaction writes."""

    def compact(self, transaction: Transaction, name: str) -> None:
        """Names the file of this name, which has no dead rows and the others in their order, and drops the index."""

    def put_generation(self, transaction: Transaction, stored: StoredGeneration | None) -> None:
        """Names the generation of the index that serves from now on, or none."""


class ImageVectors:
    """The vectors of whole images."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def state(self) -> State:
        return self.catalog.state()

    def dead_rows(self) -> Rows:
        return np.array(self.catalog.dead_rows(), np.int64)

    def crc32s(self, rows: Sequence[int]) -> dict[int, int]:
        return self.catalog.crc32s(rows)

    def next_name(self) -> str:
        return layout.next_vectors(self.state().vectors)

    def compact(self, transaction: Transaction, name: str) -> None:
        transaction.compact(name)

    def put_generation(self, transaction: Transaction, stored: StoredGeneration | None) -> None:
        if stored:
            transaction.put_generation(stored)
        else:
            transaction.drop_generation()


class RegionVectors:
    """The vectors of parts of images; the collection has some while this is used."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def state(self) -> RegionState:
        regions = self.catalog.state().regions
        assert regions
        return regions

    def dead_rows(self) -> Rows:
        state = self.state()
        is_dead = np.ones(state.places, bool)
        is_dead[np.array(self.catalog.regions.live_places(state), np.int64)] = False
        return np.flatnonzero(np.repeat(is_dead, state.per_image))

    def crc32s(self, rows: Sequence[int]) -> dict[int, int]:
        return self.catalog.regions.crc32s(self.state(), rows)

    def next_name(self) -> str:
        return layout.next_regions(self.state().vectors)

    def compact(self, transaction: Transaction, name: str) -> None:
        transaction.regions.compact(name)

    def put_generation(self, transaction: Transaction, stored: StoredGeneration | None) -> None:
        if stored:
            transaction.put_generation(stored, of_regions=True)
        else:
            transaction.drop_generation(of_regions=True)


def tables_of(catalog: Catalog) -> list[VectorTable]:
    """The files of vectors that a collection has now."""
    images, regions = ImageVectors(catalog), RegionVectors(catalog)
    return [images, regions] if catalog.state().regions else [images]
