"""What is recognised as an edited copy, with which reason, and what is not."""

import itertools

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from lookalike.copies.verification import LEAST_SCORE, PreparedPicture, compare, prepare
from lookalike.demo import draw
from tests.support.edited_pictures import EDITED, kept, part, scene

SCENE = 3


@pytest.fixture(scope="module")
def original() -> PreparedPicture:
    return kept(scene(SCENE))


@pytest.mark.parametrize("edit", EDITED)
def test_an_edited_copy_is_recognised_with_its_reason(edit: str, original: PreparedPicture) -> None:
    change, reason = EDITED[edit]
    found = compare(kept(change(scene(SCENE))), original)
    assert found.grade == "edited copy"
    assert found.score >= LEAST_SCORE
    assert found.reason() == reason


@pytest.mark.parametrize("edit", EDITED)
def test_the_original_compared_with_its_copy_gives_the_opposite_changes(edit: str, original: PreparedPicture) -> None:
    copy = kept(EDITED[edit][0](scene(SCENE)))
    there, back = compare(copy, original), compare(original, copy)
    assert there.changes
    assert back.changes
    assert back.score == pytest.approx(there.score, abs=0.05)
    assert there.changes.angle == pytest.approx(back.changes.swapped().angle, abs=1)
    assert (there.changes.extent, there.changes.mirrored, there.changes.tone) == (
        back.changes.swapped().extent,
        back.changes.mirrored,
        back.changes.swapped().tone,
    )


def test_names_take_the_place_of_the_letters(original: PreparedPicture) -> None:
    crop = kept(part(scene(SCENE), 0.1, 0.1, 0.9, 0.8))
    assert compare(crop, original).reason("small.jpg", "large.jpg") == "small.jpg is a crop of large.jpg"
    assert compare(original, crop).reason("large.jpg", "small.jpg") == "small.jpg is a crop of large.jpg"
    assert compare(original, kept(scene(4))).reason("one", "two") == "one and two are different"


def test_different_scenes_are_no_copies() -> None:
    pictures = [kept(scene(seed)) for seed in range(10, 20)]
    scores = [compare(first, second).score for first, second in itertools.combinations(pictures, 2)]
    assert max(scores) < 0.4


def test_drawings_of_a_kind_are_no_copies() -> None:
    for kind in ("balloon", "cactus", "fish", "flower", "pizza", "sailboat"):
        pictures = [kept(draw(kind, np.random.default_rng(seed))) for seed in range(4)]
        for first, second in itertools.combinations(pictures, 2):
            assert compare(first, second).grade == "different", kind


def test_a_scene_in_which_everything_moved_is_no_copy() -> None:
    """The same shapes are all there, each some percent of the width from where it was, before the same background."""

    def moved(seed: int) -> Image.Image:
        places, moves = np.random.default_rng(1), np.random.default_rng(seed)
        image = Image.linear_gradient("L").resize((400, 300)).convert("RGB")
        pen = ImageDraw.Draw(image)
        for _ in range(40):
            x, y = places.uniform(0, (400, 300)) + moves.normal(0, 16, 2)
            colour = tuple(places.integers(0, 256, 3).tolist())
            pen.regular_polygon((x, y, places.uniform(8, 25)), int(places.integers(3, 8)), fill=colour)
        return image

    pictures = [kept(moved(seed)) for seed in range(4)]
    assert all(compare(first, second).grade == "different" for first, second in itertools.combinations(pictures, 2))


def test_the_same_picture_is_its_copy_with_the_best_score(original: PreparedPicture) -> None:
    assert compare(original, kept(scene(SCENE))).score == 1
    brighter = compare(original, kept(ImageEnhance.Brightness(scene(SCENE)).enhance(1.02)))
    assert brighter.score > 0.95


def flat(width: int, height: int, value: int) -> Image.Image:
    return Image.new("RGB", (width, height), (value, value, value))


def noise(seed: int, width: int = 128, height: int = 96) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


DEGENERATE = {
    "white": flat(100, 100, 255),
    "black": flat(100, 80, 0),
    "grey": flat(80, 100, 128),
    "one pixel": flat(1, 1, 7),
    "two pixels": noise(1, 2, 1),
    "a line": noise(2, 3000, 1),
    "a column": noise(3, 2, 2000),
    "a narrow strip": scene(5).resize((1200, 30)),
    "noise": noise(4),
    "other noise": noise(5),
    "a gradient": Image.linear_gradient("L").convert("RGB"),
    "a radial gradient": Image.radial_gradient("L").convert("RGB"),
    "a scene": scene(6),
}


def test_degenerate_pictures_are_copies_of_themselves_only() -> None:
    pictures = {name: kept(image) for name, image in DEGENERATE.items()}
    for (name, first), (other, second) in itertools.product(pictures.items(), repeat=2):
        assert (compare(first, second).grade == "edited copy") == (name == other), (name, other)


def test_any_small_array_can_be_compared() -> None:
    rng = np.random.default_rng(0)
    sizes = [(1, 1), (1, 128), (128, 1), (2, 3), (7, 9), (8, 8), (16, 5)]
    pictures = [prepare(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]
    for first, second in itertools.product(pictures, repeat=2):
        assert compare(first, second).score == (1 if first is second else 0)
