"""Finds the ICC profile of an image, or that of the colour space which its file names without one.

Pillow finds the profiles of JPEG, WebP, TIFF, AVIF and HEIC. Here are those of PNG and BMP, and the spaces that PNG,
AVIF and HEIC name by numbers.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from lookalike.images.boxes import boxes
from lookalike.images.colour import MAX_PROFILE
from lookalike.images.icc import SRGB, gamma_curve, made_profile, named_profile

_PNG_GAMMA = 1 / 2.2  # what PNGs of sRGB have, about: within a twentieth, libpng makes no difference
_NEAR_GAMMA, _NEAR = 0.05, 0.005
_COLOUR_CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")


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
    return _of_gamma(gamma, (*chrm[2:], *chrm[:2]) if chrm else SRGB)


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
    is_srgb = max(abs(one - other) for one, other in zip(primaries, SRGB, strict=True)) < _NEAR
    if is_srgb and abs(gamma / _PNG_GAMMA - 1) < _NEAR_GAMMA:
        return None
    return made_profile(tuple(primaries), gamma_curve(1 / gamma)) if 0.1 < gamma < 10 else None


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
