"""One committed state of a collection, opened: its vectors, its index, and which rows may be found."""

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from lookalike.errors import CorruptError, DamagedIndexWarning
from lookalike.filters import Where
from lookalike.index import generation, tuning
from lookalike.index.faiss_index import Effort, Index
from lookalike.index.generation import Generation
from lookalike.storage.catalog import Catalog, State, StoredGeneration
from lookalike.storage.checksums import VerifiedVectors
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import VectorReader, Vectors

_Result = TypeVar("_Result")
_FILTERS = 32  # whose rows are remembered until something changes


class _DamagedIndexError(CorruptError):
    """The index cannot be used; the vectors can."""


@dataclass(frozen=True)
class OpenIndex:
    """An index in memory, and what is known of it."""

    index: Index
    about: Generation


@dataclass(frozen=True)
class Snapshot:
    """What searches need of one committed state.

    Attributes:
        state: what the catalog says.
        reader: the vectors.
        live: all rows that are not dead.
        opened: the index, if there is one that can be used.
    """

    state: State
    reader: VectorReader
    live: RowSet
    opened: OpenIndex | None

    def effort(self, k: int, row_set: RowSet, *, recall: float | None, exact: bool) -> Effort | None:
        """How hard to look for k of these rows; None for an exact search, where that is wanted or no dearer.

        The k nearest of one row in ten are among the 10 k nearest of all, so that is how deep the index has to
        be searched, if what a filter admits has nothing to do with the query.
        """
        if exact or self.opened is None or not row_set.size:
            return None
        filtered = row_set is not self.live
        if filtered and tuning.searches_exactly(self.reader.dim, row_set.size):
            return None
        return self.opened.about.effort(depth=k * self.live.size / row_set.size, recall=recall)

    def nearest(self, queries: Vectors, k: int, row_set: RowSet, effort: Effort | None) -> tuple[Vectors, Rows]:
        """The k best of these rows for each query, best first: scores and rows, (n, at most k).

        Rows that are younger than the index are compared one by one.

        Raises:
            UsageError: the queries are of another dimension.
            CorruptError: the vectors are not what they should be.
        """
        if effort is None or self.opened is None or queries.shape[1:] != (self.reader.dim,):
            return self.reader.search(queries, k, row_set)
        index = self.opened.index
        within = min(k, row_set.size_within(0, index.rows))
        stored = self.reader.part(0, index.rows)
        if not within or not len(queries):
            return self.reader.search(queries, k, row_set)
        found = index.search(queries, within, effort=effort, stored=stored, row_set=row_set)
        if (found[1] < 0).any():  # there are more in lists that it did not visit
            return self.reader.search(queries, k, row_set)
        younger = self.reader.search(queries, k, row_set, start=index.rows)
        scores = np.concatenate((found[0], younger[0]), axis=1)
        rows = np.concatenate((found[1], younger[1]), axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)


