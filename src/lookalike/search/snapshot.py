"""One committed state of a collection, opened: its vectors, its index, and the rows that may be found."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from lookalike.errors import CorruptError, Hint
from lookalike.filters import Where
from lookalike.index import generation
from lookalike.index.generation import Generation
from lookalike.index.policies import TuningPolicy
from lookalike.search.augmentation import AugmentedVectors
from lookalike.search.chance import KeptSample
from lookalike.search.open_files import DamagedIndexError, OpenFiles, TableState, index_key
from lookalike.search.regions import SearchableRegions, parts_of
from lookalike.search.searchable import SearchableVectors
from lookalike.storage import checksums
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Manifest
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.records import RegionState, State, StoredGeneration
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vector_tables import VectorTable, tables_of
from lookalike.storage.vectors import StoredVectors
from lookalike.system import forks

_FILTERS = 32  # the row sets that a snapshot keeps


@dataclass(frozen=True, kw_only=True)
class Snapshot(SearchableVectors):
    """What searches need of one committed state. Threads may share it.

    Attributes:
        state: what the catalog says of the files.
        catalog: the catalog, which sees this state while the snapshot is in use.
        regions: the vectors of parts of the images, if there are any and a search has asked for them.
        regions_hint: what to do if there are none.
        augmented: the augmented vectors, likewise.
    """

    state: State
    catalog: Catalog
    regions_hint: Hint
    regions: SearchableRegions | None = None
    augmented: AugmentedVectors | None = None
    _filtered: OrderedDict[Where, RowSet] = field(default_factory=OrderedDict, compare=False, repr=False)
    _lock: threading.Lock = field(default_factory=forks.lock, compare=False, repr=False)

    def row_set(self, where: Where) -> RowSet:
        """The live rows that a filter admits, read from the catalog.

        Raises:
            UsageError: the filter asks for an attribute that no image has.
        """
        with self._lock:
            if where in self._filtered:
                self._filtered.move_to_end(where)
                return self._filtered[where]
        row_set = RowSet(self.state.count, only=np.array(self.catalog.rows_where(where), np.int64))
        with self._lock:
            self._filtered[where] = row_set
            while len(self._filtered) > _FILTERS:
                self._filtered.popitem(last=False)
        return row_set

    def read_checked(self, rows: Rows) -> StoredVectors:
        """The vectors of rows, half precision (n, dim), each compared with its checksum in the catalog.

        Raises:
            CorruptError: one is damaged.
        """
        return checksums.read_checked(self.catalog, self.vectors, rows)

    def check_rows(self, crc32s: Mapping[int, int]) -> None:
        """Raises CorruptError unless the checksums of rows are the expected ones."""
        checksums.check_rows(self.vectors, np.array([*crc32s], np.int64), crc32s)

    def part_crc32s(self, part_rows: Rows) -> dict[int, int]:
        """The checksums of these rows of parts, by row, as the catalog has them now; -1 is none."""
        state, wanted = self.state.regions, part_rows[part_rows >= 0].tolist()
        if state is None or not wanted:
            return {}
        known = self.catalog.regions.crc32s(state, wanted)
        return {row: known[row] for row in wanted if row in known}


class Snapshots:
    """Opens the newest committed state, and keeps what does not change. Threads may share it."""

    def __init__(self, catalog: Catalog, directory: Path, manifest: Manifest, policy: TuningPolicy) -> None:
        """Opens nothing yet."""
        self.catalog, self._policy = catalog, policy
        self._directory, self._dim = manifest.data_directory(directory), manifest.made_by.dim
        path = str(manifest.path(directory))
        self._hint, self._regions_hint = Hint("maintain", {"path": path}), Hint("keep_regions", {"path": path})
        self._lock = forks.lock()
        files = (OpenFiles(self._directory, self._dim, self._hint) for _ in range(3))
        self._images, self._regions, self._augmented = files
        self._newest: Snapshot | None = None
        self._known_rows: tuple[object, Rows] = None, np.empty(0, np.int64)  # of whole images, by place

    def close(self) -> None:
        """Closes the files; the next use opens them again."""
        with self._lock:
            self._newest = None
            self._images.close()
            self._regions.close()
            self._augmented.close()

    @contextmanager
    def current(self, *, regions: bool = False, augmented: bool = False) -> Iterator[Snapshot]:
        """The newest state; what is read from the catalog within belongs to it.

        It is a read transaction, which keeps writers from committing: search after it, not within.

        Args:
            regions: whether the vectors of parts of the images are wanted, too, if there are any.
            augmented: whether augmented vectors are, likewise.

        Raises:
            CorruptError: a file of the collection is damaged.
        """
        while True:
            with self.catalog.reading() as state:
                if self.is_loaded(state, regions=regions, augmented=augmented):
                    yield self._snapshot(state, regions=regions, augmented=augmented)
                    return
            self._load(state, regions=regions, augmented=augmented)

    def last(self, *, regions: bool = False, augmented: bool = False) -> Snapshot | None:
        """The state that was used last, if its files are open; it need not be the newest one.

        If `regions` are wanted, it has them: whether there are some by now, only the newest one tells. Augmented
        vectors it has as far as there were some.
        """
        with self._lock:
            newest = self._newest
            if newest is None or newest.vectors is not self._images.vectors() or not newest.vectors.is_current():
                return None
            if newest.opened is not self._images.index(newest.state, newest.state.replacements):
                return None
            if regions and not (newest.regions and self._has_its_regions(newest)):
                return None
            return newest if not augmented or self._has_its_augmented(newest) else None

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Keeps writers from committing, and tells whether the files of the newest state are open."""
        with self.catalog.reading() as state:
            yield self.is_loaded(state)

    def index_card(self) -> Generation | None:
        """What is known of the index, without reading it; None if there is none.

        Raises:
            CorruptError: it cannot be used, as far as can be told without reading it.
        """
        return self._index_card(lambda state: state.generation)

    def region_index_card(self) -> Generation | None:
        """The same of the index of parts of the images."""
        return self._index_card(lambda state: state.regions.generation if state.regions else None)

    def _index_card(self, of: Callable[[State], StoredGeneration | None]) -> Generation | None:
        while True:
            state = self.catalog.state()
            stored = of(state)
            if stored is None:
                return None
            try:
                card = generation.read_card(self._directory, stored, dim=self._dim)
                generation.check_size(self._directory, stored, card)
                return card
            except CorruptError:
                if not self._is_replaced(state):
                    raise

    def find_damage(self) -> list[CorruptError]:
        """Reads every vector and every index, and reports what is damaged.

        No one state is held all the while, which would stop a writer; if that has replaced the files meanwhile, they
        are read once more.
        """
        while True:
            state = self.catalog.state()
            found = [damage for table in tables_of(self.catalog) for damage in self._damaged(table)]
            found += self._damaged_augmented(state)
            if not found or not self._is_replaced(state):
                return found

    def _is_replaced(self, state: State) -> bool:
        """Whether a writer has replaced the files since; then an error says nothing, and they are to be read again."""
        return self.catalog.state().files != state.files

    def _damaged(self, table: VectorTable) -> Iterator[CorruptError]:
        state = table.state()
        try:
            vectors = MappedVectors(self._directory / state.vectors, self._dim, state.count)
            yield from checksums.find_damage(table, vectors, state.count)
        except CorruptError as error:
            yield error
        if state.generation is None:
            return
        try:
            card = generation.read_card(self._directory, state.generation, dim=self._dim)
            generation.read_index(self._directory, state.generation, card)
        except CorruptError as error:
            yield CorruptError(error.message, self._hint)

    def _damaged_augmented(self, state: State) -> Iterator[CorruptError]:
        known = state.augmented
        if known is None or not known.count:
            return
        try:
            mapped = MappedVectors(self._directory / known.vectors, self._dim, known.count)
            if damage := AugmentedVectors(mapped, self.catalog.augmentation.crc32s()).find_damage():
                yield CorruptError(damage.message, self._hint)
        except CorruptError as error:
            yield CorruptError(error.message, self._hint)

    def _snapshot(self, state: State, *, regions: bool, augmented: bool) -> Snapshot:
        with self._lock:
            newest = self._newest
            vectors = self._images.vectors()
            assert vectors
            opened = self._images.index(state, state.replacements)
            is_same = newest and newest.state == state
            if not (newest and is_same and newest.opened is opened and newest.vectors is vectors):
                live = newest.live if newest and is_same else self._live(state)
                sample = KeptSample()
                if newest and newest.state.files[:2] == state.files[:2] and newest.sample.serves(live):
                    sample = newest.sample
                give_up = partial(_give_up_index, self._images, state, state.replacements)
                newest = Snapshot(
                    vectors,
                    live,
                    opened,
                    self._policy,
                    give_up,
                    sample,
                    state=state,
                    catalog=self.catalog,
                    regions_hint=self._regions_hint,
                )
            if regions and state.regions and not self._has_its_regions(newest):
                newest = replace(newest, regions=self._searchable_regions(newest, state.regions))
            if augmented and not self._has_its_augmented(newest):
                mapped = self._augmented.vectors()
                assert mapped
                newest = replace(newest, augmented=AugmentedVectors(mapped, self.catalog.augmentation.crc32s()))
            self._newest = newest
            return newest

    def _has_its_augmented(self, snapshot: Snapshot) -> bool:
        """Whether the augmented vectors are there, open and current, or there are none."""
        state, found = snapshot.state.augmented, snapshot.augmented
        if state is None or not state.count:
            return True
        return found is not None and found.mapped is self._augmented.vectors() and found.mapped.is_current()

    def _has_its_regions(self, snapshot: Snapshot) -> bool:
        """Whether the vectors of parts are there, open and current, or there are none."""
        state, found = snapshot.state, snapshot.regions
        if state.regions is None:
            return True
        vectors = self._regions.vectors()
        if found is None or found.vectors is not vectors or not found.vectors.is_current():
            return False
        return found.opened is self._regions.index(state.regions, state.replacements)

    def _searchable_regions(self, snapshot: Snapshot, state: RegionState) -> SearchableRegions:
        vectors, replacements = self._regions.vectors(), snapshot.state.replacements
        assert vectors
        image_rows = self._image_rows(snapshot.state, state)
        return SearchableRegions(
            vectors,
            parts_of(snapshot.live, image_rows, state.per_image),
            self._regions.index(state, replacements),
            self._policy,
            partial(_give_up_index, self._regions, state, replacements),
            images=snapshot.live,
            per_image=state.per_image,
            image_rows=image_rows,
        )

    def _image_rows(self, state: State, regions: RegionState) -> Rows:
        """The row of the whole image for each place; while the files stay, places are only added."""
        files, count = (state.replacements, state.vectors, regions.vectors), regions.places
        known = self._known_rows[1] if self._known_rows[0] == files else np.empty(0, np.int64)
        if len(known) < count:
            added = np.array(self.catalog.regions.rows_by_place(regions, start=len(known)), np.int64)
            known = np.concatenate([known, added])
            self._known_rows = files, known
        rows = known[:count]
        if len(rows) and not -1 <= rows.min() <= rows.max() < state.count:
            raise CorruptError(f"{self.catalog.path}: the file is damaged: a row of an image is out of range")
        return rows

    def is_loaded(self, state: State, *, regions: bool = False, augmented: bool = False) -> bool:
        """Whether the files of a state are open; those of parts and augmented ones only count if they are wanted."""
        wanted = self._wanted(state, regions=regions, augmented=augmented)
        return all(files.are_open(table, state.replacements) for files, table in wanted)

    def _load(self, state: State, *, regions: bool, augmented: bool) -> None:
        """Opens the files of a state, unless a writer has replaced them."""
        for files, table in self._wanted(state, regions=regions, augmented=augmented):
            self._open(files, table, state)

    def _wanted(self, state: State, *, regions: bool, augmented: bool) -> Iterator[tuple[OpenFiles, TableState]]:
        yield self._images, state
        if regions and state.regions:
            yield self._regions, state.regions
        if augmented and state.augmented and state.augmented.count:
            yield self._augmented, state.augmented

    def _open(self, files: OpenFiles, table: TableState, state: State) -> None:
        try:
            files.open(table, state.replacements)
        except CorruptError as damage:
            if self._is_replaced(state):
                return
            if not isinstance(damage, DamagedIndexError):
                raise
            _give_up_index(files, table, state.replacements, damage.message)

    def _live(self, state: State) -> RowSet:
        return RowSet(state.count, dead=np.array(self.catalog.hidden_rows(), np.int64))


def _give_up_index(files: OpenFiles, state: TableState, replacements: int, why: str) -> None:
    """Goes on without the index of a state, which is damaged."""
    key = index_key(state, replacements)
    assert key
    files.give_up_index(why, key)
