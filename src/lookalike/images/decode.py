"""Decodes a path, bytes, an open file, a PIL image or an array to upright RGB pixels.

EXIF's orientation is applied, colours are converted to sRGB, transparent parts become white, 16 bits are scaled to 8,
an animation gives its first frame, and a JPEG is decoded no larger than needed. Whatever is wrong with an image raises
an ImageError.
"""

import io
import math
import os
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import arguments
from lookalike.errors import ImageError, UsageError
from lookalike.images import limits
from lookalike.images.failures import one_image
from lookalike.images.formats import open_image
from lookalike.images.isolated import render_apart
from lookalike.images.preprocessing import (
    MAX_PIXELS,
    Fit,
    ImageSource,
    Preprocessing,
    Recipe,
    Resample,
)
from lookalike.images.reading import MAX_BYTES, check_bytes, read
from lookalike.images.rendering import Rendered, View, render
from lookalike.system import forks

__all__ = [
    "MAX_PIXELS",
    "DecodedImage",
    "Fit",
    "ImageSource",
    "Preprocessing",
    "Recipe",
    "Resample",
    "decode",
    "image_file",
    "prepare",
    "reduced",
    "reusable_source",
    "thumbnail",
]

_ViewOf: TypeAlias = Callable[[tuple[int, int]], View]  # of the size of the original

_PART = 2**20  # bytes that are read at once
_LARGE = forks.lock()  # held while a large image is decoded, so that two are never in memory at once


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
    data: bytes,
    preprocessing: Preprocessing,
    *,
    name: str = "image",
    max_pixels: int = MAX_PIXELS,
    apart: bool = False,
) -> DecodedImage:
    """Decodes the bytes of an image file and preprocesses its pixels.

    Args:
        data: the bytes of the file.
        preprocessing: how the image is resized and cropped.
        name: what an error calls the image.
        max_pixels: the most pixels that are decoded. Decoding may take 6 bytes of memory for each of them.
        apart: whether to decode it in a process of its own, since it may end the process.

    Raises:
        ImageError: the image cannot be used; no other exception is raised, whatever the bytes.
    """
    with one_image(name):
        if apart:
            with _LARGE:
                return _decoded(
                    render_apart(data, _view(preprocessing), arguments.whole(max_pixels, "max_pixels", least=1))
                )
        return _decoded(_rendered_file(data, lambda _: _view(preprocessing), max_pixels))


def prepare(
    source: ImageSource, preprocessing: Preprocessing, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS
) -> DecodedImage:
    """Decodes a query image of any kind and preprocesses its pixels.

    Raises:
        ImageError: the image cannot be used.
        UsageError: `source` is of a type or shape that is not an image.
    """
    with one_image(_name(source)):
        return _decoded(_rendered(source, lambda _: _view(preprocessing), max_bytes, max_pixels))


