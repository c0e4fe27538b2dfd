"""Which bytes are opened and which are refused, without any other effect."""

import io
import logging
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from lookalike.errors import ImageError
from lookalike.images import failures
from lookalike.images.decode import Preprocessing, decode
from tests.campaigns.fuzz_images import Campaign, mutant, run
from tests.support.image_samples import END, HEIC, chunk, painting, png, run_length_bmp, samples, saved

SMALL = Preprocessing(size=32)


def reason(data: bytes, **options: Any) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, SMALL, name="x.jpg", **options)
    assert caught.value.name == "x.jpg"
    return caught.value.reason


@pytest.mark.parametrize("kind", [kind for kind in samples() if kind != "HEIF"])
def test_every_variety_of_a_format_is_decoded(kind: str) -> None:
    for data in samples()[kind]:
        decoded = decode(data, SMALL)
        assert decoded.pixels.std() > 5 or decoded.width == 8  # one of them is black


def test_an_empty_file_is_refused() -> None:
    assert reason(b"") == "empty file"


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"BMW builds cars, bicycles and motorcycles",
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
        b"\xff\xd8",
        b"\0",
    ],
)
def test_bytes_that_are_not_an_image_are_refused(data: bytes) -> None:
    assert reason(data) == "not an image"


NOT_READ = {
    "EPS": "PostScript (EPS)",
    "PDF": "PDF",
    "TGA": "TGA",
    "PCX": "PCX",
    "ICO": "ICO",
    "ICNS": "ICNS",
    "SGI": "SGI",
    "DDS": "DDS",
    "JPEG2000": "JPEG 2000",
}


