"""The colours of decoded images: all modes, 16 bits, transparency, the first frame."""

import struct

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.images.decode import Preprocessing, decode, prepare, thumbnail
from tests.support.image_samples import chunk, close, painting, plain, png, saved

WHOLE = Preprocessing(size=32, crop=1.0)


def pixels(data: bytes, preprocessing: Preprocessing = WHOLE) -> NDArray[np.uint8]:
    return decode(data, preprocessing).pixels


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LAB", "YCbCr", "HSV", "RGBX"])
def test_every_mode_is_converted_to_its_rgb_colours(mode: str) -> None:
    image = painting(mode)
    expected = pixels(plain(image))
    np.testing.assert_array_equal(prepare(image, WHOLE).pixels, expected)
    if mode in ("L", "1", "P"):
        np.testing.assert_array_equal(pixels(saved(image, "PNG")), expected)
        np.testing.assert_array_equal(pixels(saved(image, "BMP")), expected)
    if mode in ("CMYK", "LAB"):
        np.testing.assert_array_equal(pixels(saved(image, "TIFF")), expected)


def test_a_cmyk_jpeg_is_converted_to_its_rgb_colours() -> None:
    colours = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)], np.uint8)
    image = Image.fromarray(colours[None]).resize((160, 32), Image.Resampling.NEAREST)
    data = saved(image.convert("CMYK"), "JPEG", quality=98, subsampling=0)
    found = np.asarray(thumbnail(data, 160))[16, 16::32]
    close(found, colours, mean=3, most=8)


def test_a_16_bit_grey_image_looks_like_its_8_bit_copy() -> None:
    grey = painting("L")
    wide = np.asarray(grey).astype(np.uint16) * 257
    expected = pixels(plain(grey))
    for image in (Image.fromarray(wide), Image.fromarray(wide.astype(">u2")), Image.fromarray(wide.astype(np.int32))):
        np.testing.assert_array_equal(prepare(image, WHOLE).pixels, expected)
        np.testing.assert_array_equal(pixels(saved(image, "TIFF")), expected)
    np.testing.assert_array_equal(pixels(saved(Image.fromarray(wide), "PNG")), expected)


def test_a_16_bit_rgb_image_looks_like_its_8_bit_copy() -> None:
    array = np.asarray(painting()).astype(int) * 256 + 200
    data = png((40, 30), 16, 2, b"".join(b"\0" + row.astype(">u2").tobytes() for row in array))
    np.testing.assert_array_equal(pixels(data), pixels(plain(painting())))


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0, 1e30])
def test_floats_are_scaled_by_the_range_that_contains_them(top: float) -> None:
    grey = np.asarray(painting("L")).astype(np.float32)
    grey = (grey - grey.min()) / (grey.max() - grey.min())
    data = saved(Image.fromarray(grey * np.float32(top)), "TIFF")
    close(pixels(data), pixels(plain(Image.fromarray(np.rint(grey * 255).astype(np.uint8)))), mean=0.1, most=1)


@pytest.mark.parametrize(("value", "expected"), [(np.nan, 255), (np.inf, 255), (-np.inf, 0)])
def test_floats_that_are_not_finite_leave_the_others_as_they_are(value: float, expected: int) -> None:
    array = np.full((8, 8), 0.5, np.float32)
    array[3, 3], array[4, 4] = value, 1
    for found in (thumbnail(saved(Image.fromarray(array), "TIFF"), 8), thumbnail(Image.fromarray(array), 8)):
        grey = np.asarray(found)[..., 0]
        assert (grey[3, 3], grey[4, 4], grey[0, 0]) == (expected, 255, 128)


def test_an_image_without_any_value_is_white() -> None:
    assert (pixels(saved(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF")) == 255).all()


# Transparency


def hidden(colour: int) -> dict[str, bytes]:
    """Images by format, the left half transparent, and this grey in the transparent pixels."""
    rgba = np.asarray(painting("RGBA")).copy()
    rgba[..., 3] = np.where(np.arange(40) < 20, 0, 255)
    rgba[:, :20, :3] = colour
    both = Image.fromarray(rgba)
    palette = painting("P").copy()
    palette.paste(3, (0, 0, 20, 30))
    colours = palette.getpalette()
    assert colours
    colours[9:12] = [colour] * 3
    palette.putpalette(colours)
    return {
        "PNG RGBA": saved(both, "PNG"),
        "PNG LA": saved(both.convert("LA"), "PNG"),
        "PNG P": saved(palette, "PNG", transparency=3),
        "PNG P bytes": saved(palette, "PNG", transparency=b"\xff\xff\xff\0"),
        "GIF": saved(palette, "GIF", transparency=3),
        "WEBP": saved(both, "WEBP", lossless=True, exact=True),
        "TIFF": saved(both, "TIFF"),
    }


@pytest.mark.parametrize("kind", hidden(0))
@pytest.mark.parametrize("preprocessing", [WHOLE, Preprocessing(size=33, resample="bicubic")])
def test_colours_of_transparent_pixels_have_no_effect(kind: str, preprocessing: Preprocessing) -> None:
    dark, bright = hidden(0)[kind], hidden(230)[kind]
    assert dark != bright
    np.testing.assert_array_equal(pixels(dark, preprocessing), pixels(bright, preprocessing))
    np.testing.assert_array_equal(np.asarray(thumbnail(dark, 20)), np.asarray(thumbnail(bright, 20)))
    assert (pixels(dark)[:, :12] == 255).all()
    assert (pixels(dark)[:, 20:] < 255).any()


@pytest.mark.parametrize(("depth", "key"), [(1, 1), (2, 2), (4, 9), (8, 200), (16, 40000)])
def test_a_transparent_grey_becomes_white(depth: int, key: int) -> None:
    """The left half has the grey that means transparent, and the right half is black."""
    row = np.repeat([key, 0], 8)
    bits = (row[:, None] >> np.arange(depth)[::-1] & 1).astype(np.uint8)
    data = png((16, 16), depth, 0, (b"\0" + np.packbits(bits).tobytes()) * 16, chunk(b"tRNS", struct.pack(">H", key)))
    assert (pixels(data)[:, :14] == 255).all()
    assert (pixels(data)[:, 18:] == 0).all()


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour_becomes_white(depth: int) -> None:
    left, right = ((v * 256 + 77 if depth == 16 else v for v in colour) for colour in ((10, 200, 30), (10, 30, 200)))
    kind = np.dtype(">u2" if depth == 16 else "u1")
    row = np.array([tuple(left)] * 8 + [tuple(right)] * 8).astype(kind)
    key = chunk(b"tRNS", row[0].astype(">u2").tobytes())
    found = pixels(png((16, 16), depth, 2, (b"\0" + row.tobytes()) * 16, key))
    assert (found[:, :14] == 255).all()
    assert (found[:, 18:] == (10, 30, 200)).all()


def test_half_transparent_black_becomes_grey() -> None:
    assert (pixels(saved(Image.new("RGBA", (9, 9), (0, 0, 0, 128)), "PNG")) == 127).all()


# Animations


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO", "AVIF"])
def test_the_first_frame_of_an_animation_is_decoded(kind: str) -> None:
    black = Image.new("RGB", (40, 30))
    data = saved(painting(), kind, save_all=True, append_images=[black, black])
    close(pixels(data), pixels(plain(painting())), mean=12)
