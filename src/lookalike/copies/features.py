"""Finds the corners of a small picture, at several scales, and describes what is around each of them.

A description is a grid of 4 x 4 cells with the strength of the edges in 8 directions, as in SIFT (Lowe 2004), sampled
from blurred maps as in DAISY (Tola et al. 2010). It is upright: a quarter turn or a mirror image only permutes it, so
that one picture is compared in all eight ways without describing it again.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.copies.eight_ways import CELLS, DIMENSIONS, DIRECTIONS, coordinates

STEP = 2**-0.5  # from one scale to the next
# At most, on each level. With a quarter fewer, three quarters of the crops to a sixth are placed instead of 0.82.
CORNERS = (60, 60, 50, 40, 25)
_ANGLES = 2 * np.pi / DIRECTIONS * np.arange(DIRECTIONS // 2)
_HALF_CIRCLE = np.stack((np.cos(_ANGLES), np.sin(_ANGLES)), axis=1).astype(np.float32)  # the other half is opposite
_PAD = 8  # pixels around a level, so that cells may lie outside
_APART = 2  # pixels: a corner is the strongest within a square of this half side
_BAND = 32  # pixels that are blurred at once
_STRONGEST = 0.3  # of a description of length 1, as in SIFT: a single edge does not decide alone

Plane = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Features:
    """The corners of a picture and their descriptions.

    Attributes:
        positions: complex64, shape (n,): x + iy in pixels of the picture, from its upper left corner.
        scales: float32, shape (n,): how many pixels of the picture one pixel of the corner's level is.
        descriptions: float32, shape (n, 128): of length 1, in the coordinates of `eight_ways`.
    """

    positions: NDArray[np.complex64]
    scales: NDArray[np.float32]
    descriptions: NDArray[np.float32]


def levels_of(grey: Plane, count: int) -> list[Plane]:
    """A picture at several scales, each 0.71 times as wide and high as the one before, the first in its own size.

    Each is blurred by one of its pixels, so that what is seen of a picture does not depend on how large it was kept.
    """
    image, levels = Image.fromarray(grey), [blurred(grey)]
    for level in range(1, count):
        size = max(1, round(image.width * STEP**level)), max(1, round(image.height * STEP**level))
        levels.append(blurred(np.asarray(image.resize(size, Image.Resampling.BOX))))
    return levels


def features(levels: list[Plane]) -> Features:
    """Finds and describes the corners of a picture.

    Args:
        levels: what `levels_of` returns, as many as `CORNERS` has; grey values from 0 to 255.
    """
    height, width = levels[0].shape
    positions, scales, descriptions = [], [], []
    for plane, most in zip(levels, CORNERS, strict=True):
        if min(plane.shape) < 8:
            continue
        sloping = np.stack(slopes(plane))
        y, x = _corners(sloping, most)
        scale_x, scale_y = width / plane.shape[1], height / plane.shape[0]
        positions.append((x + 0.5) * scale_x + 1j * (y + 0.5) * scale_y)
        scales.append(np.full(len(x), max(scale_x, scale_y)))
        descriptions.append(_describe(sloping, x, y))
    if not positions:
        return Features(np.zeros(0, np.complex64), np.zeros(0, np.float32), np.zeros((0, DIMENSIONS), np.float32))
    return Features(
        np.concatenate(positions).astype(np.complex64),
        np.concatenate(scales).astype(np.float32),
        coordinates(np.concatenate(descriptions)),
    )


def blurred(planes: Plane, times: int = 1) -> Plane:
    """Blurs the last two axes by the binomial 1 4 6 4 1, a standard deviation of one pixel, `times` times.

    Beyond an edge lies more of its last pixel. Planes are so small that products with matrices are quickest.
    """
    for axis in (-2, -1):
        planes = _blurred_along(planes, axis, times)
    return planes


def _blurred_along(planes: Plane, axis: int, times: int) -> Plane:
    """Blurs along one axis: each band of it by the product with that part of the matrix which is not zero."""
    length = planes.shape[axis]
    matrix, found = _blur(length, times), np.empty(planes.shape, np.float32)
    for start in range(0, length, _BAND):
        band = slice(start, min(start + _BAND, length))
        near = slice(max(0, start - 2 * times), min(band.stop + 2 * times, length))
        if axis == -2:
            np.matmul(matrix[band, near], planes[..., near, :], out=found[..., band, :])
        else:
            np.matmul(planes[..., near], matrix[band, near].T, out=found[..., band])
    return found


@lru_cache(maxsize=1024)
def _blur(length: int, times: int) -> Plane:
    """The matrix that blurs a column of a plane."""
    once, row = np.zeros((length, length)), np.arange(length)
    for offset, weight in zip((-2, -1, 0, 1, 2), (1, 4, 6, 4, 1), strict=True):
        np.add.at(once, (row, np.clip(row + offset, 0, length - 1)), weight / 16)
    blur: Plane = np.linalg.matrix_power(once, times).astype(np.float32)
    return blur


def slopes(plane: Plane) -> tuple[Plane, Plane]:
    """The change of brightness along x and along y, per pixel."""
    return _slope_down(plane.T).T, _slope_down(plane)


def _slope_down(plane: Plane) -> Plane:
    found = np.empty_like(plane)
    np.subtract(plane[2:], plane[:-2], out=found[1:-1])
    found[0], found[-1] = plane[:2][-1] - plane[0], plane[-1] - plane[-2:][0]
    found *= np.float32(0.5)
    return found


def _corners(sloping: Plane, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the strongest corners, by the harmonic mean of the structure tensor's eigenvalues."""
    xx, yy, xy = blurred(np.concatenate((sloping * sloping, sloping[:1] * sloping[1:])))
    strength = (xx * yy - xy * xy) / (xx + yy + 1)
    peak = (strength == _highest_near(strength)) & (strength > 1)
    rows, columns = np.nonzero(peak)
    best = np.argsort(-strength[rows, columns], kind="stable")[:most]
    return rows[best], columns[best]


