"""Images of more than 8 bits are converted to sRGB before they are rounded: dark colours stay apart."""

import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.images.decode import thumbnail
from lookalike.images.deep_colour import deep_conversion
from tests.support.image_samples import chunk, png, saved
from tests.support.profiles import (
    PROPHOTO,
    SRGB,
    cmyk_profile,
    decoded,
    encoded,
    grey_profile,
    profile,
    rgb_profile,
    xyb_profile,
)

LINEAR = rgb_profile(SRGB, 1.0)


def ramp() -> NDArray[np.uint8]:
    """All greys, and each of the colours of a dark corner: (16, 256, 3)."""
    x = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    colours = np.stack([x, x, x], axis=2)
    colours[8:, :, 1] //= 2
    return colours


def light() -> NDArray[np.float64]:
    return decoded(ramp() / 255)


def png_of(numbers: NDArray[np.uint16], icc: bytes | None) -> bytes:
    kind = {2: 0, 3: 2, 4: 6}[numbers.shape[2] if numbers.ndim == 3 else 2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in numbers)
    data = png((numbers.shape[1], numbers.shape[0]), 16, kind, rows)
    name = chunk(b"iCCP", b"a\0\0" + zlib.compress(icc)) if icc else b""
    return data[:33] + name + data[33:]


def look(data: bytes | Image.Image) -> NDArray[np.int64]:
    return np.asarray(thumbnail(data, 256)).astype(int)


def tiff_of(numbers: NDArray[np.uint16] | NDArray[np.float32], icc: bytes) -> bytes:
    """An uncompressed TIFF of RGB of any type."""
    bits, form = 8 * numbers.itemsize, 3 if numbers.dtype.kind == "f" else 1
    data, height, width = numbers.tobytes(), *numbers.shape[:2]
    entries = {256: (3, width), 257: (3, height), 258: (3, None), 259: (3, 1), 262: (3, 2), 273: (4, None)}
    entries |= {277: (3, 3), 278: (3, height), 279: (4, len(data)), 339: (3, None), 34675: (7, None)}
    start = 8 + 2 + 12 * len(entries) + 4
    places = {258: (3, start), 339: (3, start + 6), 34675: (len(icc), start + 12)}
    places[273] = (1, start + 12 + len(icc) + len(icc) % 2)
    found = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    for tag, (kind, value) in entries.items():
        count, held = places.get(tag, (1, value))
        found += struct.pack("<HHII", tag, kind, count, held)
    body = struct.pack("<3H", *[bits] * 3) + struct.pack("<3H", *[form] * 3) + icc + bytes(len(icc) % 2)
    return found + bytes(4) + body + data


def test_a_png_of_16_bits_in_linear_light_keeps_its_dark_colours() -> None:
    numbers = np.rint(light() * 65535).astype(np.uint16)
    assert np.abs(look(png_of(numbers, LINEAR)) - ramp()).max() <= 2
    alpha = np.full((*numbers.shape[:2], 1), 65535, np.uint16)
    assert np.abs(look(png_of(np.concatenate([numbers, alpha], axis=2), LINEAR)) - ramp()).max() <= 2


def test_a_grey_image_of_16_bits_in_linear_light_keeps_its_dark_colours() -> None:
    numbers = np.rint(light()[:8, :, 0] * 65535).astype(np.uint16)
    for icc in (LINEAR, grey_profile(1.0)):
        data = png_of(numbers, icc)
        assert np.abs(look(data) - ramp()[:8]).max() <= 2
    image = Image.fromarray(numbers)
    image.info["icc_profile"] = grey_profile(1.0)
    assert np.abs(look(image) - ramp()[:8]).max() <= 2
    assert image.info["icc_profile"] == grey_profile(1.0)


@pytest.mark.parametrize("kind", ["<u2", "<f4"])
def test_a_tiff_in_linear_light_keeps_its_dark_colours(kind: str) -> None:
    scale = 65535 if kind == "<u2" else 1
    numbers = (light() * scale + (0.5 if kind == "<u2" else 0)).astype(kind)
    assert np.abs(look(tiff_of(numbers, LINEAR)) - ramp()).max() <= 2


@pytest.mark.parametrize("gamma", [1.8, 2.2, None])
def test_a_wide_space_of_16_bits_is_converted_exactly(gamma: float | None) -> None:
    wide = (light() @ (np.linalg.inv(PROPHOTO) @ SRGB).T).clip(0, 1)
    values = encoded(wide) if gamma is None else wide ** (1 / gamma)
    numbers = np.rint(values * 65535).astype(np.uint16)
    expected = np.rint(255 * encoded(wide @ (np.linalg.inv(SRGB) @ PROPHOTO).T)).astype(int)
    for data in (png_of(numbers, rgb_profile(PROPHOTO, gamma)), tiff_of(numbers, rgb_profile(PROPHOTO, gamma))):
        assert np.abs(look(data) - expected).max() <= 2  # the curve of the profile has 1024 points


def test_profiles_that_are_not_by_curves_are_left_to_littlecms() -> None:
    broken = profile(b"RGB ", {b"A2B0": b"nothing"}, pcs=b"Lab ")
    for icc in (rgb_profile(SRGB, None), cmyk_profile(), xyb_profile(), broken, grey_profile(1.0), b"x", None):
        assert deep_conversion(icc, 3) is None
    assert deep_conversion(rgb_profile(SRGB, 1.0)[:400], 3) is None


def test_a_gamma_of_a_png_counts_as_a_profile() -> None:
    numbers = np.rint(light() * 65535).astype(np.uint16)
    data = png_of(numbers, None)
    data = data[:33] + chunk(b"gAMA", struct.pack(">I", 100_000)) + data[33:]
    assert np.abs(look(data) - ramp()).max() <= 2


def test_an_image_of_8_bits_in_linear_light_is_converted_as_before() -> None:
    numbers = np.rint(light() * 255).astype(np.uint8)
    found = look(saved(Image.fromarray(numbers), "PNG", icc_profile=LINEAR))
    assert np.abs(found - ramp())[:, 128:].max() <= 2
    assert np.abs(found - ramp()).max() > 5
