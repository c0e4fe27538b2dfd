"""Small generated images of every format."""

import base64
import functools
import io
import struct
import time
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# 64 x 48, red on the left, blue on the right; stored, since no package of the tests can encode HEVC.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJp"
    "bG9jAAAAAERAAAEAAQAAAAABoQABAAAAAAAAAEEAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAAB"
    "AAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEA"
    "AQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAA"
    "FGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAABhp"
    "cG1hAAAAAAAAAAEAAQWBAgMFhAAAAEltZGF0AAAAPSgBr1jm9Oq//+Vrv/6j/IfJ//9f/0q9V+4xE/6eBVpa/3P0fRXdlA5uGcMnVNrc"
    "JetN1Xo0zzWlNDNHn0Q="
)


# The transposition of an upright image that each orientation of EXIF undoes; 1 is upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


Masks = tuple[int, int, int, int]  # of red, green, blue and alpha


def painting(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    """Returns an image with smooth and rough parts and no symmetry, in any mode."""
    y, x = np.mgrid[: size[1], : size[0]]
    noise = np.random.default_rng(1).integers(0, 60, (size[1], size[0]))
    bands = (x * 195 // size[0] + noise, y * 195 // size[1] + noise, (x * y) % 256, 255 - x * 255 // size[0])
    if mode.startswith("I;16"):
        return Image.fromarray((bands[0] * 257).astype(np.uint16))
    rgba = Image.fromarray(np.stack(bands, axis=2).astype(np.uint8))
    image = rgba.convert(mode) if mode in ("RGBA", "LA") else rgba.convert("RGB").convert(mode)
    image.info.clear()  # Pillow adds a profile with the current time to LAB
    return image


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Returns the bytes of the file that Pillow writes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int) -> bytes:
    """Returns EXIF as a camera writes it, with an Exif directory inside."""
    tags = Image.Exif()
    tags.update({0x0112: orientation, 0x010F: "camera", 0x011A: 72.0, 0x8769: {0x9286: b"comment"}})
    return tags.tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    """Returns a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size: tuple[int, int], depth: int, colour: int, pixels: bytes, *chunks: bytes, interlaced: int = 0) -> bytes:
    """Returns a PNG; `pixels` are the uncompressed rows, each preceded by the number of its filter."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlaced))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(pixels, 9)) + END


END = chunk(b"IEND", b"")


def run_length_bmp(size: tuple[int, int], code: bytes, *, bits: int = 8) -> bytes:
    """Returns a BMP of 4 or 8 bits with run-length encoded pixels."""
    palette = b"".join(bytes((i, 255 - i, i // 2, 0)) for i in range(256))
    info = struct.pack("<IiiHHIIiiII", 40, *size, 1, bits, 3 - bits // 4, len(code), 0, 0, 256, 0)
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(code), 0, 0, start) + info + palette + code


def packed(rgba: NDArray[Any], masks: Masks) -> NDArray[np.uint64]:
    """Pixels as numbers: each channel in the bits of its mask, rounded down."""
    numbers = np.zeros(rgba.shape[:2], np.uint64)
    for channel, mask in zip(np.moveaxis(rgba.astype(np.uint64), 2, 0), masks, strict=True):
        if mask:
            shift = (mask & -mask).bit_length() - 1
            most = mask >> shift
            numbers |= (channel * np.uint64(most) // np.uint64(255)) << np.uint64(shift)
    return numbers


def bit_fields(rgba: NDArray[Any], bits: int, masks: Masks, *, header: int = 108, top_down: bool = False) -> bytes:
    """A BMP of bit fields with a header of that many bytes: after 40, only the masks of the colours follow."""
    height, width = rgba.shape[:2]
    numbers = packed(rgba, masks).astype("<u2" if bits == 16 else "<u4")
    if bits == 16 and width % 2:
        numbers = np.pad(numbers, ((0, 0), (0, 1)))
    rows = numbers if top_down else numbers[::-1]
    head = struct.pack("<IiiHHIIiiII", header, width, -height if top_down else height, 1, bits, 3, 0, 0, 0, 0, 0)
    head += struct.pack("<4I", *masks)[: 12 if header == 40 else 16]
    head = head.ljust(header, b"\0") if header > 52 else head[: 52 if header in (40, 52) else header]
    start = 14 + len(head)
    return b"BM" + struct.pack("<IHHI", start + rows.nbytes, 0, 0, start) + head + rows.tobytes()


def on_canvas(frame: Image.Image, at: tuple[int, int], canvas: tuple[int, int], **options: Any) -> bytes:
    """A GIF of one frame at a place of a larger canvas."""
    data = bytearray(saved(frame, "GIF", **options))
    data[6:10] = struct.pack("<HH", *canvas)
    place = data.index(struct.pack("<BHHHH", 0x2C, 0, 0, *frame.size))
    data[place + 1 : place + 5] = struct.pack("<HH", *at)
    return bytes(data)


def solid_webp(width: int, height: int) -> bytes:
    """Returns a lossless WebP of one colour: 34 bytes, whatever its size."""
    bits, count = 0, 0
    ones = [(1, 1), (0, 1), (1, 1)]  # a simple code of one symbol of 8 bits
    fields = [(width - 1, 14), (height - 1, 14), (0, 1), (0, 3), (0, 3)]
    for symbol in (200, 30, 30, 255, 0):  # green, red, blue, alpha, distance
        fields += [*ones, (symbol, 8)]
    for value, size in fields:
        bits, count = bits | value << count, count + size
    body = b"\x2f" + bits.to_bytes((count + 7) // 8, "little")
    body += bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(body) + 12) + b"WEBPVP8L" + struct.pack("<I", len(body)) + body


def tiff_of_one_tile(width: int, length: int) -> bytes:
    """Returns a compressed TIFF of 64 x 64 pixels, in a tile of that size with hardly any data."""
    data = zlib.compress(bytes(1000))
    start = 8 + 2 + 12 * 10 + 4
    tags = {256: 64, 257: 64, 258: 8, 259: 8, 262: 1, 277: 1, 322: width, 323: length, 324: start, 325: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data


@functools.cache
def samples() -> dict[str, list[bytes]]:
    """Returns valid images by format: every variety that Pillow writes, and some that it does not."""
    rgb, rgba = painting(), painting("RGBA")
    return {
        "JPEG": [
            *(saved(painting(mode), "JPEG") for mode in ("RGB", "L", "CMYK")),
            saved(rgb, "JPEG", progressive=True),
            saved(rgb, "JPEG", exif=exif(6), subsampling=0, comment="text"),
            saved(rgb, "JPEG", restart_marker_blocks=2),
            saved(rgb, "MPO", **_frames()),
            saved(rgb, "JPEG")[:-2],
            saved(rgb, "JPEG", progressive=True, restart_marker_blocks=3)[:-2],
        ],
        "PNG": _png_samples(),
        "GIF": [
            saved(painting("P"), "GIF"),
            saved(painting("L"), "GIF", transparency=7, comment=b"text"),
            saved(painting("P"), "GIF", duration=9, loop=0, **_frames()),
            on_canvas(painting("P"), (20, 10), (83, 61)),
        ],
        "WEBP": [
            saved(rgb, "WEBP", exif=exif(3)),
            saved(rgba, "WEBP"),
            saved(rgba, "WEBP", lossless=True),
            saved(rgb, "WEBP", **_frames()),
        ],
        "TIFF": _tiff_samples(),
        "BMP": [
            *(saved(painting(mode), "BMP") for mode in ("RGB", "RGBA", "P", "1")),
            bit_fields(np.asarray(rgba), 16, (0xF00, 0xF0, 0xF, 0xF000)),
            bit_fields(np.asarray(rgba), 32, (0xFF, 0xFF00, 0xFF0000, 0), header=40),
            run_length_bmp((12, 4), b"\x05\x21\x00\x03abc\0\0\0\0\2\1\1\x09\x33\0\0\x0c\x44\0\1"),
            run_length_bmp((12, 4), b"\x05\x21\x00\x05\x12\x34\x50\0\0\0\0\2\1\1\x09\x33\0\0\x0c\x44\0\1", bits=4),
        ],
        "AVIF": [
            saved(rgb, "AVIF", exif=exif(8), speed=10, max_threads=1),
            saved(rgba, "AVIF", speed=10, max_threads=1),
            _timeless(saved(rgb, "AVIF", speed=10, max_threads=1, **_frames())),
        ],
        "HEIF": [HEIC],
        "PNM": [
            *(saved(painting(mode), "PPM") for mode in ("RGB", "L", "1", "I;16", "F")),
            b"P3 40 30 255\n" + b" ".join(b"%d" % value for value in np.asarray(rgb).ravel()) + b"\n",
            b"P7\nWIDTH 40\nHEIGHT 30\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + np.asarray(rgba).tobytes(),
        ],
    }


def _frames() -> dict[str, Any]:
    """Returns Pillow's options for a second frame or page, which Pillow modifies."""
    return {"save_all": True, "append_images": [painting().transpose(Image.Transpose.ROTATE_180)]}


def _timeless(data: bytes) -> bytes:
    """Removes the time of creation, in seconds since 1904, from an AVIF animation, so that it is always the same."""
    now = int(time.time()) + 2_082_844_800
    for second in range(now - 5, now + 1):
        data = data.replace(struct.pack(">Q", second), bytes(8))
    return data


def _png_samples() -> list[bytes]:
    modes = ("RGB", "RGBA", "LA", "L", "P", "1", "I;16")
    passes = ((1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4))  # of an interlaced image of 8 x 8
    key, text = chunk(b"tRNS", bytes(6)), chunk(b"tEXt", b"name\0text")
    return [
        *(saved(painting(mode), "PNG", exif=exif(5)) for mode in modes),
        saved(painting("P"), "PNG", transparency=3),
        saved(painting(), "PNG", icc_profile=b"profile" * 20, **_frames()),
        png(
            (8, 8),
            16,
            2,
            b"".join(b"\0" + bytes(6 * w) for w, rows in passes for _ in range(rows)),
            key,
            text,
            interlaced=1,
        ),
    ]


def _tiff_samples() -> list[bytes]:
    from tests.support.tiff_builder import numeric_tiffs  # which imports this module

    packed = {"tiff_lzw": "RGB", "tiff_adobe_deflate": "RGBA", "packbits": "P", "jpeg": "YCbCr", "group4": "1"}
    return [
        *(saved(painting(mode), "TIFF") for mode in ("RGB", "CMYK", "LAB", "I;16", "F", "I", "P")),
        *(saved(painting(mode), "TIFF", compression=name) for name, mode in packed.items()),
        saved(painting(), "TIFF", big_tiff=True, exif=exif(7)),
        saved(painting("RGBA"), "TIFF", **_frames()),
        *numeric_tiffs(),
    ]


def close(found: NDArray[np.uint8], expected: NDArray[np.uint8], *, mean: float, most: float = 255) -> None:
    """Asserts that pixels differ by at most `mean` on average and at most `most` anywhere."""
    difference = np.abs(found.astype(int) - expected.astype(int))
    assert difference.mean() <= mean
    assert difference.max() <= most


def smooth(size: tuple[int, int]) -> Image.Image:
    """Returns an image that lossy compression hardly changes."""
    return painting(size=(10, 8)).resize(size, Image.Resampling.BICUBIC)


def plain(image: Image.Image) -> bytes:
    """Returns an RGB PNG of the image, without its metadata and transparency."""
    return saved(image.convert("RGB"), "PNG")
