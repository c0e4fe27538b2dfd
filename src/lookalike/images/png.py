"""Opens PNG files by the chunks that make the image: what only comments on it may be damaged, or unpack to gigabytes.

Chunks and their order are those of the PNG specification (third edition), 4.8 and 11.
"""

import io
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import PngImagePlugin

from lookalike.errors import ImageError
from lookalike.images.colour_spaces import add_profile
from lookalike.images.png_depth import DeepPng

_MOST_CHUNKS = 200_000  # each takes Pillow a few microseconds, however short it is
_MOST_OF_A_KIND = 30  # chunks that only comment on the image; each may have to be unpacked
_UNPACKED = 2**20  # bytes that a compressed chunk may unpack to; Pillow refuses more
_MOST = 2**20  # bytes of a chunk that is kept though it says nothing about the pixels, and of all texts
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}  # of which the first frame is the image itself
_COLOUR_SPACES = {b"cICP", b"iCCP", b"gAMA"}  # one of which an image has that is not in sRGB
_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
_ORIENTING = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")  # texts that may say how the image is turned
# The least bytes of a chunk that Pillow reads numbers from.
_LEAST = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"iCCP": 3}
_KEYS = {0: 2, 2: 6, 3: 1}  # the least bytes of tRNS by the type of colour: a grey, a colour, or alphas


@dataclass(frozen=True)
class _Chunk:
    """A chunk's type, its content, where it starts and ends, and whether its checksum is right."""

    kind: bytes
    content: memoryview
    start: int
    end: int

    def is_sound(self, data: bytes) -> bool:
        stored = data[self.end - 4 : self.end]
        return struct.pack(">I", zlib.crc32(self.content, zlib.crc32(self.kind))) == stored


def open_png(data: bytes) -> PngImagePlugin.PngImageFile:
    """Opens a PNG, without the chunks that are damaged or large and that its pixels do not need.

    Raises:
        ImageError: it is of a kind that is not read, or of very many chunks.
    """
    if data[12:16] == b"CgBI":
        raise ImageError("a PNG that was changed for iPhones (CgBI) is not read")
    is_deep = data[24:25] == b"\x10" and data[25:26] in (b"\2", b"\4", b"\6")  # 16 bits for each of several channels
    needed, kinds = _needed(data)
    image = (DeepPng if is_deep else PngImagePlugin.PngImageFile)(io.BytesIO(needed))
    if kinds & _COLOUR_SPACES:
        add_profile(image, data)
    if "transparency" in image.info:
        rawmode = image.tile[0][3] if image.tile else ""
        image.info["transparency"] = _scaled_key(image.info["transparency"], str(rawmode))
    return image


def _needed(data: bytes) -> tuple[bytes, set[bytes]]:
    """The bytes of a file without what is left out, the same object if that is nothing, and all kinds of its chunks."""
    kept, done, room, kinds = list[bytes](), 0, _MOST, Counter[bytes]()
    colour = data[25] if len(data) > 25 else 0
    for chunk in _chunks(data):
        kinds[chunk.kind] += 1
        is_ancillary = chunk.kind[0] & 32
        if not is_ancillary:
            continue
        if chunk.kind in _TEXTS:
            room -= len(chunk.content)
        if kinds[chunk.kind] > _MOST_OF_A_KIND or not chunk.is_sound(data) or not _is_harmless(chunk, colour, room):
            kept.append(data[done : chunk.start])
            done = chunk.end
    return b"".join([*kept, data[done:]]) if kept else data, set(kinds)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """The chunks up to the end of the image, or of the file; the last one may be cut off."""
    at, view = 8, memoryview(data)
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND" or not kind.isalnum():
            return
        yield _Chunk(kind, view[at + 8 : at + 8 + length], at, at + 12 + length)
        at += 12 + length
    raise ImageError(f"a PNG of more than {_MOST_CHUNKS:,} chunks is not read")


def _is_harmless(chunk: _Chunk, colour: int, room: int) -> bool:
    """Whether Pillow can read an ancillary chunk that is sound, in little memory, and should.

    Args:
        chunk: the chunk.
        colour: the image's type of colour, 0 to 6.
        room: the bytes of text that may still be kept.
    """
    content = chunk.content
    if chunk.kind in _ANIMATION:
        return False
    if chunk.kind in _TEXTS:
        start = bytes(content[:32])
        if start.startswith(_ORIENTING):
            return _unpacks(_packed_text(chunk.kind, bytes(content)))
        return chunk.kind == b"tEXt" and room >= 0
    if chunk.kind == b"tRNS":
        return _KEYS.get(colour, 0) <= len(content)
    if chunk.kind == b"iCCP":
        _, mark, packed = bytes(content).partition(b"\0")
        return bool(mark) and packed[:1] == b"\0" and _unpacks(packed[1:])
    return len(content) >= _LEAST.get(chunk.kind, 0) and (len(content) <= _MOST or chunk.kind == b"eXIf")


def _packed_text(kind: bytes, content: bytes) -> bytes:
    """What of a text is compressed: its text, or nothing (PNG specification, 11.3.3)."""
    text = content.partition(b"\0")[2]
    if kind == b"zTXt":
        return text[1:]
    if kind == b"iTXt" and text[:1] != b"\0":
        return text[2:].partition(b"\0")[2].partition(b"\0")[2]
    return b""


def _unpacks(packed: bytes) -> bool:
    """Whether compressed bytes, perhaps none, unpack to no more than Pillow admits."""
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(packed, _UNPACKED)
    except zlib.error:
        return True  # Pillow leaves out what it cannot unpack
    return not unpacker.unconsumed_tail


def _scaled_key(key: Any, rawmode: str) -> Any:
    """Scales the colour that means "transparent" like the pixels; Pillow scales only these, in some modes."""
    scale = {"L;2": 85, "L;4": 17, "RGB;16B": 1 / 256}.get(rawmode)
    if scale is None:
        return key
    return tuple(int(value * scale) for value in key) if isinstance(key, tuple) else int(key * scale)
