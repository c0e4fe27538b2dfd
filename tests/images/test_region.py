"""Parts that are cut out of images, and the media types of files."""

import io

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import UsageError
from lookalike.images.media_types import media_type
from lookalike.images.region import cut
from lookalike.results import Region


def quarters(width: int, height: int, **options: object) -> bytes:
    """A picture whose quarters are red, green, blue and white, row by row."""
    pixels = np.zeros((height, width, 3), np.uint8)
    colours = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
    for number, colour in enumerate(colours):
        down, across = divmod(number, 2)
        pixels[down * height // 2 : (down + 1) * height // 2, across * width // 2 : (across + 1) * width // 2] = colour
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("x", "y", "colour"), [(0, 0, (255, 0, 0)), (0.5, 0, (0, 255, 0)), (0, 0.5, (0, 0, 255)), (0.5, 0.5, (255,) * 3)]
)
def test_a_part_is_what_the_shares_say(x: float, y: float, colour: tuple[int, int, int]) -> None:
    found = cut(quarters(400, 200), Region(x, y, 0.5, 0.5))
    assert found.size == (200, 100)
    assert found.getcolors() == [(200 * 100, colour)]


def test_shares_are_of_the_upright_image() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned to the right: its lower left quarter is at the upper left
    found = cut(quarters(400, 200, exif=exif), Region(0, 0, 0.5, 0.5))
    assert (found.size, found.getpixel((50, 100))) == ((100, 200), (0, 0, 255))


def test_a_small_part_of_a_large_image_keeps_its_pixels() -> None:
    large = Image.new("RGB", (8000, 4000), "red")
    found = cut(large, Region(0.25, 0.25, 0.25, 0.25))
    assert found.size == (1024, 512)
    assert cut(large, Region(0, 0, 1, 1)).size == (1024, 512)
    assert cut(large, Region(0, 0, 1e-9, 1e-9)).size == (1, 1)
    assert cut(large, Region(1 - 1e-9, 1 - 1e-9, 1e-9, 1e-9)).size == (1, 1)


@pytest.mark.parametrize(
    "shares",
    [(-0.1, 0, 0.5, 0.5), (0, 0, 0, 1), (0.6, 0, 0.5, 1), (0, 0.6, 1, 0.5), (0, 0, float("nan"), 1), (0, 0, 2, 1)],
)
def test_a_part_that_is_not_within_is_refused(shares: tuple[float, float, float, float]) -> None:
    with pytest.raises(UsageError):
        Region(*shares)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("GIF", "image/gif"), ("TIFF", "image/tiff"), ("WEBP", "image/webp"),
     ("BMP", "image/bmp"), ("PPM", "image/x-portable-anymap"), ("AVIF", "image/avif")],
)  # fmt: skip
def test_the_media_type_is_told_by_the_first_bytes(kind: str, expected: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, kind)
    assert media_type(buffer.getvalue()) == expected


@pytest.mark.parametrize("data", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", b"%PDF-1.7", bytes(64)])
def test_what_is_no_image_has_no_media_type(data: bytes) -> None:
    assert media_type(data) is None
