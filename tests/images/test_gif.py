"""GIF files whose first frame does not cover the canvas."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images import limits
from lookalike.images.decode import Preprocessing, decode, thumbnail
from tests.support.image_samples import on_canvas, painting, saved

CANVAS = (83, 61)
WHOLE = Preprocessing(size=64, crop=1.0, fit="squash")


def expected(frame: Image.Image, at: tuple[int, int], canvas: tuple[int, int] = CANVAS) -> NDArray[np.uint8]:
    white = Image.new("RGB", canvas, "white")
    white.paste(frame.convert("RGB"), at)
    return np.asarray(white)


def whole(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(thumbnail(data, 1000))


@pytest.mark.parametrize("mode", ["P", "L", "1"])
@pytest.mark.parametrize("at", [(0, 0), (20, 10), (43, 31), (3, 31)])
@pytest.mark.parametrize("options", [{}, {"interlace": False}, {"comment": b"text"}, {"optimize": True}])
def test_what_the_first_frame_does_not_cover_is_white(mode: str, at: tuple[int, int], options: dict[str, Any]) -> None:
    frame = painting(mode)
    np.testing.assert_array_equal(whole(on_canvas(frame, at, CANVAS, **options)), expected(frame, at))


def test_transparent_pixels_and_what_is_not_covered_are_white_alike() -> None:
    frame = painting("P")
    frame.paste(3, (0, 0, 20, 30))
    found = whole(on_canvas(frame, (20, 10), CANVAS, transparency=3))
    assert (found[:, :40] == 255).all()
    assert (found[:10] == 255).all()
    assert (found[10:40, 40:60] < 255).any()


def test_a_frame_that_covers_the_canvas_is_as_before() -> None:
    frame = painting("P")
    np.testing.assert_array_equal(whole(saved(frame, "GIF")), np.asarray(frame.convert("RGB")))


def test_a_frame_beyond_the_canvas_makes_it_larger() -> None:
    frame = painting("P")
    np.testing.assert_array_equal(whole(on_canvas(frame, (0, 0), (1, 1))), np.asarray(frame.convert("RGB")))
    np.testing.assert_array_equal(whole(on_canvas(frame, (30, 5), (50, 50))), expected(frame, (30, 5), (70, 50)))


def test_of_an_animation_the_first_frame_on_the_canvas_is_decoded() -> None:
    frame, black = painting("P"), Image.new("P", (40, 30))
    data = on_canvas(frame, (20, 10), CANVAS, save_all=True, append_images=[black])
    np.testing.assert_array_equal(whole(data), expected(frame, (20, 10)))


def test_its_pixels_are_those_of_the_encoder() -> None:
    frame = painting("P")
    data = on_canvas(frame, (20, 10), CANVAS)
    picture = Image.fromarray(expected(frame, (20, 10)))
    np.testing.assert_array_equal(decode(data, WHOLE).pixels, decode(saved(picture, "PNG"), WHOLE).pixels)


def test_the_memory_of_a_partly_covered_canvas_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_BYTES", 1)
    data = on_canvas(painting("P"), (0, 0), CANVAS)
    needed = 83 * 61 * 10 + 8 * 61
    assert decode(data, WHOLE, max_pixels=needed).width == 83
    with pytest.raises(ImageError, match=f"max_pixels={needed} allows it"):
        decode(data, WHOLE, max_pixels=needed - 1)
