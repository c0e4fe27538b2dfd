"""Lays one small picture exactly over another.

A placement from `matching` is a beginning. Gauss-Newton steps on locally normalised brightness (Lucas and Kanade 1981,
with an affine map and weights that leave out what does not fit) make it exact to a part of a pixel.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lookalike.copies.features import Plane, blurred, slopes

_NOISE = 4.0  # grey values: weaker variation is mostly what compression made
_POINTS = 1200  # that a map is fitted to
LEAST_POINTS = 32
_OUTLIER = 1.0  # standard deviations of the local brightness
_DAMPED, _DAMPING = 1 + 1e-3 * np.eye(6), 1e-3 * np.eye(6)  # so that there always is a step, if a short one
_SETTLED = 0.02  # pixels
_LEAST_ANGLE = 1.5  # degrees; a smaller turn is not told from none


@dataclass(frozen=True, eq=False)
class Affine:
    """The map of points of one picture to another: `matrix @ (x, y) + shift`, in pixels.

    Attributes:
        matrix: float64, shape (2, 2).
        shift: float64, shape (2,).
    """

    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]

    def inverse(self) -> "Affine":
        """The map back.

        Raises:
            numpy.linalg.LinAlgError: there is none.
        """
        back = np.linalg.inv(self.matrix).astype(np.float64)
        return Affine(back, -back @ self.shift)

    def usable(self) -> bool:
        """Whether it maps pictures to pictures: neither to a line nor to something a hundred times as large."""
        size = abs(np.linalg.det(self.matrix)) if np.isfinite(self.matrix).all() else 0
        return bool(1e-4 < size < 1e4 and np.isfinite(self.shift).all())

    def scale(self) -> float:
        """How many pixels of the second picture one of the first is, in the geometric mean."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))

    def skew(self) -> float:
        """The logarithm of the ratio of its largest scale in any direction to its smallest."""
        largest, smallest = np.linalg.svd(self.matrix, compute_uv=False)
        return float(np.log(largest / smallest))

    def turn(self) -> tuple[bool, float]:
        """Whether it mirrors, and by how many degrees it turns clockwise after that, in (-180, 180].

        An angle close to a multiple of 90 is exactly that.
        """
        matrix, mirrors = self.matrix, bool(np.linalg.det(self.matrix) < 0)
        if mirrors:
            matrix = matrix @ np.diag([-1.0, 1.0])
        angle = float(np.degrees(np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1])))
        quarter = 90.0 * round(angle / 90)
        if abs(angle - quarter) < _LEAST_ANGLE:
            angle = quarter
        return mirrors, 180.0 if angle == -180 else angle + 0.0

    def is_upright(self) -> bool:
        """Whether it turns by quarters only."""
        return self.turn()[1] % 90 == 0


def normalised(plane: Plane) -> Plane:
    """A picture's brightness without its local mean, divided by its local deviation."""
    mean = blurred(plane, 6)
    rest = plane - mean
    found: Plane = rest / np.sqrt(blurred(rest * rest, 6) + np.float32(_NOISE**2))
    return found


def sampled(planes: Plane, x: Plane, y: Plane) -> Plane:
    """Values between the pixels of one or more planes, by bilinear interpolation; a pixel's centre is at a half.

    Args:
        planes: shape (..., h, w).
        x: columns, of any shape; a point outside has the value of the nearest pixel.
        y: rows, of the same shape.
    """
    height, width = planes.shape[-2:]
    x, y = np.clip(x - np.float32(0.5), 0, width - 1), np.clip(y - np.float32(0.5), 0, height - 1)
    left, top = np.minimum(x.astype(np.intp), max(0, width - 2)), np.minimum(y.astype(np.intp), max(0, height - 2))
    right, down = x - left.astype(np.float32), y - top.astype(np.float32)
    flat, start = planes.reshape(*planes.shape[:-2], -1), top * width + left
    step, row = min(1, width - 1), width * min(1, height - 1)
    upper, upper_right, lower, lower_right = (
        np.take(flat, start + offset, axis=-1) for offset in (0, step, row, row + step)
    )
    upper = _between(upper, upper_right, right)
    return _between(upper, _between(lower, lower_right, right), down)


