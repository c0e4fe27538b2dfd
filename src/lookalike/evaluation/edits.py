"""Edited copies of images: crops, mirror images, previews and colour filters, whose originals a search should find.

The strength of the edits was chosen on photographs, so that a good model finds most of the originals, but not all.
"""

import hashlib
import io
import math
import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance

from lookalike.images import decode

_SIDE = 1024  # pixels; a larger image is reduced first, as it is before it is sent or shown
_CROP = 0.2, 0.4  # of the area
_PREVIEW = 128  # pixels, the longer side
_QUALITY = 30  # of a JPEG, of 100
_HUE = 20, 45  # of the 256 steps of the hue circle
_STRENGTH = 1.5, 2.0  # factor of brightness, contrast and saturation


def crop(image: Image.Image, chance: random.Random) -> Image.Image:
    """Cuts out a part with the image's aspect ratio and 20 to 40 percent of its area, at a random position."""
    side = math.sqrt(chance.uniform(*_CROP))
    width, height = _scaled_size(image, side)
    left, top = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def mirror(image: Image.Image, _: random.Random) -> Image.Image:
    """Exchanges left and right."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def shrink(image: Image.Image, _: random.Random) -> Image.Image:
    """Halves the width and height, to at most 128 pixels on the longer side, and saves it as a JPEG of quality 30."""
    small = image.resize(_scaled_size(image, min(0.5, _PREVIEW / max(image.size))), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY)
    with Image.open(file, formats=["JPEG"]) as preview:
        return preview.convert("RGB")


def recolour(image: Image.Image, chance: random.Random) -> Image.Image:
    """Rotates the hues by 28 to 63 degrees, and scales brightness, contrast and saturation up or down by 1.5 to 2."""
    hue = chance.choice((-1, 1)) * chance.randint(*_HUE)
    pixels = np.array(image.convert("HSV"))
    pixels[..., 0] += np.uint8(hue % 256)  # modulo 256, as hues are
    image = Image.frombytes("HSV", image.size, pixels.tobytes()).convert("RGB")
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        strength = chance.uniform(*_STRENGTH)
        image = enhance(image).enhance(chance.choice((strength, 1 / strength)))
    return image


# Each edit by its name in the results of a comparison; the name also seeds its random numbers.
EDITS: dict[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "cropped": crop,
    "mirrored": mirror,
    "shrunk": shrink,
    "recoloured": recolour,
}


def original(data: bytes) -> Image.Image:
    """The image that is edited: upright, in RGB, at most 1024 pixels on the longer side.

    Args:
        data: the bytes of an image file.

    Raises:
        ImageError: it cannot be used.
    """
    return decode.thumbnail(data, _SIDE)


def edited_copies(data: bytes) -> list[Image.Image]:
    """An edited copy of an image for each of `EDITS`, in their order, in RGB; the same bytes give the same copies.

    Args:
        data: the bytes of an image file.

    Raises:
        ImageError: it cannot be used.
    """
    image, seed = original(data), hashlib.sha256(data).digest()
    return [edit(image, random.Random(seed + name.encode())) for name, edit in EDITS.items()]


def _scaled_size(image: Image.Image, scale: float) -> tuple[int, int]:
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))
