"""Colours, gradients, and the palettes that the pictures share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

Colour = tuple[int, int, int]
T = TypeVar("T")


def rgb(code: int) -> Colour:
    """Returns the colour of a code such as 0xE4572E."""
    return code >> 16 & 255, code >> 8 & 255, code & 255


def palette(*codes: int) -> tuple[Colour, ...]:
    """Returns the colours of several codes."""
    return tuple(map(rgb, codes))


WHITE, CREAM, INK = rgb(0xFFFFFF), rgb(0xFFF6E3), rgb(0x2B2438)
BRIGHT = palette(
    0xE4572E, 0xF2A541, 0xF6C945, 0x6DB65B, 0x2A9D8F, 0x3A86C8, 0x5C6BC0, 0x9B5DB5, 0xE56B8C, 0xC8324A,
)  # fmt: skip


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """Returns one of the choices, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Returns the colour `share` (0..1) of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def light(colour: Colour, share: float = 0.35) -> Colour:
    """Returns a lighter colour, `share` of the way to a warm white."""
    return mix(colour, (255, 252, 240), share)


def dark(colour: Colour, share: float = 0.35) -> Colour:
    """Returns a darker colour, `share` of the way to a deep violet, which looks cleaner than black."""
    return mix(colour, (34, 22, 58), share)


@dataclass(frozen=True)
class Shade:
    """A gradient through several colours across the bounding box of a shape.

    Attributes:
        colours: from the start to the end.
        angle: the direction in degrees, 0 to the right and 90 downwards, in the picture, however the shape is turned,
            so that light comes from one side.
        ball: the gradient is radial instead, from a spot at the upper left.
    """

    colours: tuple[Colour, ...]
    angle: float = 90.0
    ball: bool = False

    def over(self, size: tuple[int, int]) -> Image.Image:
        """Returns the gradient as an image; it has no detail, so it is computed small and enlarged."""
        y, x = np.mgrid[-1:1:24j, -1:1:24j]
        if self.ball:
            share = np.hypot(x + 0.35, y + 0.4) / 1.6
        else:
            cosine, sine = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
            share = (x * cosine + y * sine) / (abs(cosine) + abs(sine)) / 2 + 0.5
        stops = np.linspace(0, 1, len(self.colours))
        channels = [np.interp(share, stops, channel) for channel in zip(*self.colours, strict=True)]
        small = Image.fromarray(np.stack(channels, 2).round().astype(np.uint8))
        return small.resize(size, Image.Resampling.BILINEAR)


Paint = Colour | Shade


def lit(colour: Colour, angle: float = 60.0) -> Shade:
    """Returns a gradient of a colour that is lit from the upper left."""
    return Shade((light(colour, 0.3), colour, dark(colour, 0.25)), angle)


def ball(colour: Colour) -> Shade:
    """Returns a gradient of a colour on a sphere."""
    return Shade((light(colour, 0.55), colour, dark(colour, 0.4)), ball=True)
