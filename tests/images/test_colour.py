"""The colours of images with an ICC profile: as NumPy has them in sRGB, or as they are if the profile is no good."""

import io
import threading
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from lookalike.images import colour, rendering
from lookalike.images.decode import Preprocessing, decode, prepare, thumbnail
from tests.support.image_samples import painting, saved
from tests.support.profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    PROPHOTO,
    SRGB,
    cmyk_profile,
    grey_profile,
    in_xyb,
    printed,
    profile,
    rgb_profile,
    shown,
    table_profile,
    xyb_profile,
)

SWAPPED = SRGB[:, [2, 1, 0]]
SPACES = {
    "display-p3": (DISPLAY_P3, None),
    "adobe-rgb": (ADOBE_RGB, 2.2),
    "prophoto": (PROPHOTO, 1.8),
    "linear": (SRGB, 1.0),
    "swapped": (SWAPPED, None),
    "gamma-2.6": (SRGB, 2.6),
}
LOSSLESS = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True, "exact": True}}


def flat(count: int = 60) -> NDArray[np.uint8]:
    """Random colours in squares of 16 pixels: (16, 16 count, 3)."""
    colours = np.random.default_rng(3).integers(0, 256, (1, count, 3), dtype=np.uint8)
    return colours.repeat(16, axis=0).repeat(16, axis=1)


def middles(image: Image.Image | bytes) -> NDArray[np.int64]:
    """The colours in the middle of the squares."""
    return np.asarray(thumbnail(image, 10**5))[8, 8::16].astype(int)


def differences(found: NDArray[np.int64], expected: NDArray[np.uint8]) -> int:
    return int(np.abs(found - expected).max())


# Right profiles


@pytest.mark.parametrize("kind", LOSSLESS)
@pytest.mark.parametrize("space", SPACES)
def test_colours_of_a_profile_are_shown_in_srgb(space: str, kind: str) -> None:
    data = saved(Image.fromarray(flat()), kind, icc_profile=rgb_profile(*SPACES[space]), **LOSSLESS[kind])
    assert differences(middles(data), shown(flat()[0, ::16], *SPACES[space])) <= 2


@pytest.mark.parametrize("kind", ["JPEG", "AVIF"])
def test_colours_of_a_lossy_file_are_shown_in_srgb(kind: str) -> None:
    grey = Image.fromarray(flat()).convert("L").convert("RGB")
    data = saved(grey, kind, icc_profile=rgb_profile(SRGB, 1.8), quality=100, subsampling="4:4:4")
    assert differences(middles(data), shown(np.asarray(grey)[0, ::16], SRGB, 1.8)) <= 6


@pytest.mark.parametrize("version", [2, 4])
def test_a_profile_by_a_table_is_applied(version: int) -> None:
    data = saved(
        Image.fromarray(flat()), "PNG", icc_profile=table_profile(lambda rgb: rgb[:, [1, 2, 0]], version=version)
    )
    assert differences(middles(data), flat()[0, ::16][:, [1, 2, 0]]) <= 4


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_are_shown_as_their_profile_says(kind: str) -> None:
    inks = np.random.default_rng(5).integers(0, 256, (1, 40, 4), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    image = Image.frombytes("CMYK", (640, 16), inks.tobytes())
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    found = middles(saved(image, kind, icc_profile=cmyk_profile(), **options))
    assert differences(found, printed(inks[0, ::16])) <= 16  # between the points of the table
    assert np.abs(found - printed(inks[0, ::16])).mean() < 2
    assert np.abs(middles(saved(image, kind, **options)) - printed(inks[0, ::16])).mean() > 20


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.6])
@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_is_shown_as_its_profile_says(mode: str, gamma: float) -> None:
    grey = Image.fromarray(flat()).convert("L")
    data = saved(grey.convert(mode), "PNG", icc_profile=grey_profile(gamma))
    expected = shown(np.asarray(grey.convert(mode).convert("RGB"))[8, 8::16], SRGB, gamma)
    assert differences(middles(data), expected) <= 2


def test_a_grey_image_may_have_a_profile_of_rgb() -> None:
    grey = Image.fromarray(flat()).convert("L")
    expected = shown(np.asarray(grey.convert("RGB"))[0, ::16], SRGB, 1.8)
    for kind in ("PNG", "TIFF"):
        assert differences(middles(saved(grey, kind, icc_profile=rgb_profile(SRGB, 1.8))), expected) <= 2


