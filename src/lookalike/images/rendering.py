"""Scales and crops a decoded image: upright, in RGB, white where it is transparent, with 8 bits for a channel.

A large image is first reduced a few rows at a time, so that it takes little memory besides its own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image

from lookalike.images.colour import Conversion, conversion_of
from lookalike.images.deep_colour import DeepConversion, deep_conversion
from lookalike.images.depth import Range, eight_bits, range_of, sixteen_bits
from lookalike.images.limits import LARGE_PIXELS, Draft
from lookalike.images.preprocessing import Fit

_Flatten: TypeAlias = Callable[[Image.Image], Image.Image]
_Box: TypeAlias = tuple[float, float, float, float]

_STRIP_PIXELS = 4_000_000  # of a large image that are reduced at once
_SHARPNESS = 3  # a large image is reduced to at least this many times the size that it is scaled to
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
class View:
    """What is wanted of an image.

    Attributes:
        size: in pixels, before the image is turned upright.
        covers: a JPEG is decoded at the smallest of its scales that is at least this large.
        part: the centre part of the side or sides to crop to, or None for all of the image.
        resample: the resampling filter.
        fit: as in Preprocessing.
    """

    size: tuple[int, int]
    covers: tuple[int, int]
    part: float | None
    resample: Image.Resampling
    fit: Fit = "crop"


@dataclass(frozen=True)
class Rendered:
    """An upright RGB image of the size that was wanted, and the size of the upright original in pixels."""

    image: Image.Image
    width: int
    height: int


def render(draft: Draft, view: View) -> Rendered:
    """Decodes an image, and crops and scales it to a view."""
    image = draft.image
    image.load()
    if image.mode == "La":  # grey with alpha multiplied into it, which Pillow converts to one mode only
        image = image.convert("LA")
    extent = draft.extent or image.size
    box = _centre(extent, view.part, view.fit) if view.part else (0, 0, *extent)
    profile = image.info.get("icc_profile")
    deep = deep_conversion(profile, 1) if profile and _is_deep(image.mode) else None
    conversion = conversion_of(image) if profile and not deep else None
    if conversion or image.width * image.height > LARGE_PIXELS:
        image, box = _reduced(image, box, view.size, conversion, deep)
    else:
        image = _flattening(image, [(0, 0, *image.size)], deep)(image)
    small = image.resize(view.size, view.resample, box=box).convert("RGB")
    # Pillow turns a TIFF upright while it loads it.
    width, height = draft.size if draft.extent else draft.image.size
    orientation = _orientation(draft.image)  # after load(): a PNG may have its EXIF after the pixels
    if orientation > 1:
        small = small.transpose(_TRANSPOSE[orientation])
    small.info.clear()  # it is upright now, whatever the EXIF of the original says
    return Rendered(small, height, width) if orientation >= 5 else Rendered(small, width, height)


def _centre(extent: tuple[float, float], part: float, fit: Fit) -> _Box:
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


def _reduced(
    image: Image.Image,
    box: _Box,
    size: tuple[int, int],
    conversion: Conversion | None,
    deep: DeepConversion | None,
) -> tuple[Image.Image, _Box]:
    """The part of a loaded image in a box, flattened, in sRGB and reduced by whole factors, and the box in it.

    Colours are converted after reducing, which leaves few pixels, but before the last scaling, which would round them
    in their own space.
    """
    left, top = math.floor(box[0]), math.floor(box[1])
    right, bottom = math.ceil(box[2]), math.ceil(box[3])
    across, down = (max(1, int((box[axis + 2] - box[axis]) / (_SHARPNESS * size[axis]))) for axis in (0, 1))
    rows = max(1, _STRIP_PIXELS // (right - left) // down) * down
    strips = [(left, at, right, min(at + rows, bottom)) for at in range(top, bottom, rows)]
    flatten = _flattening(image, strips, deep)
    whole = Image.new("RGB", (math.ceil((right - left) / across), math.ceil((bottom - top) / down)))
    for strip in strips:
        part = _reduced_part(image.crop(strip), (across, down), conversion, flatten)
        whole.paste(part.convert("RGB"), (0, (strip[1] - top) // down))
    scaled = ((box[0] - left) / across, (box[1] - top) / down, (box[2] - left) / across, (box[3] - top) / down)
    return whole, scaled


def _reduced_part(
    part: Image.Image, factors: tuple[int, int], conversion: Conversion | None, flatten: _Flatten
) -> Image.Image:
    """A strip of an image, flattened, in sRGB and reduced.

    A transparent image is made white only after the conversion, since white is another colour in its own space.
    """
    if conversion is None:
        return flatten(part).reduce(factors)
    prepared = conversion.prepared(flatten(part) if _is_deep(part.mode) else part)
    if conversion.is_steep:
        return conversion.apply(prepared).reduce(factors)
    return conversion.apply(prepared.reduce(factors))


def _flattening(image: Image.Image, strips: list[tuple[int, int, int, int]], deep: DeepConversion | None) -> _Flatten:
    """The function that flattens each strip of an image: all by the same range of values."""
    if not _is_deep(image.mode):
        return _flatten
    limits = range_of(np.asarray(image.crop(strip)) for strip in strips)
    return lambda strip: _eight_bits(strip, limits, deep)


def _flatten(image: Image.Image) -> Image.Image:
    """Converts a loaded image of 8 bits a channel to mode RGB or L: white where it is transparent."""
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image.convert("L" if image.mode == "1" else "RGB")


def _is_deep(mode: str) -> bool:
    """Whether a mode has more than 8 bits a channel."""
    return mode in ("I", "F") or mode.startswith("I;16")


def _eight_bits(image: Image.Image, limits: Range, deep: DeepConversion | None) -> Image.Image:
    """Scales the values of an image, in grey, and converts them; those that are transparent become white."""
    values = np.asarray(image)
    grey = deep.apply(sixteen_bits(values, limits)[..., None])[..., 0] if deep else eight_bits(values, limits)
    if (key := image.info.get("transparency")) is not None:
        grey[values == key] = 255
    return Image.fromarray(grey)
