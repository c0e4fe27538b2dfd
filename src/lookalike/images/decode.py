"""Decodes a path, bytes, an open file, a PIL image or an array to upright RGB pixels.

EXIF's orientation is applied, transparent parts become white, 16 bits are scaled to 8, an animation gives its first
frame, and a JPEG is decoded no larger than needed. Whatever is wrong with an image raises an ImageError.
"""

import io
import math
import os
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import arguments
from lookalike.errors import ImageError, UsageError
from lookalike.images.formats import MAX_PIXELS, check_size, one_image, open_image
from lookalike.images.reading import MAX_BYTES, FileBytes, check_bytes, read
from lookalike.system import forks

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "DecodedImage",
    "FileBytes",
    "ImageSource",
    "Preprocessing",
    "Recipe",
    "decode",
    "prepare",
    "read",
    "thumbnail",
]

ImageSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[np.uint8]
)
"""A path, a file's bytes, an open binary file, a PIL image, or an array: (h, w, 3) RGB or (h, w) grey."""

Resample: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Fit: TypeAlias = Literal["crop", "squash"]

_LARGE_PIXELS = 32_000_000
_LARGE = forks.Lock()  # held while a larger image is decoded, so that two are never in memory at once

_ORIENTATION = 0x0112  # the tag of the orientation: EXIF 2.32, 4.6.4
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Preprocessing:
    """How an image is resized and cropped for an encoder.

    Attributes:
        size: the side of the resulting square, in pixels.
        crop: the centre part of the shorter side that is kept, in (0, 1].
        resample: the resampling filter.
        fit: how an image becomes square: "crop" cuts off both ends of the longer side, "squash" scales each side by
            itself, from the centre part of it.

    Raises:
        UsageError: a value is out of range.
    """

    size: int = 224
    crop: float = 0.875
    resample: Resample = "bilinear"
    fit: Fit = "crop"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", arguments.whole(self.size, "size", least=1))
        if not 0 < arguments.number(self.crop, "crop") <= 1:
            raise UsageError(f"crop: {self.crop} is not a part of a side; give a number above 0 and at most 1")
        if self.resample not in get_args(Resample):
            raise UsageError(f"resample: {arguments.shown(self.resample)}; give one of {', '.join(get_args(Resample))}")
        if self.fit not in get_args(Fit):
            raise UsageError(f"fit: {arguments.shown(self.fit)}; give one of {', '.join(get_args(Fit))}")


Recipe = Preprocessing  # its name in earlier versions


