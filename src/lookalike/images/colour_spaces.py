"""Finds the ICC profile of an image, or makes that of the colour space which its file names without one.

Pillow finds the profiles of JPEG, WebP, TIFF, AVIF and HEIC. Here are those of PNG and BMP, and the spaces that PNG,
AVIF and HEIC name by numbers, as browsers take them: Rec. ITU-T H.273 has the numbers.
"""

import functools
import io
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lookalike.images.av1 import boxes
from lookalike.images.colour import MAX_PROFILE

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
_SRGB = _PRIMARIES[1]
_SRGB_CURVE = (1, 6, 13, 14, 15)  # numbers of H.273, table 3; viewers show video's curve as sRGB's
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_PQ, _HLG = 16, 18
_CURVE_POINTS = 4096
_PNG_GAMMA = 1 / 2.2  # what PNGs of sRGB have, about: within a twentieth, libpng makes no difference
_NEAR_GAMMA, _NEAR = 0.05, 0.005
_D50 = np.array([0.9642, 1.0, 0.8249])  # ICC.1:2022, 7.2.16
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])  # ibid., E.1
_COLOUR_CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
_MAX_CHUNK = 2**31 - 1


def add_profile(image: Any, data: bytes) -> None:
    """Gives an image that was opened from these bytes the profile of the space that they name: `info["icc_profile"]`.

    Whatever is wrong with what names the space, the image is left without one.
    """
    find = {"PNG": _of_png, "BMP": _of_bmp, "AVIF": _named_in_heif, "HEIF": _named_in_heif}.get(image.format)
    if find is None or (image.format != "PNG" and image.info.get("icc_profile")):
        return
    try:
        image.info["icc_profile"] = find(io.BytesIO(data))
    except Exception:  # broken files raise all kinds
        image.info["icc_profile"] = None


def profile_in(file: BinaryIO) -> bytes | None:
    """The profile in an image file, or that of the space which it names; None if there is none.

    No more of the file is read than is needed; TIFFs and GIFs are not looked into. What the plugins of Pillow find is
    found here as well. A broken file may raise any exception.
    """
    file.seek(0)
    start = file.read(12)
    file.seek(0)
    if start.startswith(b"\xff\xd8"):
        return _of_jpeg(file)
    if start.startswith(b"\x89PNG"):
        return _of_png(file)
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        return _of_webp(file)
    if start[4:8] == b"ftyp":
        return _of_heif(file)
    return _of_bmp(file) if start.startswith(b"BM") else None


def _of_jpeg(file: BinaryIO) -> bytes | None:
    """The profile in the segments APP2 before the pixels of a JPEG (ICC.1:2022, B.4)."""
    parts = {}
    file.seek(2)
    while (marker := file.read(4))[:1] == b"\xff" and marker[1:2] != b"\xda":
        size = int.from_bytes(marker[2:], "big") - 2
        if marker[1:2] == b"\xff":  # a byte that only fills
            file.seek(-3, 1)
        elif size < 0:
            break
        elif marker[1:2] == b"\xe2" and size > 14:
            segment = file.read(size)
            if segment.startswith(b"ICC_PROFILE\0"):
                parts[segment[12]] = segment[14:]
        else:
            file.seek(size, 1)
    return b"".join(parts[number] for number in sorted(parts)) or None


