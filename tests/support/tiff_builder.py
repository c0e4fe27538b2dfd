"""Builds TIFF files tag by tag, also such as no library writes."""

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from tests.support.image_samples import painting, saved

_FORMS = {2: "B", 3: "H", 4: "I", 12: "d"}
_TEXT, _SHORT, _LONG, _DOUBLE = _FORMS
Tags = dict[int, Any]
"""Integers, a list of them, floats, or bytes, by tag."""

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, SAMPLES = 256, 257, 258, 259, 262, 273, 277
ROWS, COUNTS, PLANAR, PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS = (
    278,
    279,
    284,
    317,
    322,
    323,
    324,
    325,
)
COLOR_MAP, EXTRA, FORMAT, NODATA, SUB_DIRECTORIES = 320, 338, 339, 42113, 330


def tiff(tags: Tags, *segments: bytes, order: str = "<", big: bool = False, more: tuple[Any, ...] = ()) -> bytes:
    """Returns a TIFF with these segments of data and one directory, or more.

    Args:
        tags: of the directory; the offsets and lengths of the segments are added.
        segments: the strips, or the tiles if the tags have a width of them.
        order: of the bytes, "<" or ">".
        big: whether it is a BigTIFF.
        more: the tags of further directories, which have no data.
    """
    start = 16 if big else 8
    offsets = [start + sum(map(len, segments[:at])) for at in range(len(segments))]
    places = (TILE_OFFSETS, TILE_COUNTS) if TILE_WIDTH in tags else (OFFSETS, COUNTS)
    first = {places[0]: offsets, places[1]: [len(segment) for segment in segments]} | tags
    body = b"".join(segments)
    magic = {"<": b"II", ">": b"MM"}[order]
    head = (
        struct.pack(order + "HHHQ", 43, 8, 0, start + len(body))
        if big
        else struct.pack(order + "HI", 42, start + len(body))
    )
    for index, each in enumerate((first, *more)):
        body += _directory(each, start + len(body), order, big, last=index == len(more))
    return magic + head + body


def _directory(tags: Tags, at: int, order: str, big: bool, *, last: bool) -> bytes:
    counter, entry, pointer = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    room = struct.calcsize(order + pointer)
    length = struct.calcsize(order + counter) + len(tags) * (struct.calcsize(order + entry) + room) + room
    entries, values = b"", b""
    for tag, value in sorted(tags.items()):
        kind, listed = _typed(value)
        packed = struct.pack(f"{order}{len(listed)}{_FORMS[kind]}", *listed)
        if len(packed) > room:
            values, packed = values + packed, struct.pack(order + pointer, at + length + len(values))
        entries += struct.pack(order + entry, tag, kind, len(listed)) + packed.ljust(room, b"\0")
    following = 0 if last else at + length + len(values)
    return struct.pack(order + counter, len(tags)) + entries + struct.pack(order + pointer, following) + values


def _typed(value: Any) -> tuple[int, list[Any]]:
    if isinstance(value, bytes):
        return _TEXT, list(value)
    listed = list(value) if isinstance(value, list | tuple | np.ndarray) else [value]
    if any(isinstance(number, float) for number in listed):
        return _DOUBLE, listed
    return (_SHORT if max(listed, default=0) < 2**16 else _LONG), listed


def tags_of(values: NDArray[Any]) -> Tags:
    """Returns the tags of an image with such numbers: shape (length, width) or (length, width, samples)."""
    length, width, *samples = values.shape
    count = samples[0] if samples else 1
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    return {
        WIDTH: width,
        LENGTH: length,
        BITS: [8 * values.itemsize] * count,
        COMPRESSION: 1,
        PHOTOMETRIC: 2 if count >= 3 else 1,
        SAMPLES: count,
        ROWS: length,
        FORMAT: [kind] * count,
    }


def plain_tiff(values: NDArray[Any], tags: Tags | None = None, *, order: str = "<", big: bool = False) -> bytes:
    """Returns an uncompressed TIFF of one strip with these numbers, and further tags."""
    stored = values.astype(f"{order}{values.dtype.str[1:]}").tobytes()
    return tiff(tags_of(values) | (tags or {}), stored, order=order, big=big)


def packed(rows: NDArray[np.uint8], codec: str) -> bytes:
    """Returns rows of bytes as one of libtiff's codecs packs them, by Pillow's name for it."""
    file = saved(Image.fromarray(rows), "TIFF", compression=codec, tiffinfo={ROWS: len(rows)}, strip_size=2**30)
    with TiffImagePlugin.TiffImageFile(io.BytesIO(file)) as image:
        [offset], [count] = image.tag_v2[OFFSETS], image.tag_v2[COUNTS]
    return file[offset : offset + count]


def numeric_tiffs() -> list[bytes]:
    """Returns valid TIFFs of many kinds that Pillow does not read, or not rightly."""
    rgb = np.asarray(painting()).astype(np.uint16) * 257
    grey = np.ascontiguousarray(rgb[..., 0])
    rows = grey.astype("<u2").view(np.uint8)
    planes = [np.ascontiguousarray(rgb[..., at]).tobytes() for at in range(3)]
    tiles = [packed(np.full((16, 32), at, np.uint8), "tiff_adobe_deflate") for at in range(6)]
    tiled = tags_of(grey) | {TILE_WIDTH: 16, TILE_LENGTH: 16, COMPRESSION: 8}
    floats = (grey / 65535).astype(np.float32)
    floats[:4] = np.nan
    return [
        plain_tiff(rgb, order=">"),
        plain_tiff(rgb, {EXTRA: 2}, big=True, order=">"),
        plain_tiff(floats, {NODATA: b"-9999\0"}),
        plain_tiff(floats.astype(np.float16), {PHOTOMETRIC: 0}),
        plain_tiff(grey, {BITS: 12}),
        plain_tiff(grey & 255, {PHOTOMETRIC: 3, BITS: 16, COLOR_MAP: list(range(256)) * 3}),
        tiff(tags_of(rgb) | {PLANAR: 2}, *planes),
        tiff(
            tags_of(grey) | {COMPRESSION: 5, PREDICTOR: 2, ROWS: 10},
            *(packed(rows[at : at + 10], "tiff_lzw") for at in (0, 10, 20)),
        ),
        tiff(tags_of(floats) | {COMPRESSION: 8, PREDICTOR: 3}, packed(floats.view(np.uint8), "tiff_adobe_deflate")),
        tiff(tiled, *tiles),
        tiff(tags_of(grey) | {254: 1}, grey.tobytes(), more=(tags_of(grey) | {OFFSETS: 8, COUNTS: 2400},)),
    ]
