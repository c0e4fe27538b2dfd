"""How a TIFF lays out the numbers of its image: their type, and the strips or tiles that they are in."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lookalike.errors import ImageError
from lookalike.images.tiff import directory as tags
from lookalike.images.tiff.directory import Directory

UNCOMPRESSED, OLD_JPEG, JPEG = 1, 6, 7
# What libtiff unpacks to bytes, whatever these mean: LZW, deflate under two numbers, PackBits, LZMA, Zstandard.
_PREDICTED = {5, 8, 32946, 34925, 50000}  # those that differences may precede
BYTE_CODECS = {*_PREDICTED, 32773}
_CODECS = {
    2: "CCITT",
    3: "CCITT Group 3",
    4: "CCITT Group 4",
    OLD_JPEG: "old-style JPEG",
    9: "JBIG",
    10: "JBIG",
    22610: "JPEG XR",
    32766: "NeXT",
    32809: "ThunderScan",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    33007: "JPEG",
    34661: "JBIG",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG",
    34933: "PNG",
    34934: "JPEG XR",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_PHOTOMETRICS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 8: 3}  # number of colour samples
_COLOURS = {
    4: "a mask",
    6: "YCbCr colours",
    9: "ICC Lab",
    10: "ITU Lab",
    32844: "LogL",
    32845: "LogLuv",
}
_PALETTE = 3
LAB = 8
_LAB_KINDS = {("u", 8), ("u", 16), ("f", 16), ("f", 32), ("f", 64)}
_MAX_SEGMENTS = 200_000  # each takes some 20 microseconds
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}  # by the sample format; 4 is "not known"
_NUMBERS = {"u": "integers", "i": "signed integers", "f": "floats"}


@dataclass(frozen=True)
class Layout:
    """The numbers of a TIFF's image.

    Attributes:
        width: of the image in pixels.
        length: of the image in pixels.
        samples: numbers of a pixel in the file.
        bits: of each number.
        kind: of a number, as NumPy's: "u", "i" or "f".
        order: of the bytes of a number, "<" or ">".
        photometric: what the numbers mean (TIFF 6.0, section 8).
        compression: the number of its codec.
        predictor: 1 none, 2 horizontal differencing, 3 floating point.
        reversed_bits: whether the first pixel is in the low bits of a byte.
        planar: whether each sample has segments of its own.
        segment: width and rows of a strip or tile.
        tiled: whether all segments are of that size, also at the lower end of the image.
    """

    width: int
    length: int
    samples: int
    bits: int
    kind: str
    order: Literal["<", ">"]
    photometric: int
    compression: int
    predictor: int
    reversed_bits: bool
    planar: bool
    segment: tuple[int, int]
    tiled: bool

    @property
    def colours(self) -> int:
        """Samples of a pixel that make its colour."""
        return _PHOTOMETRICS[self.photometric]

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type for a number: the smallest that holds it."""
        size = next(size for size in (8, 16, 32, 64) if size >= self.bits)
        return np.dtype(f"{self.kind}{size // 8}")

    @property
    def in_segment(self) -> int:
        """Samples of a pixel that a segment has."""
        return 1 if self.planar else self.samples

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a segment, which begins with a byte of its own."""
        return math.ceil(self.segment[0] * self.in_segment * self.bits / 8)

    @property
    def grid(self) -> tuple[int, int]:
        """Segments beside and below each other that cover the image."""
        return math.ceil(self.width / self.segment[0]), math.ceil(self.length / self.segment[1])


def layout_of(directory: Directory) -> Layout:
    """Reads how the numbers are laid out.

    Raises:
        ImageError: with the reason why they cannot be read.
    """
    width, length = directory.size
    samples = directory.number(tags.SAMPLES, 1)
    compression = directory.number(tags.COMPRESSION, UNCOMPRESSED)
    tiled = tags.TILE_WIDTH in directory.tags
    rows = min(directory.number(tags.ROWS_PER_STRIP, length) or length, length)
    segment = (directory.number(tags.TILE_WIDTH, 0), directory.number(tags.TILE_LENGTH, 0)) if tiled else (width, rows)
    found = Layout(
        width,
        length,
        samples,
        _bits(directory, samples),
        _kind(directory, samples),
        directory.order,
        directory.number(tags.PHOTOMETRIC, 0),
        compression,
        directory.number(tags.PREDICTOR, 1) if compression in _PREDICTED else 1,
        directory.number(tags.FILL_ORDER, 1) == 2,
        directory.number(tags.PLANAR, 1) == 2 and samples > 1,
        segment,
        tiled,
    )
    _check(found)
    return found


def check_compression(compression: int) -> None:
    """Raises an ImageError that names the codec, unless libtiff reads it to bytes or it is none."""
    if compression not in BYTE_CODECS | {UNCOMPRESSED}:
        name = _CODECS.get(compression, f"compression {compression}")
        raise ImageError(f"{name} in a TIFF is not read")


def _bits(directory: Directory, samples: int) -> int:
    found = directory.distinct(tags.BITS, samples) or [1]
    if len(found) > 1:
        listed = ", ".join(str(int(bits)) for bits in directory.values(tags.BITS)[:samples][:8])
        raise ImageError(f"a TIFF with channels of {listed} bits is not read")
    return found[0]


def _kind(directory: Directory, samples: int) -> str:
    found = directory.distinct(tags.SAMPLE_FORMAT, samples) or [1]
    if set(found) <= {5, 6}:
        raise ImageError("a TIFF of complex numbers is not read")
    kinds = {_KINDS.get(kind, "") for kind in found}
    if kinds == {"i"} and directory.number(tags.PHOTOMETRIC, 0) == LAB:
        return "u"  # L is unsigned, a and b are signed (TIFF 6.0, section 23), whatever a writer calls them
    if len(kinds) > 1 or kinds == {""}:
        raise ImageError(f"a TIFF with numbers of the formats {', '.join(map(str, found[:8]))} is not read")
    return kinds.pop()


def _check(layout: Layout) -> None:
    if not min(layout.width, layout.length) > 0:
        raise ImageError("has no pixels")
    if not min(layout.segment) > 0:
        raise ImageError("damaged: tiles without pixels")
    across, down = layout.grid
    if across * down * (layout.samples if layout.planar else 1) > _MAX_SEGMENTS:
        raise ImageError(f"a TIFF of more than {_MAX_SEGMENTS:,} strips and tiles is not read")
    if layout.compression != JPEG:
        check_compression(layout.compression)
    depths = {"f": {16, 32, 64}, "u": {*range(1, 33), 64}, "i": {8, 16, 32, 64}}
    if layout.bits not in depths[layout.kind]:
        raise ImageError(f"a TIFF with {layout.bits}-bit {_NUMBERS[layout.kind]} is not read")
    if layout.photometric not in _PHOTOMETRICS:
        name = _COLOURS.get(layout.photometric, f"colours of kind {layout.photometric}")
        raise ImageError(f"a TIFF of this layout with {name} is not read")
    if layout.samples < layout.colours:
        raise ImageError(f"damaged: {layout.samples} channels of {layout.colours}")
    if layout.photometric == LAB and (layout.kind, layout.bits) not in _LAB_KINDS:
        raise ImageError(f"a TIFF of Lab colours with {layout.bits}-bit {_NUMBERS[layout.kind]} is not read")
    if layout.photometric == _PALETTE and (layout.kind != "u" or layout.bits > 16):
        raise ImageError("a TIFF whose palette is not of 1 to 16 bits is not read")
    if layout.compression == JPEG and (layout.bits, layout.in_segment) == (8, 1):
        return
    if layout.compression == JPEG:
        raise ImageError(f"JPEG with {layout.in_segment} channels of {layout.bits} bits in a TIFF is not read")
    depth = layout.bits in ((16, 32, 64) if layout.predictor == 3 else (8, 16, 32, 64))
    if layout.predictor not in (1, 2, 3) or (layout.predictor > 1 and not depth):
        raise ImageError(f"a TIFF with predictor {layout.predictor} for {layout.bits} bits is not read")
