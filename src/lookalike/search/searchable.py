"""One file of vectors of a committed state, opened, with its index and the rows that may be found."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lookalike.errors import CorruptError
from lookalike.index.faiss_index import Index
from lookalike.index.generation import Generation
from lookalike.index.operating_point import SearchParameters
from lookalike.index.policies import TuningPolicy
from lookalike.search.chance import Chance, Judged, KeptSample
from lookalike.search.options import SearchOptions
from lookalike.search.refinement import Centre
from lookalike.storage.mapped_vectors import ExactVectors, MappedVectors
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Vectors

_BLOCK = 4096  # rows whose vectors are compared with what is expected by chance at a time


@dataclass(frozen=True)
class OpenIndex:
    """An index in memory, and what is known of it."""

    index: Index
    card: Generation


@dataclass(frozen=True)
class SearchableVectors:
    """What searches need of one file of vectors. Threads may share it.

    Attributes:
        vectors: the vectors, pinned: they stay readable when a writer replaces the file.
        live: the rows that may be found: those of images that are not missing.
        opened: the index, if there is one that can be used.
        policy: decides which row sets are small enough for exact search.
        give_up_index: is told why the index cannot be searched, which then is exact.
        sample: of the live rows; states with nearly the same rows share it.
    """

    vectors: MappedVectors
    live: RowSet
    opened: OpenIndex | None
    policy: TuningPolicy
    give_up_index: Callable[[str], None] = field(compare=False, repr=False)
    sample: KeptSample = field(default_factory=KeptSample, compare=False, repr=False)

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

    @property
    def card(self) -> Generation | None:
        """What is known of the index; None if there is none that can be used."""
        return self.opened.card if self.opened else None

    def searches_exactly(self, k: int) -> bool:
        """Whether a search for k of the live rows compares with every vector."""
        return self.parameters(k, self.live) is None

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
        return judged(self.sample.of(self.vectors, self.live), query, rows, self.vectors, without=without)

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
            self.give_up_index(error.message)
            return self.vectors.search(queries, k, row_set)
        # The others are in lists that were not visited, or are not finite.
        if (found[1] < 0).any() or not np.isfinite(found[0]).all():
            return self.vectors.search(queries, k, row_set)
        if index.rows >= row_set.count:
            return found
        young = self.vectors.search(queries, k, row_set, start=index.rows)
        return _merged(found, young, k)


def judged(sample: Chance, query: Vectors, rows: Rows, vectors: ExactVectors, *, without: Rows | None = None) -> Judged:
    """Judges by a sample how near some rows, int64 (k,), are to a unit vector, float32 (1, dim), a block at a time."""
    known = sample if without is None else sample.without(without)
    blocks = np.split(rows, range(_BLOCK, len(rows), _BLOCK))
    return Judged.joined([known.judged(query, block, vectors.stored) for block in blocks])


def _merged(first: tuple[Vectors, Rows], second: tuple[Vectors, Rows], k: int) -> tuple[Vectors, Rows]:
    """The k best of two answers, best first."""
    scores = np.concatenate((first[0], second[0]), axis=1)
    rows = np.concatenate((first[1], second[1]), axis=1)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)
