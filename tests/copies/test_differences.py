"""Where copies differ from their originals, against what was done to them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from lookalike.copies.differences import Differences, differences
from tests.support.edited_pictures import EDITED, part, recompressed, scene

SCENE = scene(5)
WHOLE = [(0, 0), (1, 0), (1, 1), (0, 1)]


def found(original: Image.Image, copy: Image.Image) -> Differences:
    seen = differences(np.asarray(original), np.asarray(copy))
    assert seen
    return seen


def covered(seen: Differences, size: tuple[int, int]) -> NDArray[np.bool_]:
    """What is marked, in so many pixels."""
    image = Image.fromarray(seen.changed.astype(np.uint8) * 255).resize(size, Image.Resampling.NEAREST)
    return np.asarray(image) > 0


def with_disc(
    image: Image.Image, box: tuple[int, int, int, int], colour: str = "#ff00c0"
) -> tuple[Image.Image, NDArray[np.bool_]]:
    """A copy with a disc of a colour that nothing of it has, and where that is."""
    copy, mask = image.copy(), Image.new("L", image.size)
    ImageDraw.Draw(copy).ellipse(box, colour)
    ImageDraw.Draw(mask).ellipse(box, 255)
    return copy, np.asarray(mask) > 0


def test_a_disc_is_marked_and_nothing_else() -> None:
    copy, disc = with_disc(SCENE, (250, 40, 330, 120))
    marked = covered(found(SCENE, recompressed(copy)), SCENE.size)
    assert (marked & disc).sum() / disc.sum() > 0.95
    assert (marked & ~disc).sum() / disc.sum() < 0.35  # the margin
    assert not marked[:, :200].any()


def test_a_disc_is_marked_in_a_crop_that_is_mirrored_and_grey() -> None:
    copy, disc = with_disc(SCENE, (150, 100, 210, 160), "white")
    edited = ImageOps.mirror(part(copy, 0.2, 0.2, 0.9, 0.9)).convert("L").convert("RGB")
    where = np.asarray(ImageOps.mirror(part(Image.fromarray(disc), 0.2, 0.2, 0.9, 0.9)))
    marked = covered(found(SCENE, edited), edited.size)
    assert (marked & where).sum() / where.sum() > 0.9
    assert (marked & ~where).sum() / where.sum() < 0.5


ADD_NOTHING = sorted({*EDITED} - {"lettered", "with a logo", "blurred"})


@pytest.mark.parametrize("edit", ADD_NOTHING)
def test_an_edit_that_adds_nothing_is_not_marked(edit: str) -> None:
    assert found(SCENE, EDITED[edit][0](SCENE)).share < 0.01


@pytest.mark.parametrize("edit", ["lettered", "with a logo"])
def test_what_was_added_is_marked(edit: str) -> None:
    assert 0.01 < found(SCENE, EDITED[edit][0](SCENE)).share < 0.2


def test_the_outline_of_a_crop_is_where_it_was_cut_out() -> None:
    seen = found(SCENE, part(SCENE, 0.3, 0.4, 0.8, 0.9))
    assert seen.on_copy is None
    assert seen.on_original == pytest.approx(np.array([(0.3, 0.4), (0.8, 0.4), (0.8, 0.9), (0.3, 0.9)]), abs=0.01)


def test_the_corners_of_a_turned_crop_follow_it() -> None:
    """The first corner is the copy's upper left one, which is on the original's lower left."""
    crop = part(SCENE, 0.2, 0.1, 0.7, 0.8).transpose(Image.Transpose.ROTATE_270)
    expected = np.array([(0.2, 0.8), (0.2, 0.1), (0.7, 0.1), (0.7, 0.8)])
    assert found(SCENE, crop).on_original == pytest.approx(expected, abs=0.01)


def test_the_outline_of_an_original_in_a_frame_is_its_place_in_the_copy() -> None:
    seen = found(SCENE, ImageOps.expand(SCENE, (100, 50), "#102030"))
    assert seen.on_original is None
    assert seen.on_copy is not None
    inner = np.array(WHOLE) * (400 / 600, 300 / 400) + (100 / 600, 50 / 400)
    assert seen.on_copy == pytest.approx(inner, abs=0.01)
    assert seen.share < 0.01  # the frame is not marked, since its outline tells


def test_the_larger_of_two_sizes_does_not_matter() -> None:
    copy, _ = with_disc(SCENE, (250, 40, 330, 120))
    shares = [
        found(SCENE.resize((side, side * 3 // 4)), copy.resize((other, other * 3 // 4))).share
        for side, other in ((400, 400), (800, 200), (200, 800), (1200, 400))
    ]
    assert shares == pytest.approx([shares[0]] * 4, rel=0.25)


def test_two_pictures_that_have_nothing_in_common_have_no_differences() -> None:
    assert differences(np.asarray(SCENE), np.asarray(scene(6))) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5), (16, 16)])
def test_pictures_of_few_pixels_are_no_error(size: tuple[int, int]) -> None:
    small = np.asarray(SCENE.resize(size))
    for pair in ((small, np.asarray(SCENE)), (np.asarray(SCENE), small), (small, small)):
        seen = differences(*pair)
        assert seen is None or seen.share < 0.05


def test_plain_pictures_are_no_error() -> None:
    plain = np.full((60, 80, 3), 200, np.uint8)
    assert differences(plain, plain) is None