def test_the_profile_of_a_16_bit_grey_image_is_applied() -> None:
    values = np.asarray(Image.fromarray(flat()).convert("L"))
    data = saved(Image.fromarray(values.astype(np.uint16) * 257), "PNG", icc_profile=grey_profile(1.8))
    expected = shown(np.asarray(Image.fromarray(values).convert("RGB"))[0, ::16], SRGB, 1.8)
    assert differences(middles(data), expected) <= 2


def test_the_colours_of_a_palette_are_converted() -> None:
    paletted = Image.fromarray(flat()).quantize(60)
    data = saved(paletted, "PNG", icc_profile=rgb_profile(PROPHOTO, 1.8))
    assert differences(middles(data), shown(np.asarray(paletted.convert("RGB"))[0, ::16], PROPHOTO, 1.8)) <= 2


@pytest.mark.parametrize("space", ["adobe-rgb", "linear", "swapped"])
def test_transparent_parts_are_white_in_srgb(space: str) -> None:
    """Also if the space of the profile has white elsewhere, and the hidden colour has no effect."""
    image = Image.fromarray(flat()).convert("RGBA")
    image.putalpha(Image.fromarray(np.tile(np.repeat(np.array([255, 0, 128], np.uint8), 16), 20)[None].repeat(16, 0)))
    found = middles(saved(image, "PNG", icc_profile=rgb_profile(*SPACES[space])))
    expected = shown(flat()[0, ::16], *SPACES[space]).astype(int)
    expected[1::3] = 255
    expected[2::3] = np.rint((expected[2::3] * 128 + 255 * 127) / 255)
    assert np.abs(found - expected).max() <= 3


def test_a_transparent_part_is_white_whatever_the_profile_makes_of_white() -> None:
    data = saved(Image.new("RGBA", (64, 64)), "PNG", icc_profile=table_profile(lambda rgb: 255 - rgb))
    assert np.asarray(thumbnail(data, 64)).min() == 255


def test_a_profile_in_several_segments_of_a_jpeg_is_applied() -> None:
    padded = profile_with_padding(150_000)
    grey = Image.fromarray(flat()).convert("L").convert("RGB")
    data = saved(grey, "JPEG", icc_profile=padded, quality=100)
    assert data.count(b"ICC_PROFILE\0") == 3
    assert differences(middles(data), shown(np.asarray(grey)[0, ::16], SRGB, 1.8)) <= 6


def profile_with_padding(size: int) -> bytes:
    return sized(rgb_profile(SRGB, 1.8) + bytes(size))


def sized(data: bytes) -> bytes:
    """A profile whose header has its size."""
    return len(data).to_bytes(4, "big") + data[4:]


def test_a_jpeg_of_xyb_is_shown_in_srgb() -> None:
    colours = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 120, 40)], np.uint8)
    image = Image.fromarray(in_xyb(colours[None].repeat(16, 0).repeat(16, 1)))
    data = saved(image, "JPEG", icc_profile=xyb_profile(), keep_rgb=True, quality=100, subsampling=0)
    assert differences(middles(data), colours) <= 30  # 8 bits of XYB are few for pure colours
    assert np.abs(middles(data) - colours).mean() < 5
    assert np.abs(middles(saved(image, "JPEG", keep_rgb=True)) - colours).mean() > 60


def test_an_image_of_pillow_and_its_file_look_alike() -> None:
    data = saved(Image.fromarray(flat()), "PNG", icc_profile=rgb_profile(PROPHOTO, 1.8))
    opened = Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(middles(opened), middles(data))
    converted = ImageCms.profileToProfile(
        opened, ImageCms.ImageCmsProfile(io.BytesIO(opened.info["icc_profile"])), ImageCms.createProfile("sRGB")
    )
    assert converted is not None
    assert np.abs(middles(converted) - middles(data)).max() <= 1  # it is in sRGB now, as its own profile says


# Scaling


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_scaled_pixels_are_those_of_the_image_in_srgb(space: str, mode: str) -> None:
    preprocessing = Preprocessing(size=32)
    image = painting().resize((400, 300)).convert(mode)
    found = decode(saved(image, "PNG", icc_profile=rgb_profile(*SPACES[space])), preprocessing).pixels
    in_srgb = Image.fromarray(shown(np.asarray(image.convert("RGB")), *SPACES[space]))
    expected = prepare(in_srgb, preprocessing).pixels
    assert np.abs(found.astype(int) - expected).mean() < 1.5


