"""TIFF files that Pillow does not read, or not rightly: each looks as its 8-bit copy does."""

import struct
import time
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images.decode import Preprocessing, decode, thumbnail
from lookalike.images.formats import open_image
from tests.support.image_samples import TURNS, close, painting, saved
from tests.support.tiff_builder import (
    BITS,
    COLOR_MAP,
    COMPRESSION,
    EXTRA,
    FORMAT,
    LENGTH,
    NODATA,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    ROWS,
    SAMPLES,
    SUB_DIRECTORIES,
    TILE_LENGTH,
    TILE_WIDTH,
    WIDTH,
    packed,
    plain_tiff,
    tags_of,
    tiff,
)

SIZE = 41, 30  # rows of 10 and 12 bits end within a byte
RGB = np.asarray(painting(size=SIZE))
GREY = np.asarray(painting("L", SIZE)).copy()
GREY[-1, :6] = 0, 0, 0, 255, 255, 255  # the whole range is used, and not by outliers
WIDE = GREY.astype(np.uint16) * 257
UNIT = (GREY / 255).astype(np.float32)


def shown(data: bytes) -> NDArray[np.uint8]:
    """The pixels of an image as they are, in grey if they are grey."""
    found = np.asarray(thumbnail(data, max(SIZE)))
    return found[..., 0] if (found == found[..., :1]).all() else found


def reason(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, Preprocessing(size=32))
    return caught.value.reason


# Numbers


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        GREY,
        RGB,
        WIDE,
        RGB.astype(np.uint16) * 257,
        GREY.astype(np.uint32) * (2**24 + 2**16 + 2**8 + 1),
        GREY.astype(np.uint64) * (2**56 + 2**48 + 2**32),
        (WIDE // 64).astype(np.uint16),
        (WIDE // 16).astype(np.uint16),
        GREY.astype(np.uint32),
        (GREY.astype(np.int32) * 257 - 32768).astype(np.int16),
        (GREY.astype(np.int16) - 128).astype(np.int8),
        UNIT.astype(np.float16),
        UNIT,
        UNIT.astype(np.float64),
        (RGB / 255).astype(np.float32),
        UNIT * 65535,
        UNIT * np.float32(1e30),
        UNIT * 2 - 1,
    ],
    ids=lambda values: f"{values.dtype}{'-rgb' * (values.ndim == 3)}-{values.max():.4g}",
)
def test_numbers_of_every_type_and_byte_order(values: NDArray[Any], order: str, big: bool) -> None:
    found = shown(plain_tiff(values, order=order, big=big))
    close(found, RGB if values.ndim == 3 else GREY, mean=0.5, most=1)


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 7, 9, 10, 11, 12, 13, 14, 15, 17, 20, 31])
@pytest.mark.parametrize("channels", [1, 3])
def test_numbers_of_any_bits_lie_end_to_end(bits: int, channels: int) -> None:
    source = RGB if channels == 3 else GREY[..., None]
    values = (source.astype(np.float64) / 255 * (2**bits - 1)).round().astype(np.int64)
    single = (values[..., None] >> np.arange(bits)[::-1]) & 1
    rows = np.packbits(single.reshape(SIZE[1], -1).astype(np.uint8), axis=1)
    tags = tags_of(source) | {BITS: [bits] * channels}
    expected = (values * 255 / (2**bits - 1)).round().astype(np.uint8)
    close(shown(tiff(tags, rows.tobytes())), expected if channels == 3 else expected[..., 0], mean=0.5, most=1)
    with_codec = tiff(tags | {COMPRESSION: 8}, zlib.compress(rows.tobytes()))
    np.testing.assert_array_equal(shown(with_codec), shown(tiff(tags, rows.tobytes())))


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_of_24_bits_are_in_the_order_of_the_file(order: str) -> None:
    wide = (GREY.astype(np.uint32) * 65793).astype(f"{order}u4").view(np.uint8).reshape(*GREY.shape, 4)
    triples = wide[..., :3] if order == "<" else wide[..., 1:]
    data = tiff(tags_of(GREY) | {BITS: 24}, triples.tobytes(), order=order)
    np.testing.assert_array_equal(shown(data), GREY)


