"""How a search chooses the parameters of the index, and when it is exact instead."""

from pathlib import Path

import pytest

from lookalike import Collection
from lookalike.filters import Where
from lookalike.index.operating_point import OperatingPoint, SearchParameters
from lookalike.index.tuning import Tuner
from tests.support.searched_collections import BY_INDEX, DIM, QUERIES, ROWS, RecordedSearches, stocked
from tests.support.vector_collections import Exact, assert_exact, assert_true, clustered, create, keys_of, put

pytestmark = pytest.mark.usefixtures("quick", "points")
CHEAP, DEAR = SearchParameters(1, 1), SearchParameters(16, 100)


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measured points are given: cheap parameters reach 0.9, dear ones 0.98, for 10 and for 100 neighbours."""
    made = tuple(
        OperatingPoint(k, parameters, low + 0.01, low, milliseconds)
        for k in (10, 100)
        for parameters, low, milliseconds in ((CHEAP, 0.9, 1.0), (DEAR, 0.98, 2.0))
    )
    monkeypatch.setattr(Tuner, "points", lambda *_, **__: made)


@pytest.mark.parametrize(
    ("k", "recall", "parameters"),
    [
        (10, None, DEAR),  # the index was built for 0.95
        (10, 0.9, CHEAP),
        (10, 0.91, DEAR),
        (10, 0.98, DEAR),
        (10, 0.981, None),  # more than any parameters reach
        (10, 1, None),
        (1, 0.9, SearchParameters(1, 10)),
        (5, 0.9, SearchParameters(1, 2)),
        (11, 0.9, SearchParameters(1, 100 / 11)),
        (100, 0.9, CHEAP),
        (101, 0.1, None),  # more neighbours than were measured
        (10**9, None, None),
    ],
)
def test_a_search_takes_the_cheapest_parameters_or_is_exact(
    indexed: Collection, searches: RecordedSearches, k: int, recall: float | None, parameters: SearchParameters | None
) -> None:
    exact = Exact(indexed)
    for query in QUERIES:
        searches.parameters.clear()
        found = indexed.search_vector(query, k=k, recall=recall)
        assert searches.parameters == ([] if parameters is None else [parameters])
        (assert_exact if parameters is None else assert_true)(found, exact.scores(query), k)


def test_an_exact_search_does_not_use_the_index(indexed: Collection, searches: RecordedSearches) -> None:
    id_ = indexed.search_vector(QUERIES[0])[0].id
    assert searches.of(lambda: indexed.search_vector(QUERIES[0], exact=True)) == []
    assert searches.of(lambda: indexed.search_id(id_, exact=True)) == []
    assert searches.of(lambda: indexed.search_id(id_)) == [DEAR]  # as for ten, though it finds itself


def test_a_filter_raises_k_by_the_share_that_it_admits(tmp_path: Path, searches: RecordedSearches) -> None:
    """The 4 nearest of one image in five are among the 20 nearest of all, more or less."""
    with stocked(tmp_path / "photos", policies=BY_INDEX) as photos:
        live, where = len(photos), Where(label="c")
        admitted = len(photos.search_vector(QUERIES[0], k=1000, where=where, exact=True))
        k = 4 * live / admitted
        assert 10 < k < 100
        found = searches.of(lambda: photos.search_vector(QUERIES[0], k=4, where=where, recall=0.9))
        assert found == [SearchParameters(1, 100 / k)]
        assert searches.of(lambda: photos.search_vector(QUERIES[0], k=60, where=where, recall=0.9)) == []


def test_a_search_is_exact_if_the_visited_lists_hold_too_few(tmp_path: Path, searches: RecordedSearches) -> None:
    with stocked(tmp_path / "photos", policies=BY_INDEX) as photos:
        exact, indexed_keys = Exact(photos), keys_of(ROWS)
        farthest = photos.search_vector(-QUERIES[0], k=200, exact=True)
        far = [match for match in farthest if match.key in indexed_keys][:90]
        where, admitted = Where(ids=[match.id for match in far]), {match.key for match in far}
        searches.parameters.clear()
        found = photos.search_vector(QUERIES[0], k=9, where=where, recall=0.9)
        assert searches.parameters == [SearchParameters(1, pytest.approx(1, abs=0.2))]  # type: ignore[arg-type]
        assert_exact(found, exact.scores(QUERIES[0], admitted=lambda key: key in admitted), 9)


def test_without_an_index_a_recall_changes_nothing(tmp_path: Path) -> None:
    with create(tmp_path / "photos", DIM) as photos:
        put(photos, clustered(50, DIM, seed=1), keys_of(50))
        assert photos.search_vector(QUERIES[0], recall=0.5) == photos.search_vector(QUERIES[0], exact=True)
