"""The committed states of all shards as one: what is searched, and which images its rows are."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np

from lookalike.arguments import shown
from lookalike.cluster import threads
from lookalike.cluster.numbering import parts_of
from lookalike.cluster.rows import Bases, JoinedRows
from lookalike.cluster.shard import Shard
from lookalike.errors import Hint, UsageError
from lookalike.filters import Where
from lookalike.index.generation import Generation
from lookalike.index.operating_point import SearchParameters
from lookalike.index.policies import TuningPolicy
from lookalike.search.chance import Judged, KeptSample
from lookalike.search.options import SearchOptions
from lookalike.search.refinement import Centre
from lookalike.search.searchable import judged
from lookalike.search.snapshot import Snapshot
from lookalike.storage.records import MissingImage, NamedRows, State, StoredImage
from lookalike.storage.rows import NO_ROWS, Rows, RowSet
from lookalike.storage.vectors import STORED, StoredVectors, Vectors
from lookalike.system import forks

_FILTERS = 32  # the row sets that a state keeps
_Found: TypeAlias = tuple[Vectors, Rows]


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


@dataclass(frozen=True)
class JoinedVectors:
    """The stored vectors of all shards.

    Attributes:
        path: the directory of the whole.
        parts: the shards.
        bases: where their rows begin.
        dim: the dimension of the vectors.
    """

    path: Path
    parts: tuple[Part, ...]
    bases: Bases
    dim: int

    def stored(self, rows: Rows) -> StoredVectors:
        """A copy of these rows as the files hold them: half precision, (n, dim)."""
        vectors = np.empty((len(rows), self.dim), STORED)
        for place, positions, local in self.bases.split(rows):
            vectors[positions] = self.parts[place].snapshot.vectors.stored(local)
        return vectors

    def search(self, queries: Vectors, k: int, row_set: RowSet) -> _Found:
        """Finds the k rows with the largest inner product for each query, best first, by comparing with all."""
        return self.merged(queries, k, row_set, lambda part, rows: part.snapshot.vectors.search(queries, k, rows))

    def merged(self, queries: Vectors, k: int, row_set: RowSet, find: Callable[[Part, RowSet], _Found]) -> _Found:
        """The k best of what is found in each shard.

        Args:
            queries: (n, dim).
            k: at least 1.
            row_set: the rows that may be found.
            find: finds, in a shard, those of the rows that are nearest to each query, best first.

        Returns:
            Scores, float32 (n, k'), and rows, int64 (n, k'), with k' at most k.
        """
        assert isinstance(row_set, JoinedRows)
        asked = [place for place, rows in enumerate(row_set.parts) if rows.size]
        found = threads.each(lambda place: find(self.parts[place], row_set.parts[place]), asked)
        starts = self.bases.starts[asked]
        scores = np.concatenate([np.empty((len(queries), 0), np.float32), *(each[0] for each in found)], axis=1)
        no_rows = np.empty((len(queries), 0), np.int64)
        rows = np.concatenate([no_rows, *(each[1] + start for each, start in zip(found, starts, strict=True))], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)


@dataclass(frozen=True)
class JoinedCatalog:
    """Knows the images of the rows of all shards.

    Attributes:
        parts: the shards.
        bases: where their rows begin.
    """

    parts: tuple[Part, ...]
    bases: Bases

    def reading(self) -> AbstractContextManager[object]:
        """Nothing has to be held: `named` reads each shard in one state of it."""
        return nullcontext()

    def named(self, rows: Sequence[int], *, where: Where | None, limit: int) -> NamedRows:
        """The images of rows, in their order, and the checksums of their vectors; each shard in one committed state."""
        wanted = {place: local for place, _, local in self.bases.split(np.array(rows, np.int64))}
        states, images, crc32s = list[State](), list[StoredImage](), dict[int, int]()
        for place, part in enumerate(self.parts):
            found = _named(part, wanted[place].tolist(), where, limit) if place in wanted else None
            if found is None:
                seen, catalog = part.snapshot.state, part.snapshot.catalog
                states.append(seen if catalog.is_at(seen) else catalog.state())
                continue
            assert isinstance(found.state, State)
            states.append(found.state)
            images += [self._of_whole(place, image) for image in found.images]
            start = int(self.bases.starts[place])
            crc32s |= {start + row: crc32 for row, crc32 in found.crc32s.items()}
        order = {row: position for position, row in enumerate(rows)}
        images.sort(key=lambda image: order[image.row])
        return NamedRows(JoinedState(tuple(states)), images[:limit] if limit >= 0 else images, crc32s)

    def image(self, id_: int, /) -> StoredImage | None:
        """The image of that number, or None."""
        number, local = parts_of(id_)
        for place, part in enumerate(self.parts):
            if part.shard.number == number and (found := part.snapshot.catalog.image(local)):
                return self._of_whole(place, found)
        return None

    def missing(self, id_: int, /) -> list[MissingImage]:
        """The missing image of that number, if there is one."""
        number, local = parts_of(id_)
        return [
            replace(image, id=id_, key=part.shard.key_of(image.key))
            for part in self.parts
            if part.shard.number == number
            for image in part.snapshot.catalog.missing(local)
        ]

    def live_images(self) -> Iterable[tuple[int, int, str | None]]:
        """(id, row, label) of the images, by shard and id."""
        for place, part in enumerate(self.parts):
            start = int(self.bases.starts[place])
            for id_, row, label in part.snapshot.catalog.live_images():
                yield part.shard.id_of(id_), start + row, label

    def _of_whole(self, place: int, image: StoredImage) -> StoredImage:
        shard, row = self.parts[place].shard, int(self.bases.starts[place]) + image.row
        return replace(image, id=shard.id_of(image.id), key=shard.key_of(image.key), row=row)


def _named(part: Part, rows: Sequence[int], where: Where | None, limit: int) -> NamedRows | None:
    """The images of rows of a shard; None if a filter of the whole admits none of that."""
    with part.shard.named():
        own = part.shard.where(where) if where else None
        if where and own is None:
            return None
        return part.snapshot.catalog.named(rows, where=own, limit=limit)


@dataclass(frozen=True, kw_only=True)
class JoinedSnapshot:
    """What searches need of one committed state of each shard. Threads may share it.

    Attributes:
        directory: that of the whole.
        parts: the shards.
        dim: the dimension of the vectors.
        policy: decides which row sets are small enough for exact search.
        card: how the indexes of all shards are searched as one; None if each goes by its own operating points.
        sample: of the live rows of all shards.
    """

    directory: Path
    parts: tuple[Part, ...]
    dim: int
    policy: TuningPolicy
    card: Generation | None
    sample: KeptSample = field(default_factory=KeptSample)
    regions: None = None
    augmented: None = None
    _filtered: OrderedDict[Where, RowSet] = field(default_factory=OrderedDict, compare=False, repr=False)
    _lock: threading.Lock = field(default_factory=forks.lock, compare=False, repr=False)

    @cached_property
    def bases(self) -> Bases:
        """Where the rows of each shard begin."""
        return Bases([part.snapshot.state.count for part in self.parts])

    @cached_property
    def state(self) -> JoinedState:
        """What the catalogs say of the files."""
        return JoinedState(tuple(part.snapshot.state for part in self.parts))

    @cached_property
    def live(self) -> JoinedRows:
        """The rows that may be found."""
        return JoinedRows([part.snapshot.live for part in self.parts])

    @cached_property
    def vectors(self) -> JoinedVectors:
        """The vectors."""
        return JoinedVectors(self.directory, self.parts, self.bases, self.dim)

    @cached_property
    def catalog(self) -> JoinedCatalog:
        """Knows the images of the rows."""
        return JoinedCatalog(self.parts, self.bases)

    @property
    def regions_hint(self) -> Hint:
        """What to do, since parts of images are not searched over several shards."""
        return Hint("open_shard", {"path": str(self.directory / self.parts[0].shard.name)})

    def row_set(self, where: Where) -> JoinedRows:
        """The live rows that a filter admits, read from the catalogs.

        Raises:
            UsageError: the filter asks for an attribute that no image has.
        """
        with self._lock:
            if (known := self._filtered.get(where)) is not None:
                self._filtered.move_to_end(where)
                assert isinstance(known, JoinedRows)
                return known
        self._refuse_unknown_names(where)

        def of_part(part: Part) -> RowSet:
            own = part.shard.where(where)
            return part.snapshot.row_set(own) if own else RowSet(part.snapshot.state.count, only=NO_ROWS)

        found = JoinedRows([of_part(part) for part in self.parts])
        with self._lock:
            self._filtered[where] = found
            while len(self._filtered) > _FILTERS:
                self._filtered.popitem(last=False)
        return found

    def _refuse_unknown_names(self, where: Where) -> None:
        if where.conditions:
            names = (part.shard.collection.attribute_names() for part in self.parts)
            refuse_unknown_names(where, chain.from_iterable(names))

    def search(self, queries: Vectors, options: SearchOptions, row_set: RowSet, *, extra: int = 0) -> _Found:
        """Finds the rows nearest to each query, best first; see `SearchableVectors.search`.

        If the shards were measured together, all are searched alike. Else each is searched so that it finds its own
        nearest, of which those of all are some.
        """
        tuned = self._parameters(options, row_set)

        def of_part(part: Part, rows: RowSet) -> _Found:
            snapshot = part.snapshot
            if self.card is None:
                return snapshot.search(queries, options, rows, extra=extra)
            is_few = rows is not snapshot.live and self.policy.searches_exactly(self.dim, rows.size)
            return snapshot.nearest(queries, options.k + extra, rows, None if is_few else tuned)

        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise UsageError(f"a query of shape {queries.shape} does not match vectors of {self.dim} dimensions")
        return self.vectors.merged(queries, options.k + extra, row_set, of_part)

    def _parameters(self, options: SearchOptions, row_set: RowSet) -> SearchParameters | None:
        if self.card is None or options.exact or not row_set.size:
            return None
        return self.card.parameters(k=options.k * self.live.size / row_set.size, recall=options.recall)

    def searches_exactly(self, k: int) -> bool:
        """Whether a search for k of the live rows compares with every vector."""
        if self.card is not None:
            return self._parameters(SearchOptions(k), self.live) is None
        return all(part.snapshot.searches_exactly(k) for part in self.parts)

    def centre(self) -> Centre:
        """The mean of the live rows, as far as a sample of them tells."""
        return self.sample.of(self.vectors, self.live).centre

    def judged(self, query: Vectors, rows: Rows, *, without: Rows | None = None) -> Judged:
        """Judges by a sample of the live rows of all shards how near some rows are to a query."""
        return judged(self.sample.of(self.vectors, self.live), query, rows, self.vectors, without=without)

    def read_checked(self, rows: Rows) -> StoredVectors:
        """The vectors of rows, half precision (n, dim); raises CorruptError for one that is damaged."""
        vectors = np.empty((len(rows), self.dim), STORED)
        for place, positions, local in self.bases.split(rows):
            with self.parts[place].shard.named():
                vectors[positions] = self.parts[place].snapshot.read_checked(local)
        return vectors

    def check_rows(self, crc32s: Mapping[int, int]) -> None:
        """Raises CorruptError unless the checksums of rows are the expected ones."""
        expected = np.array([*crc32s.values()], np.int64)
        for place, positions, local in self.bases.split(np.array([*crc32s], np.int64)):
            with self.parts[place].shard.named():
                own = dict(zip(local.tolist(), expected[positions].tolist(), strict=True))
                self.parts[place].snapshot.check_rows(own)

    def part_crc32s(self, part_rows: Rows) -> dict[int, int]:  # noqa: ARG002 - there are none
        """None: parts of images are not searched."""
        return {}


def refuse_unknown_names(where: Where, names: Iterable[str]) -> None:
    """Raises UsageError if a filter asks for an attribute that no image of any shard has."""
    known = sorted(set(names))
    for name in where.conditions:
        if name not in known:
            raise UsageError(f"no image has an attribute {shown(name)}; there are: {shown(known)}")


def joined(
    directory: Path,
    parts: Sequence[Part],
    dim: int,
    policy: TuningPolicy,
    card: Generation | None,
    before: JoinedSnapshot | None,
) -> JoinedSnapshot:
    """A state of all shards, which shares with the one before it what has not changed."""
    made = JoinedSnapshot(directory=directory, parts=tuple(parts), dim=dim, policy=policy, card=card)
    if before is None or [part.shard for part in before.parts] != [part.shard for part in made.parts]:
        return made
    same_files = all(
        old.snapshot.state.files[:2] == new.snapshot.state.files[:2]
        for old, new in zip(before.parts, made.parts, strict=True)
    )
    if not (same_files and before.sample.serves(made.live)):
        return made
    if before.bases == made.bases:
        return replace(made, sample=before.sample)
    return replace(made, sample=before.sample.renumbered(lambda rows: before.bases.moved(rows, made.bases)))
