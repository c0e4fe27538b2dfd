"""The pixels of decoded images: scaled, cropped, upright, within limits of memory."""

import io
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import UsageError
from lookalike.images import limits, rendering
from lookalike.images.decode import DecodedImage, Fit, Preprocessing, decode, prepare, thumbnail
from tests.support.image_samples import TURNS, close, exif, painting, plain, saved, smooth

Pixels = NDArray[np.uint8]
WHOLE = Preprocessing(size=32, crop=1.0)


def pixels(data: bytes, preprocessing: Preprocessing = WHOLE) -> Pixels:
    return decode(data, preprocessing).pixels


def stored(image: Image.Image, orientation: int) -> Image.Image:
    method = TURNS.get(orientation)
    return image if method is None else image.transpose(method)


# Scaling and cropping


def slow_weights(start: float, length: float, size: int) -> NDArray[np.float64]:
    """Returns the weights of 300 source pixels for each of `size` pixels: a triangle filter as wide as the scale."""
    scale = max(length / size, 1.0)
    centres = start + (np.arange(size) + 0.5) * length / size
    distance = np.abs(np.arange(300)[None] + 0.5 - centres[:, None]) / scale
    return np.maximum(0, 1 - distance)


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (250, 250), (300, 9), (20, 30)])
@pytest.mark.parametrize(
    "preprocessing", [Preprocessing(size=32), Preprocessing(size=64, crop=1.0), Preprocessing(size=17, crop=0.5)]
)
def test_scaling_and_cropping_agree_with_the_definition(shape: tuple[int, int], preprocessing: Preprocessing) -> None:
    width, height = shape
    image = painting(size=shape)
    side = min(shape) * preprocessing.crop
    source = np.asarray(image).astype(float)
    across = slow_weights((width - side) / 2, side, preprocessing.size)[:, :width]
    down = slow_weights((height - side) / 2, side, preprocessing.size)[:, :height]
    across, down = (weights / weights.sum(axis=1, keepdims=True) for weights in (across, down))
    expected = np.einsum("yh,xw,hwc->yxc", down, across, source, optimize=True)
    found = decode(saved(image, "PNG"), preprocessing)
    assert (found.width, found.height) == shape
    assert np.abs(found.pixels - expected).max() < 1.5


def test_the_default_is_scaling_to_256_and_cropping_to_224() -> None:
    image = smooth((512, 384))
    large = image.resize((341, 256), Image.Resampling.BILINEAR)
    expected = np.asarray(large.crop((58, 16, 58 + 224, 16 + 224)))
    close(pixels(saved(image, "PNG"), Preprocessing()), expected, mean=1.5)


@pytest.mark.parametrize("resample", ["bilinear", "bicubic", "lanczos"])
def test_the_resampling_filter_is_that_of_the_preprocessing(resample: Any) -> None:
    image = painting(size=(64, 64))
    expected = image.resize((32, 32), Image.Resampling[resample.upper()])
    found = pixels(saved(image, "PNG"), Preprocessing(size=32, crop=1.0, resample=resample))
    np.testing.assert_array_equal(found, np.asarray(expected))


def test_decoded_pixels_are_a_writeable_contiguous_array() -> None:
    found = decode(saved(painting(), "PNG"), Preprocessing())
    assert found.pixels.dtype == np.uint8
    assert found.pixels.shape == (224, 224, 3)
    assert found.pixels.flags.c_contiguous
    assert found.pixels.flags.writeable


