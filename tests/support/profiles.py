"""ICC profiles of the tests' own, and by NumPy alone what colours their images have in sRGB."""

import functools
import struct
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Colours: TypeAlias = NDArray[np.float64]  # (..., channels), in [0, 1]

# The XYZ of red, green and blue in columns, adapted to D50, as the profiles of these names have them.
SRGB = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
DISPLAY_P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
ADOBE_RGB = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
PROPHOTO = np.array([[0.79768, 0.13519, 0.03134], [0.28804, 0.71188, 0.00009], [0.0, 0.0, 0.82489]])
D50 = np.array([0.9642, 1.0, 0.8249])
INKS = np.array([[0, 158, 224], [226, 0, 122], [255, 237, 0], [40, 36, 34]]) / 255  # cyan, magenta, yellow, black


def decoded(values: Colours) -> Colours:
    """The linear light of sRGB's values (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encoded(light: Colours) -> Colours:
    """The values of sRGB of linear light, clipped to what it can show."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def shown(values: NDArray[np.uint8], colorants: NDArray[np.float64], gamma: float | None) -> NDArray[np.uint8]:
    """What an image of that space looks like in sRGB; a gamma of None is sRGB's curve."""
    light = decoded(values / 255) if gamma is None else (values / 255) ** gamma
    return np.rint(255 * encoded(light @ (np.linalg.inv(SRGB) @ colorants).T)).astype(np.uint8)


def printed(inks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What inks of (..., 4) look like in sRGB, if each takes its part of the light away."""
    paper = 1 - (inks / 255)[..., None] * (1 - decoded(INKS))
    return np.rint(255 * encoded(paper.prod(axis=-2))).astype(np.uint8)


def profile(
    space: bytes, tags: dict[bytes, bytes], *, kind: bytes = b"mntr", pcs: bytes = b"XYZ ", version: int = 2
) -> bytes:
    """An ICC profile of version 2 or 4 with these tags (ICC.1:2022, 7)."""
    table, body, at = b"", b"", 132 + 12 * len(tags)
    for name, element in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(element))
        body += element + bytes(-len(element) % 4)
    number = {2: 0x02400000, 4: 0x04300000}[version]
    head = struct.pack(">I4xI4s4s4s12x4s", at + len(body), number, kind, space, pcs, b"acsp").ljust(68, b"\0")
    return (head + fixed(*D50)).ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def rgb_profile(colorants: NDArray[np.float64], gamma: float | None, **options: Any) -> bytes:
    """A profile of RGB by its colorants and its curve; see `shown`."""
    tags = {b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50)}
    tags |= {
        name: b"XYZ \0\0\0\0" + fixed(*column)
        for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants.T, strict=True)
    }
    return profile(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(gamma)), **options)


def grey_profile(gamma: float | None) -> bytes:
    return profile(b"GRAY", {b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50), b"kTRC": curve(gamma)})


def curve(gamma: float | None) -> bytes:
    """A curve as a table of 1024 values."""
    values = np.linspace(0, 1, 1024)
    light = decoded(values) if gamma is None else values**gamma
    return struct.pack(">4s4xI", b"curv", 1024) + bytes(np.rint(light * 65535).astype(">u2"))


@functools.cache
def cmyk_profile() -> bytes:
    """A printer's profile by a table of colours for 9 amounts of each ink; see `printed`."""
    return profile(b"CMYK", {b"A2B0": table(4, 9, printed)}, kind=b"prtr", pcs=b"Lab ")


def table_profile(shown_as: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], **options: Any) -> bytes:
    """A profile of RGB by a table of colours for 17 values of each channel."""
    return profile(b"RGB ", {b"A2B0": table(3, 17, shown_as)}, pcs=b"Lab ", **options)


def table(channels: int, points: int, shown_as: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> bytes:
    """A table of 16 bits (ICC.1:2022, 10.10) from values to the Lab of what they are shown as in sRGB."""
    levels = np.rint(np.linspace(0, 255, points)).astype(np.uint8)
    grid = np.stack(np.meshgrid(*[levels] * channels, indexing="ij"), axis=-1).reshape(-1, channels)
    matrix = fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    head = struct.pack(">4s4x4B", b"mft2", channels, 3, points, 0) + matrix + struct.pack(">HH", 2, 2)
    straight = struct.pack(">HH", 0, 65535)
    return head + straight * channels + lab16(shown_as(grid)) + straight * 3


def lab16(rgb: NDArray[np.uint8]) -> bytes:
    """The Lab of colours of sRGB as such tables have it: L* to 0xff00, a* and b* from 0x8000."""
    ratio = decoded(rgb / 255) @ SRGB.T / D50
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    return bytes(np.rint(lab * [652.8, 256, 256] + [0, 32768, 32768]).clip(0, 65535).astype(">u2"))


def fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


# XYB, in which JPEG XL's relatives write JPEGs: the numbers are those of libjxl's opsin_params.h.

_ABSORBANCE = np.array([[0.3, 0.622, 0.078], [0.23, 0.692, 0.078], [0.24342269, 0.20476744, 0.55180987]])
_BIAS = 0.0037930732552754493
_XYB_SCALE, _XYB_OFFSET = np.array([22.995788804, 1.183000077, 1.502141333]), np.array([0.015386134, 0.0, 0.27770459])
_LOW, _HIGH = -0.2, 1.5  # of the roots of the cones' responses


def in_xyb(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The scaled XYB of colours of sRGB."""
    long, middle, short = np.moveaxis(np.cbrt(decoded(rgb / 255) @ _ABSORBANCE.T + _BIAS) - np.cbrt(_BIAS), -1, 0)
    x, y = (long - middle) / 2, (long + middle) / 2
    scaled = (np.stack([x, y, short - y], axis=-1) + _XYB_OFFSET) * _XYB_SCALE
    return np.rint(255 * scaled).clip(0, 255).astype(np.uint8)


@functools.cache
def xyb_profile() -> bytes:
    """A profile of XYB as libjxl makes it: a table of 2 x 2 x 2, curves, and a matrix to XYZ (ICC.1:2022, 10.12)."""
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    x, y, b = np.moveaxis(corners / _XYB_SCALE - _XYB_OFFSET, -1, 0)
    roots = np.stack([y + x, y - x, b + y], axis=-1) + np.cbrt(_BIAS)
    values = np.rint((roots - _LOW) / (_HIGH - _LOW) * 65535).astype(">u2")
    clut = bytes([2, 2, 2]) + bytes(13) + b"\2\0\0\0" + bytes(values)
    straight = struct.pack(">4s4xH2xi", b"para", 0, 65536)
    slope = _HIGH - _LOW
    cube = struct.pack(">4s4xH2x", b"para", 4) + fixed(3, slope, _LOW, 0, -_LOW / slope, 0, 0)
    to_xyz = SRGB @ np.linalg.inv(_ABSORBANCE) * (32768 / 65535)
    matrix = fixed(*to_xyz.ravel(), *(to_xyz @ np.full(3, -_BIAS)))
    parts = [straight * 3, matrix, cube * 3, clut, straight * 3]
    places = np.cumsum([32, *(len(part) for part in parts)])[:5]
    head = struct.pack(">4s4xBB2x5I", b"mAB ", 3, 3, *(int(place) for place in places))
    return profile(b"RGB ", {b"A2B0": head + b"".join(parts)}, version=4)
