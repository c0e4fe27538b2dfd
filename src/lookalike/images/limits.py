"""How much memory an image may take while it is decoded, estimated from its header.

Decoding may take 6 bytes for each of `max_pixels`, 1.07 GB by default, and no more. A JPEG is decoded at the smallest
scale that will do, so that its pixels cost little; every other format is decoded in full.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

from lookalike import arguments
from lookalike.errors import ImageError
from lookalike.images.av1 import frame_pixels
from lookalike.images.preprocessing import MAX_PIXELS

LARGE_PIXELS = 32_000_000  # of an image that is decoded alone

_BYTES = 6  # of memory for each of `max_pixels`
_LARGE_BYTES = 512_000_000  # likewise
_MAX_SIDE = 1_000_000  # Pillow keeps 8 bytes for each row, and decodes each by itself
_MAX_SCANS = 100  # a progressive JPEG has about ten; 31 bytes add another, which takes as long as the first
_MAX_SCANNED = 2_500_000_000  # pixels times scans, each of which takes as long as decoding the image: some 3 s
_MAX_RUN_LENGTH_PIXELS = 32_000_000  # Pillow unpacks a run-length BMP byte by byte, in Python
_IN_MEMORY = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}  # bytes of a pixel by Pillow's mode, else 4
# The formats whose libraries allocate by themselves: the most bytes for a pixel, with Pillow's copies (measured).
_BY_LIBRARY = {"WEBP": 16, "AVIF": 16, "HEIF": 16}


@dataclass(frozen=True)
class Cost:
    """What decoding an image takes.

    Attributes:
        pixels: the number that are decoded.
        bytes: of memory.
        certain: whether it takes no more, whatever the file. Otherwise the format's library allocates by itself.
        whole: the number of pixels of the whole image, if it is decoded before it is scaled; 0 otherwise.
    """

    pixels: int
    bytes: int
    certain: bool
    whole: int = 0

    @property
    def is_large(self) -> bool:
        """Whether only one image of this cost should be decoded at a time."""
        return max(self.pixels, self.whole) > LARGE_PIXELS or self.bytes > _LARGE_BYTES

    @property
    def is_risky(self) -> bool:
        """Whether it should be decoded in a process of its own."""
        return self.is_large and (not self.certain or max(self.pixels, self.whole) > MAX_PIXELS)


@dataclass(frozen=True)
class Draft:
    """An opened image, set to be decoded at the smallest scale that will do.

    Attributes:
        image: opened, but perhaps not loaded.
        size: of the original, in pixels.
        extent: where the image ends; the last pixel of a scaled JPEG may be covered only in part. None is its size.
        alone: whether only one image like it should be decoded at a time.
        apart: whether it should be decoded in a process of its own.
    """

    image: Image.Image
    size: tuple[int, int]
    extent: tuple[float, float] | None
    alone: bool
    apart: bool


def draft_of(image: Any, covers: tuple[int, int], data: bytes, max_pixels: int | None) -> Draft:
    """Sets an opened image to be decoded at the smallest scale that will do, if that takes no more than it may.

    Args:
        image: an opened file, before `draft`. Besides what Pillow's have, it may have the attributes `scans`, the
            number of passes over it; `coefficients`, the bytes that these keep; `working_bytes`, those that
            decoding takes besides its pixels; and `by_library`, whether a library allocates by itself meanwhile.
        covers: the size that it is decoded to, or larger.
        data: the bytes of the file.
        max_pixels: the most pixels that are decoded, or None if something else limits the memory.

    Raises:
        ImageError: it has no pixels, or decoding takes more memory or time than it may.
        UsageError: `max_pixels` is no number above 0.
    """
    check_size(image.size)
    check_time(image)
    size, scaled = image.size, image.draft("RGB", covers)
    cost = decoding_cost(image, size, data)
    if max_pixels is not None:
        check_cost(size, cost, arguments.whole(max_pixels, "max_pixels", least=1))
    return Draft(image, size, scaled[1][2:] if scaled else None, cost.is_large, cost.is_risky)


def loaded(image: Image.Image, max_pixels: int) -> Draft:
    """An image of Pillow's that is loaded, or that its owner has opened, if it is not too large.

    Raises:
        ImageError: it has no pixels, or too many.
        UsageError: `max_pixels` is no number above 0.
    """
    check_size(image.size)
    most = arguments.whole(max_pixels, "max_pixels", least=1)
    check_cost(image.size, Cost(image.width * image.height, 0, certain=True), most)
    return Draft(image, image.size, None, alone=False, apart=False)


def memory_limit(max_pixels: int) -> int:
    """The memory that decoding an image may take, in bytes."""
    return _BYTES * max_pixels


def check_size(size: tuple[int, int]) -> None:
    """Raises an ImageError if an image has no pixels or a side that is too long."""
    if not min(size) > 0:
        raise ImageError("has no pixels")
    if max(size) > _MAX_SIDE:
        raise ImageError(f"{size[0]} x {size[1]} pixels: no side may be longer than {_MAX_SIDE:,}")


def check_time(image: Any) -> None:
    """Raises an ImageError if decoding an opened image would take far longer than its size tells."""
    pixels, scans = image.width * image.height, getattr(image, "scans", 1)
    if scans > 1 and scans * pixels > _MAX_SCANNED:
        raise ImageError(f"{scans} progressive scans of {image.width} x {image.height} pixels are too many")
    if scans > _MAX_SCANS:
        raise ImageError(f"more than {_MAX_SCANS} progressive scans")
    if image.tile and image.tile[0][0] == "bmp_rle" and pixels > _MAX_RUN_LENGTH_PIXELS:
        raise ImageError("too large for a run-length BMP")


def check_cost(size: tuple[int, int], cost: Cost, max_pixels: int) -> None:
    """Raises an ImageError if decoding an image of that size takes more than it may; a higher limit would allow it."""
    needed = max(cost.pixels, math.ceil(cost.bytes / _BYTES))
    if needed <= max_pixels:
        return
    dimensions, allowed = f"{size[0]} x {size[1]} pixels", f"max_pixels={needed} allows it"
    if cost.pixels > max_pixels:
        raise ImageError(f"{dimensions} is over the limit of {max_pixels / 1e6:g} million; {allowed}", lasting=False)
    needs, limit = (f"{number / 1e9:.1f} GB" for number in (cost.bytes, memory_limit(max_pixels)))
    raise ImageError(f"{dimensions} need {needs} of memory, over the limit of {limit}; {allowed}", lasting=False)


def decoding_cost(image: Any, size: tuple[int, int], data: bytes) -> Cost:
    """What decoding an opened image takes.

    Args:
        image: an opened file, as for `draft_of`, but after `draft`.
        size: in pixels, before `draft`.
        data: the bytes of the file.
    """
    pixels = image.width * image.height
    if image.format in _BY_LIBRARY:
        coded = frame_pixels(data) if image.format == "AVIF" else pixels
        pixels = max(pixels, coded or LARGE_PIXELS + 1)
        return Cost(pixels, pixels * _BY_LIBRARY[image.format], certain=False)
    kept = pixels * _IN_MEMORY.get(image.mode, 4) + 8 * image.height + getattr(image, "working_bytes", 0)
    if coefficients := getattr(image, "coefficients", 0):  # of the whole JPEG
        return Cost(pixels, kept + coefficients, certain=True, whole=size[0] * size[1])
    if image.tile and image.tile[0][0] == "libtiff":
        return Cost(pixels, kept + _tiff_chunk(image.tag_v2.get, image.size), certain=False)
    return Cost(pixels, kept, certain=not getattr(image, "by_library", False))


def _tiff_chunk(tag: Callable[..., Any], size: tuple[int, int]) -> int:
    """The size of a TIFF's strips or tiles in bytes, one of which is in memory (TIFF 6.0, sections 8 and 15)."""
    width, rows = int(tag(322, size[0])), int(tag(323, min(int(tag(278, size[1])), size[1])))
    bits = tag(258, (1,))
    depth = max(bits if isinstance(bits, tuple) else (bits,))
    return width * rows * max(4, math.ceil(int(tag(277, 1)) * int(depth) / 8))