def thumbnail(
    source: ImageSource, side: int, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Returns the whole image, upright, in RGB, scaled down to fit into a square of `side` pixels.

    Raises:
        ImageError: the image cannot be used.
        UsageError: `source` is of a type or shape that is not an image, or `side` is below 1.
    """
    side = arguments.whole(side, "side", least=1)

    def view_of(original: tuple[int, int]) -> View:
        scale = min(1.0, side / max(original))
        size = max(1, round(original[0] * scale)), max(1, round(original[1] * scale))
        return View(size, covers=size, part=None, resample=Image.Resampling.BICUBIC)

    with one_image(_name(source)):
        return _rendered(source, view_of, max_bytes, max_pixels).image


def reduced(source: ImageSource, shorter: int, *, max_pixels: int = MAX_PIXELS, apart: bool = False) -> Image.Image:
    """The whole image, upright, in RGB, scaled down so that its shorter side has that many pixels, if it has more.

    Args:
        source: the image.
        shorter: the number of pixels.
        max_pixels: the most pixels that are decoded.
        apart: whether to decode bytes in a process of its own, since they may end the process.

    Raises:
        ImageError: the image cannot be used.
        UsageError: `source` is of a type or shape that is not an image.
    """

    def view_of(original: tuple[int, int]) -> View:
        scale = min(1.0, shorter / min(original))
        size = max(1, round(original[0] * scale)), max(1, round(original[1] * scale))
        return View(size, covers=size, part=None, resample=Image.Resampling.BICUBIC)

    with one_image(_name(source)):
        if apart and isinstance(source, bytes):
            with _LARGE:
                view = view_of(open_image(source).size)
                return render_apart(source, view, arguments.whole(max_pixels, "max_pixels", least=1)).image
        return _rendered(source, view_of, MAX_BYTES, max_pixels).image


def image_file(source: ImageSource, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> bytes:
    """The bytes of an image file: those of a path, a file or bytes as they are, a PIL image or an array as a PNG.

    The PNG is upright, in RGB and of the full size.

    Raises:
        ImageError: the image cannot be read, or has more bytes than that; it is not decoded.
        UsageError: `source` is of a type or shape that is not an image.
    """
    with one_image(_name(source)):
        if not isinstance(source, Image.Image | np.ndarray):
            return _bytes(source, max_bytes)
        written = io.BytesIO()
        _rendered(source, _whole, max_bytes, max_pixels).image.save(written, "PNG", compress_level=1)
        return written.getvalue()


def _whole(size: tuple[int, int]) -> View:
    return View(size, covers=size, part=None, resample=Image.Resampling.BICUBIC)


def _name(source: ImageSource) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    name = getattr(source, "name", None) or getattr(source, "filename", None)
    return name if name and isinstance(name, str) else "image"


def _bytes(source: Any, max_bytes: int) -> bytes:
    if isinstance(source, str | os.PathLike):
        return _read_named(source, max_bytes)
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
        check_bytes(len(data), max_bytes, "image")
        return data
    return _read_file(source, max_bytes)


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
    _rewind(file)
    data = bytearray()
    last: Any = None
    while part := file.read(min(_PART, max_bytes + 1 - len(data))):  # a pipe may give less than it is asked for
        if not isinstance(part, bytes | bytearray | memoryview):
            raise UsageError("the file gives text; open it in binary mode")
        if part is last and len(part) > 1:  # an object without a position, which gives the same again and again
            break
        data += part
        check_bytes(len(data), max_bytes, "file")
        last = part
    if part is None:
        raise ImageError("has no more bytes yet; give a file that waits for them", lasting=False)
    check_bytes(len(data), max_bytes, "file")
    return bytes(data)


def _rewind(file: Any) -> None:
    """Goes to the beginning of a file, as Pillow does, if it has one: a pipe, or a part of a response, has not."""
    with suppress(AttributeError, OSError):
        if not hasattr(file, "seekable") or file.seekable():
            file.seek(0)


def _from_array(array: NDArray[np.uint8]) -> Image.Image:
    grey_or_rgb = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not grey_or_rgb or not array.size:
        raise UsageError(f"array: {array.dtype} of {array.shape}; give uint8 of (height, width, 3) or (h, w)")
    return Image.fromarray(array)


def _view(preprocessing: Preprocessing) -> View:
    side, covers = preprocessing.size, math.ceil(preprocessing.size / preprocessing.crop)
    resample = Image.Resampling[preprocessing.resample.upper()]
    return View((side, side), (covers, covers), preprocessing.crop, resample, preprocessing.fit)


def _decoded(rendered: Rendered) -> DecodedImage:
    return DecodedImage(np.array(rendered.image), rendered.width, rendered.height)


def _rendered(source: ImageSource, view_of: _ViewOf, max_bytes: int, max_pixels: int) -> Rendered:
    if not isinstance(source, Image.Image | np.ndarray):
        return _rendered_file(_bytes(source, max_bytes), view_of, max_pixels)
    draft = limits.loaded(source if isinstance(source, Image.Image) else _from_array(source), max_pixels)
    draft.image.load()  # a loaded image is not changed by draft()
    return render(draft, view_of(draft.size))


def _rendered_file(data: bytes, view_of: _ViewOf, max_pixels: int) -> Rendered:
    image = open_image(data)
    view = view_of(image.size)
    draft = limits.draft_of(image, view.covers, data, max_pixels)
    with _LARGE if draft.alone else nullcontext():
        return render_apart(data, view, max_pixels) if draft.apart else render(draft, view)
