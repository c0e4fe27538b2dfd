"""What a machine does: it holds some shards of a sharded collection open, and searches them.

Only arrays and records come and go. A search takes several calls, which belong to one state of the shards: the key that
a call is given names it.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial as bound
from itertools import chain
from pathlib import Path

from lookalike.cluster import manifest as manifests
from lookalike.cluster.shards import Shards
from lookalike.cluster.snapshot import JoinedSnapshot
from lookalike.cluster.snapshots import JoinedSnapshots
from lookalike.cluster.vectors import Found
from lookalike.collection import opening
from lookalike.errors import StorageError
from lookalike.filters import Where
from lookalike.index.policies import Policies
from lookalike.search.options import SearchOptions
from lookalike.storage.records import MissingImage, StoredImage
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import StoredVectors, Vectors
from lookalike.system import forks

_STATES = 8  # that are kept for searches under way


@dataclass(frozen=True)
class GroupState:
    """What a group tells of one state of its shards.

    Attributes:
        key: of this state; another one has another key.
        files: of its files, likewise.
        numbers: of the shards that are there.
        live: the rows that may be found, in the numbering of the group.
        missing: why other shards of the group cannot be used, by name.
    """

    key: str
    files: str
    numbers: tuple[int, ...]
    live: RowSet
    missing: Mapping[str, str]


@dataclass(frozen=True)
class GroupImages:
    """The images of rows of a group.

    Attributes:
        key: of the state in which they were looked up.
        files: of its files.
        images: with the ids and keys that they have in the whole; their rows are those of the group.
    """

    key: str
    files: str
    images: list[StoredImage]


class ShardGroup:
    """Some open shards. Threads may share it."""

    def __init__(self, directory: Path, names: Sequence[str], policies: Policies, partial: bool) -> None:
        """Opens them.

        Args:
            directory: of the sharded collection.
            names: of the shards.
            policies: as the sharded collection has them.
            partial: whether shards that cannot be opened are left out.

        Raises:
            CollectionError: one cannot be opened and `partial` is False, or none can.
        """
        manifest = manifests.read(directory)
        own = replace(manifest, shards=tuple(each for each in manifest.shards if each.name in names))
        self._shards = Shards(directory, own, bound(opening.open, policies=policies), partial=partial)
        self._states = JoinedSnapshots(directory, self._shards, manifest.made_by.dim, policies.tuning)
        self._lock = forks.lock()
        self._kept: OrderedDict[str, JoinedSnapshot] = OrderedDict()

    def state(self) -> GroupState:
        """The newest state.

        Raises:
            CollectionError: a shard cannot be used.
        """
        snapshot = self._newest()
        numbers = tuple(part.shard.number for part in snapshot.parts)
        missing = {name: problem.message for name, problem in self._shards.missing().items()}
        live = snapshot.live
        rows = RowSet(live.count) if live.size == live.count else RowSet.of(live.mask())
        return GroupState(_key(snapshot), _files(snapshot), numbers, rows, missing)

    def search(self, key: str, queries: Vectors, options: SearchOptions, extra: int) -> Found:
        """The nearest of the rows that the options admit, see `SearchableVectors.search`."""
        snapshot = self._at(key)
        row_set = snapshot.admitted(options.where) if options.where else snapshot.live
        return snapshot.search(queries, options, row_set, extra=extra)

    def searches_exactly(self, key: str, k: int) -> bool:
        """Whether a search for k rows compares with every vector."""
        return self._at(key).searches_exactly(k)

    def admitted(self, key: str, where: Where) -> int:
        """The number of rows that a filter admits."""
        return self._at(key).admitted(where).size

    def attribute_names(self) -> list[str]:
        """The names of the attributes that images have."""
        names = (shard.collection.attribute_names() for shard in self._shards.present())
        return sorted(set(chain.from_iterable(names)))

    def stored(self, key: str, rows: Rows) -> StoredVectors:
        """The vectors of rows, half precision (n, dim)."""
        return self._at(key).vectors.stored(rows)

    def read_checked(self, key: str, rows: Rows) -> StoredVectors:
        """The same; raises CorruptError for one that is damaged."""
        return self._at(key).read_checked(rows)

    def named(self, key: str, rows: Sequence[int], where: Where | None, limit: int) -> GroupImages:
        """The images of rows, in their order.

        Raises:
            CorruptError: the vector of one of the rows is damaged.
        """
        snapshot = self._at(key)
        found = snapshot.catalog.named(rows, where=where, limit=limit)
        same_files = found.state.files == snapshot.state.files
        if same_files:
            snapshot.check_rows(found.crc32s)
        now = key if found.state == snapshot.state else ""
        return GroupImages(now, _files(snapshot) if same_files else "", found.images)

    def image(self, id_: int) -> StoredImage | None:
        """The image of that number, in the newest state."""
        return self._newest().catalog.image(id_)

    def missing(self, id_: int) -> list[MissingImage]:
        """The missing image of that number, if there is one."""
        return self._newest().catalog.missing(id_)

    def live_images(self, key: str) -> list[tuple[int, int, str | None]]:
        """(id, row, label) of the images, by shard and id."""
        return list(self._at(key).catalog.live_images())

    def _newest(self) -> JoinedSnapshot:
        with self._states.current() as snapshot:
            pass
        with self._lock:
            self._kept[_key(snapshot)] = snapshot
            while len(self._kept) > _STATES:
                self._kept.popitem(last=False)
        return snapshot

    def _at(self, key: str) -> JoinedSnapshot:
        """The state of that key. A machine that has taken over opens the newest one, which mostly is the same."""
        with self._lock:
            kept = self._kept.get(key)
        if kept is None and _key(newest := self._newest()) == key:
            kept = newest
        if kept is None:
            raise StorageError("the collection changes too quickly to be searched on this cluster; try again")
        return kept


def _key(snapshot: JoinedSnapshot) -> str:
    return _digest([part.shard.number for part in snapshot.parts], snapshot.state)


def _files(snapshot: JoinedSnapshot) -> str:
    return _digest([part.shard.number for part in snapshot.parts], snapshot.state.files)


def _digest(*values: object) -> str:
    return hashlib.blake2b(repr(values).encode(), digest_size=16).hexdigest()
