"""Which of an image's values becomes black, and which white."""

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.images.decode import thumbnail
from lookalike.images.depth import Range, eight_bits, range_of
from tests.support.image_samples import chunk, close, painting, png
from tests.support.tiff_builder import plain_tiff


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 65535], np.uint16), (0, 65535)),
        (np.array([9, 16384], np.uint16), (0, 65535)),  # a dark photograph stays dark
        (np.array([9, 16383], np.uint16), (0, 16383)),
        (np.array([0, 4095], np.uint16), (0, 4095)),
        (np.array([0, 1100], np.uint16), (0, 4095)),
        (np.array([0, 1023], np.uint16), (0, 1023)),
        (np.array([0, 200], np.uint16), (0, 255)),
        (np.array([0, 3], np.uint16), (0, 3)),  # labels of segments
        (np.array([0, 2**32 - 1], np.uint32), (0, 2**32 - 1)),
        (np.array([0, 2**31], np.uint32), (0, 2**32 - 1)),
        (np.array([0, 2**27], np.uint32), (0, 2**27)),
        (np.array([0, 50_000], np.uint32), (0, 65535)),
        (np.array([0, 2**60], np.uint64), (0, 2**60)),
        (np.array([-30000, 30000], np.int16), (-32768, 32767)),
        (np.array([0, 30000], np.int16), (0, 32767)),
        (np.array([-1024, 3071], np.int16), (-1024, 3071)),  # computed tomography
        (np.array([-2, 1000], np.int16), (0, 1023)),
        (np.array([-128, 127], np.int8), (-128, 127)),
        (np.array([0, 100], np.int8), (0, 127)),
        (np.array([0, 1], np.float32), (0, 1)),
        (np.array([0, 0.3], np.float32), (0, 1)),
        (np.array([0, 0.125], np.float32), (0, 0.125)),
        (np.array([0, 255], np.float32), (0, 255)),
        (np.array([0, 3], np.float32), (0, 3)),
        (np.array([-1, 1], np.float32), (-1, 1)),
        (np.array([-0.01, 1], np.float32), (0, 1)),
        (np.array([-5, -1], np.float64), (-5, -1)),
        (np.array([0, 0], np.uint16), (0, 1)),
        (np.array([np.nan, np.inf, 0.5], np.float32), (0, 1)),
        (np.array([np.nan], np.float32), (0, 1)),
    ],
)
def test_the_range_of_an_images_values(values: NDArray[Any], expected: tuple[float, float]) -> None:
    found = range_of([values])
    assert (found.low, found.high) == expected
    assert range_of([values[:1], values[1:]]) == found


def test_a_few_floats_far_from_the_others_do_not_count() -> None:
    values = np.linspace(0, 1, 10_001).astype(np.float32)
    values[17], values[4000] = 1000, -80
    assert range_of([values]) == Range(0, 1)


def test_a_declared_range_counts_where_it_is_used() -> None:
    values = np.array([0, 700], np.uint16)
    assert range_of([values], Range(0, 2000)) == Range(0, 2000)
    assert range_of([values], Range(0, 65535)) == Range(0, 1023)
    assert range_of([values], Range(0, 500)) == Range(0, 1023)


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "i2", "u4", "u8", "i8", "f2", "f4", ">f4", "f8"])
def test_values_are_scaled_to_the_nearest_of_eight_bits(dtype: str) -> None:
    values = np.array([0, 1, 60, 100, 119, 120], dtype)
    expected = np.array([0, 2, 128, 213, 253, 255])
    found = eight_bits(values, Range(0, 120))
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() == 0


def test_values_out_of_the_range_are_clipped_and_missing_ones_are_white() -> None:
    values = np.array([-np.inf, -9, 0, 5, 10, 99, np.inf, np.nan], np.float32)
    assert eight_bits(values, Range(0, 10)).tolist() == [0, 0, 0, 128, 255, 255, 255, 255]
    assert eight_bits(np.array([-9, 40000], np.int32), Range(0, 255)).tolist() == [0, 255]
    assert eight_bits(np.array([300], np.uint16), Range(0, 255)).tolist() == [255]
    assert eight_bits(np.array([1e300, 2e300]), Range(0, 2e300)).tolist() == [128, 255]


def test_16_bits_of_the_full_range_give_their_upper_8() -> None:
    values = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(eight_bits(values, Range(0, 65535)), values >> 8)


@pytest.mark.parametrize("top", [255, 1023, 4095, 16383, 65535])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_is_scaled_alike_in_every_format(top: int, channels: int) -> None:
    """16 bits, of which some are used, as TIFF, PNG, PGM or PPM, and in memory."""
    picture = np.asarray(painting("RGB" if channels == 3 else "L")).copy()
    picture[0, :4] = 255
    values = np.rint(picture / 255 * top).astype(np.uint16)
    stored = values.astype(">u2").tobytes()
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    files: list[bytes | Image.Image] = [
        plain_tiff(values),
        png((40, 30), 16, 2 if channels == 3 else 0, rows),
        b"P%d 40 30 65535\n" % (6 if channels == 3 else 5) + stored,
    ]
    if channels == 1:
        files.append(Image.fromarray(values))
    expected = np.asarray(Image.fromarray(picture).convert("RGB"))
    for file in files:
        close(np.asarray(thumbnail(file, 40)), expected, mean=0.7, most=1)


def test_hidden_colours_do_not_change_the_range() -> None:
    """In a PNG of 16 bits, as in a TIFF."""
    values = np.zeros((30, 40, 4), np.uint16)
    values[:, 20:, :3], values[:, 20:, 3] = 800, 65535
    hidden = values.copy()
    hidden[:, :20, :3] = 65535
    for one in (values, hidden):
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in one)
        for file in (png((40, 30), 16, 6, rows), plain_tiff(one, {338: 2})):
            found = np.asarray(thumbnail(file, 40))
            assert (found[:, :20] == 255).all()
            assert np.abs(found[:, 21:].astype(int) - 199).max() <= 1


def test_a_transparent_colour_of_a_deep_png_is_white() -> None:
    values = np.full((30, 40, 3), 700, np.uint16)
    values[:, :20] = 701
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    found = np.asarray(thumbnail(png((40, 30), 16, 2, rows, chunk(b"tRNS", struct.pack(">3H", 700, 700, 700))), 40))
    assert (found[:, 22:] == 255).all()
    assert np.abs(found[:, :19].astype(int) - 175).max() <= 1
