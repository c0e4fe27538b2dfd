"""Makes the index of a collection, and keeps it current: train, add, measure, publish.

Whoever calls this holds the collection's lock.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lookalike.errors import CorruptError, LookalikeError, UsageError
from lookalike.index import generation, tuning
from lookalike.index.build_progress import BuildProgress, Schedule
from lookalike.index.faiss_index import Index
from lookalike.index.generation import Generation
from lookalike.index.options import Wish
from lookalike.index.spec import IndexSpec
from lookalike.index.tuning import OperatingPoint, Probes
from lookalike.storage import compaction
from lookalike.storage.catalog import Catalog, State
from lookalike.storage.checksums import VerifiedVectors
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Part, VectorReader, Vectors

_DEAD_SHARE = 0.2  # of the vectors, from which on the dead ones are taken out
GROWTH = 4  # times as many vectors as an index was trained on make it worth training again
_YOUNG_ROWS = 1000  # so many vectors are compared one by one sooner than an index is written again,
_YOUNG_SHARE = 0.01  # or this share of those in the index
_CHECK_QUERIES = 400
_SEED = 11


@dataclass(frozen=True)
class Maintenance:
    """What keeping an index current has come to.

    Attributes:
        removed: how many dead vectors were taken out.
        joined: how many new vectors the index has taken in.
        built: the index that was built anew, or None.
    """

    removed: int = 0
    joined: int = 0
    built: Generation | None = None


@dataclass(frozen=True)
class _Ground:
    """The vectors that an index is built over.

    Attributes:
        reader: their file.
        live: those that count.
        named: the row by which the catalog still knows each of them, where they have been written closer together;
            else None.
    """

    reader: VectorReader
    live: RowSet
    named: Rows | None = None

    def part(self) -> Part:
        return self.reader.part(0, self.live.count)


class Builder:
    """Builds the index of one collection."""

    def __init__(
        self, catalog: Catalog, directory: Path, dim: int, progress: Callable[[BuildProgress], None] | None = None
    ) -> None:
        self._catalog, self._directory, self._dim, self._progress = catalog, directory, dim, progress

    def build(self, wish: Wish) -> Generation | None:
        """Takes dead vectors out and makes a new index, or none where exact search is as good.

        Raises:
            UsageError: there can be no such index, or it would take more memory than it may.
            CorruptError: a vector is damaged.
            StorageError: the disk is full or failing; the index that was there still serves.
        """
        _, ground = self._opened()
        specs = wish.specs(self._dim, ground.live.size)  # which may refuse
        with self._nothing_left_behind():
            ground = self._compacted(ground)
            return self._publish(ground, self._best(specs, wish, ground) if specs else None)

    def maintain(self) -> Maintenance:
        """Does what is due: takes dead vectors out, takes young ones into the index, or builds it anew.

        Raises:
            CorruptError: a vector is damaged.
            StorageError: the disk is full or failing; the index that was there still serves.
        """
        state, ground = self._opened()
        live = ground.live.size
        dead = state.count - live
        much_is_dead = dead > 0 and dead >= _DEAD_SHARE * state.count
        about = self._about(state)
        if about is None:
            due = state.generation is not None or not tuning.searches_exactly(self._dim, live)
        else:
            assert state.generation
            is_sound = generation.is_sound(self._directory, state.generation)
            due = live >= GROWTH * about.trained_rows or not is_sound
        if due or much_is_dead:
            return self._built_again(state, ground, about)
        if about is None:
            return Maintenance()
        young = state.count - about.rows
        if young < max(_YOUNG_ROWS, _YOUNG_SHARE * about.rows):
            return Maintenance()
        return self._join(state, ground, about)

    # Building

    def _best(self, specs: Sequence[IndexSpec], wish: Wish, ground: _Ground) -> tuple[Index, Generation]:
        """The first index that keeps the promise, or else the one that comes closest to it."""
        best: tuple[Index, Generation] | None = None
        probes: Probes | None = None
        for spec in specs:
            schedule = Schedule(spec, ground.live.size, self._progress)
            index = self._filled(spec, ground, schedule, like=best[0] if best else None)
            probes = probes or tuning.draw(ground.reader, ground.live, progress=schedule.of("comparing"))
            points = tuning.operating_points(
                index, ground.part(), ground.live, probes, promise=wish.recall, progress=schedule.of("measuring")
            )
            about = Generation(
                spec=spec.factory,
                dim=self._dim,
                rows=ground.live.count,
                trained_rows=ground.live.size,
                promise=wish.recall,
                reached=_reached(points, wish.recall),
                asked_spec=wish.spec,
                asked_memory=wish.memory,
                points=points,
                exact_milliseconds=probes.milliseconds,
            )
            if best is None or about.reached > best[1].reached:
                best = index, about
            if about.reached >= wish.recall:
                break
        assert best
        return best

    def _filled(self, spec: IndexSpec, ground: _Ground, schedule: Schedule, *, like: Index | None) -> Index:
        schedule.at("training")
        index = Index.trained(spec, self._sample(ground, spec.training_rows(ground.live.size)), like=like)
        self._add(index, ground, schedule)
        return index

    def _sample(self, ground: _Ground, size: int) -> Vectors:
        """Some of the live vectors, (size, dim)."""
        drawn = np.sort(np.random.default_rng(_SEED).choice(ground.live.rows(), size, replace=False))
        sample, filled = np.empty((size, self._dim), np.float32), 0
        for block in self._verified(ground).blocks(drawn, count=ground.live.count):
            sample[filled : filled + len(block)] = block
            filled += len(block)
        return sample

    def _add(self, index: Index, ground: _Ground, schedule: Schedule | None = None) -> None:
        """Takes in the rows that are missing."""
        count = ground.live.count
        for block in self._verified(ground).blocks(np.arange(index.rows, count), count=count):
            index.add(block.astype(np.float32))
            if schedule:
                schedule.at("adding", index.rows, count)

    # Keeping it current

    def _join(self, state: State, ground: _Ground, about: Generation) -> Maintenance:
        """Takes young vectors into the index as it is, unless it then no longer keeps its promise."""
        assert state.generation
        try:
            index = generation.read_index(self._directory, state.generation, about)
        except CorruptError:
            return self._built_again(state, ground, about)
        self._add(index, ground)
        points = self._points_that_keep(about, index, ground)
        if points is None:
            return self._built_again(state, ground, about)
        with self._nothing_left_behind():
            self._publish(ground, (index, replace(about, rows=state.count, points=points)))
        return Maintenance(joined=state.count - about.rows)

    def _points_that_keep(self, about: Generation, index: Index, ground: _Ground) -> tuple[OperatingPoint, ...] | None:
        """The operating points by which it still keeps its promise: the old ones, or new ones, or None."""
        chosen = about.chosen
        if chosen:
            probes = tuning.draw(ground.reader, ground.live, queries=_CHECK_QUERIES, depth=chosen.depth)
            point = tuning.measure(index, ground.part(), ground.live, probes, depth=chosen.depth, effort=chosen.effort)
            if point.recall >= about.reached:
                return about.points
        probes = tuning.draw(ground.reader, ground.live)
        points = tuning.operating_points(index, ground.part(), ground.live, probes, promise=about.reached)
        return points if _reached(points, about.reached) >= about.reached else None

    def _built_again(self, state: State, ground: _Ground, about: Generation | None) -> Maintenance:
        """Builds what was asked for the last time, as far as it can still be had."""
        wish = Wish(about.promise, about.asked_memory, about.asked_spec) if about else Wish()
        try:
            built = self.build(wish)
        except UsageError:  # there are too few vectors by now, or too many
            built = self.build(Wish(wish.recall))
        return Maintenance(removed=state.count - ground.live.size, built=built)

    def _about(self, state: State) -> Generation | None:
        """What is known of the index, or None where there is none that can be used."""
        if state.generation is None:
            return None
        try:
            return generation.read_about(self._directory, state.generation)
        except CorruptError:
            return None

    # What is on the disk

    def _opened(self) -> tuple[State, _Ground]:
        state = self._catalog.state()
        dead = np.array(self._catalog.dead_rows(), np.int64)
        reader = VectorReader(self._directory / state.vectors, self._dim)
        return state, _Ground(reader, RowSet(state.count, dead=dead))

    def _verified(self, ground: _Ground) -> VerifiedVectors:
        return VerifiedVectors(self._catalog, ground.reader, ground.named)

    def _compacted(self, ground: _Ground) -> _Ground:
        """The same without the dead vectors, in a file that does not count yet."""
        live = ground.live.rows()
        if len(live) == ground.live.count:
            return ground
        self._catalog.check()
        return _Ground(compaction.compacted(self._catalog, ground.reader, ground.live), RowSet(len(live)), live)

    def _publish(self, ground: _Ground, made: tuple[Index, Generation] | None = None) -> Generation | None:
        """Commits, at once, what has been made: vectors closer together, an index, or that there is none."""
        number = self._catalog.next_generation()
        stored = generation.write(self._directory, number, *made, ground.part()) if made else None
        with self._catalog.writing() as transaction:
            if ground.named is not None:
                transaction.compact(ground.reader.path.name)
            transaction.drop_generation()
            if stored:
                transaction.put_generation(number, stored.rows, stored.index_sha256, stored.card_sha256)
        self.sweep()
        return generation.read_about(self._directory, stored) if stored else None

    @contextmanager
    def _nothing_left_behind(self) -> Iterator[None]:
        """Where something goes wrong, takes away what was written until then: the disk may be full."""
        try:
            yield
        except BaseException:
            with suppress(LookalikeError):
                self.sweep()
            raise

    def sweep(self) -> None:
        """Takes away the files that do not count, such as a process has left that was killed.

        Raises:
            StorageError: one cannot be taken away.
        """
        state = self._catalog.state()
        compaction.sweep(self._directory, state.vectors)
        generation.sweep(self._directory, state.generation.number if state.generation else None)


def _reached(points: Sequence[OperatingPoint], wanted: float) -> float:
    """The recall that can be promised for the smallest depth: what is wanted, or the most there is.

    Where there are too few vectors to measure anything, there is no point to search by, and every search is exact.
    """
    shallow = min((point.depth for point in points), default=0)
    return min(wanted, max((point.recall_low for point in points if point.depth == shallow), default=wanted))