@pytest.mark.parametrize("shape", [(1, 1), (1, 20000), (20000, 1), (2, 3)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_extreme_shapes_are_decoded(shape: tuple[int, int], kind: str) -> None:
    found = decode(saved(Image.new("RGB", shape, (200, 100, 50)), kind), Preprocessing())
    assert (found.width, found.height) == shape
    close(found.pixels, np.full((224, 224, 3), (200, 100, 50), np.uint8), mean=2)


@pytest.mark.parametrize(
    ("shape", "decoded"),
    [
        ((1600, 1200), (400, 300)),
        ((1025, 1024), (257, 256)),
        ((1030, 1023), (515, 512)),
        ((2051, 4100), (257, 513)),
        ((500, 400), (500, 400)),
        ((100, 9000), (100, 9000)),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_is_decoded_no_larger_than_needed(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], decoded: tuple[int, int], orientation: int
) -> None:
    image = smooth(shape)
    data = saved(image, "JPEG", quality=95, exif=exif(orientation))
    full = prepare(Image.open(io.BytesIO(data)), Preprocessing())  # an opened image is decoded in full
    sizes = []
    flatten = rendering._flatten

    def spy(image: Image.Image) -> Image.Image:
        sizes.append(image.size)
        return flatten(image)

    monkeypatch.setattr(rendering, "_flatten", spy)
    found = decode(data, Preprocessing())
    assert sizes == [decoded]
    assert (found.width, found.height) == (full.width, full.height) == shape[:: 1 if orientation == 1 else -1]
    close(found.pixels, full.pixels, mean=1, most=12)


# Orientation


@pytest.mark.parametrize("orientation", [1, *TURNS])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("JPEG", {"quality": 98, "subsampling": 0}),
        ("AVIF", {"quality": 98, "speed": 10}),
    ],
)
def test_every_orientation_gives_the_upright_image(orientation: int, kind: str, options: dict[str, Any]) -> None:
    image = smooth((90, 60))
    mark = {"tiffinfo": {0x0112: orientation}} if kind == "TIFF" else {"exif": exif(orientation)}
    data = saved(stored(image, orientation), kind, **mark, **options)
    found = decode(data, WHOLE)
    assert (found.width, found.height) == (90, 60)
    close(found.pixels, pixels(plain(image)), mean=0.2 if kind in ("PNG", "WEBP", "TIFF") else 3)
    small = thumbnail(data, 45)
    assert small.size == (45, 30)
    close(np.asarray(small), np.asarray(image.resize((45, 30), Image.Resampling.BICUBIC)), mean=3)


def test_the_orientation_in_xmp_is_applied() -> None:
    image = smooth((90, 60))
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    data = saved(stored(image, 6), "JPEG", quality=98, subsampling=0, xmp=xmp)
    close(pixels(data), pixels(plain(image)), mean=3)


@pytest.mark.parametrize(
    "broken",
    [
        b"Exif\0\0",
        b"Exif\0\0MM",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12",
        exif(6)[:30],
        exif(9),
        exif(0),
        exif(6).replace(b"\x12\x01\x03", b"\x12\x01\x02").replace(b"\x01\x12\0\x03", b"\x01\x12\0\x02"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_with_broken_exif_is_not_rotated(kind: str, broken: bytes) -> None:
    data = saved(painting(), kind, exif=broken)
    np.testing.assert_array_equal(pixels(data), pixels(saved(painting(), kind)))


@given(st.binary(max_size=60), st.booleans())
def test_no_exif_or_xmp_keeps_an_image_from_being_decoded(junk: bytes, in_exif: bool) -> None:
    data = saved(painting(), "JPEG", **({"exif": b"Exif\0\0" + exif(1)[6:16] + junk} if in_exif else {"xmp": junk}))
    assert isinstance(decode(data, WHOLE), DecodedImage)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_tiff_with_a_broken_exif_directory_is_upright(orientation: int) -> None:
    image = painting(size=(90, 60))
    data = bytearray(saved(stored(image, orientation), "TIFF", exif=exif(orientation)))
    at = data.index(struct.pack("<HHI", 0x8769, 4, 1))
    data[at : at + 12] = struct.pack("<HHIi", 0x8769, 9, 1, -1)
    found = decode(bytes(data), WHOLE)
    assert (found.width, found.height) == (90, 60)
    close(found.pixels, pixels(plain(image)), mean=0.2)


# Limits


def test_preprocessing_that_is_out_of_range_is_refused() -> None:
    invalid: list[dict[str, Any]] = [{"size": 0}, {"crop": 0.0}, {"crop": 1.5}, {"crop": float("nan")}]
    for options in (*invalid, {"resample": "sharp"}):
        with pytest.raises(UsageError, match=next(iter(options))):
            Preprocessing(**options)


@pytest.mark.parametrize(
    ("limit", "options", "together"),
    [
        (4799, {"kind": "PNG"}, False),
        (4800, {"kind": "PNG"}, True),
        (4799, {"kind": "JPEG"}, True),  # of which 20 x 15 pixels are decoded
        (4799, {"kind": "JPEG", "progressive": True}, False),  # which takes the memory of all
    ],
)
def test_large_images_are_decoded_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch, limit: int, options: dict[str, Any], together: bool
) -> None:
    inside, most, lock = 0, 0, threading.Lock()
    flatten = rendering._flatten

    def slow_flatten(image: Image.Image) -> Image.Image:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.1)
        with lock:
            inside -= 1
        return flatten(image)

    monkeypatch.setattr(limits, "LARGE_PIXELS", limit)
    monkeypatch.setattr(rendering, "_flatten", slow_flatten)
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                partial(decode, preprocessing=Preprocessing(size=8)), [saved(painting(size=(80, 60)), **options)] * 4
            )
        )
    assert (most > 1) == together


def test_a_draft_is_cropped_by_its_exact_extent(monkeypatch: pytest.MonkeyPatch) -> None:
    """2051 pixels at a scale of 1/8 are 256 and three eighths; 257 are decoded."""
    extents = []
    centre = rendering._centre

    def spy(extent: tuple[float, float], part: float, fit: Fit) -> tuple[float, float, float, float]:
        extents.append(extent)
        return centre(extent, part, fit)

    monkeypatch.setattr(rendering, "_centre", spy)
    decode(saved(smooth((2051, 4100)), "JPEG"), Preprocessing())
    assert extents == [(2051 / 8, 4100 / 8)]
