"""Queries of images and text: their weights, and the query vector that they add up to."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import lookalike
from lookalike import Collection, Term
from lookalike.errors import ImageError, ModelError, UsageError
from lookalike.search.query import query_vector
from lookalike.storage.vectors import unit
from tests.support.pictures import ColourEncoder, cosines_ready, draw, picture, unit_of

# The pictures that the tests' own text encoder knows by name.
PICTURES = {"nine": 9, "four": 4}


class NamingEncoder(ColourEncoder):
    """An encoder that knows a text for some pictures, too."""

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([7 * unit_of(PICTURES[text]).astype(np.float32) for text in texts])


@pytest.fixture
def named(folder: Path) -> Collection:
    """A collection that can be searched by text."""
    collection = lookalike.create(folder, encoder=NamingEncoder())
    collection.add(folder)
    return collection


def test_a_text_finds_the_image_that_it_describes(named: Collection) -> None:
    found = named.search_text("nine", k=3)
    assert found[0].key.endswith("09.png")
    assert found[0].score == pytest.approx(1, abs=1e-3)
    assert [query.text for query in found.queries] == ["nine"]


def test_images_and_texts_are_added_up_by_their_weights(named: Collection) -> None:
    terms = [Term(picture(2), weight=2), Term(text="nine"), Term(text="four", weight=-0.5), Term(picture(5), weight=-1)]
    wanted = cosines_ready(2 * unit_of(2) + unit_of(9) - 0.5 * unit_of(4) - unit_of(5))
    found = named.search_terms(terms, k=12)
    exact = sorted((float(wanted @ unit_of(seed)) for seed in range(12)), reverse=True)
    assert [match.score for match in found] == pytest.approx(exact, abs=2e-3)


def test_plus_and_minus_are_terms(named: Collection) -> None:
    found = named.search(picture(2), plus=[picture(3)], minus=[picture(4)], k=12)
    terms = named.search_terms([Term(picture(2)), Term(picture(3)), Term(picture(4), weight=-1)], k=12)
    assert list(found) == list(terms)


def test_a_term_is_one_image_or_one_text_with_a_weight_that_counts() -> None:
    with pytest.raises(UsageError, match="one of these: an image, a text"):
        Term()
    with pytest.raises(UsageError, match="one of these: an image, a text"):
        Term("a.jpg", "a")
    for weight in (0.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="weight="):
            Term(text="a", weight=weight)


def test_an_open_file_is_read_once_and_can_be_shown_later(folder: Path, named: Collection) -> None:
    with io.BytesIO((folder / "00.png").read_bytes()) as file:
        [match] = named.search_terms([Term(file)], k=1)
    assert match.key == "00.png"


def test_queries_that_are_impossible_are_refused(named: Collection, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to search for"):
        named.search_terms([])
    with pytest.raises(UsageError, match="cancel each other out"):
        named.search_terms([Term(text="nine"), Term(text="nine", weight=-1)])
    with pytest.raises(ImageError, match="no such file"):
        named.search_terms([Term("nowhere.jpg")])
    with pytest.raises(UsageError, match="colours does not take text: it has no encode_text"):
        lookalike.create(tmp_path, encoder=ColourEncoder()).search_text("nine")


def test_a_text_encoder_that_gives_another_dimension_is_a_model_error(
    named: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NamingEncoder, "encode_text", lambda _, texts: np.ones((len(texts), 24), np.float32))
    with pytest.raises(ModelError, match=r"\(1, 24\) for a text; it should be \(1, 25\)"):
        named.search_text("nine")


# The query vector


FIRST, SECOND = unit(np.array([3.0, 4.0])), unit(np.array([0.0, -2.0]))  # (0.6, 0.8) and (0, -1)


def test_the_query_vector_is_the_normalized_weighted_sum() -> None:
    found = query_vector([Term(text="a", weight=5), Term(text="b")], [FIRST, SECOND])
    np.testing.assert_allclose(found, unit(np.array([3.0, 4.0 - 1.0])))
    assert found.shape == (1, 2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found), 1)


def test_the_weight_of_a_single_positive_term_does_not_matter() -> None:
    for weight in (1e-3, 1.0, 7.0):
        np.testing.assert_array_equal(query_vector([Term(text="a", weight=weight)], [FIRST]), FIRST)


def test_a_single_negative_term_searches_for_the_opposite() -> None:
    np.testing.assert_allclose(query_vector([Term(text="a", weight=-0.5)], [FIRST]), -FIRST)


def test_only_the_ratio_of_the_weights_matters() -> None:
    small = query_vector([Term(text="a", weight=2), Term(text="b", weight=-1)], [FIRST, SECOND])
    large = query_vector([Term(text="a", weight=200), Term(text="b", weight=-100)], [FIRST, SECOND])
    np.testing.assert_allclose(small, large)
    np.testing.assert_allclose(small, unit(np.array([1.2, 1.6 + 1.0])))


@pytest.mark.parametrize("weights", [(1, -1), (2.5, -2.5), (-2, 1, 1)])
def test_terms_that_cancel_each_other_out_are_refused(weights: tuple[float, ...]) -> None:
    terms = [Term(text="a", weight=weight) for weight in weights]
    with pytest.raises(UsageError, match="the terms of the query cancel each other out"):
        query_vector(terms, [FIRST] * len(terms))


def test_a_query_without_terms_is_refused() -> None:
    with pytest.raises(UsageError, match="there is nothing to search for: give an image or a text"):
        query_vector([], [])


# Display


def test_a_text_is_shown_among_the_thumbnails_of_the_queries(tmp_path: Path, named: Collection) -> None:
    from lookalike.display.page import page
    from lookalike.display.sheet import sheet

    found = named.search_terms([Term(draw(tmp_path / "q.png", 3)), Term(text="four", weight=-0.5)], k=2)
    html = page(found)
    assert "<bdi>four</bdi>" in html
    assert "minus \N{MULTIPLICATION SIGN} 0.5" in html
    assert html.count("<img") == 3
    assert sheet(found).width > 100
    assert "Look-alikes of four" in page(named.search_text("four"))


@pytest.mark.parametrize("weights", [(-3, 1, 2), (0.1, 0.2, -0.3), (1e-30, -1e-30), (1e20, -1e20)])
def test_terms_cancel_each_other_out_whatever_rounding_leaves(weights: tuple[float, ...]) -> None:
    vector = unit(np.random.default_rng(5).normal(size=(1, 64)))
    terms = [Term(text="a", weight=weight) for weight in weights]
    with pytest.raises(UsageError, match="cancel each other out"):
        query_vector(terms, [vector] * len(terms))


def test_a_small_difference_between_terms_is_kept() -> None:
    first, second = unit(np.eye(2, 8) + np.eye(2, 8)[::-1] * 0.999)
    found = query_vector([Term(text="a"), Term(text="b", weight=-1)], [first[None], second[None]])
    np.testing.assert_allclose(found, unit((first - second)[None]), atol=1e-4)
