"""Finds how a part of one small picture lies in another, from corners that look the same in both.

A placement is a similarity in complex numbers: a point z of the first picture lies at `factor * z + shift` in the
second, or at `factor * conj(z) + shift` if it is mirrored. The factor holds the scale and the turn.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lookalike.copies.eight_ways import WAYS, cosines
from lookalike.copies.features import Features

_LEAST_ALIKE = 0.75  # cosine of two descriptions
_LARGEST_RATIO = 1.7  # of the scale of a pair of corners to that of the placement; one level is 1.41
_LARGEST_ANGLE = np.pi / 7  # off the quarter turn; descriptions are upright
_NEAR = 0.05  # of the longer side, for a first count of the corners that agree
_NEARER = 0.025  # for the last
_PAIRED = 48  # the most alike corners, of which each two make a placement
_ROUNDS = 3
_NEXT_BEST = 0.5  # share of the votes of the best way; of 1,890 copies of photographs one is found only by the second
_FEWEST = 6  # corners that have to agree: 0.995 of the right placements have as many, and half of the wrong ones

Points = NDArray[np.complex64]


@dataclass(frozen=True)
class Placement:
    """How a picture lies in another: a point z is found at `factor * z + shift`, z conjugated if mirrored.

    Attributes:
        mirrored: whether left and right are exchanged before the turn.
        factor: scale and turn.
        shift: in pixels.
        votes: the corners that agree with it.
    """

    mirrored: bool
    factor: complex
    shift: complex
    votes: int


@dataclass(frozen=True)
class _Alike:
    """Corners of two pictures that look the same when the first is mirrored or turned in some way."""

    way: int
    first: Points  # conjugated if mirrored
    second: Points
    ratios: NDArray[np.float32]  # pixels of the second picture for one of the first
    cosines: NDArray[np.float32]


def place(first: Features, second: Features, side: float, *, tried: int = 2) -> list[Placement]:
    """The likeliest placements of the first picture in the second, the best first.

    Args:
        first: the corners of the first picture.
        second: the corners of the second picture.
        side: the longer side of the second picture, in pixels.
        tried: for how many of the eight ways a placement is looked for.
    """
    if min(len(first.positions), len(second.positions)) < 3:
        return []
    alike = _mutual(first, second)
    votes = [_rough_votes(each, side) for each in alike]
    likeliest = sorted(range(len(WAYS)), key=lambda way: -votes[way])[:tried]
    enough = max(_FEWEST, _NEXT_BEST * max(votes))
    found = [_placement(alike[way], side) for way in likeliest if votes[way] >= enough]
    return sorted((each for each in found if each and each.votes >= _FEWEST), key=lambda each: -each.votes)


def _mutual(first: Features, second: Features) -> list[_Alike]:
    """In each of `WAYS`, the pairs of corners each of which is the other's nearest."""
    alike = cosines(first.descriptions, second.descriptions)
    nearest = alike.argmax(axis=2)
    best = np.take_along_axis(alike, nearest[:, :, None], axis=2)[:, :, 0]
    # The largest of each column is cheaper to find than its place.
    is_mutual = best >= np.take_along_axis(alike.max(axis=1), nearest, axis=1)
    return [
        _pairs(way, np.flatnonzero(chosen), nearest[way], best[way], first, second)
        for way, chosen in enumerate(is_mutual & (best > _LEAST_ALIKE))
    ]


def _pairs(
    way: int,
    rows: NDArray[np.int64],
    nearest: NDArray[np.int64],
    cosines: NDArray[np.float32],
    first: Features,
    second: Features,
) -> _Alike:
    positions, columns = first.positions[rows], nearest[rows]
    return _Alike(
        way,
        positions.conj() if WAYS[way][0] else positions,
        second.positions[columns],
        second.scales[columns] / first.scales[rows],
        cosines[rows],
    )


def _turn(way: int) -> complex:
    """The factor of a placement of scale 1 in one of `WAYS`, of conjugated points if it is mirrored."""
    mirrored, quarters = WAYS[way]
    return complex((-1 if mirrored else 1) * 1j**quarters)


def _rough_votes(alike: _Alike, side: float) -> int:
    """The most pairs that agree with the placement that one pair makes alone, by its levels."""
    if len(alike.first) < _FEWEST:
        return 0
    factors = alike.ratios * _turn(alike.way)
    shifts = alike.second - factors * alike.first
    return int(_agreeing(alike, factors, shifts, 2 * _NEAR * side).sum(axis=1).max())


def _agreeing(
    alike: _Alike, factors: NDArray[np.complex64], shifts: NDArray[np.complex64], near: float
) -> NDArray[np.bool_]:
    """Which pairs agree with which placement: shape (placements, pairs)."""
    off = factors[:, None] * alike.first
    off += shifts[:, None]
    off -= alike.second
    squares = off.view(np.float32)  # real and imaginary parts in turn
    squares *= squares
    sizes = np.abs(factors)[:, None]
    of_a_size = (alike.ratios < sizes * _LARGEST_RATIO) & (alike.ratios > sizes / _LARGEST_RATIO)
    found: NDArray[np.bool_] = (squares[:, ::2] + squares[:, 1::2] < near**2) & of_a_size
    return found


def _placement(alike: _Alike, side: float) -> Placement | None:
    factors, shifts = _of_two(alike)
    if not len(factors):
        return None
    agreeing = _agreeing(alike, factors, shifts, _NEAR * side)
    best = int(agreeing.sum(axis=1).argmax())
    factor, shift, members = factors[best], shifts[best], agreeing[best]
    for _ in range(_ROUNDS):
        if members.sum() < 2:
            return None
        factor, shift = _fitted(alike.first[members], alike.second[members])
        if not abs(factor) > 0:
            return None
        [members] = _agreeing(alike, np.array([factor]), np.array([shift]), _NEARER * side)
    return Placement(WAYS[alike.way][0], complex(factor), complex(shift), int(members.sum()))


def _of_two(alike: _Alike) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """The placements of each two of the pairs that are most alike, if they have a plausible scale and turn."""
    strongest = np.argsort(-alike.cosines, kind="stable")[:_PAIRED]
    first, second, ratios = alike.first[strongest], alike.second[strongest], alike.ratios[strongest]
    i, j = _each_two(len(first))
    apart = first[j] - first[i]
    i, j, apart = (each[np.abs(apart) > 4] for each in (i, j, apart))
    factors = (second[j] - second[i]) / apart
    factors = np.where(np.abs(factors) > 0, factors, np.complex64(1e-6))
    off = np.log(factors / np.complex64(_turn(alike.way)))
    sizes = np.log(ratios)
    fits = np.abs(off.imag) < _LARGEST_ANGLE
    for each in (i, j):
        fits &= np.abs(off.real - sizes[each]) < np.log(_LARGEST_RATIO)
    factors = factors[fits].astype(np.complex64)
    return factors, second[i[fits]] - factors * first[i[fits]]


@lru_cache(maxsize=_PAIRED + 1)
def _each_two(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(count, 1)


def _fitted(first: Points, second: Points) -> tuple[np.complex64, np.complex64]:
    """The placement with the least squared distances."""
    centre, aim = first.mean(), second.mean()
    from_centre = first - centre
    spread = np.vdot(from_centre, from_centre).real
    factor = np.vdot(from_centre, second - aim) / spread if spread else np.complex64(0)
    return np.complex64(factor), np.complex64(aim - factor * centre)
