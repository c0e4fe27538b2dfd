"""Keeps the dark colours of images in linear light that have more than 8 bits.

Of 256 levels of linear light, few are dark. So before such values are rounded to 8 bits, they are put on a curve like
that of sRGB, and their profile is replaced by one for values on that curve.
"""

import functools
import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.images.colour import is_steep
from lookalike.images.colour_spaces import profile_of, tags_of

POWER = 2.2
"""A value x in [0, 1] becomes x ** (1 / POWER)."""

_POINTS = 4096  # of a curve
_CURVES = (b"rTRC", b"gTRC", b"bTRC", b"kTRC")
_STRAIGHT = struct.pack(">4s4xI", b"curv", 0)


@functools.lru_cache(16)
def on_curve(profile: bytes | None) -> bytes | None:
    """The profile of images whose values are put on the curve, in place of that of linear light.

    None if they are to stay as they are: the profile is not one of linear light, is by a table, or is broken.
    """
    if profile is None or not is_steep(profile):
        return None
    try:
        tags = tags_of(profile)
        if any(name.startswith((b"A2B", b"D2B")) for name in tags):
            return None
        curves = {name: _bent(profile, tags, tags[name]) for name in _CURVES if name in tags}
    except Exception:  # broken profiles raise all kinds
        return None
    return profile_of(profile[:128], tags | curves)


def _bent(profile: bytes, tags: dict[bytes, bytes], element: bytes) -> bytes:
    """The curve for values on the curve of this module, in place of one for values in linear light."""
    light = np.interp(np.linspace(0, 1, _POINTS) ** POWER, np.linspace(0, 1, 2**16), _light(profile, tags, element))
    return struct.pack(">4s4xI", b"curv", _POINTS) + bytes(np.rint(light).astype(">u2"))


def _light(profile: bytes, tags: dict[bytes, bytes], element: bytes) -> NDArray[np.uint16]:
    """What a curve makes of each number of 16 bits, as littlecms reads it."""
    from PIL import ImageCms

    head = profile[:12] + b"mntrGRAYXYZ " + profile[24:128]
    white = {b"wtpt": tags[b"wtpt"]}
    curved, straight = (
        ImageCms.ImageCmsProfile(io.BytesIO(profile_of(head, white | {b"kTRC": curve})))
        for curve in (element, _STRAIGHT)
    )
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.ImageCmsTransform(curved, straight, "I;16", "I;16", intent)
    numbers = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    return np.asarray(transform.apply(Image.fromarray(numbers))).ravel()