def test_the_first_pixel_may_be_in_the_low_bits() -> None:
    rows = np.packbits(np.unpackbits(WIDE.astype(">u2").view(np.uint8), axis=1), axis=1, bitorder="little")
    data = tiff(tags_of(WIDE) | {266: 2}, rows.tobytes(), order=">")
    np.testing.assert_array_equal(shown(data), GREY)


@pytest.mark.parametrize("white", [65535, 4095, 1023])
def test_white_may_be_zero(white: int) -> None:
    values = np.rint((255 - GREY.astype(float)) / 255 * white).astype(np.uint16)
    close(shown(plain_tiff(values, {PHOTOMETRIC: 0})), GREY, mean=0.5, most=1)


def test_a_declared_range_of_values_is_kept() -> None:
    values = (GREY.astype(np.uint16) * 3 + 100)[:, :20]
    found = np.asarray(thumbnail(plain_tiff(values, {340: 100, 341: 100 + 3 * 255}), 30))[..., 0]
    np.testing.assert_array_equal(found, GREY[:, :20])


@pytest.mark.parametrize("top", [1.01, 1.3, 3.0])
def test_floats_over_one_are_not_black(top: float) -> None:
    values = UNIT.copy()
    values[5, 5] = top
    close(shown(plain_tiff(values)), GREY, mean=45)
    bright = shown(plain_tiff(UNIT * np.float32(top)))
    close(bright, GREY, mean=0.5, most=1)


# Pixels without a value


def test_a_border_of_nan_is_white() -> None:
    for values in (UNIT, UNIT.astype(np.float16), (RGB / 255).astype(np.float32)):
        framed = values.copy()
        framed[:3] = np.nan
        found = shown(plain_tiff(framed))
        assert (found[:3] == 255).all()
        close(found[3:], (RGB if values.ndim == 3 else GREY)[3:], mean=0.5, most=2)


@pytest.mark.parametrize(
    ("values", "nodata"),
    [
        (UNIT * 300, b"-9999\0"),
        (UNIT, b"-3.4028234663852886e+38\0"),
        (WIDE, b"7\0"),
        (GREY.astype(np.int16) * 100, b"-32768\0"),
        (RGB.astype(np.uint16) * 257, b"1"),
    ],
)
def test_values_that_mean_nothing_are_white_and_do_not_count(values: NDArray[Any], nodata: bytes) -> None:
    framed = values.copy()
    framed[:3] = float(nodata.strip(b"\0"))
    found, expected = shown(plain_tiff(framed, {NODATA: nodata})), shown(plain_tiff(values))
    assert (found[:3] == 255).all()
    close(found[3:], expected[3:], mean=4, most=8)


def test_a_nodata_value_that_is_no_number_is_left_aside() -> None:
    np.testing.assert_array_equal(shown(plain_tiff(WIDE, {NODATA: b"none\0"})), GREY)


# Layouts


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_channels_may_lie_in_planes(order: str, dtype: str) -> None:
    scale = {"u1": 1, "u2": 257, "f4": 1 / 255}[dtype]
    values = (RGB.transpose(2, 0, 1) * float(scale)).astype(order + dtype)
    strips = [plane[top : top + 7].tobytes() for plane in values for top in range(0, SIZE[1], 7)]
    tags = tags_of(RGB.astype(dtype)) | {PLANAR: 2, ROWS: 7}
    close(shown(tiff(tags, *strips, order=order)), RGB, mean=0.5, most=1)


