"""Builds TIFF files tag by tag, also such as no library writes."""

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from tests.support.image_samples import saved

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
    stored = values.astype(values.dtype.newbyteorder(order)).tobytes()
    return tiff(tags_of(values) | (tags or {}), stored, order=order, big=big)


def packed(rows: NDArray[np.uint8], codec: str) -> bytes:
    """Returns rows of bytes as one of libtiff's codecs packs them, by Pillow's name for it."""
    file = saved(Image.fromarray(rows), "TIFF", compression=codec, tiffinfo={ROWS: len(rows)}, strip_size=2**30)
    with TiffImagePlugin.TiffImageFile(io.BytesIO(file)) as image:
        [offset], [count] = image.tag_v2[OFFSETS], image.tag_v2[COUNTS]
    return file[offset : offset + count]
