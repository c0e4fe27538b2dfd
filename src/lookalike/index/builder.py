"""Builds indexes: train, add, measure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from lookalike.index import tuning
from lookalike.index.build_progress import BuildReporter, OnBuildProgress
from lookalike.index.faiss_index import Index
from lookalike.index.generation import Generation
from lookalike.index.operating_point import OperatingPoint, reached_recall
from lookalike.index.options import BuildOptions
from lookalike.index.policies import Policies
from lookalike.index.spec import IndexSpec
from lookalike.index.tuning import RecallQueries, Tuner
from lookalike.storage.checksums import read_checked_blocks
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vector_tables import VectorTable
from lookalike.storage.vectors import StoredVectors, Vectors, single

_SEED = 11


@dataclass(frozen=True)
class IndexableVectors:
    """The vectors that an index is built over.

    Attributes:
        table: has their checksums.
        mapped: their file.
        live: the rows that belong to images.
        catalog_rows: the row by which the catalog still knows each of them, if they have been compacted; else None.
    """

    table: VectorTable
    mapped: MappedVectors
    live: RowSet
    catalog_rows: Rows | None = None

    def blocks(self, rows: Rows) -> Iterator[StoredVectors]:
        """These rows, ascending, a few thousand at a time, each compared with its checksum.

        Raises:
            CorruptError: a checksum does not match.
        """
        return read_checked_blocks(self.table, self.mapped, rows, self.catalog_rows)

    def sample(self, size: int) -> Vectors:
        """Some of the live vectors, drawn at random and always the same, float32 (size, dim).

        Raises:
            CorruptError: a vector is damaged.
        """
        drawn = np.sort(np.random.default_rng(_SEED).choice(self.live.rows(), size, replace=False))
        sample, filled = np.empty((size, self.mapped.dim), np.float32), 0
        for block in self.blocks(drawn):
            sample[filled : filled + len(block)] = block
            filled += len(block)
        return sample

    def tuner(self, index: Index, probes: RecallQueries, policies: Policies) -> Tuner:
        """Measures an index of all of these vectors."""
        search = partial(index.search, stored=self.mapped.part(0, self.live.count), row_set=self.live)
        return Tuner(index.spec, search, probes, policies.tuning)


def build_best(
    specs: Sequence[IndexSpec],
    options: BuildOptions,
    vectors: IndexableVectors,
    policies: Policies,
    progress: OnBuildProgress | None,
) -> tuple[Index, Generation]:
    """Builds the first index that reaches the target recall, or else the one that comes closest.

    Raises:
        CorruptError: a vector is damaged.
    """
    best: tuple[Index, Generation] | None = None
    probes: RecallQueries | None = None
    live = vectors.live
    for spec in specs:
        schedule = BuildReporter(spec, live.size, policies.tuning, progress)
        index = _filled(spec, vectors, schedule, like=best[0] if best else None)
        probes = probes or tuning.draw(vectors.mapped, live, policies.tuning, progress=schedule.of("comparing"))
        points = vectors.tuner(index, probes, policies).points(options.recall, schedule.of("measuring"))
        card = _card(spec, options, live, points, probes.milliseconds)
        if best is None or card.reached_recall > best[1].reached_recall:
            best = index, card
        if card.reached_recall >= options.recall:
            break
    assert best
    return best


def build_on(
    trained: Index, options: BuildOptions, vectors: IndexableVectors, policies: Policies
) -> tuple[Index, Generation]:
    """Builds an index with lists and codebooks that were trained before, maybe on other vectors of the same model.

    Args:
        trained: an index without rows, which gets all of them.
        options: what was asked for.
        vectors: the vectors.
        policies: how it is measured.

    Raises:
        CorruptError: a vector is damaged.
    """
    policies = replace(policies, tuning=policies.tuning.rough())
    add_missing(trained, vectors)
    probes = tuning.draw(vectors.mapped, vectors.live, policies.tuning)
    points = vectors.tuner(trained, probes, policies).points(options.recall)
    return trained, _card(trained.spec, options, vectors.live, points, probes.milliseconds)


def add_missing(index: Index, vectors: IndexableVectors, schedule: BuildReporter | None = None) -> None:
    """Adds the rows that the index does not cover yet.

    Raises:
        CorruptError: a vector is damaged.
    """
    count = vectors.live.count
    for block in vectors.blocks(np.arange(index.rows, count)):
        index.add(single(block))
        if schedule:
            schedule.at("adding", index.rows, count)


def points_of_grown(
    card: Generation, index: Index, vectors: IndexableVectors, policies: Policies
) -> tuple[OperatingPoint, ...] | None:
    """The operating points by which an index that has grown reaches its recall: the old ones, or new ones, or None."""
    tuning_policy, live = policies.tuning, vectors.live
    if chosen := card.chosen:
        probes = tuning.draw(
            vectors.mapped, live, tuning_policy, queries=policies.maintenance.check_queries, k=chosen.k
        )
        point = vectors.tuner(index, probes, policies).measure(chosen.k, chosen.parameters)
        if point.recall >= card.reached_recall:
            return card.points
    probes = tuning.draw(vectors.mapped, live, tuning_policy)
    points = vectors.tuner(index, probes, policies).points(card.reached_recall)
    return points if reached_recall(points, card.reached_recall) >= card.reached_recall else None


def _filled(spec: IndexSpec, vectors: IndexableVectors, schedule: BuildReporter, *, like: Index | None) -> Index:
    schedule.at("training")
    index = Index.trained(spec, vectors.sample(spec.training_rows(vectors.live.size)), like=like)
    add_missing(index, vectors, schedule)
    return index


def _card(
    spec: IndexSpec,
    options: BuildOptions,
    live: RowSet,
    points: tuple[OperatingPoint, ...],
    exact_milliseconds: float,
) -> Generation:
    return Generation(
        spec=spec.factory,
        dim=spec.dim,
        rows=live.count,
        trained_rows=live.size,
        target_recall=options.recall,
        reached_recall=reached_recall(points, options.recall),
        asked_spec=options.spec,
        asked_memory=options.memory,
        points=points,
        exact_milliseconds=exact_milliseconds,
    )