@pytest.mark.parametrize("planar", [False, True])
def test_tiles_reach_over_the_edges(planar: bool) -> None:
    values = np.zeros((32, 48, 3), np.uint16)
    values[: SIZE[1], : SIZE[0]] = RGB.astype(np.uint16) * 257
    parts = [values[..., at : at + 1] for at in range(3)] if planar else [values]
    tiles = [
        zlib.compress(part[top : top + 16, left : left + 16].tobytes())
        for part in parts
        for top in (0, 16)
        for left in (0, 16, 32)
    ]
    tags = tags_of(RGB.astype(np.uint16)) | {TILE_WIDTH: 16, TILE_LENGTH: 16, COMPRESSION: 8, PLANAR: 1 + planar}
    del tags[ROWS]
    np.testing.assert_array_equal(shown(tiff(tags, *tiles)), RGB)


@pytest.mark.parametrize("codec", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "tiff_deflate", "zstd", "lzma"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_codec_in_every_byte_order(codec: str, order: str) -> None:
    number = {"tiff_lzw": 5, "packbits": 32773, "tiff_adobe_deflate": 8, "tiff_deflate": 32946}.get(codec)
    number = number or {"zstd": 50000, "lzma": 34925}[codec]
    for values in (WIDE, UNIT):
        rows = np.ascontiguousarray(values.astype(f"{order}{values.dtype.str[1:]}")).view(np.uint8)
        strips = [packed(rows[top : top + 8], codec) for top in range(0, SIZE[1], 8)]
        data = tiff(tags_of(values) | {COMPRESSION: number, ROWS: 8}, *strips, order=order)
        close(shown(data), GREY, mean=0.5, most=1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_differences_are_undone(order: str, channels: int) -> None:
    values = (RGB if channels == 3 else GREY[..., None]).astype(np.uint16) * 257
    differences = np.diff(values, axis=1, prepend=np.zeros((SIZE[1], 1, channels), np.uint16)).astype(f"{order}u2")
    tags = tags_of(values[..., 0] if channels == 1 else values) | {COMPRESSION: 8, PREDICTOR: 2}
    found = shown(tiff(tags, zlib.compress(differences.tobytes()), order=order))
    np.testing.assert_array_equal(found, RGB if channels == 3 else GREY)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_differences_of_floats_are_undone(dtype: str, order: str) -> None:
    """Photoshop TIFF Technical Note 3: the bytes of a row by their weight, then the differences of all."""
    size = int(dtype[1])
    stored = UNIT.astype(f">{dtype}").view(np.uint8).reshape(*GREY.shape, size).transpose(0, 2, 1).reshape(SIZE[1], -1)
    differences = np.diff(stored, axis=1, prepend=np.zeros((SIZE[1], 1), np.uint8)).astype(np.uint8)
    tags = tags_of(UNIT.astype(dtype)) | {COMPRESSION: 8, PREDICTOR: 3}
    close(shown(tiff(tags, zlib.compress(differences.tobytes()), order=order)), GREY, mean=0.5, most=1)


def test_a_strip_that_is_left_out_is_black_or_without_value() -> None:
    strip = WIDE[-15:].tobytes()
    tags = tags_of(WIDE) | {ROWS: 15, 273: [0, 8], 279: [0, len(strip)]}
    assert (shown(tiff(tags, strip))[:15] == 0).all()
    assert (shown(tiff(tags | {NODATA: b"3\0"}, strip))[:15] == 255).all()
    np.testing.assert_array_equal(shown(tiff(tags, strip))[15:], GREY[15:])


@pytest.mark.parametrize("length", [0, 10**6])
def test_the_length_of_a_strip_may_be_wrong_if_it_is_not_packed(length: int) -> None:
    np.testing.assert_array_equal(shown(plain_tiff(WIDE, {279: length})), GREY)


# Channels


@pytest.mark.parametrize("scale", [1, 257], ids=["8 bits", "16 bits"])
def test_a_palette_may_have_8_bits_or_16(scale: int) -> None:
    image = painting(size=SIZE).quantize(64)
    colours = np.zeros((3, 256), int)
    colours[:, :64] = np.array(image.getpalette()).reshape(-1, 3)[:64].T * scale
    data = plain_tiff(np.asarray(image), {PHOTOMETRIC: 3, COLOR_MAP: colours.ravel().tolist()})
    np.testing.assert_array_equal(shown(data), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("planar", [False, True])
def test_channels_that_mean_nothing_are_left_out(dtype: str, planar: bool) -> None:
    scale = {"u1": 1, "u2": 257}[dtype]
    values = np.dstack([RGB, 255 - GREY, GREY]).astype(dtype) * np.dtype(dtype).type(scale)
    strips = [values[..., at].tobytes() for at in range(5)] if planar else [values.tobytes()]
    found = shown(tiff(tags_of(values) | {EXTRA: [0, 0], PLANAR: 1 + planar, PHOTOMETRIC: 2}, *strips))
    np.testing.assert_array_equal(found, RGB)


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("kind", [1, 2], ids=["associated", "unassociated"])
def test_what_is_transparent_is_white_and_its_colour_has_no_effect(dtype: str, kind: int) -> None:
    alpha = np.zeros(GREY.shape)
    alpha[:, 10:] = 0.5
    alpha[:, 20:] = 1
    colours = np.where(alpha[..., None] > 0, RGB / 255, 77)
    stored = colours * (alpha[..., None] if kind == 1 else 1)
    scale = {"u2": 65535, "f4": 1}[dtype]
    values = (np.clip(np.dstack([stored, alpha]), 0, None if dtype == "f4" else 1) * scale).astype(dtype)
    expected = np.rint((RGB / 255 * alpha[..., None] + 1 - alpha[..., None]) * 255).astype(np.uint8)
    close(shown(plain_tiff(values, {EXTRA: kind, PHOTOMETRIC: 2})), expected, mean=1, most=3)


def test_cmyk_of_16_bits_looks_as_its_8_bit_copy() -> None:
    inks = painting("CMYK", SIZE)
    data = plain_tiff(np.asarray(inks).astype(np.uint16) * 257, {PHOTOMETRIC: 5})
    np.testing.assert_array_equal(shown(data), np.asarray(thumbnail(saved(inks, "TIFF"), max(SIZE))))


def test_lab_of_any_numbers_looks_as_its_8_bit_copy() -> None:
    """Of 16 bits, also where a writer calls them signed, as libvips does; of floats, L is 0 to 100."""
    lab = painting("LAB", SIZE)
    raw, expected = np.asarray(lab), np.asarray(thumbnail(saved(lab, "TIFF"), max(SIZE)))
    wide = raw.astype(np.uint16) << 8
    floats = np.dstack([raw[..., :1] / 2.55, raw[..., 1:].view(np.int8)])
    for values in (wide, wide.view(np.int16), raw.view(np.int8), floats.astype(np.float32), floats.astype(">f8")):
        np.testing.assert_array_equal(shown(plain_tiff(values, {PHOTOMETRIC: 8})), expected)
    floats[:5] = np.nan
    assert (shown(plain_tiff(floats, {PHOTOMETRIC: 8}))[:5] >= 254).all()
    assert reason(plain_tiff(raw.astype(np.uint32), {PHOTOMETRIC: 8})) == (
        "a TIFF of Lab colours with 32-bit integers is not read"
    )


@pytest.mark.parametrize("kind", [1, 2])
def test_grey_with_alpha_multiplied_into_it_or_not_is_laid_on_white(kind: int) -> None:
    alpha = np.full_like(GREY, 255)
    alpha[:, :10], alpha[:, 10:20] = 0, 128
    share = alpha / 255
    values = np.dstack([GREY * share if kind == 1 else GREY, alpha]).astype(np.uint8)
    data = plain_tiff(values, {EXTRA: kind, PHOTOMETRIC: 1})
    close(shown(data), np.rint(GREY * share + 255 * (1 - share)).astype(np.uint8), mean=1, most=3)


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2), (4, 2)])
@pytest.mark.parametrize("codec", [1, 8])
def test_colours_may_be_stored_once_for_several_pixels(subsampling: tuple[int, int], codec: int) -> None:
    """TIFF 6.0, section 21: the lights of a block, then its two colours."""
    across, down = subsampling
    smooth = Image.fromarray(RGB).resize((10, 8)).resize((40, 32), Image.Resampling.BICUBIC)
    lights = np.asarray(smooth.convert("YCbCr"))
    blocks = lights.reshape(32 // down, down, 40 // across, across, 3).swapaxes(1, 2)
    light = blocks[..., 0].reshape(32 // down, 40 // across, -1)
    units = np.dstack([light, blocks[..., 1:].mean((2, 3)).round().astype(np.uint8)]).tobytes()
    tags = tags_of(lights) | {PHOTOMETRIC: 6, 530: list(subsampling), COMPRESSION: codec}
    found = np.asarray(thumbnail(tiff(tags, zlib.compress(units) if codec == 8 else units), 40))
    close(found, np.asarray(smooth), mean=6)


# What else a file says


def test_a_profile_is_kept() -> None:
    assert open_image(plain_tiff(WIDE, {34675: b"a profile"})).info["icc_profile"] == b"a profile"


@pytest.mark.parametrize("orientation", TURNS)
def test_an_image_is_turned_upright(orientation: int) -> None:
    upright = Image.fromarray(GREY)
    turned = np.asarray(upright.transpose(TURNS[orientation]))
    found = decode(plain_tiff(turned.astype(np.uint16) * 257, {274: orientation}), Preprocessing(size=32, crop=1))
    expected = decode(saved(upright, "PNG"), Preprocessing(size=32, crop=1))
    close(found.pixels, expected.pixels, mean=0.5)
    assert (found.width, found.height) == SIZE


def test_the_main_image_is_read_where_the_first_is_a_thumbnail() -> None:
    for values in (WIDE, GREY):
        small = np.zeros((8, 8), np.uint8)
        whole = tags_of(values)
        strips = small.tobytes(), values.tobytes()
        first = tags_of(small) | {254: 1, 273: 8, 279: 64}
        data = tiff(first, *strips, more=(whole | {273: 72, 279: len(strips[1])},))
        np.testing.assert_array_equal(shown(data), GREY)


# Reasons


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({COMPRESSION: 50002}, "JPEG XL in a TIFF is not read"),
        ({COMPRESSION: 50001}, "WebP in a TIFF is not read"),
        ({COMPRESSION: 34887}, "LERC in a TIFF is not read"),
        ({COMPRESSION: 33005}, "JPEG 2000 in a TIFF is not read"),
        ({COMPRESSION: 34677}, "SGI LogLuv in a TIFF is not read"),
        ({COMPRESSION: 4711}, "compression 4711 in a TIFF is not read"),
        ({COMPRESSION: 7}, "JPEG with 1 channels of 16 bits in a TIFF is not read"),
        ({FORMAT: 5, BITS: 64}, "a TIFF of complex numbers is not read"),
        ({FORMAT: 3, BITS: 24}, "a TIFF with 24-bit floats is not read"),
        ({BITS: 40}, "a TIFF with 40-bit integers is not read"),
        ({PHOTOMETRIC: 9}, "a TIFF of this layout with ICC Lab is not read"),
        ({PHOTOMETRIC: 6, SAMPLES: 3}, "a TIFF of this layout with YCbCr colours is not read"),
        ({BITS: [5, 6, 5], SAMPLES: 3, PHOTOMETRIC: 2}, "a TIFF with channels of 5, 6, 5 bits is not read"),
        ({PREDICTOR: 34894, COMPRESSION: 8}, "a TIFF with predictor 34894 for 16 bits is not read"),
        ({50706: [1, 4, 0, 0]}, "DNG is not read; export the photograph as JPEG or TIFF"),
        ({PHOTOMETRIC: 32803}, "raw data of a camera is not read; export the photograph as JPEG or TIFF"),
        ({PHOTOMETRIC: 2}, "damaged: 1 channels of 3"),
        ({WIDTH: 0}, "has no pixels"),
        ({LENGTH: 130, ROWS: 130}, "truncated"),
        ({ROWS: 10}, "damaged: 1 of 3 strips or tiles"),
        ({279: 10**6, COMPRESSION: 8}, "truncated"),
    ],
)
def test_the_reason_of_a_refusal_is_true(tags: dict[int, Any], expected: str) -> None:
    assert reason(plain_tiff(WIDE, tags)) == expected


