"""JPEG files without an end, with short segments, with other data behind the image, and of kinds that are not read."""

import io
import random
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images import limits
from lookalike.images.decode import Preprocessing, decode
from lookalike.images.jpeg import open_jpeg
from tests.support.decoded_files import WHOLE, pixels, reason
from tests.support.image_samples import close, painting, saved, smooth


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def after_start(data: bytes, *segments: bytes) -> bytes:
    return data[:2] + b"".join(segments) + data[2:]


# Without an end

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("RGB", {}),
    ("L", {}),
    ("CMYK", {}),
    ("RGB", {"progressive": True}),
    ("L", {"progressive": True}),
    ("RGB", {"restart_marker_blocks": 3}),
    ("RGB", {"restart_marker_rows": 1, "progressive": True}),
    ("RGB", {"subsampling": 0, "quality": 98}),
]


@pytest.mark.parametrize(("mode", "options"), KINDS)
@pytest.mark.parametrize("ending", [b"", b"\xff", bytes(100), b"\r\n"])
def test_a_jpeg_without_its_end_marker_is_decoded_as_with_it(mode: str, options: dict[str, Any], ending: bytes) -> None:
    data = saved(painting(mode, (83, 61)), "JPEG", **options)
    np.testing.assert_array_equal(pixels(data[:-2] + ending), pixels(data))


@pytest.mark.parametrize(("mode", "options"), KINDS)
def test_a_jpeg_cut_anywhere_is_truncated_unless_no_pixel_is_missing(mode: str, options: dict[str, Any]) -> None:
    data = saved(painting(mode, (83, 61)), "JPEG", **options)
    whole, refused = pixels(data), 0
    start = data.index(b"\xff\xda") + 14
    for end in [*range(start, len(data) - 40, 37), *range(len(data) - 40, len(data))]:
        try:
            found = pixels(data[:end])
        except ImageError as error:
            assert error.reason == "truncated"  # noqa: PT017 - both outcomes are right
            refused += 1
        else:
            close(found, whole, mean=0.1)
            assert end > len(data) - 32  # in the last block
    assert refused > 20


@pytest.mark.parametrize("blocks", [2, 5])
def test_a_jpeg_that_ends_at_a_restart_marker_is_truncated(blocks: int) -> None:
    data = saved(painting(size=(83, 61)), "JPEG", restart_marker_blocks=blocks)
    start = data.index(b"\xff\xda")
    ends = [at for at in range(start, len(data) - 1) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    assert len(ends) > 3
    for end in ends:
        assert reason(data[:end]) == "truncated"
        assert reason(data[: end + 2]) == "truncated"


def test_a_progressive_jpeg_that_ends_between_two_scans_is_truncated() -> None:
    data = saved(painting(size=(83, 61)), "JPEG", progressive=True)
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) == 10
    for at in scans[1:]:
        tables = data.rindex(b"\xff\xc4", 0, at)
        assert reason(data[:tables]) == "truncated"
        assert reason(data[:at]) == "truncated"


# Segments that only comment on the image


@pytest.mark.parametrize(
    "short",
    [
        segment(0xE0, b"JFIF\0"),
        segment(0xE0, b"JFIF"),
        segment(0xE0, b""),
        segment(0xE2, b"ICC_PROFILE\0"),
        segment(0xE2, b"ICC_PROFILE\0\1"),
        segment(0xE2, b"MPF\0"),
        segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04"),
        segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\x10\0"),
        segment(0xEE, b"Adobe"),
        segment(0xE1, b"Exif"),
        segment(0xE1, b"Exif\0\0"),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
        segment(0xFE, b""),
        b"\xff\xff\xff" + segment(0xE5, b"x"),
    ],
)
@pytest.mark.parametrize("progressive", [False, True])
def test_a_short_segment_beside_the_image_does_not_matter(short: bytes, progressive: bool) -> None:
    data = saved(painting(size=(83, 61)), "JPEG", progressive=progressive)
    np.testing.assert_array_equal(pixels(after_start(data, short)), pixels(data))
    np.testing.assert_array_equal(pixels(after_start(data[:-2], short)), pixels(data))


def test_what_the_other_segments_say_still_counts() -> None:
    orientation = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = after_start(saved(smooth((90, 60)), "JPEG"), segment(0xE0, b"JFIF\0"), segment(0xE1, orientation))
    found = decode(data, WHOLE)
    assert (found.width, found.height) == (60, 90)
    adobe = saved(painting("CMYK"), "JPEG")
    np.testing.assert_array_equal(pixels(after_start(adobe, segment(0xEE, b"Adobe"))), pixels(adobe))


