"""Colour spaces that files name without an ICC profile, or in places where Pillow does not look."""

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.images import colour, colour_spaces
from lookalike.images.decode import thumbnail
from tests.support.image_samples import HEIC, chunk, painting, saved
from tests.support.profiles import ADOBE_RGB, DISPLAY_P3, PROPHOTO, SRGB, decoded, encoded, rgb_profile, shown

BT2020_TO_SRGB = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
PLAIN = painting(size=(48, 32))
PIXELS = np.asarray(PLAIN)
ADOBE_CHRM = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
SRGB_CHRM = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)


def with_chunks(*chunks: bytes, image: Image.Image = PLAIN) -> bytes:
    data = saved(image, "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def gama(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def chrm(*points: float) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(point * 100_000) for point in points)))


def iccp(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"a profile\0\0" + zlib.compress(profile))


def look(data: bytes) -> NDArray[np.int64]:
    return np.asarray(thumbnail(data, 48)).astype(int)


def assert_shown(data: bytes, expected: NDArray[np.uint8], *, most: int = 2) -> None:
    assert np.abs(look(data) - expected).max() <= most


# PNG


def test_display_p3_by_cicp_is_shown_in_srgb() -> None:
    assert_shown(with_chunks(chunk(b"cICP", bytes([12, 13, 0, 1]))), shown(PIXELS, DISPLAY_P3, None))


def test_bt2020_by_cicp_is_shown_in_srgb() -> None:
    expected = np.rint(255 * encoded(decoded(PIXELS / 255) @ BT2020_TO_SRGB.T)).astype(np.uint8)
    assert_shown(with_chunks(chunk(b"cICP", bytes([9, 13, 0, 1]))), expected)


def test_linear_light_by_cicp_is_shown_in_srgb() -> None:
    assert_shown(with_chunks(chunk(b"cICP", bytes([1, 8, 0, 1]))), shown(PIXELS, SRGB, 1.0))


def test_pq_by_cicp_has_its_white_at_203_candelas() -> None:
    """58% of the signal is 203 cd/m2: table 1 of ITU-R BT.2408."""
    grey = Image.new("RGB", (48, 32), (148, 148, 148))
    white = look(with_chunks(chunk(b"cICP", bytes([9, 16, 0, 1])), image=grey))
    assert white.min() >= 253
    dark = Image.new("RGB", (48, 32), (64, 64, 64))  # 25% is 5.1 cd/m2
    level = encoded(np.array(5.15 / 203)) * 255
    assert np.abs(look(with_chunks(chunk(b"cICP", bytes([9, 16, 0, 1])), image=dark)) - level).max() <= 2


def test_hlg_by_cicp_has_its_white_at_three_quarters() -> None:
    grey = Image.new("RGB", (48, 32), (191, 191, 191))
    assert look(with_chunks(chunk(b"cICP", bytes([9, 18, 0, 1])), image=grey)).min() >= 252


@pytest.mark.parametrize("gamma", [1.0, 1 / 1.8, 1 / 2.6])
def test_a_gamma_alone_is_applied(gamma: float) -> None:
    assert_shown(with_chunks(gama(gamma)), shown(PIXELS, SRGB, 1 / gamma))
    grey = PLAIN.convert("L")
    assert_shown(with_chunks(gama(gamma), image=grey), shown(np.asarray(grey.convert("RGB")), SRGB, 1 / gamma))


def test_gamma_and_chromaticities_are_applied_together() -> None:
    assert_shown(with_chunks(gama(1 / 2.2), chrm(*ADOBE_CHRM)), shown(PIXELS, ADOBE_RGB, 2.2))


def test_what_goes_before_counts() -> None:
    """cICP before a profile, that before sRGB, that before a gamma."""
    p3, prophoto = shown(PIXELS, DISPLAY_P3, None), shown(PIXELS, PROPHOTO, 1.8)
    profile = iccp(rgb_profile(PROPHOTO, 1.8))
    assert_shown(with_chunks(gama(1.0), profile, chunk(b"cICP", bytes([12, 13, 0, 1]))), p3)
    assert_shown(with_chunks(gama(1.0), profile), prophoto)
    assert_shown(with_chunks(chunk(b"sRGB", b"\0"), gama(1.0)), PIXELS, most=0)


@pytest.mark.parametrize(
    "chunks",
    [
        [gama(0.45455)],
        [gama(0.45455), chrm(*SRGB_CHRM)],
        [gama(0.45)],
        [chrm(*ADOBE_CHRM)],
        [gama(0)],
        [gama(20000)],
        [gama(0.45455), chrm(*[0] * 8)],
        [gama(0.45455), chrm(*[0.3] * 8)],
        [chunk(b"cICP", bytes([1, 13, 0, 1]))],
        [chunk(b"cICP", bytes([2, 2, 0, 1]))],
        [chunk(b"cICP", bytes([12, 13, 0, 0]))],
        [chunk(b"cICP", b"\x0c")],
        [chunk(b"cICP", bytes([12, 13, 0, 1]))[:-1] + b"\0"],
    ],
)
def test_colours_stay_as_they_are_without_another_space(chunks: list[bytes]) -> None:
    """Bit for bit: sRGB's gamma, about; chromaticities alone, as browsers have it; what is broken or unknown."""
    np.testing.assert_array_equal(look(with_chunks(*chunks)), PIXELS)


def test_chunks_that_unpack_to_gigabytes_take_little() -> None:
    bomb = chunk(b"iCCP", b"x\0\0" + _bomb(2**26))
    assert colour_spaces.profile_in(io.BytesIO(with_chunks(bomb))) is None


def _bomb(size: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(size >> 20)) + packer.flush()


# BMP


def test_the_profile_in_a_bmp_is_applied() -> None:
    data = saved(PLAIN, "BMP")
    pixels, profile = data[54:], rgb_profile(PROPHOTO, 1.8)
    info = struct.pack("<I", 124) + data[18:54] + bytes(16) + b"DEBM" + bytes(48)
    info += struct.pack("<IIII", 4, 124 + len(pixels), len(profile), 0)
    head = b"BM" + struct.pack("<IHHI", 138 + len(pixels) + len(profile), 0, 0, 138)
    assert_shown(head + info + pixels + profile, shown(PIXELS, PROPHOTO, 1.8))
    assert_shown(head + info + pixels, PIXELS, most=0)


# AVIF and HEIC


def test_the_space_that_an_avif_names_is_applied() -> None:
    flat = Image.new("RGB", (64, 64), (120, 60, 60))
    data = saved(flat, "AVIF", quality=100, subsampling="4:4:4")
    at = data.index(b"colrnclx") + 8
    named = data[:at] + struct.pack(">HH", 12, 13) + data[at + 4 :]
    found = np.asarray(thumbnail(named, 8))[4, 4].astype(int)
    assert np.abs(found - shown(np.array([120, 60, 60], np.uint8), DISPLAY_P3, None)).max() <= 2
    assert found[0] - found[1] >= 64  # redder
    broken = data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]
    np.testing.assert_array_equal(np.asarray(thumbnail(broken, 8)), np.asarray(thumbnail(data, 8)))


