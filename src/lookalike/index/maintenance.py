"""Keeps the index of a collection current: decides what is due, does it, and publishes the result.

The caller holds the collection's lock.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from lookalike.errors import CorruptError, LookalikeError, UsageError
from lookalike.index import builder, generation
from lookalike.index.build_progress import OnBuildProgress
from lookalike.index.builder import IndexableVectors
from lookalike.index.faiss_index import Index
from lookalike.index.generation import Generation
from lookalike.index.options import BuildOptions
from lookalike.index.policies import DEFAULT, MaintenancePolicy, Policies
from lookalike.storage import compaction
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.records import RegionState, State, StoredGeneration
from lookalike.storage.rows import RowSet
from lookalike.storage.vector_tables import VectorTable, tables_of


@dataclass(frozen=True)
class Maintenance:
    """What maintaining an index has done.

    Attributes:
        removed: the number of dead vectors that were removed.
        joined: the number of new vectors that the index has taken in.
        built: the index that was built anew, or None.
        regions: the same of the vectors of parts of the images; None if there are none.
        augmented: the number of augmented vectors that were made anew.
    """

    removed: int = 0
    joined: int = 0
    built: Generation | None = None
    regions: "Maintenance | None" = None
    augmented: int = 0


class Due(Enum):
    """The maintenance that is due for an index."""

    NOTHING = "nothing"
    JOIN = "join"  # the index takes in the younger vectors
    COMPACT = "compact"  # the dead vectors are removed; there is no index
    REBUILD = "rebuild"  # the dead vectors are removed, and the index is built anew


@dataclass(frozen=True)
class IndexState:
    """What decides whether something is due.

    Attributes:
        live: the number of vectors that belong to images.
        dead: the number of the others.
        about: what is known of the index; None if there is none or its card is damaged.
        is_damaged: whether there should be an index, and it cannot be used.
        wants_index: whether there are too many vectors for exact search.
    """

    live: int
    dead: int
    card: Generation | None
    is_damaged: bool
    wants_index: bool


def what_is_due(state: IndexState, policy: MaintenancePolicy) -> Due:
    """Decides which maintenance is due. Joining young vectors can still end in a rebuild; see `_join`."""
    is_wasteful = state.dead > 0 and state.dead >= policy.dead_share * (state.live + state.dead)
    if state.is_damaged:
        return Due.REBUILD
    if state.card is None:
        return Due.REBUILD if state.wants_index else Due.COMPACT if is_wasteful else Due.NOTHING
    if is_wasteful or state.live >= policy.growth * state.card.trained_rows:
        return Due.REBUILD
    young = state.live + state.dead - state.card.rows
    return Due.JOIN if young >= max(policy.young_rows, policy.young_share * state.card.rows) else Due.NOTHING


def is_due(table: VectorTable, data_directory: Path, dim: int, policies: Policies) -> bool:
    """Whether something is due, as far as can be told without reading the index; it takes no lock."""
    found, dead = table.state(), len(table.dead_rows())
    card = _card(found.generation, data_directory, dim)
    live = found.count - dead
    wants_index = not policies.tuning.searches_exactly(dim, live)
    state = IndexState(live, dead, card, found.generation is not None and card is None, wants_index)
    return what_is_due(state, policies.maintenance) is not Due.NOTHING


class IndexMaintainer:
    """Builds and maintains the index of one file of vectors of a collection."""

    def __init__(
        self,
        table: VectorTable,
        data_directory: Path,
        dim: int,
        policies: Policies = DEFAULT,
        progress: OnBuildProgress | None = None,
    ) -> None:
        """`progress` is called before a build and while it goes on."""
        self._table, self._directory, self._dim = table, data_directory, dim
        self._policies, self._progress = policies, progress

    def build(self, options: BuildOptions) -> Generation | None:
        """Removes dead vectors and builds a new index; returns None if exact search is as good.

        Raises:
            UsageError: the index is impossible, or would take more memory than it may.
            CorruptError: a vector is damaged.
            StorageError: the disk is full or failing; the present index still serves.
        """
        _, vectors = self._opened()
        specs = options.specs(self._dim, vectors.live.size, self._policies.tuning)  # which may refuse
        with self._nothing_left_behind():
            vectors = self._compacted(vectors)
            made = builder.build_best(specs, options, vectors, self._policies, self._progress) if specs else None
            return self._publish(vectors, made)

    def build_on(self, trained: Index, options: BuildOptions) -> Generation | None:
        """Removes dead vectors and builds an index with lists and codebooks that were trained before.

        Args:
            trained: an index without rows; it is used up.
            options: what was asked for.

        Returns:
            What is known of the index; None if there are no vectors.

        Raises:
            CorruptError: a vector is damaged.
            StorageError: the disk is full or failing; the present index still serves.
        """
        _, vectors = self._opened()
        with self._nothing_left_behind():
            vectors = self._compacted(vectors)
            has_some = vectors.live.size > 0
            return self._publish(
                vectors, builder.build_on(trained, options, vectors, self._policies) if has_some else None
            )

    def maintain(self) -> Maintenance:
        """Does what is due, which is mostly nothing.

        Raises:
            CorruptError: a vector is damaged.
            StorageError: the disk is full or failing; the present index still serves.
        """
        state, vectors = self._opened()
        card = _card(state.generation, self._directory, self._dim)
        match what_is_due(self._index_state(state, vectors, card), self._policies.maintenance):
            case Due.NOTHING:
                return Maintenance()
            case Due.JOIN:
                assert card
                return self._join(state, vectors, card)
            case Due.COMPACT | Due.REBUILD:
                return self._rebuild(vectors, card)

    def sweep(self) -> None:
        """Removes the files that do not count, such as a killed process has left behind.

        Raises:
            StorageError: one cannot be removed.
        """
        states = [table.state() for table in tables_of(self._table.catalog)]
        augmented = self._table.catalog.state().augmented
        names = [augmented.vectors] if augmented and augmented.count else []
        compaction.sweep(self._directory, [*names, *(state.vectors for state in states)])
        generation.sweep(self._directory, [state.generation.number for state in states if state.generation])

    def _index_state(
        self, state: State | RegionState, vectors: IndexableVectors, card: Generation | None
    ) -> IndexState:
        stored, live = state.generation, vectors.live.size
        return IndexState(
            live=live,
            dead=state.count - live,
            card=card,
            is_damaged=stored is not None and (card is None or not generation.is_sound(self._directory, stored)),
            wants_index=not self._policies.tuning.searches_exactly(self._dim, live),
        )

    def _join(self, state: State | RegionState, vectors: IndexableVectors, card: Generation) -> Maintenance:
        """Takes young vectors into the index as it is, unless it then no longer reaches its recall."""
        assert state.generation
        try:
            index = generation.read_index(self._directory, state.generation, card)
            builder.add_missing(index, vectors)
            points = builder.points_of_grown(card, index, vectors, self._policies)
        except CorruptError:  # if it is not the index, building it anew raises it again
            points = None
        if points is None:
            return self._rebuild(vectors, card)
        with self._nothing_left_behind():
            self._publish(vectors, (index, replace(card, rows=state.count, points=points)))
        return Maintenance(joined=state.count - card.rows)

    def _rebuild(self, vectors: IndexableVectors, card: Generation | None) -> Maintenance:
        """Builds what was asked for the last time, as far as that is still possible."""
        options = BuildOptions(card.target_recall, card.asked_memory, card.asked_spec) if card else BuildOptions()
        try:
            built = self.build(options)
        except UsageError:  # there are too few vectors by now, or too many
            built = self.build(BuildOptions(options.recall))
        return Maintenance(removed=vectors.live.count - vectors.live.size, built=built)

    def _opened(self) -> tuple[State | RegionState, IndexableVectors]:
        state = self._table.state()
        mapped = MappedVectors(self._directory / state.vectors, self._dim, state.count)
        return state, IndexableVectors(self._table, mapped, RowSet(state.count, dead=self._table.dead_rows()))

    def _compacted(self, vectors: IndexableVectors) -> IndexableVectors:
        """The same without the dead vectors, in a file that does not count yet."""
        live = vectors.live.rows()
        if len(live) == vectors.live.count:
            return vectors
        self._table.catalog.check()
        mapped = compaction.compacted(self._table, vectors.mapped, vectors.live)
        return IndexableVectors(self._table, mapped, RowSet(len(live)), catalog_rows=live)

    def _publish(self, vectors: IndexableVectors, made: tuple[Index, Generation] | None = None) -> Generation | None:
        """Commits at once what has been made: compacted vectors, an index, or that there is none."""
        number = self._table.catalog.next_generation()
        part = vectors.mapped.part(0, vectors.live.count)
        stored = generation.write(self._directory, number, *made, part) if made else None
        with self._table.catalog.writing() as transaction:
            if vectors.catalog_rows is not None:
                self._table.compact(transaction, vectors.mapped.path.name)
            self._table.put_generation(transaction, stored)
        self.sweep()
        return generation.read_card(self._directory, stored) if stored else None

    @contextmanager
    def _nothing_left_behind(self) -> Iterator[None]:
        """If something goes wrong, removes what was written until then: the disk may be full."""
        try:
            yield
        except BaseException:
            with suppress(LookalikeError):
                self.sweep()
            raise


def _card(stored: StoredGeneration | None, data_directory: Path, dim: int) -> Generation | None:
    """What is known of the index; None if there is none, or its card is damaged."""
    if stored is None:
        return None
    try:
        return generation.read_card(data_directory, stored, dim=dim)
    except CorruptError:
        return None