class Snapshots:
    """Opens the newest committed state, and keeps what does not change. Threads may share it."""

    def __init__(self, catalog: Catalog, directory: Path, dim: int) -> None:
        self.catalog, self._directory, self._dim = catalog, directory, dim
        self._lock = threading.Lock()
        self._reader = VectorReader(directory / catalog.state().vectors, dim)
        self._index: tuple[int, OpenIndex] | None = None
        self._damaged = 0  # the number of the generation that cannot be used
        self._live: tuple[int, RowSet] | None = None  # as of which change of the catalog
        self._filtered: OrderedDict[tuple[int, Where], RowSet] = OrderedDict()

    def close(self) -> None:
        """Lets go of the files; the next use opens them again."""
        with self._lock:
            self._reader.close()
            self._index, self._live, self._damaged = None, None, 0
            self._filtered.clear()

    def run(self, use: Callable[[Snapshot], _Result]) -> _Result:
        """Calls `use` within one committed state: once, or again where a writer has replaced its files meanwhile.

        Raises:
            CorruptError: a file of the collection is damaged.
        """
        while True:
            with self.catalog.reading():
                state = self.catalog.state()
                try:
                    return use(self._snapshot(state))
                except CorruptError as error:
                    damage = error
            if self.catalog.state().files == state.files:
                self._give_up(damage, state)

    def row_set(self, snapshot: Snapshot, where: Where | None) -> RowSet:
        """The live rows that a filter admits.

        Raises:
            UsageError: it asks for an attribute that no image has.
        """
        if where is None:
            return snapshot.live
        key = snapshot.state.changes, where
        with self._lock:
            if key in self._filtered:
                self._filtered.move_to_end(key)
                return self._filtered[key]
        rows = np.array(self.catalog.rows_where(where), np.int64)
        row_set = RowSet(snapshot.state.count, only=rows)
        with self._lock:
            self._filtered[key] = row_set
            while len(self._filtered) > _FILTERS:
                self._filtered.popitem(last=False)
        return row_set

    def about_index(self) -> Generation | None:
        """What is known of the index, without reading it; None where there is none.

        Raises:
            CorruptError: it cannot be used, as far as can be told without reading it.
        """
        while stored := self.catalog.state().generation:
            try:
                about = generation.read_about(self._directory, stored)
                generation.check_is_there(self._directory, stored, about)
                return about
            except CorruptError:
                if self.catalog.state().generation == stored:  # else a writer has replaced it meanwhile
                    raise
        return None

    def damages(self) -> list[str]:
        """Reads every vector and the whole index, and names what is not as it was written.

        No one state is held on to all the while, which would stop a writer; where that has replaced the files
        meanwhile, they are read once more.
        """
        while True:
            state = self.catalog.state()
            found = [*self._damaged_vectors(state), *self._damaged_index(state)]
            if not found or self.catalog.state().files == state.files:
                return found

    def _damaged_vectors(self, state: State) -> Iterator[str]:
        try:
            reader = VectorReader(self._directory / state.vectors, self._dim)
            yield from VerifiedVectors(self.catalog, reader).damages(state.count)
        except CorruptError as error:
            yield str(error)

    def _damaged_index(self, state: State) -> Iterator[str]:
        if state.generation is None:
            return
        try:
            about = generation.read_about(self._directory, state.generation)
            generation.read_index(self._directory, state.generation, about)
        except CorruptError as error:
            yield f"{error}; to build it again, index the folder: lookalike index"

    def _snapshot(self, state: State) -> Snapshot:
        with self._lock:
            if self._reader.path.name != state.vectors:
                self._reader = VectorReader(self._directory / state.vectors, self._dim)
            if self._live is None or self._live[0] != state.changes:
                dead = np.array(self.catalog.dead_rows(), np.int64)
                self._live = state.changes, RowSet(state.count, dead=dead)
            return Snapshot(state, self._reader, self._live[1], self._opened(state.generation))

    def _opened(self, stored: StoredGeneration | None) -> OpenIndex | None:
        if stored is None or stored.number == self._damaged:
            return None
        if self._index is None or self._index[0] != stored.number:
            try:
                about = generation.read_about(self._directory, stored)
                index = generation.read_index(self._directory, stored, about)
            except CorruptError as error:
                raise _DamagedIndexError(str(error)) from error
            self._index = stored.number, OpenIndex(index, about)
        return self._index[1]

    def _give_up(self, damage: CorruptError, state: State) -> None:
        """Goes on without an index that is damaged; whatever else is damaged is an error."""
        if not isinstance(damage, _DamagedIndexError) or state.generation is None:
            raise damage
        with self._lock:
            is_known, self._damaged = self._damaged == state.generation.number, state.generation.number
        if not is_known:  # to another thread
            warnings.warn(
                f"{damage}; every search looks at every vector until the index is built again: lookalike index",
                DamagedIndexWarning,
                stacklevel=2,
            )