# More than the image


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("has_end", [False, True])
def test_data_behind_the_image_is_not_searched_for_scans(progressive: bool, has_end: bool) -> None:
    data = saved(painting(size=(83, 61)), "JPEG", progressive=progressive)
    video = b"\0\0\0\x18ftypmp42" + random.Random(1).randbytes(200_000).replace(b"\xff\xda", b"") + b"\xff\xda" * 200
    if not has_end:
        with pytest.raises(ImageError):  # its markers are those of a damaged image now
            decode(data[:-2] + b"\xff\xda" * 200, WHOLE)
        return
    np.testing.assert_array_equal(pixels(data + video), pixels(data))
    np.testing.assert_array_equal(pixels(data + data + data), pixels(data))


def test_a_thumbnail_in_a_segment_does_not_count_as_a_scan() -> None:
    small = saved(painting(size=(16, 16)), "JPEG", progressive=True)
    data = saved(painting(size=(83, 61)), "JPEG", progressive=True)
    with_thumbnails = after_start(data, *[segment(0xE1, b"Exif\0\0" + small)] * 20)
    assert open_jpeg(with_thumbnails).scans == open_jpeg(data).scans == 10
    np.testing.assert_array_equal(pixels(with_thumbnails), pixels(data))


# Several scans


def one_scan_a_channel(repeated: int = 1) -> tuple[bytes, NDArray[np.uint8]]:
    """A sequential JPEG whose channels are in scans of their own, and the RGB that it stands for."""
    image = smooth((80, 64))
    planes = [saved(plane, "JPEG", quality=90) for plane in image.convert("YCbCr").split()]
    at = planes[0].index(b"\xff\xc0")
    frame = struct.pack(">BHHB", 8, 64, 80, 3) + b"".join(bytes((number, 0x11, 0)) for number in (1, 2, 3))
    end = planes[0].index(b"\xff\xda")
    head = planes[0][:at] + segment(0xC0, frame) + planes[0][at + 2 + 11 : end]
    scans = [
        segment(0xDA, bytes((1, number, 0, 0, 63, 0))) + plane[plane.index(b"\xff\xda") + 10 : -2]
        for number, plane in enumerate(planes, 1)
    ]
    return head + b"".join(scans * repeated) + b"\xff\xd9", np.asarray(image.convert("YCbCr").convert("RGB"))


def test_scans_of_single_channels_are_decoded_and_limited_in_number() -> None:
    data, expected = one_scan_a_channel()
    close(np.asarray(decode(data, Preprocessing(size=64, crop=1.0)).pixels), expected[:, 8:72], mean=3)
    np.testing.assert_array_equal(pixels(data[:-2]), pixels(data))
    second_scan = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    assert reason(data[:second_scan]) == "truncated"
    assert reason(one_scan_a_channel(repeated=40)[0]) == "more than 100 progressive scans"


def test_the_memory_of_coefficients_is_that_of_their_blocks() -> None:
    for subsampling, blocks in ((0, 11 * 8 * 3), (1, 6 * (2 + 1 + 1) * 8), (2, 6 * 4 * (4 + 1 + 1))):
        data = saved(painting(size=(83, 61)), "JPEG", progressive=True, subsampling=subsampling)
        assert open_jpeg(data).coefficients == blocks * 64 * 2
    assert open_jpeg(saved(painting(), "JPEG")).coefficients == 0


def test_a_large_progressive_jpeg_counts_as_coefficients_and_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "_BYTES", 1)
    data = saved(smooth((1600, 1200)), "JPEG", progressive=True)
    needed = 1600 * 1200 * 2 * 1.5 + 400 * 300 * 4 + 8 * 300
    with pytest.raises(ImageError, match=f"max_pixels={needed:.0f} allows it"):
        decode(data, Preprocessing(), max_pixels=1000)
    assert decode(data, Preprocessing(), max_pixels=int(needed)).width == 1600


# Other kinds


def test_kinds_of_jpeg_that_are_not_read_are_named() -> None:
    data = saved(painting(), "JPEG")
    at = data.index(b"\xff\xc0")
    deep = data[: at + 4] + b"\x0c" + data[at + 5 :]
    assert reason(deep) == "a JPEG with 12 bits for a channel is not read"
    two = data[:at] + segment(0xC0, struct.pack(">BHHB", 8, 30, 40, 2) + b"\1\x11\0\2\x11\0") + data[at + 19 :]
    assert reason(two) == "a JPEG with 2 channels is not read"
    late = data[: at + 5] + bytes(2) + data[at + 7 :]
    assert reason(late) == "a JPEG that gives its height after its pixels is not read"
    assert (
        reason(b"\xff\xd8" + segment(0xF7, struct.pack(">BHHB", 8, 30, 40, 1) + b"\1\x11\0")) == "JPEG-LS is not read"
    )


def test_an_opened_jpeg_is_pillows() -> None:
    image = open_jpeg(saved(painting("CMYK"), "JPEG"))
    assert isinstance(image, Image.Image)
    assert image.mode == "CMYK"
    assert isinstance(image.fp, io.BytesIO)
