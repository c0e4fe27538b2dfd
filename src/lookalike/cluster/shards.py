"""The open shards of a directory, and those that cannot be used at the moment."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lookalike.cluster.manifest import NamedShard, ShardsManifest
from lookalike.cluster.shard import Shard, in_shard
from lookalike.collection.collection import Collection
from lookalike.errors import CollectionError, CorruptError, Hint, IncompatibleError, LookalikeError, StorageError
from lookalike.system import forks

_RETRY_S = 5.0  # a shard that is missing is looked for again after so long


class Shards:
    """Opens the shards of a directory, and keeps them open. Threads may share it.

    Attributes:
        is_partial: whether the others are used while one of them cannot be.
    """

    def __init__(
        self, directory: Path, manifest: ShardsManifest, open_: Callable[[Path], Collection], *, partial: bool
    ) -> None:
        """Opens them.

        Args:
            directory: of the manifest.
            manifest: names them.
            open_: opens the collection in a directory.
            partial: whether shards that cannot be opened are left out.

        Raises:
            CollectionError: one cannot be opened and `partial` is False, or none can.
        """
        self._directory, self._manifest, self._open, self.is_partial = directory, manifest, open_, partial
        self._lock = forks.lock()
        self._opened: dict[int, Shard] = {}
        self._missing: dict[int, LookalikeError] = {}
        self._due_s = 0.0
        self._open_all(manifest.shards)
        if not self._opened:
            raise next(iter(self._missing.values()))

    def present(self) -> tuple[Shard, ...]:
        """The shards that can be used, in their order; those that are missing are looked for now and then."""
        if self._missing and time.monotonic() >= self._due_s:
            self._open_all([each for each in self._manifest.shards if each.number in self._missing])
        return tuple(self._opened[each.number] for each in self._manifest.shards if each.number in self._opened)

    def missing(self) -> Mapping[str, LookalikeError]:
        """Why shards cannot be used, by name."""
        return {each.name: self._missing[each.number] for each in self._manifest.shards if each.number in self._missing}

    def with_number(self, number: int) -> Shard | None:
        """The shard of that number, if it can be used."""
        return next((shard for shard in self.present() if shard.number == number), None)

    def number_of(self, name: str) -> int:
        """The number of the shard of that name."""
        return next(each.number for each in self._manifest.shards if each.name == name)

    @contextmanager
    def used(self, shard: Shard) -> Iterator[None]:
        """Has errors within name a shard, which is missing from then on if that is allowed.

        Raises:
            MissingShardError: it is missing now.
            CollectionError: it cannot be used, and may not be missing.
        """
        try:
            yield
        except (CollectionError, StorageError) as error:
            named = in_shard(shard.name, error)
            if not self.is_partial:
                raise named from error
            self._give_up(shard, named)
            raise MissingShardError(named.message) from error

    def close(self) -> None:
        """Closes the shards; they are opened again when they are used again."""
        for shard in self._opened.values():
            shard.collection.close()

    def _open_all(self, named: "tuple[NamedShard, ...] | list[NamedShard]") -> None:
        with self._lock:
            self._due_s = time.monotonic() + _RETRY_S
            for each in named:
                try:
                    self._opened[each.number] = self._opened_one(each)
                    self._missing.pop(each.number, None)
                except (CollectionError, StorageError) as error:
                    problem = in_shard(each.name, error)
                    if not self.is_partial:
                        raise problem from error
                    self._missing[each.number] = problem

    def _opened_one(self, named: NamedShard) -> Shard:
        place = self._directory / named.name
        if not place.resolve().is_relative_to(self._directory):
            raise CorruptError(f"{place}: a link leads out of {self._directory}; only collections in it are opened")
        collection = self._open(place)
        made_by, wanted = collection.made_by, self._manifest.made_by
        if made_by != wanted:
            collection.close()
            hint = Hint("reindex", {"path": str(place), "model": wanted.model})
            raise IncompatibleError(f"{place}: its vectors were made by {made_by}, and the others by {wanted}", hint)
        return Shard.of(named.number, named.name, collection, self._manifest.folder)

    def _give_up(self, shard: Shard, problem: LookalikeError) -> None:
        with self._lock:
            self._opened.pop(shard.number, None)
            self._missing[shard.number] = problem
            self._due_s = time.monotonic() + _RETRY_S
            if not self._opened:
                raise problem


class MissingShardError(CollectionError):
    """A shard has gone missing, and the others are to be asked again."""
