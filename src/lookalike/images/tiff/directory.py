"""The directories of a TIFF: which images it holds, and the tags of each (TIFF 6.0, section 2, and BigTIFF).

Nothing is read that the file's own bytes do not back: a tag's values are a view of them.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError

_HEADERS: dict[bytes, tuple[Literal["<", ">"], bool]] = {
    b"II*\0": ("<", False),
    b"MM\0*": (">", False),
    b"II+\0": ("<", True),
    b"MM\0+": (">", True),
}
# NumPy's kind and size of a value by the number of its type; a rational is two integers, text is bytes.
_TYPES = {
    1: "u1",
    2: "u1",
    3: "u2",
    4: "u4",
    5: "2u4",
    6: "i1",
    7: "u1",
    8: "i2",
    9: "i4",
    10: "2i4",
    11: "f4",
    12: "f8",
    13: "u4",
    16: "u8",
    17: "i8",
    18: "u8",
}
_MAX_TAGS = 4096  # a directory has some twenty
_MAX_DISTINCT = 4096  # values of a tag that are compared with each other
_MAX_DIRECTORIES = 64  # that are looked at for the image and for raw data

SUBFILE_TYPE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 266, 273, 274, 277, 278, 279
PLANAR, PREDICTOR, COLOR_MAP, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES = 284, 317, 320, 322, 323, 324, 325
SUB_DIRECTORIES, EXTRA_SAMPLES, SAMPLE_FORMAT, SMALLEST, LARGEST, JPEG_TABLES = 330, 338, 339, 340, 341, 347
SUBSAMPLING, ICC_PROFILE, GDAL_NODATA, DNG_VERSION = 530, 34675, 42113, 50706


@dataclass(frozen=True)
class Directory:
    """The tags of one image in a TIFF.

    Attributes:
        data: the file.
        order: of the bytes of its numbers, "<" or ">" as in NumPy.
        big: whether it is a BigTIFF, with offsets of 64 bits.
        offset: of this directory in the file.
        tags: (type, number of values, offset of the values) by tag.
        next: the offset of the following directory; 0 is none.
    """

    data: bytes
    order: Literal["<", ">"]
    big: bool
    offset: int
    tags: dict[int, tuple[int, int, int]]
    next: int

    def values(self, tag: int) -> NDArray[Any]:
        """The values of a tag, without those that the file is too short for; empty if there is no such tag."""
        kind, count, offset = self.tags.get(tag, (1, 0, 0))
        pair = _TYPES[kind].startswith("2")
        count = min(count, _MAX_DISTINCT) if pair else count
        dtype = np.dtype(self.order + _TYPES[kind].removeprefix("2"))
        room = max(0, len(self.data) - offset) // dtype.itemsize
        found = np.frombuffer(self.data, dtype, min(count * (1 + pair), room), offset if room else 0)
        if pair:
            even = found[: len(found) // 2 * 2].astype(float)
            found = np.divide(even[::2], even[1::2], out=np.zeros(len(even) // 2), where=even[1::2] != 0)
        return found

    def number(self, tag: int, default: int) -> int:
        """The first value of a tag as a whole number, or the default if it has none."""
        found = self.values(tag)
        return int(found[0]) if len(found) and np.isfinite(found[0]) else default

    def distinct(self, tag: int, count: int) -> list[int]:
        """The first values of a tag as whole numbers, each once, in order of size; of very many the first thousands."""
        found = self.values(tag)[: max(0, min(count, _MAX_DISTINCT))]
        return [int(value) for value in np.unique(found) if np.isfinite(value)]

    def bytes(self, tag: int) -> bytes:
        """The values of a tag as they are in the file."""
        return self.values(tag).tobytes()

    @property
    def size(self) -> tuple[int, int]:
        """The width and length in pixels, before the image is turned upright."""
        return self.number(WIDTH, 0), self.number(LENGTH, 0)

    @property
    def is_reduced(self) -> bool:
        """Whether the image is a smaller copy of another one in the file, or the mask of one."""
        return self.number(SUBFILE_TYPE, 0) & 0b101 != 0 or self.number(255, 1) == 2

    @property
    def has_raw_data(self) -> bool:
        """Whether it holds what a camera's sensor has measured: a colour filter array, or linear raw (TIFF/EP, DNG)."""
        return DNG_VERSION in self.tags or self.number(PHOTOMETRIC, 0) in (32803, 34892)


def read_directory(data: bytes, offset: int) -> Directory:
    """Reads the directory at an offset.

    Raises:
        ImageError: it is not in the file, or has far too many tags.
    """
    order, big = _HEADERS[data[:4]]
    counter, entry, pointer = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    try:
        (count,) = struct.unpack_from(order + counter, data, offset)
        if count > _MAX_TAGS:
            raise ImageError(f"damaged: a directory of {count} tags")
        at = offset + struct.calcsize(order + counter)
        field, width = struct.calcsize(order + entry), struct.calcsize(order + pointer)
        tags: dict[int, tuple[int, int, int]] = {}
        for start in range(at, at + count * (field + width), field + width):
            tag, kind, values = struct.unpack_from(order + entry, data, start)
            if kind in _TYPES:
                dtype = np.dtype(_TYPES[kind].removeprefix("2"))
                inside = values * dtype.itemsize * (1 + _TYPES[kind].startswith("2")) <= width
                where = start + field if inside else struct.unpack_from(order + pointer, data, start + field)[0]
                tags.setdefault(tag, (kind, values, where))
        end = at + count * (field + width)
        following = struct.unpack_from(order + pointer, data, end)[0] if len(data) >= end + width else 0
    except struct.error as error:
        raise ImageError("truncated") from error
    return Directory(data, order, big, offset, tags, following)


def first_offset(data: bytes) -> int:
    """Where the first directory is.

    Raises:
        ImageError: the file ends before.
    """
    order, big = _HEADERS[data[:4]]
    at = 8 if big else 4
    if len(data) < 2 * at:
        raise ImageError("truncated")
    offset: int = struct.unpack_from(order + ("Q" if big else "I"), data, at)[0]
    return offset


def directories(data: bytes) -> Iterator[Directory]:
    """Yields the first directory, those that follow it, and the sub-directories of each, but no more than 64.

    Raises:
        ImageError: the first one cannot be read; the others end where one cannot.
    """
    waiting = [first_offset(data)]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        offset = waiting.pop(0)
        if not offset or offset in seen:
            continue
        seen.add(offset)
        try:
            found = read_directory(data, offset)
        except ImageError:
            if len(seen) == 1:
                raise
            continue
        yield found
        waiting += [int(sub) for sub in found.values(SUB_DIRECTORIES)[:_MAX_DIRECTORIES].astype(np.uint64)]
        waiting.append(found.next)
    if not seen:
        raise ImageError("has no image")


def main_directory(data: bytes) -> Directory:
    """The directory of the image that a TIFF shows: its first one, or the largest if that is a smaller copy.

    Raises:
        ImageError: it is a camera's raw data, whose colours no library here makes, or it cannot be read.
    """
    found = list(directories(data))
    if data[8:10] == b"CR" or any(directory.has_raw_data for directory in found):
        kind = "DNG" if DNG_VERSION in found[0].tags else "raw data of a camera"
        raise ImageError(f"{kind} is not read; export the photograph as JPEG or TIFF")
    whole = [directory for directory in found if not directory.is_reduced]
    if not found[0].is_reduced or not whole:
        return found[0]
    return max(whole, key=lambda directory: directory.size[0] * directory.size[1])