def test_the_space_that_a_heic_names_is_found() -> None:
    at = HEIC.index(b"colrnclx") + 8
    named = HEIC[:at] + struct.pack(">HH", 12, 13) + HEIC[at + 4 :]
    profile = colour_spaces.profile_in(io.BytesIO(named))
    assert profile is not None
    assert colour.may_convert(profile)
    srgb = colour_spaces.profile_in(io.BytesIO(HEIC))
    assert srgb is not None
    assert not colour.may_convert(srgb)


# All formats


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_the_profile_of_a_file_is_found_without_reading_all_of_it(kind: str) -> None:
    profile = rgb_profile(PROPHOTO, 1.8)
    assert colour_spaces.profile_in(io.BytesIO(saved(PLAIN, kind, icc_profile=profile))) == profile
    found = colour_spaces.profile_in(io.BytesIO(saved(PLAIN, kind)))
    assert found is None or not colour.may_convert(found)


def test_a_profile_is_found_behind_other_segments_of_a_jpeg() -> None:
    profile = rgb_profile(PROPHOTO, 1.8)
    padded = (len(profile) + 100_000).to_bytes(4, "big") + profile[4:] + bytes(100_000)
    data = saved(PLAIN, "JPEG", icc_profile=padded)
    others = b"\xff\xe1" + struct.pack(">H", 60_002) + bytes(60_000) + b"\xff" * 3 + b"\xfe\0\x04ab"
    assert colour_spaces.profile_in(io.BytesIO(data[:2] + others + data[2:])) == padded


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "BMP"])
def test_a_file_that_ends_anywhere_does_not_hang(kind: str) -> None:
    options = {} if kind == "BMP" else {"icc_profile": rgb_profile(PROPHOTO, 1.8)}
    data = saved(PLAIN, kind, **options)
    for end in range(0, len(data), 7):
        image = PLAIN.copy()
        image.format = kind
        colour_spaces.add_profile(image, data[:end])
