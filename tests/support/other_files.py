"""A matrix of PNG, JPEG, WebP, AVIF, GIF and a few TIFF files, which libvips writes, and of BMP files."""

import functools
import itertools
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL import Image

from tests.support.shown_pictures import (
    SIZE,
    ImageFile,
    cut_out,
    grey_of,
    ink_profile,
    inked_picture,
    picture,
    wide_picture,
    wide_profile,
)

Named = tuple[str, str, Callable[[int], ImageFile]]
"""The format, the name, and a function that writes the file with the picture of a number."""

_CHANNELS = ("grey", "grey, alpha", "RGB", "RGB, alpha", "RGB, profile")


def others() -> Iterator[Named]:
    """Yields all files of the matrix but TIFFs."""
    yield from _pngs()
    for channels, progressive, subsampling, quality, restart in itertools.product(
        ("grey", "RGB", "RGB, profile", "CMYK", "CMYK, profile"), (False, True), ("on", "off"), (60, 95), (0, 4)
    ):
        options = {"interlace": progressive, "subsample_mode": subsampling, "Q": quality, "restart_interval": restart}
        yield _named("JPEG", channels, 8, options)
    ways: tuple[dict[str, Any], ...] = ({"Q": 50}, {"Q": 90, "smart_subsample": True}, {"lossless": True})
    for channels, way, effort in itertools.product(_CHANNELS[2:], (*ways, {"near_lossless": True}), (0, 6)):
        yield _named("WebP", channels, 8, {**way, "effort": effort})
    yield from _tiffs()
    for channels, bits, subsampling, lossless in itertools.product(
        _CHANNELS, (8, 10, 12), ("on", "off"), (False, True)
    ):
        options = {"bitdepth": bits, "subsample_mode": subsampling, "lossless": lossless, "effort": 0}
        yield _named("AVIF", channels, 8, options)
    for channels, interlace, dither in itertools.product(("grey", "RGB", "RGB, alpha"), (False, True), (0.0, 1.0)):
        yield _named("GIF", channels, 8, {"interlace": interlace, "dither": dither})
    for depth, top_down in itertools.product(("1", "4", "8", "24", "32", "555", "565"), (False, True)):
        name = f"{depth} bits{' from the top' * top_down}"
        yield "BMP", name, functools.partial(_bmp, name, depth, top_down)


def _tiffs() -> Iterator[Named]:
    """TIFFs with what tifffile does not write: JPEG, CCITT, few bits, several sizes."""
    for channels, compression, tile, pyramid in itertools.product(
        ("grey", "RGB", "RGB, profile", "RGB, alpha", "CMYK", "CMYK, profile"),
        ("jpeg", "webp", "deflate"),
        (False, True),
        (False, True),
    ):
        if compression != "deflate" and channels in ("RGB, alpha", "CMYK", "CMYK, profile"):
            continue
        if (compression, channels) == ("webp", "grey"):
            continue
        options = {"compression": compression, "tile": tile, "pyramid": pyramid, "Q": 90}
        yield _named("TIFF", channels, 8, options)
    for bits, white_is_zero, compression in itertools.product((1, 2, 4), (False, True), ("none", "lzw", "ccittfax4")):
        if compression == "ccittfax4" and bits > 1:
            continue
        options = {"bitdepth": bits, "miniswhite": white_is_zero, "compression": compression, "predictor": "none"}
        yield _named("TIFF", "grey", bits, options)


def _pngs() -> Iterator[Named]:
    depths: tuple[int | str, ...] = (1, 2, 4, 8, 16, "10 of 16", "12 of 16")
    for channels, bits, interlaced, filters in itertools.product(
        (*_CHANNELS, "palette"), depths, (False, True), ("none", "all")
    ):
        small = bits in (1, 2, 4)
        if (small and channels not in ("grey", "palette")) or (channels == "palette" and bits not in (1, 2, 4, 8)):
            continue
        if channels == "RGB, profile" and bits not in (8, 16):
            continue
        options: dict[str, Any] = {"interlace": interlaced, "filter": filters}
        if channels == "palette":
            options |= {"palette": True, "bitdepth": bits}
        elif small:
            options |= {"bitdepth": bits}
        yield _named("PNG", channels, bits, options)


