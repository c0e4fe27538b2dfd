"""Which files are looked at again, since an earlier version decoded them otherwise."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from lookalike.images import revisions
from tests.support.image_samples import HEIC, chunk, painting, saved
from tests.support.profiles import PROPHOTO, SRGB, cmyk_profile, rgb_profile

PLAIN = painting()
OTHER, SAME = rgb_profile(PROPHOTO, 1.8), rgb_profile(SRGB, None)


def gif(left: int = 0) -> bytes:
    """A GIF of 40 x 30 pixels whose first frame begins there."""
    data = bytearray(saved(PLAIN, "GIF"))
    at = data.index(b"," + bytes(4) + struct.pack("<HH", 40, 30))
    data[at + 1], data[at + 5] = left, 40 - left
    return bytes(data)


SAME_AS_BEFORE = {
    "jpeg": saved(PLAIN, "JPEG"),
    "jpeg of sRGB": saved(PLAIN, "JPEG", icc_profile=SAME),
    "jpeg with exif": saved(PLAIN, "JPEG", exif=b"Exif\0\0" + bytes(60_000)),
    "jpeg of inks": saved(PLAIN.convert("CMYK"), "JPEG"),
    "progressive jpeg": saved(PLAIN, "JPEG", progressive=True),
    "png": saved(PLAIN, "PNG"),
    "png of sRGB": saved(PLAIN, "PNG", icc_profile=SAME),
    "palette": saved(PLAIN.quantize(9), "PNG"),
    "webp": saved(PLAIN, "WEBP"),
    "webp of sRGB": saved(PLAIN.convert("RGBA"), "WEBP", icc_profile=SAME),
    "avif": saved(PLAIN, "AVIF"),
    "heic": HEIC,
    "gif": saved(PLAIN, "GIF"),
    "animation": saved(PLAIN, "GIF", save_all=True, append_images=[painting("L")]),
    "bmp": saved(PLAIN, "BMP"),
    "tiff": saved(PLAIN, "TIFF"),
    "compressed tiff of sRGB": saved(PLAIN, "TIFF", compression="tiff_lzw", icc_profile=SAME),
    "tiff of inks": saved(PLAIN.convert("CMYK"), "TIFF"),
}
OTHERWISE = {
    "jpeg": saved(PLAIN, "JPEG", icc_profile=OTHER),
    "jpeg of inks": saved(PLAIN.convert("CMYK"), "JPEG", icc_profile=cmyk_profile()),
    "png": saved(PLAIN, "PNG", icc_profile=OTHER),
    "png with a gamma": saved(PLAIN, "PNG")[:33] + chunk(b"gAMA", b"\0\1\x86\xa0") + saved(PLAIN, "PNG")[33:],
    "16 bits": saved(Image.fromarray(np.asarray(painting("L")).astype(np.uint16)), "PNG"),
    "webp": saved(PLAIN, "WEBP", icc_profile=OTHER),
    "avif": saved(PLAIN, "AVIF", icc_profile=OTHER),
    "gif": gif(left=5),
    "tiff": saved(PLAIN, "TIFF", icc_profile=OTHER),
    "tiff of 16 bits": saved(Image.fromarray(np.asarray(painting("L")).astype(np.uint16)), "TIFF"),
    "cut off": saved(PLAIN, "PNG")[:20],
}


@pytest.mark.parametrize("name", SAME_AS_BEFORE)
def test_most_files_are_decoded_as_before(name: str) -> None:
    assert not revisions.may_differ(io.BytesIO(SAME_AS_BEFORE[name]), 0)


@pytest.mark.parametrize("name", OTHERWISE)
def test_files_that_are_decoded_otherwise_are_told(name: str) -> None:
    assert revisions.may_differ(io.BytesIO(OTHERWISE[name]), 0)


@pytest.mark.parametrize("name", OTHERWISE)
def test_no_file_differs_from_what_this_version_decodes(name: str) -> None:
    assert not revisions.may_differ(io.BytesIO(OTHERWISE[name]), revisions.CURRENT)


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "webp of sRGB"])
def test_only_the_beginning_of_a_file_is_read(name: str) -> None:
    class Counting(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.count += len(data)
            return data

    file = Counting(SAME_AS_BEFORE[name] + bytes(10**7))
    revisions.may_differ(file, 0)
    assert file.count < 20_000


def test_a_file_that_ends_anywhere_does_not_hang_or_raise() -> None:
    for data in (*SAME_AS_BEFORE.values(), *OTHERWISE.values()):
        for end in range(0, min(len(data), 1500), 3):
            assert revisions.may_differ(io.BytesIO(data[:end]), 0) in (True, False)
