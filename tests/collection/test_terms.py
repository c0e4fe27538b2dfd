"""Queries of several terms: images, ids and vectors, each with its weight, against NumPy."""

import numpy as np
import pytest

from lookalike import Collection, Term
from lookalike.display.thumbnail import thumbnails
from lookalike.errors import NoImageError, UsageError
from tests.support.pictures import assert_best, picture, stored_vectors, unit_of


def test_ids_vectors_and_images_add_up(photos: Collection) -> None:
    stored = {key: vector.astype(float) for key, vector in stored_vectors(photos.directory).items()}
    image = photos.images()[2]
    some = np.random.default_rng(5).normal(size=25)
    query = unit_of(3) + 2 * stored[image.key] - 0.5 * some / np.linalg.norm(some)
    terms = [Term(picture(3)), Term(id=image.id, weight=2), Term(vector=some * 7, weight=-0.5)]
    others = {key: vector for key, vector in stored.items() if key != image.key}
    assert_best(photos.search_terms(terms, k=8), query / np.linalg.norm(query), others, 8)


def test_a_single_id_is_searched_like_search_id(photos: Collection) -> None:
    for k in (1, 5, 100):
        assert list(photos.search_terms([Term(id=4)], k=k)) == list(photos.search_id(4, k=k))


def test_ids_are_left_out_whatever_their_sign(photos: Collection) -> None:
    found = photos.search_terms([Term(id=1), Term(id=2), Term(id=3, weight=-1)], k=100)
    assert {match.id for match in found} == set(range(4, 13))
    assert len(photos.search_terms([Term(id=1), Term(id=2), Term(id=3, weight=-1)], k=5)) == 5


def test_an_unknown_id_and_a_wrong_vector_are_refused(photos: Collection) -> None:
    with pytest.raises(NoImageError, match="999"):
        photos.search_terms([Term(id=999)])
    for vector in ([1.0] * 24, [float("nan")] * 25, [0.0] * 25):
        with pytest.raises(UsageError):
            photos.search_terms([Term(vector=vector)])
    for parts in ({"id": 1, "text": "red"}, {"id": True}, {"vector": [1.0], "id": 2}):
        with pytest.raises(UsageError):
            Term(**parts)


def test_such_terms_are_shown_by_name_where_an_image_would_be() -> None:
    shown = thumbnails([Term(id=42), Term(vector=[1.0] * 25), Term(text="red")], 32)
    assert [each.text for each in shown] == ["image 42", "a vector", "red"]
