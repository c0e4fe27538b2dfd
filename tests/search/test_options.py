"""The options of a search: their defaults, and the values that are refused."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from typing import Any, get_type_hints

import numpy as np
import pytest

import lookalike
from lookalike import Collection, Matches, SearchOptions, Where
from lookalike.errors import UsageError
from lookalike.search.options import SearchKeywords
from tests.support.pictures import picture


def test_the_defaults_are_ten_images_of_all_by_the_index_if_there_is_one() -> None:
    options = SearchOptions()
    assert (options.k, options.min_score, options.where) == (10, None, None)
    assert (options.exact, options.recall) == (False, None)


def test_options_are_values() -> None:
    options = SearchOptions(3, 0.5, where=Where(label="cats"), exact=True, recall=0.9)
    assert options == SearchOptions(k=3, min_score=0.5, where=Where(label="cats"), exact=True, recall=0.9)
    assert options != SearchOptions(4, 0.5, where=Where(label="cats"), exact=True, recall=0.9)
    with pytest.raises(FrozenInstanceError):
        options.k = 4  # type: ignore[misc]


def test_only_k_and_the_score_are_positional() -> None:
    parameters = inspect.signature(SearchOptions).parameters.values()
    keyword_only = [each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    assert keyword_only == ["where", "exact", "recall", "refine", "confident", "fold", "regions", "crops"]


def test_the_keywords_of_the_search_methods_are_the_fields() -> None:
    expected = {field.name: field.type for field in fields(SearchOptions)}
    assert get_type_hints(SearchKeywords) == expected


@pytest.mark.parametrize("k", [1, 12, np.int64(7), np.uint8(7)])
def test_k_is_any_whole_number_from_1_on(k: Any) -> None:
    assert SearchOptions(k).k == int(k)
    assert type(SearchOptions(k).k) is int


@pytest.mark.parametrize("k", [2**31, sys.maxsize, 10**30])
def test_a_k_beyond_any_collection_is_as_many_as_can_be_counted(k: int) -> None:
    assert SearchOptions(k).k == 2**31


@pytest.mark.parametrize("k", [0, -1, -(10**30)])
def test_a_k_below_1_is_refused(k: int) -> None:
    with pytest.raises(UsageError, match=f"k={k}: give at least 1"):
        SearchOptions(k)


@pytest.mark.parametrize("k", [1.0, 2.5, "3", None, [1], np.float32(3), True, False, np.True_, np.array([3, 4])])
def test_a_k_that_is_no_whole_number_is_refused(k: Any) -> None:
    with pytest.raises(UsageError, match=r"k=.*: give a whole number"):
        SearchOptions(k)


@pytest.mark.parametrize("recall", [1, 1.0, 0.5, 1e-9])
def test_a_recall_is_above_0_and_at_most_1(recall: float) -> None:
    assert SearchOptions(recall=recall).recall == recall


@pytest.mark.parametrize("recall", [0, -0.1, 1.01, float("inf")])
def test_a_recall_that_is_no_share_is_refused(recall: float) -> None:
    with pytest.raises(UsageError, match=f"recall={recall}: give a share, above 0 and at most 1"):
        SearchOptions(recall=recall)


@pytest.mark.parametrize("value", [float("nan"), "0.5", True, 1j, [0.5], np.array([0.5])])
@pytest.mark.parametrize("name", ["recall", "min_score"])
def test_a_share_or_score_that_is_no_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{name}=.*: give a number"):
        SearchOptions(**{name: value})


@pytest.mark.parametrize("number", [1, np.float16(0.5), np.float64(0.25), float("inf"), -float("inf")])
def test_a_score_is_any_number(number: Any) -> None:
    assert SearchOptions(min_score=number).min_score == float(number)


@pytest.mark.parametrize(("given", "expected"), [(np.True_, True), (np.False_, False), (1, True), (0, False)])
def test_exact_is_true_or_false(given: Any, expected: bool) -> None:
    assert SearchOptions(exact=given).exact is expected


@pytest.mark.parametrize("exact", ["no", None, [], 2, np.array([True, False])])
def test_an_exact_that_is_neither_true_nor_false_is_refused(exact: Any) -> None:
    with pytest.raises(UsageError, match=r"exact=.*: give True or False"):
        SearchOptions(exact=exact)


@pytest.mark.parametrize("where", [{"label": "cats"}, "cats", ["cats"], 1])
def test_a_filter_is_a_where(where: Any) -> None:
    with pytest.raises(UsageError, match=r"where=.*: give a filter, such as lookalike.Where\(label='cat'\)"):
        SearchOptions(where=where)


def test_every_search_method_takes_the_options_and_refuses_others(photos: Collection) -> None:
    searches: list[Callable[..., Matches]] = [
        lambda **options: photos.search(picture(0), **options),
        lambda **options: photos.search_terms([lookalike.Term(picture(0))], **options),
        lambda **options: photos.search_many([picture(0)], **options)[0],
        lambda **options: photos.search_id(1, **options),
        lambda **options: photos.search_vector(np.ones(25), **options),
    ]
    for search in searches:
        found = search(k=2, min_score=-1, where=Where(label="cats"), exact=True, recall=0.9)
        assert [match.label for match in found] == ["cats", "cats"]
        with pytest.raises(UsageError, match="k=0"):
            search(k=0)
        with pytest.raises(UsageError, match="recall=2"):
            search(recall=2)
        with pytest.raises(TypeError, match="depth"):
            search(depth=3)
