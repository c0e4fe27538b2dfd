"""Files of millions of tiny parts, which would take minutes to read: each is refused, or read without them, at once."""

import struct
import zlib

import pytest

from lookalike.errors import ImageError
from lookalike.images.decode import Preprocessing, decode
from tests.support.image_samples import chunk, painting, saved

SMALL = Preprocessing(size=32)
MANY = 1_100_000
JPEG, PROGRESSIVE = saved(painting(), "JPEG"), saved(painting(), "JPEG", progressive=True)
PNG = saved(painting(), "PNG")
BOMB = zlib.compress(bytes(1_000_000))
MARKERS = "damaged: a JPEG with very many bytes or markers before its pixels"

BLOCKS = "damaged: a GIF with more than 500,000 blocks before its image"


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (JPEG[:2] + b"\xff" * MANY + JPEG[2:], MARKERS),
        (JPEG[:2] + b"\xff\0" * MANY + JPEG[2:], MARKERS),
        (JPEG[:2] + b"\xff\xe5\0\2" * MANY + JPEG[2:], MARKERS),
        (PROGRESSIVE[:-2] + b"\xff\x01" * MANY + PROGRESSIVE[-2:], "damaged: a JPEG with very many markers"),
        (PROGRESSIVE[:-2] + b"\xff\xdd\0\4\0\0" * MANY, "damaged: a JPEG with very many markers"),
        (PNG[:33] + chunk(b"tEXt", b"a\0b") * MANY + PNG[33:], "a PNG of more than 200,000 chunks is not read"),
        (PNG[:33] + chunk(b"IDAT", b"") * MANY + PNG[33:], "a PNG of more than 200,000 chunks is not read"),
        (
            b"GIF89a\x40\0\x40\0\0\0\0" + b"!\xfe\0" * MANY,
            BLOCKS,
        ),
        (
            b"GIF89a\x40\0\x40\0\0\0\0!\xfe" + b"\1x" * MANY,
            BLOCKS,
        ),
        (b"P7\n" + b"#\n" * MANY, "not an image"),
        (b"P7\nWIDTH 4\n" + b"#\n" * MANY, "damaged: the header of a PAM file"),
        (b"P5\n" + b"#\n" * MANY + b"3 3\n255\n" + bytes(9), "not an image"),
        (b"P5 3\n" + b"#\n" * MANY + b"3\n255\n" + bytes(9), "damaged: the header of a Netpbm file"),
        (b"P5 3 3\n" + b"#\n" * MANY + b"255\n" + bytes(9), "damaged: the header of a Netpbm file"),
        (b"P2 9 9 255\n" + b"#\n" * MANY, "damaged: a plain Netpbm file with more than 65,536 comments"),
    ],
    ids=range(15),
)
def test_a_file_of_millions_of_tiny_parts_is_refused(data: bytes, expected: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data, SMALL)
    assert caught.value.reason == expected


@pytest.mark.timeout(30)
def test_few_of_many_packed_chunks_are_unpacked() -> None:
    for part in (chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB), chunk(b"iCCP", b"name\0\0" + BOMB)):
        data = PNG[:33] + part * 20_000 + PNG[33:]
        assert decode(data, SMALL).width == 40


@pytest.mark.timeout(30)
def test_one_value_among_many_is_found() -> None:
    assert decode(b"P2 2 1 255\n" + b"7 " * MANY, SMALL).pixels.max() == 7
    rest = struct.pack(">I", 0) * MANY
    assert decode(JPEG + rest, SMALL).width == decode(PROGRESSIVE + rest, SMALL).width == 40
    assert decode(JPEG[:-2] + rest, SMALL).width == decode(PROGRESSIVE[:-2] + rest, SMALL).width == 40
