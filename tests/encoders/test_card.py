"""The model card: its JSON, its fingerprint, and the normalization on it."""

from dataclasses import replace
from typing import Any

import pytest

from lookalike.encoders.card import NO_NORMALIZATION, Card, Normalization, TextSpec, triple
from lookalike.images.decode import Preprocessing

CARD = Card(
    "clip",
    "open_clip:x/y",
    "mit",
    "0" * 64,
    512,
    Preprocessing(224, 1.0, "bicubic"),
    "f32",
    "1",
    normalization=Normalization((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "BGR"),
    output="pooled",
    text=TextSpec(77, "1" * 64, unescapes=True),
    command="open_clip:x/y",
)


def test_a_card_becomes_json_with_the_keys_of_existing_cards() -> None:
    """Fields that are None or have their default fit are left out."""
    assert CARD.as_dict() == {
        "name": "clip",
        "source": "open_clip:x/y",
        "licence": "mit",
        "sha256": "0" * 64,
        "dim": 512,
        "recipe": {"size": 224, "crop": 1.0, "resample": "bicubic"},
        "precision": "f32",
        "revision": "1",
        "scaling": {"mean": (1.0, 2.0, 3.0), "deviation": (4.0, 5.0, 6.0), "channels": "BGR"},
        "output": "pooled",
        "text": {"context": 77, "tokenizer": "1" * 64, "unescapes": True},
        "command": "open_clip:x/y",
    }


@pytest.mark.parametrize(
    "card", [CARD, replace(CARD, preprocessing=Preprocessing(fit="squash"), normalization=None, text=None)]
)
def test_a_card_is_restored_from_its_json(card: Card) -> None:
    assert Card.from_dict(card.as_dict()) == card


def test_the_fingerprint_is_that_of_existing_collections() -> None:
    assert CARD.fingerprint == "08ff9d5107eb64ff2c2a36e8127820ae"


def test_the_fingerprint_covers_what_affects_the_vectors_and_no_names() -> None:
    card = CARD
    named = replace(card, name="other", source="hf:a/b", licence="MIT", version="f" * 40, command="hf:a/b")
    assert named.fingerprint == card.fingerprint
    assert card.text is not None
    others: list[dict[str, Any]] = [
        {"sha256": "1" * 64},
        {"dim": 13},
        {"preprocessing": replace(card.preprocessing, crop=0.5)},
        {"preprocessing": replace(card.preprocessing, fit="squash")},
        {"precision": "bf16"},
        {"revision": "2"},
        {"output": "other"},
        {"normalization": Normalization((1, 1, 1), (2, 2, 2))},
        {"text": replace(card.text, tokenizer="other")},
    ]
    fingerprints = {replace(card, **other).fingerprint for other in others}
    assert len(fingerprints | {card.fingerprint}) == len(others) + 1


def test_normalization_in_the_unit_range_is_converted_to_pixels() -> None:
    assert Normalization.from_unit_range([0.5, 0.485, 0], [1, 0.229, 0.5]) == Normalization(
        (127.5, 123.675, 0.0), (255.0, 58.395, 127.5)
    )


def test_no_normalization_leaves_pixels_as_they_are() -> None:
    assert (NO_NORMALIZATION.mean, NO_NORMALIZATION.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert NO_NORMALIZATION.channels == "RGB"


def test_a_triple_is_three_numbers() -> None:
    assert triple([1, "2.5", 3.0]) == (1.0, 2.5, 3.0)
    for wrong in ([1, 2], [1, 2, 3, 4], ["a", "b", "c"], 5):
        with pytest.raises((ValueError, TypeError)):
            triple(wrong)  # type: ignore[arg-type]
