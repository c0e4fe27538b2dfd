"""Memory and time that decoding may take, whatever an image's header or its data ask for."""

import io
import signal
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import ImageError, UsageError
from lookalike.images import isolated, limits, rendering
from lookalike.images.av1 import frame_pixels
from lookalike.images.decode import Preprocessing, decode, prepare, thumbnail
from lookalike.images.isolated import render_apart
from lookalike.images.preprocessing import MAX_PIXELS
from lookalike.images.rendering import View
from tests.support import worker_tasks
from tests.support.image_samples import close, painting, png, samples, saved, smooth, solid_webp, tiff_of_one_tile

SMALL = Preprocessing(size=32)
VIEW = View((32, 32), (32, 32), None, Image.Resampling.BILINEAR)


def reason(data: bytes, **options: Any) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, SMALL, **options)
    return caught.value.reason


# What an image takes


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (solid_webp(10_000, 10_000), "10000 x 10000 pixels need 1.6 GB of memory, over the limit of 1.1 GB"),
        (solid_webp(16_383, 16_383), "16383 x 16383 pixels is over the limit of 178 million"),
        (tiff_of_one_tile(40_000, 40_000), "64 x 64 pixels need 6.4 GB of memory, over the limit of 1.1 GB"),
        (tiff_of_one_tile(16_000_000, 128), "64 x 64 pixels need 8.2 GB of memory, over the limit of 1.1 GB"),
    ],
    ids=["webp", "larger webp", "tiff of a large tile", "tiff of a wide tile"],
)
def test_a_few_bytes_that_ask_for_gigabytes_are_refused(data: bytes, expected: str) -> None:
    assert len(data) < 200
    assert reason(data).startswith(f"{expected}; max_pixels=")


def test_the_number_that_a_refusal_names_is_enough_and_no_less_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_BYTES", 1)
    for kind in ("WEBP", "AVIF", "PNG"):
        data = saved(painting(), kind)
        number = int(reason(data, max_pixels=1).partition("max_pixels=")[2].split()[0])
        assert decode(data, SMALL, max_pixels=number).width == 40
        assert f"max_pixels={number} allows it" in reason(data, max_pixels=number - 1)


def test_an_image_over_the_limit_is_tried_again_as_that_may_be_raised() -> None:
    with pytest.raises(ImageError) as caught:
        decode(solid_webp(16_383, 16_383), SMALL)
    assert not caught.value.lasting


@pytest.mark.parametrize("size", [(1, 2_000_000), (2_000_000, 1)])
def test_a_side_of_over_a_million_pixels_is_refused(size: tuple[int, int]) -> None:
    data = png(size, 8, 0, b"")
    assert reason(data) == f"{size[0]} x {size[1]} pixels: no side may be longer than 1,000,000"


def test_a_jpeg_counts_as_what_is_decoded_of_it() -> None:
    data = saved(smooth((1600, 1200)), "JPEG")
    assert decode(data, Preprocessing(), max_pixels=400 * 300).width == 1600
    assert reason(saved(smooth((1600, 1200)), "JPEG", progressive=True), max_pixels=400 * 300).startswith("1600 x 1200")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16", "I", "F", "1"])
def test_the_memory_of_a_loaded_image_is_counted_by_its_mode(mode: str) -> None:
    kind = "TIFF" if mode in ("I", "F") else "PNG"
    image = Image.open(io.BytesIO(saved(painting(mode, (64, 48)), kind)))
    cost = limits.decoding_cost(image, image.size, b"")
    rows = 8 * image.height
    depth = {"RGB": 4, "RGBA": 4, "I": 4, "F": 4, "I;16": 2}.get(mode, 1)
    assert cost.bytes - rows == 64 * 48 * depth


def test_max_pixels_has_to_be_a_number_above_0() -> None:
    for wrong in (0, -1, "many", True):
        with pytest.raises(UsageError, match="max_pixels"):
            prepare(painting(), SMALL, max_pixels=wrong)  # type: ignore[arg-type]


# AVIF


