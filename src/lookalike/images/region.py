"""Parts of an image: one that a search is for, and those that are compared with a query beside the whole image."""

import math

from PIL import Image

from lookalike.images.decode import MAX_PIXELS, DecodedImage, ImageSource, Preprocessing, prepare, reduced, thumbnail
from lookalike.images.grid import grid
from lookalike.results import Region

_ENOUGH = 512  # pixels of the shorter side of a part: twice what most encoders take
_MAX_SIDE = 4096  # pixels of the whole image


def cut(source: ImageSource, region: Region, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Returns a part of an image, upright, in RGB, with enough pixels for any encoder if the image has them.

    Raises:
        ImageError: the image cannot be used.
        UsageError: `source` is of a type or shape that is not an image.
    """
    side = min(math.ceil(2 * _ENOUGH / min(region.width, region.height)), _MAX_SIDE)
    image = thumbnail(source, side, max_pixels=max_pixels)
    return image.crop(_box(region, image.size))


def parts(
    source: ImageSource,
    count: int,
    preprocessing: Preprocessing,
    *,
    max_pixels: int = MAX_PIXELS,
    apart: bool = False,
) -> list[DecodedImage]:
    """The parts of an image as an encoder takes them, in the order of `grid(count)`.

    The image is decoded once, with the pixels that the parts need. If `apart`, that is done in a process of its own,
    since it may end the process.

    Raises:
        ImageError: the image cannot be used.
        UsageError: `source` is of a type or shape that is not an image.
    """
    regions = grid(count)
    needed = preprocessing.size / preprocessing.crop / min(min(each.width, each.height) for each in regions)
    image = reduced(source, math.ceil(needed), max_pixels=max_pixels, apart=apart)
    return [prepare(image.crop(_box(each, image.size)), preprocessing) for each in regions]


def _box(region: Region, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The left, upper, right and lower edge of a part in pixels; it has at least one."""
    across, down = size
    left, top = (min(int(part * all_), all_ - 1) for part, all_ in ((region.x, across), (region.y, down)))
    right = min(max(round((region.x + region.width) * across), left + 1), across)
    bottom = min(max(round((region.y + region.height) * down), top + 1), down)
    return left, top, right, bottom
