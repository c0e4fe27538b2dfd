"""What a state of all shards is made of: each with its committed state."""

from dataclasses import dataclass

from lookalike.cluster.shard import Shard
from lookalike.search.snapshot import Snapshot
from lookalike.storage.records import State


@dataclass(frozen=True)
class Part:
    """One shard in a state of all of them.

    Attributes:
        shard: the shard.
        snapshot: its committed state.
    """

    shard: Shard
    snapshot: Snapshot


@dataclass(frozen=True)
class JoinedState:
    """What the catalogs say of the files of all shards."""

    states: tuple[State, ...]

    @property
    def files(self) -> tuple[object, ...]:
        """Which files these are."""
        return tuple(state.files for state in self.states)

    @property
    def count(self) -> int:
        """The number of committed rows of vectors."""
        return sum(state.count for state in self.states)
