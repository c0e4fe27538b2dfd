"""Makes the ICC profiles of colour spaces that have none, and takes profiles apart (ICC.1:2022).

Rec. ITU-T H.273 numbers the spaces; they are taken as browsers take them.
"""

import functools
import math
import struct

import numpy as np
from numpy.typing import NDArray

_PRIMARIES = {  # by their number in H.273, table 2: x and y of red, green, blue, and white
    1: (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, 0.3127, 0.3290),  # BT.709, sRGB
    4: (0.670, 0.330, 0.210, 0.710, 0.140, 0.080, 0.3100, 0.3160),
    5: (0.640, 0.330, 0.290, 0.600, 0.150, 0.060, 0.3127, 0.3290),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, 0.3127, 0.3290),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, 0.3127, 0.3290),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),  # BT.2020
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3140, 0.3510),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),  # Display P3
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, 0.3127, 0.3290),
}
SRGB = _PRIMARIES[1]
"""Of sRGB: x and y of red, green, blue, and white."""

_SRGB_CURVE = (1, 6, 13, 14, 15)  # numbers of H.273, table 3; viewers show video's curve as sRGB's
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_PQ, _HLG = 16, 18
_CURVE_POINTS = 4096
_D50 = np.array([0.9642, 1.0, 0.8249])  # ICC.1:2022, 7.2.16
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])  # ibid., E.1


@functools.cache
def named_profile(primaries: int, curve: int) -> bytes | None:
    """The profile of the space with these numbers of H.273; None if one of them is unknown."""
    points = _curve(curve)
    return None if points is None or primaries not in _PRIMARIES else made_profile(_PRIMARIES[primaries], points)


def _curve(number: int) -> bytes | None:
    """The element of a profile that makes linear light of values."""
    if number in _SRGB_CURVE:  # IEC 61966-2-1; a parametric curve of type 3: ICC.1:2022, 10.18
        return struct.pack(">4s4xH2x5i", b"para", 3, *map(_fixed, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)))
    if number in _GAMMAS:
        return gamma_curve(_GAMMAS[number])
    values = np.linspace(0, 1, _CURVE_POINTS)
    if number == _PQ:  # SMPTE ST 2084; white is 203 of 10,000 cd/m2: ITU-R BT.2408, table 1
        root = values ** (1 / 78.84375)
        light = (
            (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125) * 10_000 / 203
        )
    elif number == _HLG:  # ITU-R BT.2100, tables 5 and 6; white is at 75% of the signal
        scene = np.where(values <= 0.5, values**2 / 3, (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        light = (scene / np.interp(0.75, values, scene)) ** 1.2
    else:
        return None
    table = np.rint(65535 * np.minimum(light, 1)).astype(">u2")
    return struct.pack(">4s4xI", b"curv", _CURVE_POINTS) + bytes(table)


def gamma_curve(gamma: float) -> bytes:
    """The element of a profile that makes linear light of values by this exponent."""
    return struct.pack(">4s4xH2xi", b"para", 0, _fixed(gamma))


@functools.lru_cache(16)
def made_profile(primaries: tuple[float, ...], curve: bytes) -> bytes:
    """An ICC profile of RGB with these primaries and white, as x and y, and that curve (ICC.1:2022).

    Raises:
        ValueError: no colours can have such primaries.
    """
    colorants = _colorants(np.reshape(primaries, (4, 2)))
    elements = {b"wtpt": _xyz(_D50), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    elements |= {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants.T, strict=True)}
    head = struct.pack(">8xI4s4s4s12x4s", 0x04300000, b"mntr", b"RGB ", b"XYZ ", b"acsp").ljust(68, b"\0")
    return profile_of((head + struct.pack(">3i", *map(_fixed, _D50))).ljust(128, b"\0"), elements)


def profile_of(head: bytes, elements: dict[bytes, bytes]) -> bytes:
    """An ICC profile with this header of 128 bytes, but for its size, and these tags (ICC.1:2022, 7)."""
    tags, body, at = b"", b"", 128 + 4 + 12 * len(elements)
    for name, element in elements.items():
        tags += struct.pack(">4sII", name, at + len(body), len(element))
        body += element + bytes(-len(element) % 4)
    return struct.pack(">I", at + len(body)) + head[4:] + struct.pack(">I", len(elements)) + tags + body


def tags_of(profile: bytes) -> dict[bytes, bytes]:
    """The elements of an ICC profile by their tags."""
    count = int.from_bytes(profile[128:132], "big")
    table = struct.iter_unpack(">4sII", profile[132 : 132 + 12 * count])
    return {name: profile[at : at + size] for name, at, size in table}


def _colorants(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The XYZ of red, green and blue, in columns, after Bradford's adaptation of the white to D50 (ICC.1:2022, E)."""
    if not (points[:, 1] > 0).all():
        raise ValueError("a chromaticity without a luminance")
    columns = np.stack([points[:, 0], points[:, 1], 1 - points.sum(axis=1)]) / points[:, 1]
    white = columns[:, 3]
    scaled = columns[:, :3] * np.linalg.solve(columns[:, :3], white)
    cone = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    found: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ cone @ _BRADFORD @ scaled
    if not (np.isfinite(found).all() and np.abs(found).max() < 4):
        raise ValueError("chromaticities of no colours")
    return found


def _xyz(values: NDArray[np.float64]) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *map(_fixed, values))


def _fixed(value: float) -> int:
    return math.floor(value * 65536 + 0.5)


SRGB_COLORANTS = _colorants(np.reshape(SRGB, (4, 2)))
"""The XYZ of sRGB's red, green and blue in columns, adapted to D50: (3, 3)."""
