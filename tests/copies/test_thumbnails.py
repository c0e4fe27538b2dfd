"""What is kept of an image, and which images have the same pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from lookalike.copies.thumbnails import SIDE, pack, pixel_hash, unpack
from lookalike.errors import ImageError
from tests.support.edited_pictures import scene


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_a_kept_picture_shows_the_whole_image_small() -> None:
    image = scene(1, 640, 480)
    pixels = unpack(pack(saved(image, "PNG")))
    assert pixels.shape == (96, SIDE, 3)
    small = np.asarray(image.resize((SIDE, 96), Image.Resampling.BICUBIC), np.float64)
    assert np.abs(pixels - small).mean() < 8


def test_a_kept_picture_is_small_even_if_it_is_noise() -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8))
    assert len(pack(scene(1))) < 3000
    assert len(pack(noise)) < 16_000
    assert unpack(pack(noise)).shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (3, 2), (128, 128)])
def test_images_of_any_shape_can_be_kept(size: tuple[int, int]) -> None:
    height, width = unpack(pack(Image.new("RGB", size, "red"))).shape[:2]
    scale = min(1, SIDE / max(size))
    assert (width, height) == (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"RIFF\x00\x00\x00\x00WEBPVP8 rubbish",
        pack(scene(1))[:200],
        saved(Image.new("RGB", (8, 8)), "PNG"),
        saved(Image.new("RGB", (SIDE + 1, 8)), "WEBP"),
        b"RIFF\x00\x00\x00\x00WEBP" + bytes(2**17),
    ],
)
def test_bytes_that_are_no_kept_picture_are_an_error(data: bytes) -> None:
    with pytest.raises(ImageError, match="kept picture"):
        unpack(data)


def test_the_same_pixels_in_other_files_have_the_same_hash() -> None:
    image = scene(2)
    turned = Image.Exif()
    turned[0x0112] = 6  # the file's columns are the picture's rows
    files = [
        saved(image, "PNG"),
        saved(image, "PNG", compress_level=1, dpi=(300, 300)),
        saved(image, "BMP"),
        saved(image, "WEBP", lossless=True),
        saved(image.transpose(Image.Transpose.ROTATE_90), "PNG", exif=turned),
    ]
    assert len(set(files)) == len(files)
    assert len({pixel_hash(file) for file in files}) == 1


def test_another_pixel_or_another_shape_has_another_hash() -> None:
    image = scene(2, 40, 30)
    changed = image.copy()
    changed.putpixel((39, 29), (1, 2, 3))
    same_bytes = Image.frombytes("RGB", (30, 40), image.tobytes())
    assert len({pixel_hash(each) for each in (image, changed, same_bytes)}) == 3


def test_a_jpeg_is_hashed_at_full_size() -> None:
    """Decoders make a large JPEG smaller if they may; two that differ in one block must still differ."""
    image = scene(2, 1600, 1200)
    changed = image.copy()
    changed.paste((255, 0, 255), (800, 600, 804, 604))
    first, second = (saved(each, "JPEG", quality=95) for each in (image, changed))
    assert pixel_hash(first) == pixel_hash(Image.open(io.BytesIO(first)).convert("RGB"))
    assert pixel_hash(first) != pixel_hash(second)
