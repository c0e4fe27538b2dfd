"""Descriptions of a picture that is mirrored and turned, against permuted ones."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.copies.eight_ways import DIMENSIONS, WAYS, coordinates, cosines, turned_order
from lookalike.copies.features import features, levels_of
from tests.support.edited_pictures import scene

Plane = NDArray[np.float32]


def turned(plane: Plane, way: tuple[bool, int]) -> Plane:
    return np.ascontiguousarray(np.rot90(plane[:, ::-1] if way[0] else plane, -way[1]))


def descriptions(seed: int, count: int) -> NDArray[np.float32]:
    made = np.random.default_rng(seed).random((count, DIMENSIONS), np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def test_the_cosines_in_each_way_are_those_of_permuted_descriptions() -> None:
    first, second = descriptions(1, 5), descriptions(2, 7)
    expected = np.stack([first[:, turned_order(*way)] @ second.T for way in WAYS])
    np.testing.assert_allclose(cosines(coordinates(first), coordinates(second)), expected, atol=1e-5)


def test_coordinates_keep_lengths_and_angles() -> None:
    first, second = descriptions(3, 4), descriptions(4, 6)
    np.testing.assert_allclose(coordinates(first) @ coordinates(second).T, first @ second.T, atol=1e-5)


def test_a_turn_and_the_turn_back_permute_nothing() -> None:
    there, back = turned_order(False, 1), turned_order(False, 3)
    assert (there[back] == np.arange(DIMENSIONS)).all()
    assert (turned_order(True, 0)[turned_order(True, 0)] == np.arange(DIMENSIONS)).all()
    assert len({tuple(turned_order(*way)) for way in WAYS}) == len(WAYS)


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_agrees_with_its_turned_self_in_that_way_only(way: tuple[bool, int]) -> None:
    plane = np.asarray(scene(1, 128, 96).convert("L"), np.float32)
    first, second = features(levels_of(plane, 5)), features(levels_of(turned(plane, way), 5))
    found = (cosines(first.descriptions, second.descriptions).max(axis=2) > 0.99).mean(axis=1)
    assert found[WAYS.index(way)] > 0.8
    assert (np.delete(found, WAYS.index(way)) < 0.1).all()