def _named(kind: str, channels: str, bits: int | str, options: dict[str, Any]) -> Named:
    shown = ", ".join(f"{key}={value}" for key, value in options.items())
    name = f"{channels} {bits} bits, {shown}"
    return kind, name, functools.partial(_by_libvips, kind, name, channels, bits, options)


def _by_libvips(
    kind: str, name: str, channels: str, bits: int | str, options: dict[str, Any], number: int
) -> ImageFile:
    rgb = picture(number)
    shown = grey_of(rgb) if channels.startswith("grey") else rgb
    alpha, profile = channels.endswith("alpha"), channels.endswith("profile")
    opaque = np.full(shown.shape[:2], 255, np.uint8)
    if alpha:
        shown, opaque = cut_out(shown)
    stored = shown
    if profile:
        stored = inked_picture(number) if channels.startswith("CMYK") else wide_picture(number)
    if channels == "CMYK":
        stored = np.asarray(Image.fromarray(rgb).convert("CMYK"))
    if alpha:
        stored = np.dstack([stored, opaque])
    white = {16: 65535, "10 of 16": 1023, "12 of 16": 4095}.get(bits, 255)
    image = _vips(stored, channels, white)
    if profile:
        found = ink_profile() if channels.startswith("CMYK") else wide_profile()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", found)
    keep = {"keep": "icc"} if profile else {"keep": "none"}
    suffix = {"JPEG": ".jpg", "TIFF": ".tif"}.get(kind, f".{kind.lower()}")
    data: bytes = image.write_to_buffer(suffix, **options, **keep)
    if kind == "AVIF" and options["bitdepth"] > 8:
        white = 65535  # as libvips reads them
    return ImageFile(kind, name, data, shown, 0, white, False, alpha, profile)


def _vips(stored: NDArray[np.uint8], channels: str, white: int) -> pyvips.Image:
    grey = channels.startswith("grey")
    if white == 255:
        interpretation = "cmyk" if channels.startswith("CMYK") else "b-w" if grey else "srgb"
        return pyvips.Image.new_from_array(stored, interpretation=interpretation)
    deep = np.rint(stored / 255 * white).astype(np.uint16)
    return pyvips.Image.new_from_array(deep, interpretation="grey16" if grey else "rgb16")


def _bmp(name: str, bits: str, top_down: bool, number: int) -> ImageFile:
    """A BMP: the header of Windows 3 or, with bit fields, its version 3."""
    rgb = picture(number)
    palette, masks, depth = b"", b"", {"555": 16, "565": 16}.get(bits) or int(bits)
    if depth <= 8:
        few = Image.fromarray(rgb).quantize(2**depth, dither=Image.Dither.NONE)
        rgb = np.asarray(few.convert("RGB"))
        colours = np.zeros((2**depth, 4), np.uint8)
        found = np.array(few.getpalette(), np.uint8).reshape(-1, 3)[: 2**depth, ::-1]
        colours[: len(found), :3] = found
        palette = colours.tobytes()
        single = (np.asarray(few)[..., None] >> np.arange(depth)[::-1]) & 1
        rows = np.packbits(single.reshape(SIZE[1], -1).astype(np.uint8), axis=1)
    elif depth == 16:
        widths = [int(width) for width in bits]
        red, green, blue = (rgb[..., at].astype(np.uint16) >> 8 - widths[at] for at in range(3))
        packed = red << widths[1] + widths[2] | green << widths[2] | blue
        rgb = np.dstack(
            [
                (band.astype(int) * 255 // (2**width - 1)).astype(np.uint8)
                for band, width in zip((red, green, blue), widths, strict=True)
            ]
        )
        rows = packed.astype("<u2").view(np.uint8).reshape(SIZE[1], -1)
        fields = [(2 ** widths[0] - 1) << widths[1] + widths[2], (2 ** widths[1] - 1) << widths[2], 2 ** widths[2] - 1]
        masks = struct.pack("<3I", *fields)
    else:
        stored = np.dstack([rgb[..., ::-1], np.zeros(rgb.shape[:2], np.uint8)])[..., : depth // 8]
        rows = np.ascontiguousarray(stored).reshape(SIZE[1], -1)
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    body = (rows if top_down else rows[::-1]).tobytes()
    height = -SIZE[1] if top_down else SIZE[1]
    start = 54 + len(masks) + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, SIZE[0], height, 1, depth, 3 * bool(masks), len(body), 0, 0, 0, 0)
    data = b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + masks + palette + body
    return ImageFile("BMP", name, data, rgb)
