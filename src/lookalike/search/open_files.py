"""The open files of one table of vectors: what is opened once, and used by all states that have the same files."""

import warnings
from pathlib import Path
from typing import TypeAlias

from lookalike.errors import CorruptError, DamagedIndexWarning, Hint
from lookalike.index import generation
from lookalike.search.searchable import OpenIndex
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.records import AugmentedState, IndexKey, RegionState, State, StoredGeneration
from lookalike.system import forks

TableState: TypeAlias = State | RegionState | AugmentedState


class DamagedIndexError(CorruptError):
    """The index cannot be used; the vectors can."""


class OpenFiles:
    """Opens the file of vectors and the index of a committed state. Threads may share it."""

    def __init__(self, directory: Path, dim: int, hint: Hint) -> None:
        """Opens nothing yet.

        Args:
            directory: where the files are.
            dim: the dimension of the vectors.
            hint: what to do about an index that is damaged.
        """
        self._directory, self._dim, self._hint = directory, dim, hint
        self._lock = forks.lock()
        self._vectors: MappedVectors | None = None
        self._index: tuple[IndexKey, OpenIndex] | None = None
        self._damaged: IndexKey | None = None  # the index that cannot be used

    def close(self) -> None:
        """Closes the files."""
        with self._lock:
            self._vectors, self._index, self._damaged = None, None, None

    def vectors(self) -> MappedVectors | None:
        """The vectors that were opened last."""
        return self._vectors

    def index(self, state: TableState, replacements: int) -> OpenIndex | None:
        """The index of a state, if it has one that can be used and is open."""
        with self._lock:
            key = self._usable(state, replacements)
            return self._index[1] if key and self._index and self._index[0] == key else None

    def are_open(self, state: TableState, replacements: int) -> bool:
        """Whether the files of a state are open."""
        with self._lock:
            mapped = self._vectors
            if not mapped or mapped.path.name != state.vectors or mapped.count < state.count or not mapped.is_current():
                return False
            key = self._usable(state, replacements)
            return key is None or (self._index is not None and self._index[0] == key)

    def open(self, state: TableState, replacements: int) -> None:
        """Opens the files of a state.

        Raises:
            DamagedIndexError: the index is damaged.
            CorruptError: the file of vectors is.
        """
        with self._lock:
            self._vectors = MappedVectors(self._directory / state.vectors, self._dim, state.count)
            key = self._usable(state, replacements)
            if key and (self._index is None or self._index[0] != key):
                self._index = key, self._read_index(key[1])

    def give_up_index(self, why: str, key: IndexKey) -> None:
        """Goes on without an index that is damaged, which is told once."""
        with self._lock:
            is_known, self._damaged = self._damaged == key, key
        if not is_known:
            message = f"{why}; every search compares with every vector until the index is built again"
            warnings.warn(DamagedIndexWarning(message, self._hint), stacklevel=2)

    def _usable(self, state: TableState, replacements: int) -> IndexKey | None:
        key = index_key(state, replacements)
        return None if key == self._damaged else key

    def _read_index(self, stored: StoredGeneration) -> OpenIndex:
        try:
            card = generation.read_card(self._directory, stored, dim=self._dim)
            return OpenIndex(generation.read_index(self._directory, stored, card), card)
        except CorruptError as error:
            raise DamagedIndexError(error.message) from error


def index_key(state: TableState, replacements: int) -> IndexKey | None:
    """Which index that of a state is, or None if there is none."""
    return (replacements, state.generation) if state.generation else None
