"""The order of letters where scripts of both directions meet, compared with that of a browser."""

import random

import pytest

from lookalike.display.bidirectional import from_left, levels
from tests.support import browser


def seen(name: str) -> str:
    parts = [(None, level, letter) for level, letter in zip(levels(list(name)), name, strict=True)]
    return "".join(letter for *_, letter in from_left(parts))


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("IMG_01 (copy).jpg", "IMG_01 (copy).jpg"),
        ("אבג.jpg", "jpg.גבא"),
        ("אבג 12.jpg", "jpg.12 גבא"),
        ("אבג_2023-05-01.jpg", "jpg.2023-05-01_גבא"),
        ("IMG (אבג).jpg", "IMG (גבא).jpg"),
        ("دمص.jpg (copy 2)", "jpg (copy 2).صمد"),
        ("", ""),
    ],
)
def test_names_are_read_in_the_direction_of_their_first_letter(name: str, order: str) -> None:
    assert seen(name) == order


def test_the_order_is_that_of_a_browser() -> None:
    rng = random.Random(5)
    letters = "אבגدصab.jpg_-- 0123() ()[]#%"
    names = ["".join(rng.choices(letters, k=rng.randint(2, 14))).strip() for _ in range(600)]
    names = [name for name in names if name]
    assert list(map(seen, names)) == browser.from_left(names)
