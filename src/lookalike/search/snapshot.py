"""One committed state of a collection, opened: its vectors, its index, and the rows that may be found."""

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lookalike.errors import CorruptError, DamagedIndexWarning, Hint
from lookalike.filters import Where
from lookalike.index import generation
from lookalike.index.faiss_index import Index
from lookalike.index.generation import Generation
from lookalike.index.operating_point import SearchParameters
from lookalike.index.policies import TuningPolicy
from lookalike.search.chance import Judged, KeptSample
from lookalike.search.options import SearchOptions
from lookalike.search.refinement import Centre
from lookalike.storage import checksums
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Manifest
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.records import IndexKey, State, StoredGeneration
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Vectors
from lookalike.system import forks

_FILTERS = 32  # the row sets that a snapshot keeps
_BLOCK = 4096  # rows whose vectors are compared with what is expected by chance at a time


class _DamagedIndexError(CorruptError):
    """The index cannot be used; the vectors can."""


@dataclass(frozen=True)
class OpenIndex:
    """An index in memory, and what is known of it."""

    index: Index
    card: Generation


@dataclass(frozen=True)
class Snapshot:
    """What searches need of one committed state. Threads may share it.

    Attributes:
        state: what the catalog says of the files.
        catalog: the catalog, which sees this state while the snapshot is in use.
        vectors: the vectors, pinned: they stay readable when a writer replaces the file.
        live: all rows that are not dead.
        opened: the index, if there is one that can be used.
        policy: decides which row sets are small enough for exact search.
        give_up_index: is told why the index cannot be searched, which then is exact.
        sample: of the live rows; states with nearly the same rows share it.
    """

    state: State
    catalog: Catalog
    vectors: MappedVectors
    live: RowSet
    opened: OpenIndex | None
    policy: TuningPolicy
    give_up_index: Callable[[CorruptError, State], None] = field(compare=False, repr=False)
    sample: KeptSample = field(default_factory=KeptSample, compare=False, repr=False)
    _filtered: OrderedDict[Where, RowSet] = field(default_factory=OrderedDict, compare=False, repr=False)
    _lock: threading.Lock = field(default_factory=forks.lock, compare=False, repr=False)

    def search(
        self, queries: Vectors, options: SearchOptions, row_set: RowSet, *, extra: int = 0
    ) -> tuple[Vectors, Rows]:
        """Finds the rows nearest to each query, best first, for `options.k` neighbours and a few extra ones.

        Extra neighbours do not change how the index is searched. The catalog is not read.

        Args:
            queries: unit vectors, float32 (n, dim).
            options: `k`, `exact` and `recall` count.
            row_set: the rows that may be found.
            extra: the number of neighbours to find beyond k.

        Returns:
            Scores, float32 (n, k'), and rows, int64 (n, k'), with k' at most k + extra.

        Raises:
            UsageError: the queries have another dimension.
            CorruptError: the vectors are not finite.
        """
        parameters = self.parameters(options.k, row_set, recall=options.recall, exact=options.exact)
        return self.nearest(queries, options.k + extra, row_set, parameters)

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

    def centre(self) -> Centre:
        """The mean of the live rows, as far as a sample of them tells."""
        return self.sample.of(self.vectors, self.live).centre

    def judged(self, query: Vectors, rows: Rows, *, without: Rows | None = None) -> Judged:
        """Judges by a sample of the live rows how near some rows are to a query.

        Whether vectors are damaged is not checked.

        Args:
            query: a unit vector, float32 (1, dim).
            rows: int64 (k,).
            without: rows that are taken for ones that are not there.
        """
        known = self.sample.of(self.vectors, self.live)
        if without is not None:
            known = known.without(without)
        blocks = np.split(rows, range(_BLOCK, len(rows), _BLOCK))
        return Judged.joined([known.judged(query, block, self.vectors.stored) for block in blocks])

    def parameters(
        self, k: int, row_set: RowSet, *, recall: float | None = None, exact: bool = False
    ) -> SearchParameters | None:
        """How to search the index for k of these rows; None for an exact search, if that is wanted or no slower.

        The k nearest of one row in ten are among the 10 k nearest of all, so the index is searched for that many
        neighbours. This supposes that what a filter admits has nothing to do with the query.
        """
        if exact or self.opened is None or not row_set.size:
            return None
        if row_set is not self.live and self.policy.searches_exactly(self.vectors.dim, row_set.size):
            return None
        return self.opened.card.parameters(k=k * self.live.size / row_set.size, recall=recall)

    def nearest(
        self, queries: Vectors, k: int, row_set: RowSet, parameters: SearchParameters | None
    ) -> tuple[Vectors, Rows]:
        """Finds the k nearest of these rows for each query, best first.

        Rows younger than the index are compared one by one.

        Args:
            queries: unit vectors, float32 (n, dim).
            k: at least 1.
            row_set: the rows that may be found.
            parameters: how to search the index, or None for an exact search.

        Returns:
            Scores, float32 (n, k'), and rows, int64 (n, k'), with k' at most k.

        Raises:
            UsageError: the queries have another dimension.
            CorruptError: the vectors are not finite.
        """
        if parameters is None or self.opened is None or queries.shape[1:] != (self.vectors.dim,):
            return self.vectors.search(queries, k, row_set)
        index = self.opened.index
        indexed_k = min(k, row_set.size_within(0, index.rows))
        if not indexed_k or not len(queries):
            return self.vectors.search(queries, k, row_set)
        stored = self.vectors.part(0, index.rows)
        try:
            found = index.search(queries, indexed_k, parameters, stored=stored, row_set=row_set)
        except CorruptError as error:
            self.give_up_index(_DamagedIndexError(error.message), self.state)
            return self.vectors.search(queries, k, row_set)
        # The others are in lists that were not visited, or are not finite.
        if (found[1] < 0).any() or not np.isfinite(found[0]).all():
            return self.vectors.search(queries, k, row_set)
        young = self.vectors.search(queries, k, row_set, start=index.rows)
        return _merged(found, young, k)


