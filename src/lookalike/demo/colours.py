"""Colours, shades that run from one to another, and the palettes that the pictures share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

Colour = tuple[int, int, int]
T = TypeVar("T")


def rgb(code: int) -> Colour:
    """The colour of a code such as 0xE4572E."""
    return code >> 16 & 255, code >> 8 & 255, code & 255


WHITE, CREAM, INK = rgb(0xFFFFFF), rgb(0xFFF6E3), rgb(0x2B2438)
BRIGHT = tuple(
    map(
        rgb,
        (0xE4572E, 0xF2A541, 0xF6C945, 0x6DB65B, 0x2A9D8F, 0x3A86C8, 0x5C6BC0, 0x9B5DB5, 0xE56B8C, 0xC8324A),
    )
)
GREENS = tuple(map(rgb, (0x6BA354, 0x8DB255, 0x4F9A6B, 0xA5B452, 0x5B8C5A)))
PASTELS = tuple(map(rgb, (0xF6D7C3, 0xCFE5DC, 0xD5DDF0, 0xF5E6B8, 0xE9D3E4, 0xC7DDE8, 0xE8E2D6)))
WOODS = tuple(map(rgb, (0xB98352, 0x8F5E3B, 0xD3A671, 0x6F4A35, 0xA9744F)))
STONES = tuple(map(rgb, (0x6E6672, 0x7D7168, 0x5F6B73)))


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """One of the choices, each as likely as the others."""
    return choices[int(rng.integers(len(choices)))]


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour `share` (0..1) of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def light(colour: Colour, share: float = 0.35) -> Colour:
    """The colour in the light: `share` of the way to a warm white."""
    return mix(colour, (255, 252, 240), share)


def dark(colour: Colour, share: float = 0.35) -> Colour:
    """The colour in the shade: `share` of the way to a deep violet, which looks less dirty than black."""
    return mix(colour, (34, 22, 58), share)


@dataclass(frozen=True)
class Shade:
    """A paint that runs through some colours across a shape's bounding box.

    It runs towards `angle` (degrees; 0 is to the right, 90 downwards) in the finished picture, however the
    shape is turned, so that light falls from one side; a `ball` runs outwards from a spot at the upper left.
    """

    colours: tuple[Colour, ...]
    angle: float = 90.0
    ball: bool = False

    def over(self, size: tuple[int, int]) -> Image.Image:
        """The paint as a picture. It has no detail, so it is drawn small and enlarged."""
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
    """The colour with light from the upper left."""
    return Shade((light(colour, 0.3), colour, dark(colour, 0.25)), angle)


def ball(colour: Colour) -> Shade:
    """The colour on something round."""
    return Shade((light(colour, 0.55), colour, dark(colour, 0.4)), ball=True)
