"""Builds the indexes of all shards with one coarse quantizer, and measures how they are searched as one.

The lists and codebooks are trained on a sample of all shards, and there are as many lists as one shard needs. Every
shard builds its own index with them; nothing is merged. The operating points are then measured over the whole: less has
to be looked at in each shard than if it had to find all of its own nearest.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from lookalike.cluster import threads, tuned
from lookalike.cluster.parts import Part
from lookalike.cluster.snapshot import JoinedSnapshot
from lookalike.cluster.snapshots import JoinedSnapshots
from lookalike.cluster.tuned import KeptTuning
from lookalike.index import tuning
from lookalike.index.build_progress import BuildProgress
from lookalike.index.faiss_index import Index
from lookalike.index.generation import Generation
from lookalike.index.maintenance import Maintenance
from lookalike.index.operating_point import SearchParameters, reached_recall
from lookalike.index.options import BuildOptions
from lookalike.index.policies import Policies
from lookalike.index.spec import IndexSpec
from lookalike.index.tuning import Tuner
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import Vectors, single

_SEED = 11
_TIMED = 50  # queries of each operating point that are asked one at a time
_BLOCK = 4096  # rows of the sample that are read at a time
_SHARES = {"training": 0.2, "adding": 0.6, "comparing": 0.1, "measuring": 0.1}  # of the time, roughly


@dataclass(frozen=True)
class JoinedIndexes:
    """Builds and maintains the indexes of all shards.

    Attributes:
        snapshots: the states of the shards.
        kept: how they are searched as one.
        dim: the dimension of the vectors.
        policies: when an index is built, and how it is measured.
        progress: called while it works.
    """

    snapshots: JoinedSnapshots
    kept: KeptTuning
    dim: int
    policies: Policies
    progress: Callable[[BuildProgress], None] | None = None

    def build(self, options: BuildOptions) -> Generation | None:
        """Builds all indexes anew, and returns how they are searched as one; None if exact search is as good.

        Raises:
            UsageError: the index is impossible, or would take more memory than it may.
            CorruptError: a vector is damaged.
            LockedError: another process is writing to a shard.
            StorageError: the disk is full or failing; what was built before serves.
        """
        before = self._state()
        specs = self._specs(before, options)
        if not specs:
            threads.each(lambda part: part.shard.collection.build(recall=options.recall), before.parts)
            self.kept.forget()
            return None
        made = list[Generation]()
        for spec in specs:
            made.append(self._built(before, spec, options))
            if made[-1].reached_recall >= options.recall:
                break
        best = max(made, key=lambda card: card.reached_recall)
        return best if best is made[-1] else self._built(before, IndexSpec(best.spec, self.dim), options)

    def maintain(self) -> Maintenance:
        """Does what is due in each shard, and measures again how they are searched as one if that has changed.

        Raises:
            CorruptError: a vector is damaged.
            LockedError: another process is writing to a shard.
            StorageError: the disk is full or failing; what was built before serves.
        """
        last, state = self.kept.last(), self._state()
        live = state.live.size
        if last is None and not self.policies.tuning.searches_exactly(self.dim, live) and not _indexed(state):
            return Maintenance(built=self.build(BuildOptions()))
        if last is not None and live >= self.policies.maintenance.growth * last.trained_rows:
            return Maintenance(built=self.build(_options(last)))
        done = [part.shard.collection.maintain() for part in state.parts]
        if last is not None:
            self._restore(last)
            if self.kept.card(self._state().parts) is None:
                self._measured(IndexSpec(last.spec, self.dim), _options(last))
        return Maintenance(sum(each.removed for each in done), sum(each.joined for each in done))

    def is_due(self) -> bool:
        """Whether something is due, as far as can be told without reading an index."""
        last, state = self.kept.last(), self._state()
        if last is None:
            few = self.policies.tuning.searches_exactly(self.dim, state.live.size)
            if not few and not _indexed(state):
                return True
        elif state.card is None:
            return True
        return any(part.shard.collection.needs_maintenance() for part in state.parts)

    def _state(self) -> JoinedSnapshot:
        with self.snapshots.current() as snapshot:
            return snapshot

    def _specs(self, state: JoinedSnapshot, options: BuildOptions) -> Sequence[IndexSpec]:
        """The indexes to try, sized for the largest shard; none if no index is needed."""
        largest = max(part.snapshot.live.size for part in state.parts)
        if options.spec is None and self.policies.tuning.searches_exactly(self.dim, state.live.size):
            return []
        memory = None if options.memory is None else max(options.memory // len(state.parts), 1)
        policy = replace(self.policies.tuning, exact_values=0)
        return replace(options, memory=memory).specs(self.dim, largest, policy, is_part=len(state.parts) > 1)

    def _built(self, before: JoinedSnapshot, spec: IndexSpec, options: BuildOptions) -> Generation:
        """Builds all indexes of that kind, and measures them as one."""
        report = _Reporter(spec, self.progress)
        report.at("training", 0, 1)
        trained = Index.trained(spec, self._sample(before, spec.training_rows(before.live.size)))
        done = _Counter()

        def build(part: Part) -> None:
            with part.shard.named():
                part.shard.collection.build_on(trained.emptied(), options)
            report.at("adding", done.next(), len(before.parts))

        report.at("adding", 0, 1)
        threads.each(build, before.parts)
        return self._measured(spec, options, report)

    def _restore(self, last: Generation) -> None:
        """Gives shards that have lost their index, or got one of their own, the shared lists again."""
        state = self._state()
        alike = [part for part in state.parts if _has(part, last.spec)]
        for part in state.parts:
            if alike and part.snapshot.live.size and not _has(part, last.spec):
                opened = alike[0].snapshot.opened
                assert opened
                part.shard.collection.build_on(opened.index.emptied(), _options(last))

    def _measured(self, spec: IndexSpec, options: BuildOptions, report: "_Reporter | None" = None) -> Generation:
        report = report or _Reporter(spec, self.progress)
        state = self._state()
        live, policy = state.live, self.policies.tuning
        probes = tuning.draw(state.vectors, live, policy, progress=partial(report.at, "comparing"))
        points = Tuner(spec, partial(_searched, state), probes, policy, _TIMED).points(
            options.recall, partial(report.at, "measuring")
        )
        card = Generation(
            spec=spec.factory,
            dim=self.dim,
            rows=live.count,
            trained_rows=live.size,
            target_recall=options.recall,
            reached_recall=reached_recall(points, options.recall),
            asked_spec=options.spec,
            asked_memory=options.memory,
            points=points,
            exact_milliseconds=probes.milliseconds,
            bytes=sum(part.snapshot.card.bytes for part in state.parts if part.snapshot.card),
            sha256=tuned.of_all(state.parts),
        )
        self.kept.keep(card, state.parts)
        return card

    def _sample(self, state: JoinedSnapshot, size: int) -> Vectors:
        """Some vectors of all shards, drawn at random and always the same, float32 (size, dim)."""
        drawn = state.live.picked(np.sort(np.random.default_rng(_SEED).choice(state.live.size, size, replace=False)))
        sample = np.empty((size, self.dim), np.float32)
        for start in range(0, size, _BLOCK):
            sample[start : start + _BLOCK] = single(state.read_checked(drawn[start : start + _BLOCK]))
        return sample


def _searched(state: JoinedSnapshot, queries: Vectors, k: int, parameters: SearchParameters) -> tuple[Vectors, Rows]:
    return state.nearest(queries, k, state.live, parameters)


def _indexed(state: JoinedSnapshot) -> bool:
    """Whether a shard has an index."""
    return any(part.snapshot.opened for part in state.parts)


def _has(part: Part, spec: str) -> bool:
    return part.snapshot.card is not None and part.snapshot.card.spec == spec


def _options(card: Generation) -> BuildOptions:
    return BuildOptions(card.target_recall, card.asked_memory, card.asked_spec)


class _Counter:
    """Counts what threads have done."""

    def __init__(self) -> None:
        self._lock, self._count = threading.Lock(), 0

    def next(self) -> int:
        with self._lock:
            self._count += 1
            return self._count


class _Reporter:
    """Reports how far a build is to a callback, by what it has taken so far."""

    def __init__(self, spec: IndexSpec, progress: Callable[[BuildProgress], None] | None) -> None:
        self._spec, self._progress, self._begun = spec.factory, progress, time.monotonic()
        self._lock = threading.Lock()

    def at(self, stage: str, done: int, total: int) -> None:
        """Tells that so much of a stage is done."""
        if self._progress is None:
            return
        stages = [*_SHARES]
        before = sum(_SHARES[each] for each in stages[: stages.index(stage)])
        share = before + _SHARES[stage] * done / max(total, 1)
        seconds = time.monotonic() - self._begun
        with self._lock:
            self._progress(BuildProgress(stage, share, seconds / share - seconds if share else 0.0, self._spec))