class Snapshots:
    """Opens the newest committed state, and keeps what does not change. Threads may share it."""

    def __init__(self, catalog: Catalog, directory: Path, manifest: Manifest, policy: TuningPolicy) -> None:
        """Opens nothing yet."""
        self.catalog, self._policy = catalog, policy
        self._directory, self._dim = manifest.data_directory(directory), manifest.made_by.dim
        self._hint = Hint("maintain", {"path": str(manifest.path(directory))})
        self._lock = forks.lock()
        self._vectors: MappedVectors | None = None
        self._index: tuple[IndexKey, OpenIndex] | None = None
        self._damaged: IndexKey | None = None  # the index that cannot be used
        self._newest: Snapshot | None = None

    def close(self) -> None:
        """Closes the files; the next use opens them again."""
        with self._lock:
            self._vectors, self._index, self._newest, self._damaged = None, None, None, None

    @contextmanager
    def current(self) -> Iterator[Snapshot]:
        """The newest state; what is read from the catalog within belongs to it.

        It is a read transaction, which keeps writers from committing: search after it, not within.

        Raises:
            CorruptError: a file of the collection is damaged.
        """
        while True:
            with self.catalog.reading() as state:
                if self.is_loaded(state):
                    yield self._snapshot(state)
                    return
            self._load(state)

    def last(self) -> Snapshot | None:
        """The state that was used last, if its files are open; it need not be the newest one."""
        with self._lock:
            newest = self._newest
            is_usable = newest and newest.vectors is self._vectors and newest.vectors.is_current()
            return newest if newest and is_usable and newest.opened is self._open_index(newest.state) else None

    def index_card(self) -> Generation | None:
        """What is known of the index, without reading it; None if there is none.

        Raises:
            CorruptError: it cannot be used, as far as can be told without reading it.
        """
        while True:
            state = self.catalog.state()
            if state.generation is None:
                return None
            try:
                card = generation.read_card(self._directory, state.generation, dim=self._dim)
                generation.check_size(self._directory, state.generation, card)
                return card
            except CorruptError:
                if not self._is_replaced(state):
                    raise

    def find_damage(self) -> list[CorruptError]:
        """Reads every vector and the whole index, and reports what is damaged.

        No one state is held all the while, which would stop a writer; if that has replaced the files meanwhile, they
        are read once more.
        """
        while True:
            state = self.catalog.state()
            found = [*self._damaged_vectors(state), *self._damaged_index(state)]
            if not found or not self._is_replaced(state):
                return found

    def _is_replaced(self, state: State) -> bool:
        """Whether a writer has replaced the files since; then an error says nothing, and they are to be read again."""
        return self.catalog.state().files != state.files

    def _damaged_vectors(self, state: State) -> Iterator[CorruptError]:
        try:
            vectors = MappedVectors(self._directory / state.vectors, self._dim, state.count)
            yield from checksums.find_damage(self.catalog, vectors, state.count)
        except CorruptError as error:
            yield error

    def _damaged_index(self, state: State) -> Iterator[CorruptError]:
        if state.generation is None:
            return
        try:
            card = generation.read_card(self._directory, state.generation, dim=self._dim)
            generation.read_index(self._directory, state.generation, card)
        except CorruptError as error:
            yield CorruptError(error.message, self._hint)

    def _snapshot(self, state: State) -> Snapshot:
        with self._lock:
            assert self._vectors
            opened = self._open_index(state)
            newest = self._newest
            is_same = newest and newest.state == state
            if newest and is_same and newest.opened is opened and newest.vectors is self._vectors:
                return newest
            live = newest.live if newest and is_same else self._live(state)
            sample = KeptSample()
            if newest and newest.state.files[:2] == state.files[:2] and newest.sample.serves(live):
                sample = newest.sample
            self._newest = Snapshot(
                state, self.catalog, self._vectors, live, opened, self._policy, self._give_up_index, sample
            )
            return self._newest

    def _open_index(self, state: State) -> OpenIndex | None:
        return self._index[1] if self._index and self._uses_index(state) else None

    def is_loaded(self, state: State) -> bool:
        """Whether the files of a state are open."""
        with self._lock:
            mapped = self._vectors
            if not mapped or mapped.path.name != state.vectors or mapped.count < state.count or not mapped.is_current():
                return False
            return not self._uses_index(state) or (self._index is not None and self._index[0] == state.index)

    def _uses_index(self, state: State) -> bool:
        return state.index is not None and state.index != self._damaged

    def _load(self, state: State) -> None:
        """Opens the files of a state, unless a writer has replaced them."""
        try:
            with self._lock:
                self._vectors = MappedVectors(self._directory / state.vectors, self._dim, state.count)
                if self._uses_index(state) and (self._index is None or self._index[0] != state.index):
                    assert state.index
                    self._index = state.index, self._read_index(state.index[1])
        except CorruptError as damage:
            if not self._is_replaced(state):
                self._give_up_index(damage, state)

    def _read_index(self, stored: StoredGeneration) -> OpenIndex:
        try:
            card = generation.read_card(self._directory, stored, dim=self._dim)
            return OpenIndex(generation.read_index(self._directory, stored, card), card)
        except CorruptError as error:
            raise _DamagedIndexError(error.message) from error

    def _live(self, state: State) -> RowSet:
        return RowSet(state.count, dead=np.array(self.catalog.hidden_rows(), np.int64))

    def _give_up_index(self, damage: CorruptError, state: State) -> None:
        """Goes on without an index that is damaged; any other damage is raised."""
        if not isinstance(damage, _DamagedIndexError) or state.index is None:
            raise damage
        with self._lock:
            is_known, self._damaged = self._damaged == state.index, state.index
        if not is_known:  # the warning is given once
            message = f"{damage.message}; every search compares with every vector until the index is built again"
            warnings.warn(DamagedIndexWarning(message, self._hint), stacklevel=2)


def _merged(first: tuple[Vectors, Rows], second: tuple[Vectors, Rows], k: int) -> tuple[Vectors, Rows]:
    """The k best of two answers, best first."""
    scores = np.concatenate((first[0], second[0]), axis=1)
    rows = np.concatenate((first[1], second[1]), axis=1)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)
