"""How many images come as near to a query as a match by chance: an E-value beside the score.

The mean of the collection is taken off, and the query is compared with a random sample of the stored vectors. Where
directions are random, a squared cosine of at least c^2 has a probability of about (1 - c^2)^((d - 1) / 2), with d the
dimension: -log(1 - c^2) has an exponential tail. The vectors of a model do not fill their space, so that the slope is
not known, but it shows in the largest hundredth of the sample. What is expected among n images is n times the
probability.

The slope is estimated from few cosines. A match is therefore judged by the distribution of one more excess, t of them
being known: P(X > x) = (1 + x / sum)^-t, which is exact for an exponential tail, and tends to exp(-x / mean). One that
is itself in the sample is judged by the others, or it would hide its own surprise.
"""

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.search.refinement import Centre
from lookalike.storage.mapped_vectors import ExactVectors
from lookalike.storage.rows import NO_ROWS, Rows, RowSet
from lookalike.storage.vectors import StoredVectors, Vectors, single, unit
from lookalike.system import forks

FEWEST = 100  # vectors; of fewer, the tail that the estimate takes would be no tail
_SAMPLE = 1500
_TAIL, _LEAST_TAIL = 0.01, 7  # of the sample: the share whose cosines tell the slope, and the least number
_SAME = 0.999  # cosine: the query itself, or its copy, which is not near by chance
_LENGTH_ERROR = 0.01  # a stored length differs from 1 by less, if it is not damaged
_MOST_SQUARE = 1 - 1e-7  # of a cosine, in single precision
_RELATIVES = 0.05  # of the sample: the share whose cosines tell how many relatives a query has
_CHANGE = 0.02  # of the number of vectors, up to which a sample serves; the numbers that are expected differ as much
_ROUNDING = 1e-6  # what is as near may differ by this much

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """What a sample tells of some rows and a query; NaN if there are too few vectors to tell.

    Attributes:
        expected: how many vectors of the collection are expected as near to the query by chance, float64 (k,).
        centred: the cosines without the collection's mean, float64 (k,).
        relatives: the mean of the largest twentieth of the sample's. Where that is large, the query has many relatives,
            so that what is near is rather of its kind.
    """

    expected: Numbers
    centred: Numbers
    relatives: float

    @classmethod
    def joined(cls, parts: Sequence["Judged"]) -> "Judged":
        """What is told of the rows of all parts, of the same query; there is at least one."""
        if len(parts) == 1:
            return parts[0]
        expected, centred = ([getattr(each, name) for each in parts] for name in ("expected", "centred"))
        return cls(np.concatenate(expected), np.concatenate(centred), parts[0].relatives)

    def __getitem__(self, kept: NDArray[np.bool_]) -> "Judged":
        """What is told of the rows that are True."""
        return Judged(self.expected[kept], self.centred[kept], self.relatives)


class Chance:
    """A sample of a collection, by which to tell how near to a query its vectors come by chance.

    Threads may share it.

    Attributes:
        centre: the mean of the sample.
    """

    def __init__(self, stored: StoredVectors, rows: Rows, count: int) -> None:
        """Takes a sample as it is stored; damaged vectors are left out.

        Args:
            stored: half precision, (n, dim).
            rows: their rows, ascending, int64 (n,).
            count: the number of vectors that they are a sample of.
        """
        vectors = single(stored)
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.linalg.norm(vectors, axis=1)  # of one that is not finite, it is not near 1
            sound = np.abs(lengths - 1) < _LENGTH_ERROR
        self._rows, self._count = rows[sound], count
        self.centre = Centre(stored[sound])
        self._sample = unit(self.centre.taken_off(vectors[sound]))

    def without(self, rows: Rows) -> "Chance":
        """The same sample as if some rows were not in the collection; the mean stays."""
        other, kept = copy(self), ~np.isin(self._rows, rows)
        other._rows, other._sample, other._count = self._rows[kept], self._sample[kept], self._count - len(rows)
        return other

    def renumbered(self, new_rows: Callable[[Rows], Rows]) -> "Chance":
        """The same sample with other numbers of the rows, in the same order."""
        other = copy(self)
        other._rows = new_rows(self._rows)
        return other

    def judged(self, query: Vectors, rows: Rows, stored: Callable[[Rows], StoredVectors]) -> Judged:
        """Judges how near some rows are to a query.

        Args:
            query: a unit vector, float32 (1, dim).
            rows: int64 (k,).
            stored: reads the vectors of rows, half precision, (k, dim).
        """
        around = self.centre.taken_off(query)[0]
        # A threaded matrix product would wait for other threads, and its last bits depend on the number of vectors.
        cosines = np.vecdot(self._sample, around) / np.sqrt(np.vecdot(around, around))
        others = np.sort(cosines[cosines < _SAME])
        if len(others) < FEWEST:
            return Judged(np.full(len(rows), np.nan), np.full(len(rows), np.nan), math.nan)
        places = np.minimum(np.searchsorted(self._rows, rows), len(self._rows) - 1)
        is_sampled = self._rows[places] == rows
        found = cosines[places]
        if not is_sampled.all():
            found[~is_sampled] = self._cosines(around, stored(rows[~is_sampled]))
        expected = np.minimum(self._count * _shares(found, others, is_sampled & (found < _SAME)), self._count)
        near = others[-max(round(_RELATIVES * len(others)), 1) :]
        return Judged(expected, found.astype(np.float64), float(np.add.reduce(near)) / len(near))

    def _cosines(self, around: Vectors, stored: StoredVectors) -> Vectors:
        with np.errstate(over="ignore", invalid="ignore"):  # a damaged vector is refused by whoever names it
            centred = self.centre.taken_off(single(stored))
            lengths = np.sqrt(np.vecdot(centred, centred) * np.vecdot(around, around))
            cosines: Vectors = np.vecdot(centred, around) / lengths
        return cosines


