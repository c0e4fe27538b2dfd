"""The bytes of a TIFF's strips and tiles, unpacked by libtiff as part of Pillow.

libtiff knows the codecs; what the numbers mean, Pillow knows only for some. So a few segments at a time are handed to
it as a greyscale TIFF of 8 bits, whose pixels are the bytes that we want.
"""

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images.tiff import directory as tags
from lookalike.images.tiff.directory import Directory
from lookalike.images.tiff.layout import JPEG, UNCOMPRESSED, Layout

AT_ONCE = 4_000_000  # bytes of several segments that are unpacked together, and of rows that are yielded

Unpack = Callable[[io.BytesIO], Image.Image]
"""Decodes a TIFF of 8-bit grey."""

_Rows = Callable[[int, int], NDArray[np.uint8]]
"""Gives some rows of bytes, from the first to before the last."""

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Segment:
    """Rows of bytes of a strip or tile.

    Attributes:
        plane: the sample that it holds, 0 if it has all.
        column: of the first pixel.
        row: of the first pixel.
        rows: uint8, shape (rows, bytes of a row).
    """

    plane: int
    column: int
    row: int
    rows: NDArray[np.uint8]


def read_segments(directory: Directory, layout: Layout, planes: int, unpack: Unpack) -> Iterator[Segment]:
    """Yields the rows of the first planes, without those that the file leaves out.

    Raises:
        ImageError: the file is too short.
    """
    across, down = layout.grid
    starts, counts = _places(directory, layout, across * down * (planes if layout.planar else 1))
    rows = np.full(len(starts), layout.segment[1])
    if not layout.tiled:  # the last strip of a plane ends with the image
        rows[down - 1 :: down] = layout.length - (down - 1) * layout.segment[1]
    sizes = rows * layout.row_bytes
    if layout.compression == UNCOMPRESSED:  # some writers store no lengths, or such that reach beyond the file
        counts = np.where(starts > 0, np.minimum(sizes, len(directory.data) - starts), counts)
    _check(directory, starts, counts)
    step = max(1, AT_ONCE // layout.row_bytes)
    for first, last in _batches(sizes, rows < layout.segment[1], counts == 0):
        if not counts[first]:
            continue
        part = slice(first, last)
        unpacked = _unpacked(directory, layout, (starts[part], counts[part], rows[part]), unpack)
        top = 0
        for index in range(first, last):
            plane, place = divmod(index, across * down)
            row, column = (at * side for at, side in zip(divmod(place, across), layout.segment[::-1], strict=True))
            for begin in range(0, int(rows[index]), step):
                end = min(begin + step, int(rows[index]))
                yield Segment(plane, column, row + begin, unpacked(top + begin, top + end))
            top += int(rows[index])


def _places(directory: Directory, layout: Layout, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The offsets and lengths of the segments in the file."""
    pair = (tags.TILE_OFFSETS, tags.TILE_BYTES)
    if not layout.tiled or tags.TILE_OFFSETS not in directory.tags:
        pair = (tags.STRIP_OFFSETS, tags.STRIP_BYTES)
    starts, counts = (directory.values(tag)[:number].astype(np.int64) for tag in pair)
    if len(starts) < number:
        raise ImageError(f"damaged: {len(starts)} of {number} strips or tiles")
    if len(counts) < number:  # some writers leave the lengths out
        counts = np.diff(np.append(starts, len(directory.data)))
    return starts, counts


def _check(directory: Directory, starts: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    length = len(directory.data)
    if not ((starts >= 0) & (counts >= 0) & (counts <= length) & (starts + counts <= length)).all():
        raise ImageError("truncated")


def _batches(sizes: NDArray[np.int64], short: NDArray[np.bool_], empty: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Parts of the segments, as first and last index, to be unpacked at once: all empty or none, a short one last."""
    ends, taken = [0], 0
    for index, size in enumerate(sizes):
        before = index - 1
        if index > ends[-1] and (taken + size > AT_ONCE or short[before] or empty[before] != empty[index]):
            ends.append(index)
            taken = 0
        taken += int(size)
    yield from pairwise([*ends, len(sizes)])


def _unpacked(
    directory: Directory,
    layout: Layout,
    places: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    unpack: Unpack,
) -> _Rows:
    """The rows of bytes of some segments, below each other."""
    starts, counts, rows = places
    view = memoryview(directory.data)
    pieces: list[Any] = [view[start : start + count] for start, count in zip(starts, counts, strict=True)]
    if layout.reversed_bits and layout.compression != JPEG:
        pieces = [bytes(piece).translate(_REVERSED) for piece in pieces]
    if layout.compression == UNCOMPRESSED:
        if (counts < rows * layout.row_bytes).any():
            raise ImageError("truncated")
        whole = np.frombuffer(pieces[0] if len(pieces) == 1 else b"".join(pieces), np.uint8)
        return _rows_of(whole.reshape(-1, layout.row_bytes))
    tables = directory.bytes(tags.JPEG_TABLES) if layout.compression == JPEG else b""
    image = unpack(_grey(layout, pieces, int(rows.sum()), tables))
    image.load()
    if image.width * image.height <= AT_ONCE:
        return _rows_of(np.asarray(image))
    return lambda top, bottom: np.asarray(image.crop((0, top, image.width, bottom)))


def _rows_of(rows: NDArray[np.uint8]) -> _Rows:
    return lambda top, bottom: rows[top:bottom]


def _grey(layout: Layout, pieces: list[Any], total: int, tables: bytes) -> io.BytesIO:
    """A little-endian TIFF of 8-bit grey with the same packed segments as strips."""
    lengths = [len(piece) for piece in pieces]
    offsets = np.cumsum([8, *lengths])[:-1]
    fields: dict[int, Sequence[int] | NDArray[np.int64]] = {
        tags.WIDTH: [layout.row_bytes],
        tags.LENGTH: [total],
        tags.BITS: [8],
        tags.COMPRESSION: [layout.compression],
        tags.PHOTOMETRIC: [1],
        tags.STRIP_OFFSETS: offsets,
        tags.SAMPLES: [1],
        tags.ROWS_PER_STRIP: [min(layout.segment[1], total)],
        tags.STRIP_BYTES: lengths,
    }
    end = 8 + sum(lengths)
    body, entries = b"", b""
    for tag, values in fields.items():
        packed = np.asarray(values, "<u4").tobytes()
        if len(packed) > 4:
            body, packed = body + packed, struct.pack("<I", end + len(body))
        entries += struct.pack("<HHI", tag, 4, len(values)) + packed
    if tables:
        entries += struct.pack("<HHII", tags.JPEG_TABLES, 7, len(tables), end + len(body))
        body += tables
    first = struct.pack("<2sHI", b"II", 42, end + len(body))
    count = struct.pack("<H", len(fields) + bool(tables))
    return io.BytesIO(b"".join([first, *pieces, body, count, entries, bytes(4)]))
