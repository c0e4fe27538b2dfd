"""Converts colours of more than 8 bits to sRGB before they are rounded to 8 bits.

Of 256 levels of linear light, few are dark, and those of a wide space are far apart. littlecms, as Pillow has it, takes
colours of 8 bits only; so what a profile by curves and a matrix says of 16 bits is computed here.
"""

import functools
import io
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.images.colour import is_of_other_space
from lookalike.images.icc import SRGB_COLORANTS, profile_of, tags_of

_AT_ONCE = 32_768  # pixels, which fit into the processor's caches
_CURVES = {1: (b"kTRC",), 3: (b"rTRC", b"gTRC", b"bTRC")}  # by the number of channels
_COLORANTS = (b"rXYZ", b"gXYZ", b"bXYZ")
_STRAIGHT = struct.pack(">4s4xI", b"curv", 0)


@dataclass(frozen=True, eq=False)
class DeepConversion:
    """Makes sRGB of 8 bits of colours of 16 bits.

    Attributes:
        light: the linear light of each number, in [0, 65535], for each channel: float32 (channels, 65536).
        matrix: from linear light to that of sRGB: float32 (channels, channels).
    """

    light: NDArray[np.float32]
    matrix: NDArray[np.float32]

    def apply(self, numbers: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """The colours in sRGB: uint8 of the same shape, (..., channels)."""
        flat = numbers.reshape(-1, len(self.light))
        found = np.empty(flat.shape, np.uint8)
        for at in range(0, len(flat), _AT_ONCE):
            part = slice(at, at + _AT_ONCE)
            channels = [curve[number] for curve, number in zip(self.light, flat[part].T, strict=True)]
            for into, row in zip(found[part].T, self.matrix, strict=True):
                # Adding up whole channels takes a fraction of the time of a product of matrices.
                light = sum(weight * channel for weight, channel in zip(row, channels, strict=True))
                into[...] = _shown()[np.clip(light, 0, 65535).astype(np.uint16)]
        return found.reshape(numbers.shape)


@functools.cache
def _shown() -> NDArray[np.uint8]:
    """The values of sRGB of linear light in 16 bits: uint8 (65536,) (IEC 61966-2-1)."""
    light = np.linspace(0, 1, 2**16)
    values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    shown: NDArray[np.uint8] = np.rint(255 * values).astype(np.uint8)
    return shown


@functools.lru_cache(16)
def deep_conversion(profile: bytes | None, channels: int) -> DeepConversion | None:
    """The conversion of images with this profile and 1 or 3 channels of more than 8 bits.

    None if it is to be done after they are rounded: there is no other space, or its profile is not by curves.
    """
    if profile is None or not is_of_other_space(profile, "L" if channels == 1 else "RGB"):
        return None
    try:
        tags = tags_of(profile)
        if any(name.startswith((b"A2B", b"D2B")) for name in tags):
            return None
        if channels == 1 and b"kTRC" not in tags:  # the channels of a grey pixel are equal
            tags[b"kTRC"] = tags[b"gTRC"]
        curves = [_light(profile, tags[b"wtpt"], tags[name]) for name in _CURVES[channels]]
        return DeepConversion(np.stack(curves), np.ones((1, 1), np.float32) if channels == 1 else _matrix(tags))
    except Exception:  # broken profiles raise all kinds
        return None


def _light(profile: bytes, white: bytes, curve: bytes) -> NDArray[np.float32]:
    """The linear light of each number of 16 bits, as littlecms reads a curve: float32 (65536,)."""
    from PIL import ImageCms

    head = profile[:12] + b"mntrGRAYXYZ " + profile[24:128]
    curved, straight = (
        ImageCms.ImageCmsProfile(io.BytesIO(profile_of(head, {b"wtpt": white, b"kTRC": element})))
        for element in (curve, _STRAIGHT)
    )
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.ImageCmsTransform(curved, straight, "I;16", "I;16", intent)
    numbers = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    light = np.asarray(transform.apply(Image.fromarray(numbers))).ravel()
    return light.astype(np.float32)


def _matrix(tags: dict[bytes, bytes]) -> NDArray[np.float32]:
    """From a profile's linear light to that of sRGB: float32 (3, 3) (ICC.1:2022, F.3)."""
    colorants = np.array([struct.unpack_from(">3i", tags[name], 8) for name in _COLORANTS]).T / 65536
    return np.linalg.solve(SRGB_COLORANTS, colorants).astype(np.float32)
