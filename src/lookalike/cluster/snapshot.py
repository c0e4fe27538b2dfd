"""The committed states of all shards as one: what is searched, and which images its rows are."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from lookalike.arguments import shown
from lookalike.cluster import joined_indexes
from lookalike.cluster.catalog import JoinedCatalog
from lookalike.cluster.parts import JoinedState, Part
from lookalike.cluster.rows import Bases, JoinedRows
from lookalike.cluster.vectors import Found, JoinedVectors
from lookalike.errors import Hint, UsageError
from lookalike.filters import Where
from lookalike.index.generation import Generation
from lookalike.index.operating_point import SearchParameters
from lookalike.index.policies import TuningPolicy
from lookalike.search.chance import Judged, KeptSample
from lookalike.search.options import SearchOptions
from lookalike.search.refinement import Centre
from lookalike.search.searchable import judged
from lookalike.storage.rows import NO_ROWS, Rows, RowSet
from lookalike.storage.vectors import STORED, StoredVectors, Vectors
from lookalike.system import forks

_FILTERS = 32  # the row sets that a state keeps


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
    _filtered: OrderedDict[Where, JoinedRows] = field(default_factory=OrderedDict, compare=False, repr=False)
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
        if self._known(where) is None:
            self._refuse_unknown_names(where)
        return self.admitted(where)

    def admitted(self, where: Where) -> JoinedRows:
        """The same, none if the filter asks for an attribute that no image has."""
        if (known := self._known(where)) is not None:
            return known

        def of_part(part: Part) -> RowSet:
            own = part.shard.where(where)
            return part.snapshot.row_set(own) if own else RowSet(part.snapshot.state.count, only=NO_ROWS)

        found = JoinedRows([of_part(part) for part in self.parts])
        with self._lock:
            self._filtered[where] = found
            while len(self._filtered) > _FILTERS:
                self._filtered.popitem(last=False)
        return found

    def _known(self, where: Where) -> JoinedRows | None:
        with self._lock:
            if (known := self._filtered.get(where)) is not None:
                self._filtered.move_to_end(where)
            return known

    def _refuse_unknown_names(self, where: Where) -> None:
        if where.conditions:
            names = (part.shard.collection.attribute_names() for part in self.parts)
            refuse_unknown_names(where, chain.from_iterable(names))

    def search(self, queries: Vectors, options: SearchOptions, row_set: RowSet, *, extra: int = 0) -> Found:
        """Finds the rows nearest to each query, best first; see `SearchableVectors.search`.

        If the shards were measured together, all are searched alike. Else each is searched so that it finds its own
        nearest, of which those of all are some.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise UsageError(f"a query of shape {queries.shape} does not match vectors of {self.dim} dimensions")
        if self.card is not None:
            return self.nearest(queries, options.k + extra, row_set, self._parameters(options, row_set))
        return self.vectors.merged(
            queries,
            options.k + extra,
            row_set,
            lambda part, rows: part.snapshot.search(queries, options, rows, extra=extra),
        )

    def nearest(self, queries: Vectors, k: int, row_set: RowSet, parameters: SearchParameters | None) -> Found:
        """Finds the k nearest of these rows for each query, best first, with all indexes searched alike.

        Args:
            queries: unit vectors, float32 (n, dim).
            k: at least 1.
            row_set: the rows that may be found.
            parameters: how to search the indexes, or None for an exact search.
        """

        def is_exact(part: Part, rows: RowSet) -> bool:
            return rows is not part.snapshot.live and self.policy.searches_exactly(self.dim, rows.size)

        def of_part(part: Part, rows: RowSet) -> Found:
            return part.snapshot.nearest(queries, k, rows, None if is_exact(part, rows) else parameters)

        found = parameters and joined_indexes.nearest(self.vectors, queries, k, row_set, parameters, is_exact)
        return found or self.vectors.merged(queries, k, row_set, of_part)

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
