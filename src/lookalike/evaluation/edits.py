"""What happens to pictures before somebody looks for them: copies that a search by likeness should still find.

How much they are changed was chosen on photographs: a good network finds most of the originals, but not all.
"""

import hashlib
import io
import math
import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance

from lookalike.images import decode

_SIDE = 1024  # pixels; what is larger is made smaller first, as it is before it is sent or shown
_CROP = 0.2, 0.4  # of the area
_PREVIEW = 128  # pixels, the longer side
_QUALITY = 30  # of a JPEG, of 100
_HUE = 20, 45  # of the 256 steps round the colour circle
_STRENGTH = 1.5, 2.0


def cropped(image: Image.Image, chance: random.Random) -> Image.Image:
    """A detail: a part of the same shape that has 20 to 40 percent of the area, anywhere in the picture."""
    side = math.sqrt(chance.uniform(*_CROP))
    width, height = _scaled(image, side)
    left, top = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def mirrored(image: Image.Image, _: random.Random) -> Image.Image:
    """Left and right exchanged."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def shrunk(image: Image.Image, _: random.Random) -> Image.Image:
    """A preview: half as wide and high, at most 128 pixels on the longer side, and a JPEG of quality 30."""
    small = image.resize(_scaled(image, min(0.5, _PREVIEW / max(image.size))), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY)
    with Image.open(file, formats=["JPEG"]) as preview:
        return preview.convert("RGB")


def recoloured(image: Image.Image, chance: random.Random) -> Image.Image:
    """A filter: hues turned by 28 to 63 degrees; brightness, contrast and saturation each times or by 1.5 to 2."""
    hue = chance.choice((-1, 1)) * chance.randint(*_HUE)
    pixels = np.array(image.convert("HSV"))
    pixels[..., 0] += np.uint8(hue % 256)  # going round
    image = Image.frombytes("HSV", image.size, pixels.tobytes()).convert("RGB")
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        strength = chance.uniform(*_STRENGTH)
        image = enhance(image).enhance(chance.choice((strength, 1 / strength)))
    return image


DISTORTIONS: dict[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "cropped": cropped,
    "mirrored": mirrored,
    "shrunk": shrunk,
    "recoloured": recoloured,
}


def original(data: bytes) -> Image.Image:
    """What the copies of a file's picture are made from: it, upright, in RGB, at most 1024 pixels on the longer side.

    Raises:
        ImageError: it cannot be used.
    """
    return decode.thumbnail(data, _SIDE)


def copies(data: bytes) -> list[Image.Image]:
    """For each of the distortions, in their order, a copy of a file's picture, in RGB; the same bytes give the same.

    Raises:
        ImageError: it cannot be used.
    """
    image, seed = original(data), hashlib.sha256(data).digest()
    return [distort(image, random.Random(seed + name.encode())) for name, distort in DISTORTIONS.items()]


def _scaled(image: Image.Image, scale: float) -> tuple[int, int]:
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))
