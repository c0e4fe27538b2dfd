"""The same scene photographed again, as `copies.py` draws it from one photograph: what is no copy, but nearly looks so.

Nothing is known of the depth of a photograph. Its scene is taken as two layers, one before the other: a soft-edged
ellipse in the lower middle, where most photographs have what they are of, and the rest. The camera moves a little, so
that the layers move against one another; light and colours are measured anew; the noise is another one.
"""

import io
import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.float64]
Burst = Callable[[Image.Image, random.Random], Image.Image]

_SIDE = 512  # pixels of the photographs, the longer side; copies are compared by pictures of 128
_HAND = 0.01  # of the width, by which a hand moves the frame between two photographs
_ROLL = 0.008  # radians, by which it turns
_ZOOM = 0.008  # by which the distance changes
_STOPS = 0.35  # by which an automatic exposure differs, both ways
_TINT = 0.03  # by which its white balance differs
_NOISE = 3.0, 7.0  # grey values
_QUALITY = 88, 95  # of the JPEG


def again(
    image: Image.Image, chance: random.Random, *, parallax: float = 0.0, moved: float = 0.0, stops: float = _STOPS
) -> Image.Image:
    """A photograph of the same scene a moment later.

    Args:
        image: the first one.
        chance: draws where to, how far and how much.
        parallax: by how much of the width the nearer layer moves against the other.
        moved: by how much of the width a part of the scene has moved by itself, about a quarter of the width across.
        stops: by how much the exposure differs at most.
    """
    image = image.copy()
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    x, y = _unit_grid(image)
    to_x, to_y = _hand(x, y, chance)
    for across, strength in ((_nearer(x, y, chance), parallax), (_part(x, y, chance), moved)):
        angle = chance.uniform(0, 2 * np.pi)
        to_x = to_x + strength * np.cos(angle) * across
        to_y = to_y + strength * np.sin(angle) * across
    return _developed(_sampled(image, to_x * image.width, to_y * image.width), chance, stops)


def _unit_grid(image: Image.Image) -> tuple[Field, Field]:
    """The coordinates of the pixels, in widths of the image: float64 (height, width) each."""
    y, x = np.mgrid[: image.height, : image.width] / image.width
    return x, y


def _hand(x: Field, y: Field, chance: random.Random) -> tuple[Field, Field]:
    """Where the pixels come from if the camera has moved, turned and come nearer a little."""
    middle = 0.5, y.max() / 2
    roll, zoom = chance.uniform(-_ROLL, _ROLL), 1 + chance.uniform(-_ZOOM, _ZOOM)
    cosine, sine = zoom * np.cos(roll), zoom * np.sin(roll)
    dx, dy = x - middle[0], y - middle[1]
    shift = [chance.uniform(-_HAND, _HAND) for _ in range(2)]
    return middle[0] + cosine * dx - sine * dy + shift[0], middle[1] + sine * dx + cosine * dy + shift[1]


def _nearer(x: Field, y: Field, chance: random.Random) -> Field:
    """How much each pixel belongs to the nearer layer, in [0, 1]; the edge is a twentieth of the width wide."""
    height = y.max()
    middle = chance.uniform(0.4, 0.6), height * chance.uniform(0.55, 0.7)
    radii = chance.uniform(0.25, 0.35), height * chance.uniform(0.3, 0.45)
    distance = np.hypot((x - middle[0]) / radii[0], (y - middle[1]) / radii[1])
    share: Field = 1 / (1 + np.exp((distance - 1) * min(radii) / 0.0125))
    return share


def _part(x: Field, y: Field, chance: random.Random) -> Field:
    """How much each pixel belongs to a part that moves by itself, in [0, 1]."""
    middle = chance.uniform(0.25, 0.75), y.max() * chance.uniform(0.25, 0.75)
    share: Field = np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / (2 * 0.1**2))
    return share


def _sampled(image: Image.Image, x: Field, y: Field) -> Field:
    """The image at some places, bilinear; beyond its edge, what is at the edge: float64 (height, width, 3)."""
    pixels = np.asarray(image, np.float64)
    x, y = np.clip(x, 0, image.width - 1.001), np.clip(y, 0, image.height - 1.001)
    left, top = x.astype(int), y.astype(int)
    right, down = (x - left)[..., None], (y - top)[..., None]
    upper = pixels[top, left] * (1 - right) + pixels[top, left + 1] * right
    lower = pixels[top + 1, left] * (1 - right) + pixels[top + 1, left + 1] * right
    sampled: Field = upper * (1 - down) + lower * down
    return sampled


def _developed(pixels: Field, chance: random.Random, stops: float) -> Image.Image:
    """Another exposure in linear light, another white balance, noise of its own, saved as a JPEG."""
    exposure = 2 ** chance.uniform(-stops, stops)
    gains = [exposure * (1 + chance.uniform(-_TINT, _TINT)) for _ in range(3)]
    exposed = 255 * (np.clip(pixels / 255, 0, 1) ** 2.2 * gains).clip(0, 1) ** (1 / 2.2)
    noise = np.random.default_rng(chance.randrange(2**32)).normal(0, chance.uniform(*_NOISE), pixels.shape)
    file = io.BytesIO()
    taken = Image.fromarray(np.clip(exposed + noise, 0, 255).round().astype(np.uint8))
    taken.save(file, "JPEG", quality=chance.randint(*_QUALITY))
    with Image.open(file) as copy:
        return copy.convert("RGB")


# By what has changed between the two photographs; all differ by hand, exposure and noise, too.
BURSTS: dict[str, Burst] = {
    "nothing moved": lambda image, chance: again(image, chance),
    "another exposure, two stops": lambda image, chance: again(image, chance, stops=2.0),
    "a part moved by 5%": lambda image, chance: again(image, chance, moved=0.05),
    "a part moved by 15%": lambda image, chance: again(image, chance, moved=0.15),
    "parallax of 1%": lambda image, chance: again(image, chance, parallax=0.01),
    "parallax of 2%": lambda image, chance: again(image, chance, parallax=0.02),
    "parallax of 3%": lambda image, chance: again(image, chance, parallax=0.03),
    "parallax of 5%": lambda image, chance: again(image, chance, parallax=0.05),
    "parallax of 3%, a part moved by 10%": lambda image, chance: again(image, chance, parallax=0.03, moved=0.1),
}
