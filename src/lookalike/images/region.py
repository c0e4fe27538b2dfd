"""Cuts a part out of an image, so that a search can be for that part."""

import math
from dataclasses import dataclass

from PIL import Image

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.images.decode import MAX_PIXELS, ImageSource, thumbnail

_ENOUGH = 512  # pixels of the shorter side of a part: twice what most encoders take
_MAX_SIDE = 4096  # pixels of the whole image
_ROUNDING = 1e-6  # what a caller's arithmetic may add


@dataclass(frozen=True)
class Region:
    """A part of an upright image, in shares of its sides: (0, 0, 1, 1) is all of it.

    Attributes:
        x: of the left edge, in [0, 1].
        y: of the upper edge, in [0, 1].
        width: in (0, 1], at most 1 - x.
        height: in (0, 1], at most 1 - y.

    Raises:
        UsageError: it is empty, or not within the image.
    """

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        for name in ("x", "y", "width", "height"):
            object.__setattr__(self, name, arguments.number(getattr(self, name), name))
        for start, length in ((self.x, self.width), (self.y, self.height)):
            if not (start >= 0 and length > 0 and start + length <= 1 + _ROUNDING):
                raise UsageError(f"{self}: give shares of the image's sides, such as Region(0.25, 0, 0.5, 1)")


def cut(source: ImageSource, region: Region, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Returns a part of an image, upright, in RGB, with enough pixels for any encoder if the image has them.

    Raises:
        ImageError: the image cannot be used.
        UsageError: `source` is of a type or shape that is not an image.
    """
    side = min(math.ceil(2 * _ENOUGH / min(region.width, region.height)), _MAX_SIDE)
    image = thumbnail(source, side, max_pixels=max_pixels)
    across, down = image.size
    left, top = (min(int(part * all_), all_ - 1) for part, all_ in ((region.x, across), (region.y, down)))
    right = min(max(round((region.x + region.width) * across), left + 1), across)
    bottom = min(max(round((region.y + region.height) * down), top + 1), down)
    return image.crop((left, top, right, bottom))