def test_raw_data_in_any_directory_is_no_thumbnail() -> None:
    small = tags_of(GREY) | {254: 1}
    raw = tags_of(WIDE) | {PHOTOMETRIC: 32803}
    assert reason(tiff(small, GREY.tobytes(), more=(raw,))).startswith("raw data of a camera")
    data = bytearray(plain_tiff(GREY))
    data[8:10] = b"CR"  # Canon's mark
    assert reason(bytes(data)).startswith("raw data of a camera")
    inner = bytearray(tiff(small | {SUB_DIRECTORIES: 70_000}, GREY.tobytes(), more=(raw,)))
    end = end_of_directory(inner)
    offset, inner[end : end + 4] = bytes(inner[end : end + 4]), bytes(4)
    assert reason(bytes(inner).replace(struct.pack("<I", 70_000), offset)).startswith("raw data of a camera")


def end_of_directory(data: bytearray) -> int:
    """Where the first directory of a little-endian TIFF has the offset of the next."""
    start = int.from_bytes(data[4:8], "little")
    return start + 2 + 12 * int.from_bytes(data[start : start + 2], "little")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_a_cut_file_is_truncated(order: str, big: bool) -> None:
    data = plain_tiff(WIDE, order=order, big=big)
    for end in (5, 15, 300, len(data) - 60):
        assert reason(data[:end]) == "truncated", end


