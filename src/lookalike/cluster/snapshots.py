"""Gives the newest committed state of all shards, and keeps what does not change."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lookalike.cluster.parts import Part
from lookalike.cluster.shards import MissingShardError, Shards
from lookalike.cluster.snapshot import JoinedSnapshot, joined
from lookalike.cluster.tuned import KeptTuning
from lookalike.errors import UsageError
from lookalike.index.policies import TuningPolicy
from lookalike.system import forks


class JoinedSnapshots:
    """Opens the newest committed state of each shard; see `Snapshots`, which does so for one. Threads may share it."""

    def __init__(self, directory: Path, shards: Shards, dim: int, policy: TuningPolicy) -> None:
        """Opens nothing yet."""
        self._directory, self._shards, self._dim, self._policy = directory, shards, dim, policy
        self._tuning = KeptTuning(directory)
        self._lock = forks.lock()
        self._newest: JoinedSnapshot | None = None
        self._version: object = None  # of what was measured over the whole

    @contextmanager
    def current(self, *, regions: bool = False, augmented: bool = False) -> Iterator[JoinedSnapshot]:  # noqa: ARG002
        """The newest state of each shard; what is read from the catalogs within belongs to it.

        A refined order goes without augmented vectors, which each shard would have made of its own neighbours.

        Raises:
            UsageError: parts of images are wanted, which are not searched over several shards.
            CollectionError: a shard cannot be used.
        """
        if regions:
            raise UsageError("regions: parts of images are not searched over several shards; open one of them")
        with ExitStack() as stack:
            yield self._joined(self._entered(stack))

    def _entered(self, stack: ExitStack) -> list[Part]:
        """The parts that there are, whose transactions end with the stack."""
        while True:
            try:
                with ExitStack() as entered:
                    parts = []
                    for shard in self._shards.present():
                        with self._shards.used(shard):
                            parts.append(Part(shard, entered.enter_context(shard.snapshots.current())))
                    stack.push(entered.pop_all())
                    return parts
            except MissingShardError:
                continue

    def last(self, *, regions: bool = False, augmented: bool = False) -> JoinedSnapshot | None:  # noqa: ARG002
        """The states that were used last, if their files are open; they need not be the newest ones."""
        if regions:
            return None
        parts = []
        for shard in self._shards.present():
            snapshot = shard.snapshots.last()
            if snapshot is None:
                return None
            parts.append(Part(shard, snapshot))
        return self._joined(parts)

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Keeps writers from committing to any shard, and tells whether the files of their newest states are open."""
        with ExitStack() as stack:
            yield all(stack.enter_context(shard.snapshots.held()) for shard in self._shards.present())

    def _joined(self, parts: list[Part]) -> JoinedSnapshot:
        with self._lock:
            newest, version = self._newest, self._tuning.version()
            if newest is None or version != self._version or not _are_same(newest.parts, parts):
                card = self._tuning.card(parts)
                self._newest = newest = joined(self._directory, parts, self._dim, self._policy, card, newest)
                self._version = version
            return newest


def _are_same(before: tuple[Part, ...], parts: list[Part]) -> bool:
    return len(before) == len(parts) and all(
        old.shard is new.shard and old.snapshot is new.snapshot for old, new in zip(before, parts, strict=True)
    )
