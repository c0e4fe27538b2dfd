"""What a picture has around another one: a frame that was added, a margin, or more of the same."""

import itertools
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageOps

from lookalike.copies.changes import Changes
from lookalike.copies.verification import compare
from lookalike.demo import draw
from tests.support.edited_pictures import kept, part, scene

COLOURS = ("white", "black", "#808080", "#d8cbb0")
KINDS = ("balloon", "cactus", "fish", "flower", "pizza", "sailboat")
PARTS = ((0.1, 0.1, 0.9, 0.9), (0, 0, 0.7, 0.7), (0, 0.2, 1, 1), (0.15, 0, 0.85, 1))


def changes(first: Image.Image, second: Image.Image) -> Changes:
    found = compare(kept(first), kept(second)).changes
    assert found
    return found


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("share", [0.03, 0.1, 0.2])
def test_what_was_added_around_a_picture_is_a_frame(colour: str, share: float) -> None:
    for seed in range(3):
        found = changes(ImageOps.expand(scene(seed), round(share * 300), colour), scene(seed))
        assert found.extent == "frame"
        sides = (400 + 600 * share) * (300 + 600 * share)
        assert found.area == pytest.approx(sides / (400 * 300), rel=0.03)
        assert found.swapped().area == pytest.approx(1 / found.area)


def test_crops_are_hardly_ever_taken_for_pictures_in_a_frame() -> None:
    drawn = [draw(kind, np.random.default_rng(7), side=400) for kind in KINDS]
    pictures = [*(scene(seed) for seed in range(6)), *drawn]
    found = [changes(part(picture, *cut), picture) for picture, cut in itertools.product(pictures, PARTS)]
    extents = Counter(each.extent for each in found)
    assert extents["crop"] >= 46, extents  # of 48
    for each, cut in zip(found, PARTS * len(pictures), strict=True):
        assert each.area == pytest.approx((cut[2] - cut[0]) * (cut[3] - cut[1]), rel=0.05)


def test_a_margin_that_goes_on_in_the_picture_is_only_a_margin() -> None:
    thing = Image.new("RGB", (800, 600), "white")
    thing.paste(scene(4, 560, 420), (120, 90))
    wide = ImageOps.expand(thing, 200, "white")
    there, back = changes(wide, thing), changes(thing, wide)
    assert (there.extent, there.only_margin) == ("cropped", True)
    assert (back.extent, back.only_margin) == ("crop", True)
    assert not changes(part(scene(5), 0.2, 0.1, 0.9, 0.8), scene(5)).only_margin