def test_directories_that_lead_to_each_other_end() -> None:
    data = bytearray(plain_tiff(WIDE))
    end = end_of_directory(data)
    data[end : end + 4] = data[4:8]
    np.testing.assert_array_equal(shown(bytes(data)), GREY)


def test_memory_is_counted_by_the_header() -> None:
    huge = tags_of(WIDE) | {WIDTH: 20_000, LENGTH: 20_000, BITS: 64}
    assert "is over the limit of 178 million" in reason(tiff(huge, b"few"))
    tiles = tags_of(WIDE) | {TILE_WIDTH: 40_000, TILE_LENGTH: 40_000, COMPRESSION: 8}
    assert "GB of memory, over the limit of 1.1 GB" in reason(tiff(tiles, zlib.compress(bytes(1000))))
    many = tags_of(WIDE) | {SAMPLES: 60_000, WIDTH: 900_000, BITS: [16] * 60_000}
    assert "GB of memory, over the limit of 1.1 GB" in reason(tiff(many, b"few"))


@pytest.mark.parametrize(
    ("tag", "kind", "size"), [(258, 1, 1), (339, 3, 2), (338, 1, 1), (341, 5, 8), (42113, 2, 1), (330, 4, 4)]
)
def test_a_tag_of_millions_of_values_takes_no_time(tag: int, kind: int, size: int) -> None:
    data = bytearray(plain_tiff(WIDE, {tag: 70_000}))
    at = data.index(struct.pack("<HHI", tag, 4, 1))
    data[at : at + 12] = struct.pack("<HHII", tag, kind, 8_000_000 // size, len(data))
    started = time.process_time()
    with suppress(ImageError):
        decode(bytes(data) + b"\x10" * 8_000_000, Preprocessing(size=32))
    assert time.process_time() - started < 1


def test_very_many_tiles_are_refused() -> None:
    tags = tags_of(WIDE) | {TILE_WIDTH: 1, TILE_LENGTH: 1, WIDTH: 1000, LENGTH: 1000}
    assert reason(tiff(tags, b"few")) == "a TIFF of more than 200,000 strips and tiles is not read"
