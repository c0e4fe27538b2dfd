"""The answers of a collection that has an index, against brute force."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike import Collection, SearchOptions
from lookalike.errors import UsageError
from lookalike.filters import Where
from lookalike.index.operating_point import OperatingPoint, SearchParameters
from lookalike.index.tuning import Tuner
from tests.support.catalogs import STATUS
from tests.support.pictures import ColourEncoder, draw, picture
from tests.support.searched_collections import (
    BY_INDEX,
    DIM,
    FILTERS,
    QUERIES,
    QUICK,
    ROWS,
    SPEC,
    SPECS,
    RecordedSearches,
    stocked,
    vector_of,
)
from tests.support.small_policies import quick_policies
from tests.support.vector_collections import Exact, assert_exact, assert_true, clustered, create, drop, keys_of, put

pytestmark = pytest.mark.usefixtures("quick")


@pytest.mark.parametrize(("spec", "k"), [*itertools.product(SPECS, [1, 10, 77]), (SPEC, 2000)])
def test_answers_are_true_with_younger_images_and_deleted_ones(tmp_path: Path, spec: str, k: int) -> None:
    with stocked(tmp_path / "photos", spec) as photos:
        assert (photos.info().young, photos.info().dead) == (100, 50)
        exact = Exact(photos)
        assert len(exact.keys) == len(photos) == 900
        many = photos._searcher.by_vectors(QUERIES, SearchOptions(k))
        for query, among_many in zip(QUERIES, many, strict=True):
            true = exact.scores(query)
            found = photos.search_vector(query, k=k)
            assert_true(found, true, k)
            assert_true(among_many, true, k)
            assert [match.score for match in among_many] == pytest.approx([match.score for match in found], abs=3e-6)
            assert_exact(photos.search_vector(query, k=k, exact=True), true, k)


@pytest.mark.parametrize("exact", [False, True])
def test_many_queries_at_once_get_the_answers_of_each(indexed: Collection, exact: bool) -> None:
    """There are so many queries that young images, and all images if `exact`, are compared by matrix products."""
    queries = clustered(50, DIM, seed=8)
    together = indexed._searcher.by_vectors(queries, SearchOptions(10, exact=exact))
    for query, found in zip(queries, together, strict=True):
        alone = indexed.search_vector(query, exact=exact)
        assert [match.score for match in found] == pytest.approx([match.score for match in alone], abs=3e-6)
        assert {match.key for match in found} == {match.key for match in alone}
    assert indexed._searcher.by_vectors(queries[:0], SearchOptions(10)) == []


@pytest.mark.parametrize("spec", SPECS)
def test_a_search_of_all_lists_and_candidates_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, searches: RecordedSearches, spec: str
) -> None:
    point = OperatingPoint(1000, SearchParameters(1024, ROWS / 10), 1, 0.99, 1)
    monkeypatch.setattr(Tuner, "points", lambda *_, **__: (point,))
    with stocked(tmp_path / "photos", spec, BY_INDEX) as photos:
        exact = Exact(photos)
        searches.parameters.clear()
        for where, admitted in FILTERS:
            for query in QUERIES:
                assert_exact(photos.search_vector(query, where=where), exact.scores(query, admitted=admitted), 10)
        assert len(searches.parameters) > len(QUERIES)


@pytest.mark.parametrize(("where", "admitted"), FILTERS)
@pytest.mark.parametrize("narrow", [False, True], ids=["through the index", "few are compared exactly"])
def test_a_filter_admits_what_it_says_and_nothing_else(
    tmp_path: Path, where: Where | None, admitted: Callable[[str], bool], narrow: bool
) -> None:
    with stocked(tmp_path / "photos", policies=QUICK if narrow else BY_INDEX) as photos:
        exact = Exact(photos)
        for query in QUERIES:
            true = exact.scores(query, admitted=admitted)
            for k in (1, 10, 500):
                assert_true(photos.search_vector(query, k=k, where=where), true, k)
                assert_exact(photos.search_vector(query, k=k, where=where, exact=True), true, k)
                if narrow and where is not None:
                    assert_exact(photos.search_vector(query, k=k, where=where), true, k)


def test_a_search_by_id_leaves_the_image_itself_out(indexed: Collection) -> None:
    exact = Exact(indexed)
    for key in (*keys_of(8, 300), *keys_of(4, ROWS)):  # in the index, and younger
        [image] = [match for match in indexed.search_vector(vector_of(exact, key), k=3, exact=True) if match.key == key]
        others = exact.scores(vector_of(exact, key)[None])
        del others[key]
        found = indexed.search_id(image.id)
        assert_true(found, others, 10)
        assert found.queries[0].key == key
        assert_exact(indexed.search_id(image.id, exact=True), others, 10)
        assert len(indexed.search_id(image.id, k=1)) == 1


def test_matches_below_the_lowest_score_are_left_out(indexed: Collection) -> None:
    for query in QUERIES:
        found = indexed.search_vector(query, k=10)
        least = found[4].score
        assert indexed.search_vector(query, k=10, min_score=least) == [m for m in found if m.score >= least]


def test_an_index_over_deleted_images_only_finds_the_younger_ones(indexed: Collection) -> None:
    drop(indexed, [key for key in Exact(indexed).keys if key not in keys_of(100, ROWS)])
    exact = Exact(indexed)
    assert len(exact.keys) == 90
    for query in QUERIES:
        assert_exact(indexed.search_vector(query), exact.scores(query), 10)


# Refusals


@pytest.mark.parametrize("k", [0, -1])
def test_k_has_to_be_positive(indexed: Collection, k: int) -> None:
    with pytest.raises(UsageError, match=f"k={k}"):
        indexed.search_vector(QUERIES[0], k=k)


@pytest.mark.parametrize("recall", [0, 1.01, -1, float("nan")])
def test_recall_has_to_be_a_share(indexed: Collection, recall: float) -> None:
    with pytest.raises(UsageError, match="recall="):
        indexed.search_vector(QUERIES[0], recall=recall)


def test_an_attribute_that_no_image_has_is_refused(indexed: Collection) -> None:
    with pytest.raises(UsageError, match=r"colour.*price"):
        indexed.search_vector(QUERIES[0], where=Where(attributes={"colour": "red"}))


@pytest.mark.parametrize("shape", [(23,), (25,), (2, 24)])
def test_a_query_of_another_dimension_is_refused(indexed: Collection, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="24 dimensions"):
        indexed.search_vector(np.ones(shape))


def test_a_searcher_refuses_queries_of_another_dimension(indexed: Collection) -> None:
    for shape in ((1, 23), (2, 25), (24,)):
        with pytest.raises(UsageError, match="24 dimensions"):
            indexed._searcher.by_vectors(np.ones(shape, np.float32), SearchOptions(3))


# Copies


def test_ten_thousand_copies_share_one_vector_and_all_come_back(tmp_path: Path) -> None:
    """The copies are alike byte for byte, so the index has one vector of them."""
    folder = tmp_path / "photos"
    for seed in range(60):
        draw(folder / f"{seed}.png", seed)
    with lookalike.create(folder, encoder=ColourEncoder(), policies=quick_policies()) as photos:
        photos.add(folder)
        [first] = photos.search(picture(7), k=1)
        row = photos._catalog.image(first.id)
        assert row is not None
        with photos._catalog.writing() as transaction:  # as adding so many files does, but sooner
            for number in range(9_999):
                transaction.put_image(f"copies/{number:05}.png", row.row, STATUS)
        photos.build(spec="IVF4,SQ8")
        assert (photos.info().images, photos.info().vectors) == (10_059, 60)
        found = photos.search(picture(7), k=10_000)
        assert {match.key for match in found} == {"7.png", *(f"copies/{number:05}.png" for number in range(9_999))}
        assert all(match.score == pytest.approx(1, abs=1e-3) for match in found)
        assert [match.key for match in photos.search(picture(7), k=10_001)[10_000:]] != []
        assert {match.label for match in photos.search(picture(7), k=20, where=Where(label="copies"))} == {"copies"}
        others = photos.search_id(first.id, k=10_000)
        assert first.id not in {match.id for match in others}
        assert sum(match.label == "copies" for match in others) == 9_999
        photos.remove(["copies"])
        assert photos.search(picture(7), k=1)[0].key == "7.png"
        assert photos.info().dead == 0


@pytest.mark.parametrize("spec", ["HNSW8", "HNSW8,SQ8", "IVF16,SQ8", "IVF16_HNSW8,PQ6x4fs"])
def test_different_files_with_the_same_vector_do_not_hide_the_others(tmp_path: Path, spec: str) -> None:
    """Equal vectors fill each other's links in a graph, and whole lists; what cannot be reached is found exactly."""
    with create(tmp_path / "photos", DIM, QUICK) as photos:
        put(photos, clustered(500, DIM, seed=1), keys_of(500))
        put(photos, QUERIES[:1].repeat(400, axis=0), keys_of(400, 500))
        put(photos, clustered(100, DIM, seed=3), keys_of(100, 900))
        photos.build(spec=spec, recall=0.9)
        exact = Exact(photos)
        for query in (*QUERIES, *exact.vectors[:5].astype(np.float32)):
            true = exact.scores(query)
            for k in (1, 10, 30):
                assert_true(photos.search_vector(query, k=k), true, k)
                assert_exact(photos.search_vector(query, k=k, recall=1), true, k)
        assert {match.key for match in photos.search_vector(QUERIES[0], k=400)} == set(keys_of(400, 500))