def _highest_near(plane: Plane) -> Plane:
    """The highest value within `_APART` pixels of each, or 0 if that is higher and an edge as near."""
    for _ in ("rows", "columns"):
        length = len(plane)
        padded = np.zeros((length + 2 * _APART, plane.shape[1]), np.float32)
        padded[_APART : _APART + length] = plane
        highest = padded[:length].copy()
        for start in range(1, 2 * _APART + 1):
            np.maximum(highest, padded[start : start + length], out=highest)
        plane = highest.T
    return plane


def _describe(sloping: Plane, x: NDArray[np.int64], y: NDArray[np.int64]) -> Plane:
    maps = np.pad(blurred(_edges(sloping), 2), ((0, 0), (_PAD, _PAD), (_PAD, _PAD)))
    offsets = CELLS.astype(np.int64) + _PAD
    rows, columns = y[:, None, None] + offsets[None, :, None], x[:, None, None] + offsets[None, None, :]
    cells = np.take(maps.reshape(DIRECTIONS, -1), (rows * maps.shape[2] + columns).ravel(), axis=1)
    cells = np.ascontiguousarray(cells.T).reshape(len(x), DIMENSIONS)
    cells /= _length(cells)
    np.minimum(cells, np.float32(_STRONGEST), out=cells)
    cells /= _length(cells)
    return cells


def _edges(sloping: Plane) -> Plane:
    """The strength of the edges in each direction, those within 53 degrees of it: shape (8, h, w)."""
    half = DIRECTIONS // 2
    along = (_HALF_CIRCLE @ sloping.reshape(2, -1)).reshape(half, *sloping.shape[1:])
    edges = np.empty((DIRECTIONS, *sloping.shape[1:]), np.float32)
    others = np.float32(0.6) * np.sqrt(sloping[0] * sloping[0] + sloping[1] * sloping[1])
    np.subtract(along, others, out=edges[:half])
    np.subtract(-along, others, out=edges[half:])
    np.maximum(edges, 0, out=edges)
    return edges


def _length(rows: Plane) -> Plane:
    found: Plane = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None] + np.float32(1e-6)
    return found