def _between(first: Plane, second: Plane, share: Plane) -> Plane:
    """Interpolates in the memory of both."""
    second -= first
    second *= share
    first += second
    return first


@lru_cache(maxsize=256)
def grid(shape: tuple[int, ...]) -> tuple[Plane, Plane]:
    """The x and y of the centres of all pixels."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) + np.float32(0.5)
    return x, y


def mapped(affine: Affine, x: Plane, y: Plane) -> tuple[Plane, Plane]:
    """Points of the first picture, in the second."""
    (a, b), (c, d) = affine.matrix.astype(np.float32)
    e, f = affine.shift.astype(np.float32)
    return a * x + b * y + e, c * x + d * y + f


def inside(shape: tuple[int, ...], x: Plane, y: Plane) -> NDArray[np.bool_]:
    """Which points lie in a picture."""
    return (x >= 0) & (x <= shape[1]) & (y >= 0) & (y <= shape[0])


def refined(first: Plane, second: Plane, affine: Affine, *, steps: int) -> Affine:
    """Makes a map exact, by the least squared differences of two locally normalised pictures.

    Args:
        first: `normalised`; its pixels are the larger ones.
        second: `normalised`.
        affine: the map from the first to the second, right to some pixels.
        steps: at most so many.
    """
    points, here = _spread_inside(first, second, affine)
    if len(here) < LEAST_POINTS:
        return affine
    planes = np.stack((second, *slopes(second)))
    corners = np.array([[0, first.shape[1]], [0, first.shape[0]], [1, 1]])
    parts = np.column_stack((affine.matrix, affine.shift))
    for _ in range(steps):
        to_x, to_y = parts.astype(np.float32) @ points
        there, *sloping = sampled(planes, to_x, to_y)
        rest = here - there
        weight = inside(second.shape, to_x, to_y) / (1 + (rest / np.float32(_OUTLIER)) ** 2)
        change = _step(points, np.stack(sloping), rest, weight)
        parts = parts + change
        if np.abs(change @ corners).max() < _SETTLED:
            break
    return Affine(parts[:, :2], parts[:, 2])


def _spread_inside(first: Plane, second: Plane, affine: Affine) -> tuple[Plane, Plane]:
    """Some pixels of the first picture that lie in the second, evenly spread.

    Returns:
        Their x, their y and ones, shape (3, n), and their values, shape (n,).
    """
    x, y = grid(first.shape)
    lies = np.flatnonzero(inside(second.shape, *mapped(affine, x, y)))
    chosen = lies[:: len(lies) // _POINTS | 1]  # odd, so that they do not all lie in a few columns
    points = np.ones((3, len(chosen)), np.float32)
    np.take(x, chosen, out=points[0])
    np.take(y, chosen, out=points[1])
    return points, np.take(first, chosen)


def _step(points: Plane, sloping: Plane, rest: Plane, weight: Plane) -> NDArray[np.float64]:
    """The change of a map, shape (2, 3), that makes the weighted squares of the rest least."""
    terms = (sloping[:, None] * points).reshape(6, -1)
    weighted = terms * weight
    normal, aim = (weighted @ terms.T).astype(np.float64), (weighted @ rest).astype(np.float64)
    return np.linalg.solve(normal * _DAMPED + _DAMPING, aim).reshape(2, 3).astype(np.float64)


def correlation(first: Plane, second: Plane, affine: Affine) -> float:
    """The correlation of two registered, normalised pictures where they overlap; 0 if they hardly do."""
    points, here = _spread_inside(first, second, affine)
    if len(here) < LEAST_POINTS:
        return 0.0
    there = sampled(second, *mapped(affine, points[0], points[1]))
    return float(here @ there / (np.sqrt((here @ here) * (there @ there)) + 1e-6))
