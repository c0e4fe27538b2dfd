"""Blurring, slopes and corners of small pictures, each against a definition."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.copies import features
from lookalike.copies.features import blurred, slopes

Plane = NDArray[np.float32]
SHAPES = [(1, 1), (1, 9), (9, 1), (2, 3), (31, 40), (97, 128)]  # one and several bands


def noise(*shape: int) -> Plane:
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


def once_along(plane: Plane, axis: int) -> Plane:
    near = [(0, 0), (0, 0)]
    near[axis] = (2, 2)
    padded = np.moveaxis(np.pad(plane, near, mode="edge"), axis, 0)
    length = plane.shape[axis]
    summed = sum(weight * padded[start : start + length] for start, weight in enumerate((1, 4, 6, 4, 1)))
    return np.asarray(np.moveaxis(np.asarray(summed) / 16, 0, axis), np.float32)


@pytest.mark.parametrize("times", [1, 2, 6])
@pytest.mark.parametrize("shape", SHAPES)
def test_blurring_is_a_binomial_along_both_axes(shape: tuple[int, int], times: int) -> None:
    planes = noise(3, *shape)
    expected = planes
    for _ in range(times):
        expected = np.stack([once_along(once_along(plane, 0), 1) for plane in expected])
    np.testing.assert_allclose(blurred(planes, times), expected, atol=1e-3)
    np.testing.assert_allclose(blurred(planes[0], times), expected[0], atol=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_slopes_are_half_the_differences_of_neighbours(shape: tuple[int, int]) -> None:
    plane = noise(*shape)
    padded = np.pad(plane, 1, mode="edge")
    dx, dy = slopes(plane)
    np.testing.assert_allclose(dx, (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, atol=1e-4)
    np.testing.assert_allclose(dy, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_highest_near_is_that_of_a_square_of_five(shape: tuple[int, int]) -> None:
    plane = noise(*shape)
    padded = np.pad(plane, 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    np.testing.assert_array_equal(features._highest_near(plane), windows.max(axis=(2, 3)))


def test_an_edge_is_strong_in_its_own_direction() -> None:
    """Brightness that rises along x, along y, and along both: directions 0, 2 and 1 of eight."""
    x, y = np.meshgrid(np.arange(9, dtype=np.float32), np.arange(9, dtype=np.float32))
    for plane, direction in ((x, 0), (y, 2), (x + y, 1), (-x, 4), (-x - y, 5)):
        strength = features._edges(np.stack(slopes(plane)))[:, 4, 4]
        assert strength.argmax() == direction
        assert strength[direction] == pytest.approx(0.4 * np.hypot(*(each[4, 4] for each in slopes(plane))), rel=1e-4)