@pytest.mark.parametrize("kind", NOT_READ)
def test_other_formats_are_never_opened(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(painting(size=(32, 32)), kind)
    monkeypatch.setattr(ImageFile.ImageFile, "__init__", lambda *_: pytest.fail("a plugin was called"))
    assert reason(data) == f"{NOT_READ[kind]} is not read"


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_truncated_images_are_refused(kind: str, options: dict[str, bool], part: float) -> None:
    data = saved(painting(size=(200, 150)), kind, **options)
    assert reason(data[: int(len(data) * part)]) == "truncated"


def test_an_image_without_a_size_is_damaged() -> None:
    expected, bmp = "damaged: no width, no height, or no known kind of pixels", saved(painting(), "BMP")
    assert reason(png((0, 5), 8, 0, b"")) == reason(png((5, 5), 3, 0, b"")) == expected
    assert reason(bmp[:18] + bytes(8) + bmp[26:]) == expected


def test_an_image_that_ends_in_its_header_is_truncated() -> None:
    data = saved(painting(), "JPEG")
    assert {reason(data[:end]) for end in range(3, data.index(b"\xff\xda"))} == {"truncated"}


SMALL_PROGRAM = """
import sys
from pathlib import Path
from typing import Any
from lookalike.errors import ImageError
from lookalike.images.decode import Preprocessing, decode
from lookalike.images.reading import read

def peak() -> int:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

decode(read(sys.argv[1]).data, Preprocessing())
before = peak()
try:
    decode(read(sys.argv[2]).data, Preprocessing())
except ImageError as error:
    print(error.reason)
print((peak() - before) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    packer = zlib.compressobj(9)
    row = bytes(1 + 30000 // 8)
    pixels = b"".join([packer.compress(row * 1000) for _ in range(30)]) + packer.flush()
    head = png((30000, 30000), 1, 0, b"")[: 8 + 25]
    (tmp_path / "bomb.png").write_bytes(head + chunk(b"IDAT", pixels) + END)
    (tmp_path / "sound.png").write_bytes(saved(painting(), "PNG"))
    command = [sys.executable, "-W", "error", "-c", SMALL_PROGRAM, "sound.png", "bomb.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    message, megabytes = done.stdout.splitlines()
    assert message == "30000 x 30000 pixels is over the limit of 178 million; max_pixels=900000000 allows it"
    assert int(megabytes) < 50
    assert done.stderr == ""


def test_the_caller_sets_the_limit_of_pixels() -> None:
    data = saved(painting(size=(100, 80)), "PNG")
    assert decode(data, SMALL, max_pixels=8000).width == 100
    allowed = "max_pixels=8000 allows it"
    assert reason(data, max_pixels=7999) == f"100 x 80 pixels is over the limit of 0.007999 million; {allowed}"


def huge_gif() -> bytes:
    """A GIF with a small screen and a frame of 95 million pixels, most of whose data is missing."""
    data = saved(Image.new("P", (2, 2)), "GIF")
    at = data.index(b",", 13 + 3 * 2)
    return data[: at + 5] + struct.pack("<HH", 10000, 9500) + data[at + 9 :]


def huge_webp() -> bytes:
    """A WebP of 16383 x 16383 pixels without their data."""
    extended = b"VP8X" + struct.pack("<II", 10, 0) + (16382).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", len(extended) + 4) + b"WEBP" + extended


def test_no_thread_sees_the_warnings_of_pillows_own_limits() -> None:
    large_png = png((10000, 9500), 1, 0, b"")
    filters = list(warnings.filters)

    def job(number: int) -> str:
        return reason((large_png, huge_gif(), huge_webp(), samples()["JPEG"][0][:300])[number % 4])

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(job, range(80)))
    too_large = "16383 x 16383 pixels is over the limit of 178 million; max_pixels=715740504 allows it"
    assert answers == ["truncated", "truncated", too_large, "truncated"] * 20
    assert list(warnings.filters) == filters
    with pytest.warns(Image.DecompressionBombWarning):  # other code still gets them
        Image.open(io.BytesIO(large_png))


def test_warning_filters_survive_changes_by_other_code() -> None:
    with warnings.catch_warnings():
        with failures.one_image("another"):
            others = warnings.catch_warnings()
            others.__enter__()
        others.__exit__(None, None, None)  # restores the list as it was inside
        with failures.one_image("another"):
            warnings.resetwarnings()
            warnings.simplefilter("error")
            assert reason(huge_gif()) == "truncated"
        assert not any(entry is failures._IGNORE_PILLOW for entry in warnings.filters)


def test_a_progressive_jpeg_of_very_many_scans_is_refused() -> None:
    """A thousand empty scans of 16 million pixels fit into 100 kB and take more than ten seconds."""
    data = saved(Image.new("L", (4000, 4000)), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert reason(data[:-2] + scan * 1000 + data[-2:]) == "1006 progressive scans of 4000 x 4000 pixels are too many"
    assert decode(data[:-2] + scan * 5 + data[-2:], SMALL).width == 4000
    small = saved(Image.new("L", (40, 40)), "JPEG", progressive=True)
    assert reason(small[:-2] + scan * 1000 + small[-2:]) == "more than 100 progressive scans"


def test_a_very_large_run_length_bmp_is_refused() -> None:
    """Pillow would decode it pixel by pixel, in Python."""
    assert reason(run_length_bmp((170_000, 1000), b"\1\1\0\0\0\1")) == "too large for a run-length BMP"


def test_heic_without_its_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert reason(HEIC) == 'HEIC needs an extra: pip install "lookalike[heic]"'
    assert reason(HEIC[:8] + b"mif1" + HEIC[12:]) == 'HEIC needs an extra: pip install "lookalike[heic]"'


def test_heic_with_its_extra_is_decoded() -> None:
    if not find_spec("pillow_heif") and os.environ.get("CI") != "true":
        pytest.skip("pillow_heif is not installed")
    decoded = decode(HEIC, SMALL)
    assert (decoded.width, decoded.height) == (64, 48)
    np.testing.assert_allclose(decoded.pixels[:, :12].mean(axis=(0, 1)), (200, 30, 30), atol=8)
    np.testing.assert_allclose(decoded.pixels[:, 20:].mean(axis=(0, 1)), (30, 30, 200), atol=8)
    assert reason(HEIC[:-20]) == "truncated"
    assert "HEIF" not in Image.OPEN  # no plugin was registered for other code


def test_avif_is_recognized_by_any_of_its_brands() -> None:
    data = samples()["AVIF"][0]
    other = data[:8] + b"mif1" + data[12:]
    np.testing.assert_array_equal(decode(data, SMALL).pixels, decode(other, SMALL).pixels)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), "not enough memory to decode"),
        (RuntimeError("two\nlines"), "damaged: two lines"),
        (ZeroDivisionError(), "damaged: ZeroDivisionError"),
        (ValueError("x" * 1000), "damaged: " + "x" * 80),
        (OSError("image file is truncated (3 bytes not processed)"), "truncated"),
        (OSError("Unsupported layout"), "an unusual kind of image that is not read: Unsupported layout"),
    ],
)
def test_every_error_of_pillow_becomes_a_reason(
    monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    assert reason(saved(painting(), "BMP")) == expected


def damaged_tiffs() -> list[bytes]:
    """One TIFF about which libtiff prints an error, and one about which Pillow logs one."""
    lzw = bytearray(saved(painting(), "TIFF", compression="tiff_lzw"))
    lzw[200:400] = bytes(range(200))
    samples_per_pixel = bytearray(saved(painting(), "TIFF"))
    at = samples_per_pixel.index(struct.pack("<HHI", 277, 3, 1)) + 8
    samples_per_pixel[at : at + 2] = struct.pack("<H", 772)
    return [bytes(lzw), bytes(samples_per_pixel)]


def test_nothing_is_printed_about_a_damaged_tiff(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])  # as in a program that has not set up logging
    for data in damaged_tiffs():
        assert reason(data).startswith(("damaged", "truncated"))
    assert capfd.readouterr() == ("", "")


def test_libtiff_still_prints_errors_for_other_code(capfd: pytest.CaptureFixture[str]) -> None:
    def printed() -> str:
        with pytest.raises(OSError, match="decoder error"):
            Image.open(io.BytesIO(damaged_tiffs()[0])).load()
        return capfd.readouterr().err

    before = printed()
    reason(damaged_tiffs()[0])
    assert printed() == before != ""


@pytest.mark.timeout(120)
def test_five_thousand_damaged_images_are_decoded_or_refused() -> None:
    """Each gives an image or an ImageError: no other exception, no crash, no hang, no output."""
    assert run(Campaign(seed=1), 5000) == {}


def misbehave(data: bytes) -> str:
    """Crashes, hangs, reports a problem, prints, or does nothing, depending on the data."""
    match zlib.crc32(data) % 10:
        case 0:
            os.abort()
        case 1:
            threading.Event().wait()
        case 2:
            return "strange"
        case 3:
            os.write(2, b"hello")
    return ""


@pytest.mark.timeout(120)
def test_the_campaign_detects_crashes_hangs_and_output() -> None:
    problems = {0: "process died with exit code -6", 1: "took more than 1.5 seconds", 2: "strange"}
    problems[3] = " 5 bytes on standard error"
    kinds = {index: zlib.crc32(mutant(4, index)) % 10 for index in range(24)}
    expected = {index: problems[kind] for index, kind in kinds.items() if kind in problems}
    assert set(kinds.values()) >= set(problems)
    assert run(Campaign(4, check=misbehave, seconds=1.5), 24) == expected
