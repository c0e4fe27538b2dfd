"""PBM, PGM, PPM, PAM and grey PFM: plain and not, of any largest value."""

import io
import struct

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images import limits
from lookalike.images.decode import decode, thumbnail
from tests.support.decoded_files import WHOLE, reason
from tests.support.image_samples import close, painting, saved

SIZE = (41, 30)


def whole(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(thumbnail(data, 1000))


def values(mode: str) -> NDArray[np.uint8]:
    return np.asarray(painting(mode, SIZE))


def netpbm(number: int, array: NDArray[np.generic], most: int | None = None, *, size: tuple[int, int] = SIZE) -> bytes:
    """A file of that kind, 1 to 6, of an array of values, or of packed bits for 4."""
    head = b"P%d\n%d %d\n" % (number, *size) + (b"%d\n" % most if most else b"")
    if number > 3:
        return head + array.tobytes()
    lines = (b" ".join(b"%d" % value for value in row) for row in array.reshape(size[1], -1))
    return head + b"\n".join(lines) + b"\n"


def as_rgb(mode: str) -> NDArray[np.uint8]:
    return np.asarray(painting(mode, SIZE).convert("RGB"))


@pytest.mark.parametrize(("number", "mode"), [(2, "L"), (3, "RGB"), (5, "L"), (6, "RGB")])
def test_bytes_are_decoded_exactly(number: int, mode: str) -> None:
    np.testing.assert_array_equal(whole(netpbm(number, values(mode), 255)), as_rgb(mode))


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_files_that_pillow_writes_are_decoded(mode: str) -> None:
    np.testing.assert_array_equal(whole(saved(painting(mode, SIZE), "PPM")), as_rgb(mode))


def test_bits_are_black_where_they_are_set() -> None:
    bits = (values("1") == 0).astype(np.uint8)
    packed = netpbm(4, np.packbits(bits, axis=1))
    np.testing.assert_array_equal(whole(packed), as_rgb("1"))
    np.testing.assert_array_equal(whole(netpbm(1, bits)), as_rgb("1"))
    together = b"P1 41 30 " + b"".join(b"%d" % bit for bit in bits.ravel())
    np.testing.assert_array_equal(whole(together), as_rgb("1"))


@pytest.mark.parametrize("most", [1, 7, 100, 254, 255, 256, 1023, 4095, 60_000, 65_535])
@pytest.mark.parametrize(("number", "mode"), [(2, "L"), (3, "RGB"), (5, "L"), (6, "RGB")])
def test_the_largest_value_is_white(most: int, number: int, mode: str) -> None:
    scaled = np.rint(values(mode) / 255 * most)
    kind = np.dtype("u1" if most < 256 else ">u2")
    expected = scaled / most * 255
    found = whole(netpbm(number, scaled.astype(kind), most)).astype(float)
    assert np.abs(found - (expected[..., None] if mode == "L" else expected)).max() <= 1


def test_comments_and_any_white_space_are_admitted() -> None:
    data = netpbm(5, values("L"), 255)
    noted = b"P5 # made by a test\n# and no other\n41\t# wide\r\n\n30\n#\n255\n" + data[-41 * 30 :]
    np.testing.assert_array_equal(whole(noted), as_rgb("L"))
    plain = netpbm(2, values("L"), 255).replace(b"\n255\n", b"\n#most\n255 # then the values 7 8\n\n")
    np.testing.assert_array_equal(whole(plain), as_rgb("L"))


@pytest.mark.parametrize(
    ("kind", "mode"), [("GRAYSCALE", "L"), ("GRAYSCALE_ALPHA", "LA"), ("RGB", "RGB"), ("RGB_ALPHA", "RGBA")]
)
@pytest.mark.parametrize("most", [255, 65_535])
def test_pam_is_decoded_with_its_alpha(kind: str, mode: str, most: int) -> None:
    image = painting(mode, SIZE)
    array = np.asarray(image).astype("u1" if most == 255 else ">u2") * (most // 255)
    head = f"P7\n# a comment\nWIDTH 41\nHEIGHT 30\nDEPTH {len(mode)}\nMAXVAL {most}\nTUPLTYPE {kind}\nENDHDR\n"
    np.testing.assert_array_equal(whole(head.encode() + array.tobytes()), whole(saved(image, "PNG")))


def test_a_pam_of_bits_is_white_where_they_are_set() -> None:
    head = b"P7\nWIDTH 41\nHEIGHT 30\nDEPTH 1\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE\nENDHDR\n"
    np.testing.assert_array_equal(whole(head + (values("1") > 0).astype(np.uint8).tobytes()), as_rgb("1"))


@pytest.mark.parametrize("scale", [-1.0, 1.0])
def test_a_grey_pfm_is_decoded_from_its_lowest_row(scale: float) -> None:
    grey = values("L").astype(np.float32) / 255
    kind = "<f4" if scale < 0 else ">f4"
    data = b"Pf\n41 30\n%.1f\n" % scale + grey[::-1].astype(kind).tobytes()
    close(whole(data), as_rgb("L"), mean=0.5, most=1)


def test_a_file_that_ends_early_is_truncated() -> None:
    for number, mode in ((2, "L"), (3, "RGB"), (5, "L"), (6, "RGB")):
        data = netpbm(number, values(mode), 255)
        assert reason(data[: len(data) // 2]) == "truncated"
        assert reason(data[:-6]) == "truncated"
    assert reason(netpbm(1, values("1") // 255)[:-3]) == "truncated"
    assert reason(netpbm(2, values("L"), 255)[:12]) == "truncated"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P5 41 30 70000\n" + bytes(9999), "damaged: a Netpbm file whose largest value is 70000"),
        (b"P5 41 30 0\n" + bytes(9999), "damaged: a Netpbm file whose largest value is 0"),
        (b"P5 41 30 x\n" + bytes(9999), "damaged: the header of a Netpbm file"),
        (b"P2 2 1 255\n1 x", "damaged: a plain Netpbm file with other signs than digits"),
        (b"P7\nWIDTH 4\nHEIGHT 3\nDEPTH 7\nMAXVAL 255\nENDHDR\n", "a PAM of 7 channels is not read"),
        (b"P7\nWIDTH 4\nHEIGHT 3\nDEPTH 3\n", "damaged: the header of a PAM file"),
        (b"PF\n4 3\n-1\n", "colour PFM is not read"),
        (b"P7 332\n", "an XV thumbnail is not read"),
        (b"P5 is a kind of image", "not an image"),
        (b"P6", "not an image"),
        (b"P6 400000 400000 255\n", "400000 x 400000 pixels is over the limit of 178 million"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(data: bytes, expected: str) -> None:
    assert reason(data).startswith(expected)


def test_the_memory_of_numbers_as_text_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_BYTES", 1)
    data = netpbm(3, values("RGB"), 255)
    needed = 41 * 30 * 4 + 30 * 8 + 4 * len(data)
    assert decode(data, WHOLE, max_pixels=needed).width == 41
    with pytest.raises(ImageError, match=f"max_pixels={needed} allows it"):
        decode(data, WHOLE, max_pixels=needed - 1)


def test_only_the_first_of_several_images_is_decoded() -> None:
    data = netpbm(6, values("RGB"), 255)
    np.testing.assert_array_equal(whole(data + data), as_rgb("RGB"))


def test_it_agrees_with_pillow() -> None:
    for number, mode, most in ((6, "RGB", 255), (6, "RGB", 100), (5, "L", 255), (3, "RGB", 255)):
        data = netpbm(number, np.minimum(values(mode), most), most)
        close(whole(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), mean=0.5, most=1)
    wide = struct.pack(">4H", 0, 0x3456, 0x8000, 0xFFFF)
    np.testing.assert_array_equal(whole(b"P5 4 1 65535\n" + wide)[0, :, 0], [0, 0x34, 0x80, 0xFF])