@dataclass(frozen=True)
class DecodedImage:
    """The decoded, upright RGB pixels of an image, and the size of the original.

    Attributes:
        pixels: uint8, shape (size, size, 3), RGB, C-contiguous.
        width: of the upright original, in pixels.
        height: of the upright original, in pixels.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int


def decode(
    data: bytes, preprocessing: Preprocessing, *, name: str = "image", max_pixels: int = MAX_PIXELS
) -> DecodedImage:
    """Decodes the bytes of an image file and preprocesses its pixels.

    Args:
        data: the bytes of the file.
        preprocessing: how the image is resized and cropped.
        name: what an error calls the image.
        max_pixels: the most pixels that an image may have, as its header says.

    Raises:
        ImageError: the image cannot be used; no other exception is raised, whatever the bytes.
    """
    with one_image(name):
        return _decoded(open_image(data, max_pixels=max_pixels), preprocessing)


def prepare(
    source: ImageSource, preprocessing: Preprocessing, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS
) -> DecodedImage:
    """Decodes a query image of any kind and preprocesses its pixels.

    Raises:
        ImageError: the image cannot be used.
        UsageError: `source` is of a type or shape that is not an image.
    """
    with one_image(_name(source)):
        return _decoded(_image(source, max_bytes, max_pixels), preprocessing)


def thumbnail(
    source: ImageSource, side: int, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Returns the whole image, upright, in RGB, scaled down to fit into a square of `side` pixels.

    Raises:
        ImageError: the image cannot be used.
        UsageError: `source` is of a type or shape that is not an image, or `side` is below 1.
    """
    side = arguments.whole(side, "side", least=1)
    with one_image(_name(source)):
        image = _image(source, max_bytes, max_pixels)
        scale = min(1.0, side / max(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        return _render(image, size, covers=size, part=None, resample=Image.Resampling.BICUBIC)[0]


def _name(source: ImageSource) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    name = getattr(source, "name", None) or getattr(source, "filename", None)
    return name if name and isinstance(name, str) else "image"


def _image(source: ImageSource, max_bytes: int, max_pixels: int) -> Image.Image:
    if isinstance(source, str | os.PathLike):
        return open_image(_read_named(source, max_bytes), max_pixels=max_pixels)
    if isinstance(source, bytes | bytearray | memoryview):
        return open_image(bytes(source), max_pixels=max_pixels)
    if isinstance(source, Image.Image | np.ndarray):
        image = source if isinstance(source, Image.Image) else _from_array(source)
        check_size(image.size, max_pixels)
        image.load()  # a loaded image is not changed by draft()
        return image
    return open_image(_read_file(source, max_bytes), max_pixels=max_pixels)


def _read_named(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    try:
        return read(path, max_bytes=max_bytes).data
    except ImageError as error:
        if isinstance(error.__cause__, FileNotFoundError):  # named by the user, not listed before
            raise ImageError("no such file") from error.__cause__
        if error.reason == "is a directory":
            raise ImageError("is a directory; give the file of an image") from error
        raise


def reusable_source(source: ImageSource, *, max_bytes: int = MAX_BYTES) -> ImageSource:
    """Returns a source that can be decoded more than once: the bytes of an open file or a buffer, any other as it is.

    Raises:
        ImageError: the file is empty or too large.
        UsageError: `source` is not an image.
    """
    if isinstance(source, str | os.PathLike):
        arguments.path(source, "image")
    if isinstance(source, str | os.PathLike | bytes | Image.Image | np.ndarray):
        return source
    if isinstance(source, bytearray | memoryview):
        return bytes(source)
    with one_image(_name(source)):
        return _read_file(source, max_bytes)


def _read_file(file: Any, max_bytes: int) -> bytes:
    if not hasattr(file, "read"):
        kind = type(file).__name__
        raise UsageError(f"{kind} is not an image; give a path, bytes, a file, a PIL image or a uint8 array")
    if isinstance(file, io.TextIOBase):
        raise UsageError("the file gives text; open it in binary mode")
    if hasattr(file, "seekable") and file.seekable():
        file.seek(0)  # as Pillow does
    data = file.read(max_bytes + 1)
    if isinstance(data, bytearray | memoryview):
        data = bytes(data)
    if not isinstance(data, bytes):
        raise UsageError("the file gives text; open it in binary mode")
    check_bytes(len(data), max_bytes, "file")
    return data


def _from_array(array: NDArray[np.uint8]) -> Image.Image:
    grey_or_rgb = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not grey_or_rgb or not array.size:
        raise UsageError(f"array: {array.dtype} of {array.shape}; give uint8 of (height, width, 3) or (h, w)")
    return Image.fromarray(array)


def _decoded(image: Image.Image, preprocessing: Preprocessing) -> DecodedImage:
    side, covers = preprocessing.size, math.ceil(preprocessing.size / preprocessing.crop)
    resample = Image.Resampling[preprocessing.resample.upper()]
    square, width, height = _render(
        image, (side, side), covers=(covers, covers), part=preprocessing.crop, fit=preprocessing.fit, resample=resample
    )
    return DecodedImage(np.array(square), width, height)


def _render(
    image: Image.Image,
    size: tuple[int, int],
    *,
    covers: tuple[int, int],
    part: float | None,
    resample: Image.Resampling,
    fit: Fit = "crop",
) -> tuple[Image.Image, int, int]:
    """Crops and scales an image to `size`, in RGB and upright; returns it with the width and height of the original.

    Args:
        image: opened, but perhaps not loaded.
        size: in pixels, before the image is turned upright.
        covers: a JPEG is decoded at the smallest of its scales that is at least this large.
        part: the centre part of the side or sides to crop to, or None for all of the image.
        resample: the resampling filter.
        fit: as in Preprocessing.
    """
    width, height = image.size
    draft = image.draft("RGB", covers)
    decoded = width * height if "progressive" in image.info else image.width * image.height
    with _LARGE if decoded > _LARGE_PIXELS else nullcontext():
        image.load()
        extent = draft[1][2:] if draft else image.size  # the last pixel of a draft may be covered only in part
        box = _centre(extent, part, fit) if part else (0, 0, *extent)
        small = _flatten(image).resize(size, resample, box=box).convert("RGB")
    if not draft:
        width, height = image.size  # Pillow turns a TIFF upright while it loads it
    orientation = _orientation(image)  # after load(): a PNG may have its EXIF after the pixels
    if orientation > 1:
        small = small.transpose(_TRANSPOSE[orientation])
    small.info.clear()  # it is upright now, whatever the EXIF of the original says
    return (small, height, width) if orientation >= 5 else (small, width, height)


def _centre(extent: tuple[float, float], part: float, fit: Fit) -> tuple[float, float, float, float]:
    width, height = extent
    across, down = (width * part, height * part) if fit == "squash" else (min(extent) * part,) * 2
    left, top = (width - across) / 2, (height - down) / 2
    return left, top, min(left + across, width), min(top + down, height)


def _orientation(image: Image.Image) -> int:
    """Returns EXIF's orientation, or 1, which is upright, if there is none or it cannot be read."""
    try:
        value = image.getexif().get(_ORIENTATION)
    except Exception:  # broken EXIF or XMP is no reason to skip an image
        return 1
    return value if isinstance(value, int) and value in _TRANSPOSE else 1


def _flatten(image: Image.Image) -> Image.Image:
    """Converts a loaded image to mode RGB or L: 8 bits a channel, and white where it is transparent."""
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _eight_bits(image)
    if image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image.convert("L" if image.mode == "1" else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scales 16 bits to the upper 8, and 32-bit values by the usual range that holds the largest: 1, 255 or 65535."""
    values = np.asarray(image)
    if values.itemsize == 2:
        grey = (values >> 8).astype(np.uint8)
    else:
        if not np.isfinite(values.min()) or not np.isfinite(values.max()):
            raise ImageError("holds values that are not finite")
        top = next((top for top in (1, 255, 65535) if values.max() <= top), float(values.max()))
        grey = (np.clip(values, 0, top).astype(np.float32) * np.float32(255 / top) + 0.5).astype(np.uint8)
    if (key := image.info.get("transparency")) is not None:
        grey[values == key] = 255
    return Image.fromarray(grey)