def test_a_large_image_is_converted_as_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for space in ("prophoto", "linear"):
        for mode in ("RGB", "RGBA", "L"):
            image = painting("RGB", (600, 500)).convert(mode)
            described = grey_profile(1.8) if mode == "L" else rgb_profile(*SPACES[space])
            data = saved(image, "PNG", icc_profile=described)
            small = np.asarray(thumbnail(data, 60)).astype(int)
            with monkeypatch.context() as patch:
                patch.setattr(rendering, "LARGE_PIXELS", 1000)
                patch.setattr(rendering, "_STRIP_PIXELS", 20_000)
                assert np.abs(np.asarray(thumbnail(data, 60)) - small).mean() < 1.5


# Profiles that change nothing


def broken_profiles() -> dict[str, bytes]:
    good = rgb_profile(PROPHOTO, 1.8)
    return {
        "empty": b"",
        "text": b"this is no profile",
        "truncated": good[:300],
        "too large": sized(good + bytes(colour.MAX_PROFILE)),
        "of another kind of image": cmyk_profile(),
        "grey": grey_profile(1.0),
        "a link between devices": profile(b"RGB ", {}, kind=b"link", pcs=b"RGB "),
        "without tags": profile(b"RGB ", {}),
        "black": rgb_profile(PROPHOTO * 0, 1.8),
        "nearly black": rgb_profile(PROPHOTO * 0.001, 1.8),
        "of an unknown space": profile(b"XXXX", {}),
        "of Lab": ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
        "of named colours": profile(b"RGB ", {}, kind=b"nmcl"),
        "ones": b"\xff" * 5000,
        "with a table beyond its end": good[:140] + b"\xff" * 8 + good[148:],
        "sRGB": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        "sRGB by a table": rgb_profile(SRGB, None),
        "sRGB by a table of colours": table_profile(lambda rgb: rgb),
    }


@pytest.mark.parametrize("name", broken_profiles())
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_without_a_usable_profile_colours_stay_as_they_are(name: str, kind: str) -> None:
    """Bit for bit; also with a profile of sRGB, since most images have one."""
    image, whole = painting(size=(80, 60)), Preprocessing(size=32, crop=1.0)
    bare = decode(saved(image, kind), whole).pixels
    found = decode(saved(image, kind, icc_profile=broken_profiles()[name]), whole).pixels
    np.testing.assert_array_equal(found, bare)


def test_a_damaged_profile_never_raises() -> None:
    image, random = painting(size=(40, 30)), np.random.default_rng(7)
    for good in (rgb_profile(PROPHOTO, 1.8), table_profile(lambda rgb: rgb[:, ::-1])):
        for _ in range(150):
            bad = bytearray(good)
            for at in random.integers(0, 300, 4):
                bad[at] = random.integers(256)
            image.info["icc_profile"] = bytes(bad)
            assert thumbnail(image, 10).size == (10, 8)


def test_an_image_of_another_mode_than_its_profile_stays_as_it_is() -> None:
    for mode, other in (("CMYK", rgb_profile(PROPHOTO, 1.8)), ("RGB", cmyk_profile()), ("LAB", cmyk_profile())):
        image = painting(mode)
        bare = np.asarray(thumbnail(image.copy(), 40))
        image.info["icc_profile"] = other
        np.testing.assert_array_equal(np.asarray(thumbnail(image, 40)), bare)


# Beside each other


def test_few_transforms_are_kept_and_threads_may_share_them() -> None:
    image = painting(size=(64, 48))
    gammas = [1 + number / 20 for number in range(30)]
    expected = [shown(np.asarray(image), SRGB, gamma) for gamma in gammas]
    wrong: list[float] = []

    def work(turn: int) -> None:
        for number in np.random.default_rng(turn).permutation(len(gammas)):
            own = image.copy()
            own.info["icc_profile"] = rgb_profile(SRGB, gammas[number])
            if np.abs(np.asarray(thumbnail(own, 64)).astype(int) - expected[number]).max() > 3:
                wrong.append(gammas[number])

    run_all(work, 4)
    assert wrong == []
    assert colour._conversion.cache_info().currsize <= 16


def run_all(work: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