@pytest.mark.parametrize("size", [(40, 30), (64, 64), (65, 300), (1, 1), (513, 2)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_frames_of_an_avif_are_as_large_as_its_image(size: tuple[int, int], mode: str) -> None:
    data = saved(painting(mode, size), "AVIF", speed=10, max_threads=1)
    assert frame_pixels(data) == size[0] * size[1]


def test_an_avif_that_hides_the_size_of_its_frames_is_counted_as_these() -> None:
    data = saved(painting(size=(640, 480)), "AVIF", speed=10, max_threads=1)
    at = data.index(b"ispe") + 8
    small = data[:at] + struct.pack(">II", 64, 64) + data[at + 8 :]
    assert decode(small, SMALL).width == 64  # the library scales it
    assert reason(small, max_pixels=640 * 480 - 1).startswith("64 x 64 pixels is over the limit")


def test_what_is_not_understood_of_an_avif_counts_as_large() -> None:
    video, still = samples()["AVIF"][2], samples()["AVIF"][0]
    assert frame_pixels(video) is None
    found = [frame_pixels(still[:end]) for end in range(len(still))]
    assert set(found) <= {None, 40 * 30}
    assert frame_pixels(still.replace(b"iloc", b"free")) is None


# In a process of its own


@pytest.fixture
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LARGE_PIXELS", 0)


@pytest.mark.usefixtures("all_are_large")
@pytest.mark.parametrize("kind", ["WEBP", "TIFF"])
def test_an_image_is_decoded_in_another_process_as_in_this_one(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = painting("RGBA", size=(90, 60))
    data = saved(image, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {"lossless": True}))
    calls: list[bytes] = []
    apart = isolated.render_apart

    def spy(data: bytes, view: View, max_pixels: int) -> rendering.Rendered:
        calls.append(data)
        return apart(data, view, max_pixels)

    monkeypatch.setattr("lookalike.images.decode.render_apart", spy)
    found = decode(data, SMALL)
    assert calls == [data]
    monkeypatch.undo()
    here = decode(data, SMALL)
    np.testing.assert_array_equal(found.pixels, here.pixels)
    assert (found.width, found.height) == (90, 60)


def test_more_memory_than_the_limit_ends_neither_the_process_nor_this_one() -> None:
    data = saved(Image.new("RGB", (6000, 6000)), "WEBP")
    with pytest.raises(ImageError, match=r"takes more than 0\.2 GB of memory to decode|damaged") as caught:
        render_apart(data, VIEW, max_pixels=100_000)
    assert caught.value.lasting


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (worker_tasks.crash, f"decoding it ended the process (signal {int(signal.SIGSEGV)}, SIGSEGV)"),
        (worker_tasks.sleep, "not decoded after 1 seconds"),
        (worker_tasks.run_out_of_memory, "takes more than 1.3 GB of memory to decode"),
    ],
)
def test_an_image_that_ends_or_stops_its_process_is_refused(
    work: Callable[..., Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "_render", work)
    monkeypatch.setattr(isolated, "_SECONDS", 1.0 if work is worker_tasks.sleep else 60.0)
    with pytest.raises(ImageError) as caught:
        render_apart(b"", VIEW, max_pixels=MAX_PIXELS)
    assert caught.value.reason == expected


# Large images are reduced in strips


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "1", "CMYK", "I;16", "I", "F"])
@pytest.mark.parametrize("size", [(700, 500), (500, 703), (900, 40)])
def test_a_large_image_looks_as_a_small_one_does(
    mode: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = painting(mode, size)
    for preprocessing in (SMALL, Preprocessing(size=32, fit="squash", crop=0.9)):
        expected = prepare(image, preprocessing).pixels
        with monkeypatch.context() as patch:
            patch.setattr(rendering, "LARGE_PIXELS", 1000)
            patch.setattr(rendering, "_STRIP_PIXELS", 50 * size[0])
            close(prepare(image, preprocessing).pixels, expected, mean=3, most=40)


def test_a_large_image_keeps_its_range_of_values_and_its_transparency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(rendering, "_STRIP_PIXELS", 100 * 20)
    values = np.zeros((400, 100), np.int32)
    values[300:] = 60_000  # which only the last strips have
    values[:100] = 200
    found = np.asarray(thumbnail(Image.fromarray(values), 8))
    assert found[0].max() <= 1
    assert found[-1].min() >= 232
    clear = Image.new("RGBA", (100, 400), (0, 0, 0, 0))
    assert (prepare(clear, SMALL).pixels == 255).all()


def test_a_pixel_without_a_value_is_white_in_any_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(rendering, "_STRIP_PIXELS", 100 * 20)
    values = np.full((400, 100), 0.5, np.float32)
    values[200:300], values[0, 0] = np.nan, 1
    grey = np.asarray(thumbnail(Image.fromarray(values), 8))[..., 0]
    assert np.abs(grey[[0, 1, -1]].astype(int) - 128).max() <= 2
    assert grey[4:6].min() > 240
