"""BMP files with any bit fields, and with the headers of OS/2."""

import io
import struct

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.images.decode import thumbnail
from tests.support.decoded_files import reason
from tests.support.image_samples import Masks, bit_fields, painting, run_length_bmp, saved


def whole(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(thumbnail(data, 1000))


def opaque(size: tuple[int, int] = (41, 30)) -> NDArray[np.uint8]:
    return np.asarray(painting(size=size).convert("RGBA"))


LAYOUTS: dict[str, tuple[int, Masks]] = {
    "555": (16, (0x7C00, 0x3E0, 0x1F, 0)),
    "565": (16, (0xF800, 0x7E0, 0x1F, 0)),
    "444": (16, (0xF00, 0xF0, 0xF, 0)),
    "4444": (16, (0xF00, 0xF0, 0xF, 0xF000)),
    "1555": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    "5551": (16, (0xF800, 0x7C0, 0x3E, 1)),
    "bgr 565": (16, (0x1F, 0x7E0, 0xF800, 0)),
    "332": (16, (0xE0, 0x1C, 0x3, 0)),
    "bgrx": (32, (0xFF0000, 0xFF00, 0xFF, 0)),
    "rgbx": (32, (0xFF, 0xFF00, 0xFF0000, 0)),
    "xbgr": (32, (0xFF000000, 0xFF0000, 0xFF00, 0)),
    "xrgb": (32, (0xFF00, 0xFF0000, 0xFF000000, 0)),
    "bgra": (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    "rgba": (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
    "abgr": (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    "argb": (32, (0xFF00, 0xFF0000, 0xFF000000, 0xFF)),
    "10 bits": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0)),
    "10 bits and alpha": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
    "11-11-10": (32, (0xFFE00000, 0x1FFC00, 0x3FF, 0)),
    "7-18-7": (32, (0xFE000000, 0x1FFFF80, 0x7F, 0)),
    "565 in 32 bits": (32, (0xF800, 0x7E0, 0x1F, 0)),
}


@pytest.mark.parametrize(
    ("kind", "header"),
    [(kind, size) for kind in LAYOUTS for size in (40, 52, 56, 108, 124) if size > 52 or not LAYOUTS[kind][1][3]],
)
@pytest.mark.parametrize("top_down", [False, True])
def test_any_bit_fields_are_decoded(kind: str, header: int, top_down: bool) -> None:
    bits, masks = LAYOUTS[kind]
    colours = opaque()
    found = whole(bit_fields(colours, bits, masks, header=header, top_down=top_down)).astype(int)
    for channel in range(3):
        steps = bin(masks[channel]).count("1")
        lost = colours[..., channel].astype(int) - found[..., channel]
        assert lost.min() >= -1
        assert lost.max() <= 255 / (2**steps - 1) + 1


@pytest.mark.parametrize("kind", ["555", "565", "bgrx", "xbgr", "bgra", "rgba", "abgr"])
def test_bit_fields_that_pillow_knows_are_decoded_as_by_pillow(kind: str) -> None:
    bits, masks = LAYOUTS[kind]
    colours = opaque()
    if masks[3]:
        colours = colours.copy()
        colours[..., 3] = np.arange(41) * 6
    data = bit_fields(colours, bits, masks)
    by_pillow = Image.open(io.BytesIO(data)).convert("RGBA")
    white = Image.new("RGB", by_pillow.size, "white")
    white.paste(by_pillow, mask=by_pillow)
    np.testing.assert_array_equal(whole(data), np.asarray(white))


@pytest.mark.parametrize("kind", ["4444", "1555", "bgra", "argb", "10 bits and alpha"])
def test_alpha_makes_white_and_one_that_is_0_everywhere_is_none(kind: str) -> None:
    bits, masks = LAYOUTS[kind]
    colours = opaque().copy()
    colours[:, :20, 3] = 0
    found = whole(bit_fields(colours, bits, masks))
    assert (found[:, :20] == 255).all()
    solid = whole(bit_fields(opaque(), bits, masks))
    np.testing.assert_array_equal(found[:, 20:], solid[:, 20:])
    colours[..., 3] = 0
    np.testing.assert_array_equal(whole(bit_fields(colours, bits, masks)), solid)


def test_bit_fields_without_any_mask_are_the_usual_ones() -> None:
    colours = opaque()
    for bits, kind in ((16, "555"), (32, "bgrx")):
        masks = LAYOUTS[kind][1]
        data = bytearray(bit_fields(colours, bits, masks))
        data[54:70] = bytes(16)
        np.testing.assert_array_equal(whole(bytes(data)), whole(bit_fields(colours, bits, masks)))


def test_bit_fields_whose_rows_end_early_are_truncated() -> None:
    for kind in ("4444", "bgra", "rgbx", "565"):
        data = bit_fields(opaque(), *LAYOUTS[kind])
        assert reason(data[:-5]) == "truncated"
        assert reason(data[:60]) == "truncated"


@pytest.mark.parametrize("mode", ["RGB", "P", "L", "1"])
@pytest.mark.parametrize("size", [16, 20, 24, 36, 39, 48, 64])
def test_a_header_of_os2_that_ends_early_is_read(mode: str, size: int) -> None:
    image = painting(mode, (41, 30))
    data = saved(image, "BMP")
    start = int.from_bytes(data[10:14], "little")
    head = (struct.pack("<I", size) + data[18:54]).ljust(size, b"\0")[:size]
    os2 = data[:10] + struct.pack("<I", start + size - 40) + head + data[54:]
    np.testing.assert_array_equal(whole(os2), np.asarray(image.convert("RGB")))


def test_the_first_header_of_os2_is_read() -> None:
    image = painting(size=(41, 30))
    data = saved(image, "BMP")
    head = struct.pack("<IHHHH", 12, 41, 30, 1, 24)
    os2 = data[:10] + struct.pack("<I", 26) + head + data[54:]
    np.testing.assert_array_equal(whole(os2), np.asarray(image))


def test_a_bmp_without_the_place_of_its_pixels_is_read() -> None:
    for kind, header in (("rgbx", 40), ("rgbx", 108), ("bgrx", 40)):
        data = bytearray(bit_fields(opaque(), *LAYOUTS[kind], header=header))
        expected = whole(bytes(data))
        data[10:14] = bytes(4)
        np.testing.assert_array_equal(whole(bytes(data)), expected)


@pytest.mark.parametrize(
    ("at", "value", "expected"),
    [
        (28, struct.pack("<H", 64), "a BMP of 64 bits for a pixel is not read"),
        (28, struct.pack("<H", 2), "a BMP of 2 bits for a pixel is not read"),
        (28, struct.pack("<HI", 0, 4), "a BMP that holds a JPEG is not read"),
        (28, struct.pack("<HI", 24, 5), "a BMP that holds a PNG is not read"),
        (30, struct.pack("<I", 11), "a BMP of compression 11 is not read"),
        (14, struct.pack("<I", 77), "damaged: a BMP with a header of 77 bytes"),
    ],
)
def test_kinds_of_bmp_that_are_not_read_are_named(at: int, value: bytes, expected: str) -> None:
    data = saved(painting(), "BMP")
    assert reason(data[:at] + value + data[at + len(value) :]) == expected


def test_compressions_of_os2_are_named() -> None:
    data = saved(painting(), "BMP")
    for number, expected in ((3, "of Huffman codes"), (4, "of 24-bit run lengths")):
        head = struct.pack("<I", 64) + data[18:30] + struct.pack("<I", number) + data[34:54] + bytes(24)
        assert reason(data[:14] + head + data[54:]) == f"a BMP {expected} is not read"


@pytest.mark.parametrize("mode", ["P", "L", "1"])
def test_a_palette_of_too_many_colours_is_read_as_far_as_it_counts(mode: str) -> None:
    image = painting(mode, (41, 30))
    data = saved(image, "BMP")
    start = int.from_bytes(data[10:14], "little")
    longer = data[:10] + struct.pack("<I", start + 80) + data[14:46] + struct.pack("<I", 276) + data[50:start]
    np.testing.assert_array_equal(whole(longer + bytes(80) + data[start:]), np.asarray(image.convert("RGB")))


def test_run_lengths_that_end_early_are_truncated() -> None:
    data = run_length_bmp((12, 4), b"\x05\x21\x00\x03abc\0")
    assert reason(data) == "truncated"
