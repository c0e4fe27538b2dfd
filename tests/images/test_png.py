"""PNG files with damage beside the image, much text, or more chunks than an image needs."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from lookalike.images import png as png_files
from lookalike.images.decode import decode
from tests.support.decoded_files import WHOLE, pixels, reason
from tests.support.image_samples import END, chunk, exif, painting, png, saved


def after_header(data: bytes, *chunks: bytes) -> bytes:
    return data[:33] + b"".join(chunks) + data[33:]


def before_end(data: bytes, *chunks: bytes) -> bytes:
    return data.removesuffix(END) + b"".join(chunks) + END


def spoiled(whole: bytes) -> bytes:
    """A chunk with a wrong checksum."""
    return whole[:-1] + bytes((whole[-1] ^ 1,))


BAD: dict[str, bytes] = {
    "tEXt checksum": spoiled(chunk(b"tEXt", b"Comment\0text")),
    "zTXt checksum": spoiled(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"text"))),
    "pHYs short": chunk(b"pHYs", bytes(5)),
    "pHYs checksum": spoiled(chunk(b"pHYs", bytes(9))),
    "gAMA short": chunk(b"gAMA", bytes(2)),
    "cHRM short": chunk(b"cHRM", bytes(31)),
    "sRGB empty": chunk(b"sRGB", b""),
    "iCCP without its end": chunk(b"iCCP", b"name"),
    "iCCP of another method": chunk(b"iCCP", b"name\0\x09" + zlib.compress(b"profile")),
    "iCCP not packed": chunk(b"iCCP", b"name\0\0profile"),
    "iCCP of gigabytes": chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(5_000_000))),
    "iCCP checksum": spoiled(chunk(b"iCCP", b"name\0\0" + zlib.compress(b"profile"))),
    "tRNS short": chunk(b"tRNS", bytes(3)),
    "tRNS checksum": spoiled(chunk(b"tRNS", bytes(6))),
    "zTXt of another method": chunk(b"zTXt", b"Comment\0\x07text"),
    "zTXt of megabytes": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"node " * 1_000_000)),
    "iTXt of megabytes": chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(b"node " * 1_000_000)),
    "XMP of megabytes": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"node " * 1_000_000)),
    "EXIF as text of megabytes": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"00 " * 1_000_000)),
    "tEXt of megabytes": chunk(b"tEXt", b"workflow\0" + b"node " * 1_000_000),
    "many texts": chunk(b"tEXt", b"key\0" + b"x" * 60_000) * 1200,
    "many packed texts": chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(1_000_000))) * 100,
    "eXIf damaged": chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
    "eXIf checksum": spoiled(chunk(b"eXIf", exif(6)[6:])),
    "private": chunk(b"caBX", bytes(3_000_000)),
    "private checksum": spoiled(chunk(b"prVt", b"x")),
    "acTL short": chunk(b"acTL", b"x"),
    "acTL alone": chunk(b"acTL", struct.pack(">II", 5, 0)),
    "fcTL out of order": chunk(b"acTL", struct.pack(">II", 5, 0)) + chunk(b"fcTL", struct.pack(">I", 7) + bytes(22)),
    "fdAT alone": chunk(b"fdAT", b"x"),
}


@pytest.mark.parametrize("place", [after_header, before_end])
@pytest.mark.parametrize("kind", BAD)
def test_damage_beside_the_image_does_not_matter(kind: str, place: Callable[..., bytes]) -> None:
    for image in (painting(size=(83, 61)), painting("L", (83, 61))):
        data = saved(image, "PNG")
        if "tRNS short" in kind and image.mode == "L":
            continue  # it is long enough for a grey
        np.testing.assert_array_equal(pixels(place(data, BAD[kind])), pixels(data))


@pytest.mark.parametrize("cut", range(1, 20, 3))
def test_a_comment_that_is_cut_off_after_the_image_does_not_matter(cut: int) -> None:
    data = saved(painting(size=(83, 61)), "PNG")
    longer = data.removesuffix(END) + chunk(b"tEXt", b"Comment\0text")
    np.testing.assert_array_equal(pixels(longer[:-cut]), pixels(data))
    np.testing.assert_array_equal(pixels(data.removesuffix(END)), pixels(data))


def test_a_png_that_is_cut_before_or_in_its_pixels_is_truncated() -> None:
    data = after_header(saved(painting(size=(83, 61)), "PNG"), chunk(b"tEXt", b"Comment\0" + b"text" * 100))
    for end in range(33, len(data) - 20, 41):
        assert reason(data[:end]) == "truncated", end


def test_damage_in_a_chunk_that_the_image_needs_is_damage() -> None:
    data = saved(painting("P", (83, 61)), "PNG")
    at = data.index(b"PLTE")
    assert reason(data[: at + 10] + b"\xaa" + data[at + 11 :]).startswith("damaged")
    assert reason(spoiled(data[:33]) + data[33:]).startswith("damaged")


def test_what_the_kept_chunks_say_still_counts() -> None:
    bad = BAD["pHYs short"] + BAD["zTXt of megabytes"]
    turned = chunk(b"eXIf", exif(6)[6:])
    xmp = chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>')
    packed = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b'<x tiff:Orientation="6"/>'))
    hexed = b"\nexif\n" + str(len(exif(6))).encode() + b"\n" + exif(6).hex().encode()
    raw = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(hexed))
    for orienting in (turned, xmp, packed, raw):
        for place in (after_header, before_end):
            data = place(saved(painting(size=(90, 60)), "PNG"), bad, orienting)
            found = decode(data, WHOLE)
            assert (found.width, found.height) == (60, 90)
    clear = png((16, 16), 8, 0, (b"\0" + bytes(8) + b"\x09" * 8) * 16, bad + chunk(b"tRNS", b"\0\x09"))
    assert (pixels(clear)[:, 18:] == 255).all()
    assert (pixels(clear)[:, :14] == 0).all()
    alphas = after_header(saved(painting("P"), "PNG", transparency=b"\0" * 256), bad)
    assert (pixels(alphas) == 255).all()


def test_the_first_frame_of_an_animation_with_damaged_others_is_decoded() -> None:
    black = Image.new("RGB", (83, 61))
    data = saved(painting(size=(83, 61)), "PNG", save_all=True, append_images=[black, black])
    expected = pixels(saved(painting(size=(83, 61)), "PNG"))
    at = data.rindex(b"fcTL") + 4
    number = int.from_bytes(data[at : at + 4], "big") + 5
    np.testing.assert_array_equal(pixels(data[:at] + struct.pack(">I", number) + data[at + 4 :]), expected)
    np.testing.assert_array_equal(pixels(data[: data.rindex(b"fdAT") + 20]), expected)


def test_text_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(painting(size=(83, 61)), "PNG")
    texts = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(60_000_000))) * 3
    tracemalloc.start()
    try:
        decode(after_header(data, texts), WHOLE)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_very_many_chunks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_files, "_MOST_CHUNKS", 1000)
    data = after_header(saved(painting(), "PNG"), chunk(b"tEXt", b"") * 1001)
    assert reason(data) == "a PNG of more than 1,000 chunks is not read"


def test_a_png_of_apples_own_kind_is_named() -> None:
    data = saved(painting(), "PNG")
    assert (
        reason(data[:8] + chunk(b"CgBI", bytes(4)) + data[8:])
        == "a PNG that was changed for iPhones (CgBI) is not read"
    )


def test_a_usual_png_is_not_copied() -> None:
    data = after_header(saved(painting(), "PNG"), chunk(b"tEXt", b"Software\0x"), chunk(b"pHYs", bytes(9)))
    assert png_files._needed(data)[0] is data
