"""What each edit does to a picture, in numbers, and that it always does the same."""

import colorsys
import io
import random

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import ImageError
from lookalike.evaluation.edits import EDITS, crop, edited_copies, mirror, original, recolour, shrink
from lookalike.images import decode
from lookalike.images.decode import Preprocessing

SEEDS = range(40)


def noise(width: int, height: int) -> Image.Image:
    """A picture of which no two parts are the same."""
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8))


def smooth(width: int, height: int) -> Image.Image:
    return noise(4, 4).resize((width, height), Image.Resampling.BICUBIC)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    assert image.mode == "RGB"
    return np.asarray(image)


def positions(part: NDArray[np.uint8], whole: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """The positions of a part in the whole, by trying all of them."""
    height, width = part.shape[:2]
    rows, columns = range(len(whole) - height + 1), range(whole.shape[1] - width + 1)
    return [(x, y) for y in rows for x in columns if np.array_equal(whole[y : y + height, x : x + width], part)]


def test_a_crop_keeps_the_shape_and_20_to_40_percent_of_the_area() -> None:
    whole = noise(60, 40)
    for seed in SEEDS:
        part = crop(whole, random.Random(seed))
        assert 0.19 <= part.width * part.height / (60 * 40) <= 0.41
        assert part.width / part.height == pytest.approx(1.5, abs=0.06)


def test_a_crop_lies_anywhere_in_the_picture() -> None:
    whole = noise(30, 20)
    found = [positions(pixels(crop(whole, random.Random(seed))), pixels(whole)) for seed in SEEDS]
    assert all(len(each) == 1 for each in found)
    assert len({position for [position] in found}) > len(SEEDS) // 2


def test_a_mirrored_picture_is_the_picture_from_right_to_left() -> None:
    whole = noise(7, 5)
    assert np.array_equal(pixels(mirror(whole, random.Random(0))), pixels(whole)[:, ::-1])


@pytest.mark.parametrize(
    ("size", "small"),
    [((60, 40), (30, 20)), ((256, 192), (128, 96)), ((1024, 768), (128, 96)), ((300, 900), (43, 128))],
)
def test_a_preview_is_half_as_large_and_at_most_128_pixels(size: tuple[int, int], small: tuple[int, int]) -> None:
    assert shrink(smooth(*size), random.Random(0)).size == small


def test_a_preview_is_a_poor_likeness() -> None:
    whole = smooth(100, 80)
    preview = pixels(shrink(whole, random.Random(0))).astype(int)
    errors = np.abs(preview - pixels(whole.resize((50, 40), Image.Resampling.BICUBIC)))
    assert 0.5 < errors.mean() < 8


def test_all_hues_are_turned_by_the_same_28_to_63_degrees_to_either_side() -> None:
    turned = []
    for seed in SEEDS:
        turns = []
        for red, green, blue in ((120, 100, 90), (90, 120, 110), (100, 90, 120)):
            whole = Image.new("RGB", (4, 4), (red, green, blue))
            now = pixels(recolour(whole, random.Random(seed))).reshape(-1, 3).mean(axis=0) / 255
            before = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)[0]
            turns.append(((colorsys.rgb_to_hsv(*now)[0] - before + 0.5) % 1 - 0.5) * 360)
        assert max(turns) - min(turns) < 12  # for 8 bits do not hold more
        turned.append(float(np.mean(turns)))
    assert all(22 <= abs(turn) <= 69 for turn in turned)
    assert min(turned) < 0 < max(turned)


def test_brightness_and_contrast_go_up_and_down() -> None:
    whole = Image.fromarray(np.tile(np.linspace(60, 120, 32).astype(np.uint8)[None, :, None], (8, 1, 3)))
    found = [pixels(recolour(whole, random.Random(seed))).astype(float) for seed in SEEDS]
    brightness = np.array([each.mean() / pixels(whole).mean() for each in found])
    contrast = np.array([each.std() / pixels(whole).std() for each in found]) / brightness
    for changes in (brightness, contrast):
        assert ((changes > 1.4) & (changes < 2.1)).any()
        assert ((changes > 0.47) & (changes < 0.7)).any()
        assert not ((changes > 0.75) & (changes < 1.3)).any()


# All copies of a file


def test_the_same_file_gives_the_same_copies_and_another_gives_others() -> None:
    data = saved(noise(64, 48))
    first, again = edited_copies(data), edited_copies(data)
    assert len(first) == len(EDITS)
    assert [image.tobytes() for image in first] == [image.tobytes() for image in again]
    other = edited_copies(saved(noise(64, 48), compress_level=1))  # the same pixels in other bytes
    names = [name for name, one, two in zip(EDITS, first, other, strict=True) if one.tobytes() != two.tobytes()]
    assert names == ["cropped", "recoloured"]  # those that are random


def test_a_copy_of_an_image_with_an_exif_orientation_is_turned_once() -> None:
    upright = smooth(40, 64)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    data = saved(upright.transpose(Image.Transpose.ROTATE_90), exif=exif)
    assert np.array_equal(pixels(original(data)), pixels(upright))
    preprocessing = Preprocessing(size=16, crop=1.0)
    expected = decode.prepare(mirror(upright, random.Random(0)), preprocessing)
    found = decode.prepare(edited_copies(data)[list(EDITS).index("mirrored")], preprocessing)
    assert (found.width, found.height) == (40, 64)
    assert np.array_equal(found.pixels, expected.pixels)


def test_a_large_image_is_reduced_first() -> None:
    assert original(saved(smooth(1500, 1000))).size == (1024, 683)
    assert original(saved(smooth(640, 480))).size == (640, 480)


@pytest.mark.parametrize("image", [Image.new("L", (1, 1)), Image.new("RGBA", (1, 300)), Image.new("I;16", (3, 2))])
def test_every_copy_of_every_picture_is_in_rgb_and_has_pixels(image: Image.Image) -> None:
    for copy in edited_copies(saved(image)):
        assert copy.mode == "RGB"
        assert copy.width * copy.height > 0


def test_a_truncated_file_has_no_copies() -> None:
    with pytest.raises(ImageError, match="truncated"):
        edited_copies(saved(noise(64, 48))[:100])