class KeptSample:
    """A sample that is taken when it is first asked for, and that later states share while few vectors come and go."""

    def __init__(self) -> None:
        self._lock = forks.lock()
        self._taken: Chance | None = None
        self._size = 0

    def of(self, vectors: ExactVectors, live: RowSet) -> Chance:
        """The sample; if there is none yet, it is taken of these rows."""
        with self._lock:
            if self._taken is None:
                self._taken, self._size = sampled(vectors, live), live.size
            return self._taken

    def renumbered(self, new_rows: Callable[[Rows], Rows]) -> "KeptSample":
        """The same sample, if it has been taken, with other numbers of the rows, in the same order."""
        other = KeptSample()
        with self._lock:
            other._taken, other._size = self._taken and self._taken.renumbered(new_rows), self._size
        return other

    def serves(self, live: RowSet) -> bool:
        """Whether the sample tells enough of these rows, which are of the same file.

        A small collection is read whole, which is quick.
        """
        return self._size > _SAMPLE and abs(live.size - self._size) <= _CHANGE * self._size


def sampled(vectors: ExactVectors, live: RowSet) -> Chance:
    """Reads a random sample of the live rows, which changes no more than they do."""
    drawn = NO_ROWS
    for block in live.blocks():
        drawn = np.concatenate([drawn, block])
        if len(drawn) > _SAMPLE:
            drawn = drawn[np.argpartition(_lots(drawn), _SAMPLE)[:_SAMPLE]]
    rows = np.sort(drawn)
    return Chance(vectors.stored(rows), rows, live.size)


def _lots(rows: Rows) -> NDArray[np.uint64]:
    """A random number for each row, always the same (the finalizer of SplitMix64, Steele et al., OOPSLA 2014)."""
    lots = rows.astype(np.uint64)
    lots = (lots ^ (lots >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    lots = (lots ^ (lots >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return lots ^ (lots >> np.uint64(31))


def _tail(count: int) -> int:
    """How many of so many cosines tell the slope."""
    return max(_LEAST_TAIL, round(_TAIL * count))


def _surprise(cosines: Vectors) -> Numbers:
    """What has an exponential tail, of cosines: grows with them, and is below 0 where they are."""
    doubles = cosines.astype(np.float64)
    return np.copysign(np.log1p(-np.minimum(doubles**2, _MOST_SQUARE)), doubles)


def _shares(found: Vectors, sample: Vectors, is_sampled: NDArray[np.bool_]) -> Numbers:
    """The share of vectors as near as each that was found, by a sample in ascending order: float64 (k,).

    Args:
        found: cosines, float32 (k,).
        sample: likewise, float32 (n,).
        is_sampled: which of those that were found are in the sample, bool (k,).
    """
    count, tail = len(sample), _tail(len(sample))
    surprises = _surprise(np.concatenate([sample[-tail - 1 :], found]))
    threshold = surprises[0]
    excess = np.maximum(surprises[tail + 1 :] - threshold, 0)
    # One of the sample is judged by the others: there is one less in the tail, and one excess less in the sum.
    left = tail - is_sampled
    rest = np.maximum(np.sum(surprises[: tail + 1] - threshold) - is_sampled * excess, _ROUNDING)
    beyond = left / (count - is_sampled) * (1 + excess / rest) ** -left
    counted = (count - np.searchsorted(sample, found - np.float32(_ROUNDING))) / count
    return np.where(excess > _ROUNDING, beyond, counted)
