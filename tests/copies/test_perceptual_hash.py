"""The hash of a picture, against the definition of the discrete cosine transform."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from lookalike.copies.perceptual_hash import hashes, likeness
from tests.support.edited_pictures import lettered, part, scene, tinted


def hashed(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return hashes(np.asarray(image.convert("L"), np.float32))


def test_the_bits_are_those_of_the_definition() -> None:
    plane = np.asarray(scene(1, 64, 64).convert("L"), np.float64)
    values = np.array(
        [
            sum(
                plane[y, x] * np.cos(np.pi / 64 * u * (y + 0.5)) * np.cos(np.pi / 64 * v * (x + 0.5))
                for y in range(64)
                for x in range(64)
            )
            for u in (1, 2, 16)
            for v in (1, 5, 16)
        ]
    )
    bits = hashed(scene(1, 64, 64))[0].reshape(16, 16)[[0, 1, 15]][:, [0, 4, 15]].ravel()
    # The median is a number that all set values are above, and no other.
    assert values[bits].min() > values[~bits].max()


def test_turns_mirror_images_text_and_colours_hardly_change_it() -> None:
    image = scene(2)
    for copy in (ImageOps.mirror(image), image.transpose(Image.Transpose.ROTATE_90), ImageOps.flip(image)):
        assert likeness(hashed(copy), hashed(image)) > 0.97
    for copy in (lettered(image), tinted(image)):
        assert likeness(hashed(copy), hashed(image)) > 0.75


def test_crops_and_other_pictures_have_other_hashes() -> None:
    for other in (scene(3), scene(4), part(scene(2), 0, 0, 0.5, 0.5)):
        assert likeness(hashed(other), hashed(scene(2))) < 0.65


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (128, 3)])
def test_a_picture_of_one_colour_has_a_hash(size: tuple[int, int]) -> None:
    assert hashed(Image.new("RGB", size, "blue")).shape == (8, 256)
