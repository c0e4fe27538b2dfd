"""Placements, maps that are made exact, and agreement, each against a definition."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.copies.agreement import agreement
from lookalike.copies.alignment import align
from lookalike.copies.features import features, levels_of
from lookalike.copies.matching import place
from lookalike.copies.registration import Affine, normalised, refined, sampled
from tests.support.edited_pictures import kept, part, scene

Plane = NDArray[np.float32]


def grey(image: Image.Image) -> Plane:
    return np.asarray(image.convert("L"), np.float32)


def turned(plane: Plane, way: tuple[bool, int]) -> Plane:
    return np.ascontiguousarray(np.rot90(plane[:, ::-1] if way[0] else plane, -way[1]))


def test_a_crop_is_placed_where_it_was_cut_out() -> None:
    image = scene(2, 128, 96)
    whole = features(levels_of(grey(image), 5))
    crop = features(levels_of(grey(image.crop((40, 20, 104, 68)).resize((128, 96))), 5))
    best = place(crop, whole, 128)[0]
    assert not best.mirrored
    assert best.factor == pytest.approx(0.5, abs=0.02)
    assert best.shift == pytest.approx(40 + 20j, abs=2)


def test_nothing_is_placed_in_a_picture_without_corners() -> None:
    whole, plain = features(levels_of(grey(scene(2)), 5)), features(levels_of(np.zeros((96, 128), np.float32), 5))
    assert len(plain.positions) == 0
    assert place(plain, whole, 128) == []
    assert place(whole, plain, 128) == []


def test_values_between_pixels_are_interpolated() -> None:
    plane = np.array([[0, 10], [20, 30]], np.float32)
    x, y = np.array([0.5, 1.0, 1.5, 1.0, -9], np.float32), np.array([0.5, 0.5, 1.5, 1.0, 9], np.float32)
    assert sampled(plane, x, y).tolist() == [0, 5, 30, 15, 20]
    assert sampled(np.stack((plane, 2 * plane)), x, y)[1].tolist() == [0, 10, 60, 30, 40]


def test_a_map_is_made_exact_to_a_tenth_of_a_pixel() -> None:
    image = scene(3, 256, 192)
    truth = Affine(np.array([[0.97, 0.06], [-0.05, 0.96]]), np.array([4.0, 7.0]))
    (a, b), (c, d) = truth.matrix
    moved = image.transform((256, 192), Image.Transform.AFFINE, (a, b, 4, c, d, 7), Image.Resampling.BICUBIC)
    start = Affine(truth.matrix + 0.01, truth.shift + 1.5)
    found = refined(normalised(grey(moved)), normalised(grey(image)), start, steps=30)
    corners = np.array([[0, 0, 256, 256], [0, 192, 0, 192]])
    off = (found.matrix - truth.matrix) @ corners + (found.shift - truth.shift)[:, None]
    assert np.abs(off).max() < 0.1


def test_a_map_and_its_inverse_cancel() -> None:
    affine = Affine(np.array([[0.5, -1.2], [0.9, 0.3]]), np.array([3.0, -8.0]))
    back = affine.inverse()
    np.testing.assert_allclose(back.matrix @ (affine.matrix @ [2, 5] + affine.shift) + back.shift, [2, 5])
    assert back.scale() == pytest.approx(1 / affine.scale())
    assert back.skew() == pytest.approx(affine.skew())


@pytest.mark.parametrize(
    ("mirrored", "angle"), [(False, 0), (True, 0), (False, 90), (True, -90), (False, 180), (False, 30)]
)
def test_mirroring_and_angle_are_read_from_a_map(mirrored: bool, angle: float) -> None:
    radians = np.radians(angle)
    turn = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    affine = Affine(3 * turn @ np.diag([-1.0 if mirrored else 1.0, 1.0]), np.zeros(2))
    found, degrees = affine.turn()
    assert found == mirrored
    assert degrees == pytest.approx(angle)
    assert affine.is_upright() == (angle != 30)


def blockwise(first: Plane, second: Plane) -> float:
    """The agreement of two pictures of one size, by its definition."""
    total = weights = 0.0
    for top in range(0, len(first) - 5, 3):
        for left in range(0, first.shape[1] - 5, 3):
            a = first[top : top + 6, left : left + 6].astype(np.float64)
            b = second[top : top + 6, left : left + 6].astype(np.float64)
            covariance = ((a - a.mean()) * (b - b.mean())).mean()
            weight = max(a.var(), b.var()) / (max(a.var(), b.var()) + 16)
            total += weight * covariance / np.sqrt((a.var() + 2.25) * (b.var() + 2.25))
            weights += weight
    return total / weights


def test_agreement_is_the_mean_correlation_of_blocks() -> None:
    first, second = grey(scene(4, 60, 48)), grey(scene(5, 60, 48))
    mixed = (0.5 * first + 0.5 * second).astype(np.float32)
    same = Affine(np.eye(2), np.zeros(2))
    for other in (first, second, mixed, 255 - first):
        assert agreement(first, other, same).correlation == pytest.approx(blockwise(first, other), abs=1e-3)
    assert agreement(first, first, same).correlation > 0.95
    assert agreement(first, 255 - first, same).correlation < -0.95


def test_the_shares_of_an_overlap_are_told_of_both_pictures() -> None:
    first, second = grey(scene(4, 80, 40)), grey(scene(5, 40, 40))
    found = agreement(first, second, Affine(np.eye(2), np.array([-60.0, 0.0])))
    assert found.of_first == pytest.approx(0.25, abs=0.02)
    assert found.of_second == pytest.approx(0.5, abs=0.02)
    assert agreement(first, second, Affine(np.eye(2), np.array([500.0, 0.0]))).blocks == 0


def test_two_pictures_are_aligned_whichever_comes_first() -> None:
    image = scene(6)
    whole, crop = kept(image), kept(part(image, 0.25, 0.2, 0.75, 0.7))
    there, back = align(crop, whole), align(whole, crop)
    assert there
    assert back
    np.testing.assert_allclose(there.affine.matrix, np.eye(2) / 2, atol=0.02)
    np.testing.assert_allclose(there.affine.shift, [32, 19.2], atol=1)
    np.testing.assert_allclose(back.affine.inverse().shift, [32, 19.2], atol=1)
    assert there.agreement.of_second == pytest.approx(0.25, abs=0.02)
    assert back.agreement.of_first == pytest.approx(0.25, abs=0.02)