def _of_png(file: BinaryIO) -> bytes | None:
    """The profile of a PNG: cICP goes before iCCP, then sRGB, then gAMA with cHRM (PNG, third edition, 4.3)."""
    chunks = dict(reversed([*_png_chunks(file)]))  # of several, the first counts
    if len(cicp := chunks.get(b"cICP", b"")) == 4 and cicp[2:] == b"\0\x01":
        return named_profile(cicp[0], cicp[1])
    if b"iCCP" in chunks:
        return _unpacked(chunks[b"iCCP"])
    if b"sRGB" in chunks or len(chunks.get(b"gAMA", b"")) != 4:
        return None
    gamma = int.from_bytes(chunks[b"gAMA"], "big") / 100_000
    chrm = [value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"])] if b"cHRM" in chunks else []
    return _of_gamma(gamma, (*chrm[2:], *chrm[:2]) if chrm else _SRGB)


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The name and data of the intact chunks before the pixels of a PNG that concern colours."""
    file.seek(8)
    while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
        size = int.from_bytes(head[:4], "big")
        if head[4:] not in _COLOUR_CHUNKS:
            file.seek(size + 4, 1)
        elif size > MAX_PROFILE:
            return
        else:
            data, crc = file.read(size), file.read(4)
            if zlib.crc32(head[4:] + data) == int.from_bytes(crc, "big"):
                yield head[4:], data


def _unpacked(iccp: bytes) -> bytes | None:
    """The profile in an iCCP chunk, after its name and the number of the method; None if it is too large."""
    unpack = zlib.decompressobj()
    profile = unpack.decompress(iccp[iccp.index(b"\0") + 2 :], MAX_PROFILE + 1)
    return profile if unpack.eof and len(profile) <= MAX_PROFILE else None


def _of_gamma(gamma: float, primaries: Sequence[float]) -> bytes | None:
    is_srgb = max(abs(one - other) for one, other in zip(primaries, _SRGB, strict=True)) < _NEAR
    if is_srgb and abs(gamma / _PNG_GAMMA - 1) < _NEAR_GAMMA:
        return None
    return made_profile(tuple(primaries), _gamma_curve(1 / gamma)) if 0.1 < gamma < 10 else None


def _of_bmp(file: BinaryIO) -> bytes | None:
    """The profile that is embedded in a BMP with a BITMAPV5HEADER."""
    head = file.read(14 + 124)
    if int.from_bytes(head[14:18], "little") < 124 or head[70:74] != b"DEBM":  # "MBED" as a little-endian number
        return None
    offset, size = struct.unpack_from("<II", head, 14 + 112)
    if size > MAX_PROFILE:
        return None
    file.seek(14 + offset)
    return file.read(size)


def _of_webp(file: BinaryIO) -> bytes | None:
    """The profile of a WebP, which is in its second chunk (RFC 9649, 2.7.1.4)."""
    head = file.read(38)
    if head[12:16] != b"VP8X" or head[30:34] != b"ICCP":
        return None
    return file.read(min(int.from_bytes(head[34:38], "little"), MAX_PROFILE + 1))


def _of_heif(file: BinaryIO) -> bytes | None:
    """The profile of an AVIF or HEIC, or that of the space that it names."""
    properties = _colour_properties(file)
    found = next((value for kind, value in properties if kind in (b"prof", b"rICC")), None)
    return found or _named_in(properties)


def _named_in_heif(file: BinaryIO) -> bytes | None:
    return _named_in(_colour_properties(file))


def _named_in(properties: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    named = next((value for kind, value in properties if kind == b"nclx"), None)
    return None if named is None else named_profile(*struct.unpack_from(">HH", named))


def _colour_properties(file: BinaryIO) -> list[tuple[bytes, bytes]]:
    """The type and value of the properties `colr` of a HEIF file (ISO/IEC 23008-12, 9.3; 14496-12, 12.1.5)."""
    data = file.read()
    start, end = 0, len(data)
    for kind, skipped in ((b"meta", 4), (b"iprp", 0), (b"ipco", 0)):
        start, end = next((at + skipped, stop) for name, at, stop in boxes(data, start, end) if name == kind)
    found = (data[at:stop] for kind, at, stop in boxes(data, start, end) if kind == b"colr")
    return [(value[:4], value[4:]) for value in found]


@functools.cache
def named_profile(primaries: int, curve: int) -> bytes | None:
    """The profile of the space with these numbers of H.273; None if it is sRGB, or unknown."""
    points = _curve(curve)
    return None if points is None or primaries not in _PRIMARIES else made_profile(_PRIMARIES[primaries], points)


def _curve(number: int) -> bytes | None:
    """The element of a profile that makes linear light of values."""
    if number in _SRGB_CURVE:  # IEC 61966-2-1; a parametric curve of type 3: ICC.1:2022, 10.18
        return struct.pack(">4s4xH2x5i", b"para", 3, *map(_fixed, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)))
    if number in _GAMMAS:
        return _gamma_curve(_GAMMAS[number])
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


def _gamma_curve(gamma: float) -> bytes:
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


SRGB_COLORANTS = _colorants(np.reshape(_SRGB, (4, 2)))
"""The XYZ of sRGB's red, green and blue in columns, adapted to D50: (3, 3)."""
