"""Queries of images and words: their weights, and what they are added up to."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import lookalike
from lookalike import Collection, Term
from lookalike.errors import ImageError, ModelError, UsageError
from lookalike.search.query import direction, weighted
from lookalike.storage.vectors import Vectors, unit
from tests.support.pictures import ColourEncoder, cosines_ready, draw, picture, unit_of

# What the words of the tests' own encoder look like.
PICTURES = {"nine": 9, "four": 4}


class WordyEncoder(ColourEncoder):
    """Knows some pictures by name, too."""

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([7 * unit_of(PICTURES[text]).astype(np.float32) for text in texts])


@pytest.fixture
def wordy(folder: Path) -> Collection:
    collection = lookalike.create(folder, encoder=WordyEncoder())
    collection.add(folder)
    return collection


def test_words_find_what_they_describe(wordy: Collection) -> None:
    found = wordy.search_text("nine", k=3)
    assert found[0].key.endswith("09.png")
    assert found[0].score == pytest.approx(1, abs=1e-3)
    assert [query.text for query in found.queries] == ["nine"]


def test_images_and_words_are_added_up_by_their_weights(wordy: Collection) -> None:
    terms = [Term(picture(2), weight=2), Term(text="nine"), Term(text="four", weight=-0.5), Term(picture(5), weight=-1)]
    wanted = cosines_ready(2 * unit_of(2) + unit_of(9) - 0.5 * unit_of(4) - unit_of(5))
    found = wordy.search_terms(terms, k=12)
    exact = sorted((float(wanted @ unit_of(seed)) for seed in range(12)), reverse=True)
    assert [match.score for match in found] == pytest.approx(exact, abs=2e-3)


def test_plus_and_minus_are_terms(wordy: Collection) -> None:
    found = wordy.search(picture(2), plus=[picture(3)], minus=[picture(4)], k=12)
    terms = wordy.search_terms([Term(picture(2)), Term(picture(3)), Term(picture(4), weight=-1)], k=12)
    assert list(found) == list(terms)


def test_a_term_is_one_image_or_one_text_with_a_weight_that_counts() -> None:
    with pytest.raises(UsageError, match="an image or a text"):
        Term()
    with pytest.raises(UsageError, match="an image or a text"):
        Term("a.jpg", "a")
    for weight in (0.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="weight="):
            Term(text="a", weight=weight)


def test_an_open_file_is_read_once_and_can_be_shown_later(folder: Path, wordy: Collection) -> None:
    with io.BytesIO((folder / "00.png").read_bytes()) as file:
        [match] = wordy.search_terms([Term(file)], k=1)
    assert match.key == "00.png"


def test_what_cannot_be_looked_for_is_said(wordy: Collection, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to look for"):
        wordy.search_terms([])
    with pytest.raises(UsageError, match="cancel each other out"):
        wordy.search_terms([Term(text="nine"), Term(text="nine", weight=-1)])
    with pytest.raises(ImageError, match="no such file"):
        wordy.search_terms([Term("nowhere.jpg")])
    with pytest.raises(UsageError, match="colours knows no words"):
        lookalike.create(tmp_path, encoder=ColourEncoder()).search_text("nine")


def test_a_text_encoder_that_gives_another_dimension_is_a_model_error(
    wordy: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WordyEncoder, "encode_text", lambda _, texts: np.ones((len(texts), 24), np.float32))
    with pytest.raises(ModelError, match=r"\(1, 24\) for a text; it should be \(1, 25\)"):
        wordy.search_text("nine")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red dress", ("red dress", 1.0)),
        ("red dress^0.5", ("red dress", 0.5)),
        ("photo.jpg^2", ("photo.jpg", 2.0)),
        ("2^3^4", ("2^3", 4.0)),
        ("up^down", ("up^down", 1.0)),
        ("^", ("^", 1.0)),
        ("-^3", ("-", 3.0)),
    ],
)
def test_a_weight_stands_behind_what_is_asked_for(text: str, expected: tuple[str, float]) -> None:
    assert weighted(text) == expected


@pytest.mark.parametrize("text", ["red^0", "red^-1", "red^nan", "red^inf"])
def test_a_weight_is_above_0(text: str) -> None:
    with pytest.raises(UsageError, match="above 0"):
        weighted(text)


def test_the_direction_is_that_of_the_weighted_sum() -> None:
    vectors = {"a": unit(np.array([3.0, 4.0])), "b": unit(np.array([0.0, -2.0]))}

    def of_text(text: str) -> Vectors:
        return vectors[text]

    found = direction([Term(text="a", weight=5), Term(text="b")], lambda _: vectors["a"], of_text)
    np.testing.assert_allclose(found, unit(np.array([3.0, 4.0 - 1.0])))


def test_drawing_is_possible(tmp_path: Path, wordy: Collection) -> None:
    """What was asked in words stands where the queries' pictures stand."""
    from lookalike.display.page import page
    from lookalike.display.sheet import sheet

    found = wordy.search_terms([Term(draw(tmp_path / "q.png", 3)), Term(text="four", weight=-0.5)], k=2)
    html = page(found)
    assert "<bdi>four</bdi>" in html
    assert "minus \N{MULTIPLICATION SIGN} 0.5" in html
    assert html.count("<img") == 3
    assert sheet(found).width > 100
    assert "Look-alikes of four" in page(wordy.search_text("four"))
