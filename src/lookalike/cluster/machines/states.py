"""The states of the shards of all machines as one, as a search needs them; cluster/snapshots.py is for one machine."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lookalike.cluster.machines.group import GroupImages, GroupState
from lookalike.cluster.numbering import parts_of
from lookalike.cluster.rows import Bases, JoinedRows
from lookalike.cluster.snapshot import refuse_unknown_names
from lookalike.cluster.vectors import Found, best
from lookalike.errors import Hint, StorageError, UsageError
from lookalike.filters import Where
from lookalike.index.policies import TuningPolicy
from lookalike.search.chance import Judged, KeptSample
from lookalike.search.options import SearchOptions
from lookalike.search.refinement import Centre
from lookalike.search.searchable import judged
from lookalike.storage.records import MissingImage, NamedRows, StoredImage
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import STORED, StoredVectors, Vectors
from lookalike.system import forks


class LostGroupError(StorageError):
    """A machine does not answer."""


class Groups(Protocol):
    """The groups of shards that machines have; `machines/actors.py` asks them by Ray."""

    def places(self) -> list[int]:
        """The numbers of the groups that can be asked."""

    def ask(self, method: str, calls: Mapping[int, Sequence[Any]]) -> dict[int, Any]:
        """Calls a method of `ShardGroup` of several groups at the same time, with arguments for each.

        Args:
            method: its name.
            calls: the arguments, by the number of the group.

        Returns:
            What each returns; a group that does not answer is left out if that is allowed.

        Raises:
            LostGroupError: a group does not answer, and none may be left out.
            LookalikeError: whatever a group raises.
        """

    def missing(self) -> tuple[str, ...]:
        """The names of the shards of the groups that do not answer."""


@dataclass(frozen=True)
class SpreadState:
    """What all machines tell of their files.

    Attributes:
        keys: of the states of the groups, by their numbers.
        files: of their files, likewise.
        count: the number of rows of vectors.
    """

    keys: tuple[tuple[int, str], ...]
    files: tuple[tuple[int, str], ...]
    count: int


class AdmittedRows(RowSet):
    """The rows that a filter admits, which only their machines know.

    Attributes:
        where: the filter.
    """

    def __init__(self, count: int, size: int, where: Where) -> None:
        """`size` of `count` rows."""
        super().__init__(count)
        self.size, self.where = size, where


@dataclass(frozen=True)
class SpreadSnapshot:
    """What searches need of one committed state of the shards of all machines. Threads may share it.

    Attributes:
        directory: that of the sharded collection.
        groups: asks the machines.
        states: of the groups that are there, by their numbers.
        dim: the dimension of the vectors.
        policy: decides which row sets are small enough for exact search.
        sample: of the live rows of all.
    """

    directory: Path
    groups: Groups
    states: Mapping[int, GroupState]
    dim: int
    policy: TuningPolicy
    sample: KeptSample = field(default_factory=KeptSample)
    card: None = None
    regions: None = None
    augmented: None = None

    @cached_property
    def places(self) -> list[int]:
        """The numbers of the groups, in the order of their rows."""
        return [*self.states]

    @cached_property
    def bases(self) -> Bases:
        """Where the rows of each group begin."""
        return Bases([state.live.count for state in self.states.values()])

    @cached_property
    def starts(self) -> dict[int, int]:
        """The first row of each group, by its number."""
        return dict(zip(self.places, self.bases.starts.tolist(), strict=False))

    @cached_property
    def state(self) -> SpreadState:
        """What the machines tell of their files."""
        keys, files = (
            tuple((place, getattr(state, name)) for place, state in self.states.items()) for name in ("key", "files")
        )
        return SpreadState(keys, files, self.bases.count)

    @cached_property
    def live(self) -> JoinedRows:
        """The rows that may be found."""
        return JoinedRows([state.live for state in self.states.values()])

    @cached_property
    def vectors(self) -> "SpreadVectors":
        """The vectors."""
        return SpreadVectors(self)

    @property
    def catalog(self) -> "SpreadCatalog":
        """Knows the images of the rows."""
        return SpreadCatalog(self)

    @property
    def regions_hint(self) -> Hint:
        """What to do, since parts of images are not searched over several shards."""
        return Hint("open_shard", {"path": str(self.directory)})

    def row_set(self, where: Where) -> AdmittedRows:
        """The live rows that a filter admits.

        Raises:
            UsageError: the filter asks for an attribute that no image has.
        """
        if where.conditions:
            names = self.groups.ask("attribute_names", dict.fromkeys(self.places, ()))
            refuse_unknown_names(where, (name for each in names.values() for name in each))
        sizes = self.groups.ask("admitted", self._each(where))
        return AdmittedRows(self.bases.count, sum(sizes.values()), where)

    def search(self, queries: Vectors, options: SearchOptions, row_set: RowSet, *, extra: int = 0) -> Found:
        """Finds the rows nearest to each query, best first; see `SearchableVectors.search`."""
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise UsageError(f"a query of shape {queries.shape} does not match vectors of {self.dim} dimensions")
        options = replace(options, where=row_set.where if isinstance(row_set, AdmittedRows) else None)
        found = self.groups.ask("search", self._each(queries, options, extra))
        scores = [np.empty((len(queries), 0), np.float32), *(scores for scores, _ in found.values())]
        rows = [
            np.empty((len(queries), 0), np.int64),
            *(rows + self.starts[place] for place, (_, rows) in found.items()),
        ]
        return best(np.concatenate(scores, axis=1), np.concatenate(rows, axis=1), options.k + extra)

    def searches_exactly(self, k: int) -> bool:
        """Whether a search for k rows compares with every vector."""
        return all(self.groups.ask("searches_exactly", self._each(k)).values())

    def centre(self) -> Centre:
        """The mean of the live rows, as far as a sample of them tells."""
        return self.sample.of(self.vectors, self.live).centre

    def judged(self, query: Vectors, rows: Rows, *, without: Rows | None = None) -> Judged:
        """Judges by a sample of the live rows of all machines how near some rows are to a query."""
        return judged(self.sample.of(self.vectors, self.live), query, rows, self.vectors, without=without)

    def read_checked(self, rows: Rows) -> StoredVectors:
        """The vectors of rows, half precision (n, dim); raises CorruptError for one that is damaged."""
        return self.read("read_checked", rows)

    def check_rows(self, crc32s: Mapping[int, int]) -> None:
        """Nothing: the machines check the vectors of the rows that they name."""

    def part_crc32s(self, part_rows: Rows) -> dict[int, int]:  # noqa: ARG002 - there are none
        """None: parts of images are not searched."""
        return {}

    def read(self, method: str, rows: Rows) -> StoredVectors:
        """What a method of the groups reads of rows; zeros for those of a machine that does not answer."""
        vectors = np.zeros((len(rows), self.dim), STORED)
        split = {self.places[at]: (positions, local) for at, positions, local in self.bases.split(rows)}
        calls = {place: (self.states[place].key, local) for place, (_, local) in split.items()}
        for place, found in self.groups.ask(method, calls).items():
            vectors[split[place][0]] = found
        return vectors

    def _each(self, *arguments: Any) -> dict[int, tuple[Any, ...]]:
        """The same arguments for all groups, with the state that each was in."""
        return {place: (state.key, *arguments) for place, state in self.states.items()}


@dataclass(frozen=True)
class SpreadVectors:
    """The stored vectors of all machines."""

    snapshot: SpreadSnapshot

    @property
    def path(self) -> Path:
        """Where they are."""
        return self.snapshot.directory

    def stored(self, rows: Rows) -> StoredVectors:
        """A copy of these rows, half precision, (n, dim); zeros for those of a machine that does not answer."""
        return self.snapshot.read("stored", rows)

    def search(self, queries: Vectors, k: int, row_set: RowSet) -> Found:
        """Finds the k rows with the largest inner product for each query, best first, by comparing with all."""
        return self.snapshot.search(queries, SearchOptions(k, exact=True), row_set)


@dataclass(frozen=True)
class SpreadCatalog:
    """Knows the images of the rows of all machines."""

    snapshot: SpreadSnapshot

    def reading(self) -> AbstractContextManager[object]:
        """Nothing has to be held: each machine looks images up in one state of its own."""
        return nullcontext()

    def named(self, rows: Sequence[int], *, where: Where | None, limit: int) -> NamedRows:
        """The images of rows, in their order; every machine is asked whether its state is still the same."""
        seen = self.snapshot
        split = {seen.places[at]: local.tolist() for at, _, local in seen.bases.split(np.array(rows, np.int64))}
        calls = {place: (state.key, split.get(place, []), where, limit) for place, state in seen.states.items()}
        found: dict[int, GroupImages] = seen.groups.ask("named", calls)
        images = [
            replace(image, row=seen.starts[place] + image.row) for place, each in found.items() for image in each.images
        ]
        order = {row: position for position, row in enumerate(rows)}
        images.sort(key=lambda image: order[image.row])
        keys, files = (
            tuple((place, getattr(each, name)) for place, each in found.items()) for name in ("key", "files")
        )
        state = SpreadState(keys, files, seen.bases.count)
        return NamedRows(state, images[:limit] if limit >= 0 else images, {})

    def image(self, id_: int, /) -> StoredImage | None:
        """The image of that number, or None."""
        found = self._of_its_group("image", id_)
        if found is None:
            return None
        place, image = found
        assert image is None or isinstance(image, StoredImage)
        return image and replace(image, row=self.snapshot.starts[place] + image.row)

    def missing(self, id_: int, /) -> list[MissingImage]:
        """The missing image of that number, if there is one."""
        found = self._of_its_group("missing", id_)
        return found[1] if found else []

    def live_images(self) -> Iterable[tuple[int, int, str | None]]:
        """(id, row, label) of the images, by shard and id."""
        seen = self.snapshot
        found = seen.groups.ask("live_images", {place: (state.key,) for place, state in seen.states.items()})
        for place, start in seen.starts.items():
            yield from ((id_, start + row, label) for id_, row, label in found.get(place, ()))

    def _of_its_group(self, method: str, id_: int) -> tuple[int, Any] | None:
        """What the group with the shard of an image says of it; None if there is none."""
        number, _ = parts_of(id_)
        for place, state in self.snapshot.states.items():
            if number in state.numbers:
                return next(iter(self.snapshot.groups.ask(method, {place: (id_,)}).items()), None)
        return None


class SpreadStates:
    """Gives the newest state of the shards of all machines; see `Snapshots`. Threads may share it."""

    def __init__(self, directory: Path, groups: Groups, dim: int, policy: TuningPolicy) -> None:
        """Asks nobody yet."""
        self._groups, self._lock = groups, forks.lock()
        self._made: Callable[..., SpreadSnapshot] = lambda states: SpreadSnapshot(
            directory, groups, states, dim, policy
        )
        self._newest: SpreadSnapshot | None = None

    @contextmanager
    def current(self, *, regions: bool = False, augmented: bool = False) -> Iterator[SpreadSnapshot]:  # noqa: ARG002
        """The newest state of each machine's shards. Nothing is held: `named` tells whether it still is the newest.

        Raises:
            UsageError: parts of images are wanted, which are not searched over several shards.
            CollectionError: a shard cannot be used.
        """
        if regions:
            raise UsageError("regions: parts of images are not searched over several shards; open one of them")
        states = self._groups.ask("state", dict.fromkeys(self._groups.places(), ()))
        made = self._made(states)
        with self._lock:
            before = self._newest
            if before and before.state == made.state:
                made = before
            elif before and before.state.files == made.state.files and before.sample.serves(made.live):
                moved = before.sample.renumbered(lambda rows: before.bases.moved(rows, made.bases))
                made = replace(made, sample=moved)
            self._newest = made
        yield made

    def last(self, *, regions: bool = False, augmented: bool = False) -> SpreadSnapshot | None:  # noqa: ARG002
        """The state that was used last, if nobody has been lost since."""
        with self._lock:
            newest = self._newest
        if regions or newest is None or newest.places != self._groups.places():
            return None
        return newest

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Holds nobody: writers on other machines go on, and an answer may be of two states."""
        yield True

    def missing(self) -> tuple[str, ...]:
        """The names of the shards that cannot be searched at the moment."""
        with self._lock:
            states = self._newest.states.values() if self._newest else ()
        return tuple(sorted({*self._groups.missing(), *(name for state in states for name in state.missing)}))
