"""Recall, precision and average precision against cases worked by hand, and against their slow definitions."""

import math
import time
import tracemalloc
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.metrics import (
    LabelQuality,
    Labels,
    Numbers,
    Quality,
    Rows,
    Scores,
    average_precision,
    average_precision_by_score,
    by_label,
    lower_bound,
    overall,
    precision,
    recall,
)

Z = NormalDist().inv_cdf(0.95)
TRUE_AND_FALSE = hnp.arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 12)))


def relevance(*rankings: str) -> NDArray[np.bool_]:
    """Whether each match is relevant, from a string of crosses (relevant) and dots for each query."""
    return np.array([[mark == "x" for mark in ranking] for ranking in rankings])


def wilson(p: float, n: float) -> float:
    """The lower root of (p - x)² = z² x (1 - x) / n, which is how Wilson's bound is defined."""
    return float(np.roots([1 + Z**2 / n, -(2 * p + Z**2 / n), p**2]).min())


# Recall


NONE = -np.inf


def scores(*rows: list[float]) -> Scores:
    return np.array(rows, np.float32).reshape(len(rows), -1)


def test_recall_is_the_share_of_the_best_scores_that_was_found() -> None:
    best = [0.9, 0.8, 0.7, 0.6]
    found = scores([0.6, 0.7, 0.8, 0.9], [0.9, 0.7, 0.5, 0.4], [0.5, 0.4, 0.3, 0.2])
    assert recall(found, scores(best, best, best)).tolist() == [1.0, 0.5, 0.0]


def test_no_row_is_neither_found_nor_missed() -> None:
    exact = scores([0.9, 0.8, NONE, NONE], [0.9, 0.8, NONE, NONE], [NONE, NONE, NONE, NONE])
    assert recall(scores([0.9, NONE, NONE], [NONE] * 3, [NONE, 0.1, NONE]), exact).tolist() == [0.5, 0.0, 1.0]


def test_an_answer_may_be_longer_or_shorter_than_the_exact_one() -> None:
    exact = scores([0.9, 0.8])
    assert recall(scores([0.95, 0.9, 0.8, 0.1, 0.0]), exact).tolist() == [1.0]
    assert recall(scores([0.8]), exact).tolist() == [0.5]
    assert recall(np.empty((1, 0), np.float32), exact).tolist() == [0.0]
    assert recall(np.empty((0, 3), np.float32), np.empty((0, 2), np.float32)).tolist() == []


def test_a_score_as_good_as_the_last_of_the_best_is_a_hit() -> None:
    """Five images have the second best score, and two of them are in the exact answer; none stands for the best."""
    exact = scores([0.9, 0.8, 0.8])
    assert recall(scores([0.9, 0.8, 0.8]), exact).tolist() == [1.0]
    assert recall(scores([0.8, 0.8, 0.8]), exact).tolist() == pytest.approx([2 / 3])
    assert recall(scores([0.9, 0.8, 0.7]), exact).tolist() == pytest.approx([2 / 3])


@pytest.mark.parametrize(("difference", "expected"), [(1e-6, 1.0), (4e-6, 0.5), (0.01, 0.5)])
def test_scores_that_differ_by_rounding_are_equal(difference: float, expected: float) -> None:
    assert recall(scores([0.9, 0.8 - difference]), scores([0.9, 0.8])).tolist() == [expected]


def test_answers_to_other_queries_are_refused() -> None:
    with pytest.raises(UsageError, match="a row for each query"):
        recall(np.zeros((3, 10), np.float32), np.zeros((2, 10), np.float32))


@given(hnp.arrays(np.int64, (3, 12), elements=st.integers(-3, 3)), hnp.arrays(bool, (3, 12)))
def test_recall_is_what_sets_of_images_say_if_equals_may_be_exchanged(
    images: NDArray[np.int64], seen: NDArray[np.bool_]
) -> None:
    """Of all sets of four images that are best, the one of which most were seen."""
    best = np.lexsort((~seen, -images))[:, :4]
    expected = np.take_along_axis(seen, best, axis=1).mean(axis=1)
    exact = np.take_along_axis(images, best, axis=1) / 4
    found = np.where(seen, images / 4, NONE)
    assert recall(found.astype(np.float32), exact.astype(np.float32)).tolist() == expected.tolist()


# Its lower bound


def test_the_bound_of_independent_neighbours_is_wilsons_for_all_of_them() -> None:
    """10,000 queries, the variance of which is a little less than that of independent neighbours."""
    recalls = np.repeat([0.8, 0.9, 1.0], [2500, 5000, 2500])
    assert np.var(recalls) < 0.9 * 0.1 / 10
    assert lower_bound(recalls, 10) == pytest.approx(wilson(0.9, 100_000), abs=1e-12)


def test_the_bound_of_neighbours_found_together_is_wilsons_for_the_queries() -> None:
    recalls = np.repeat([0.0, 1.0], [20, 180])
    assert lower_bound(recalls, 10) == pytest.approx(wilson(0.9, 200), abs=1e-12)


def test_the_bound_in_between_is_wilsons_for_the_effective_sample_size() -> None:
    """Worked by hand: p = 0.9, squares 100 * 0.01 * 2 and 0.081 more, so that n = 0.09 * 199 * 200 / 2.081."""
    recalls = np.repeat([0.8, 1.0], [100, 100])
    assert lower_bound(recalls, 100) == pytest.approx(wilson(0.9, 0.09 * 199 * 200 / 2.081), abs=1e-12)


@pytest.mark.parametrize(("recalls", "expected"), [(np.ones(400), 400 / (400 + Z**2)), (np.zeros(400), 0.0)])
def test_where_all_or_nothing_was_found_the_queries_alone_count(recalls: Numbers, expected: float) -> None:
    assert lower_bound(recalls, 10) == pytest.approx(expected, abs=1e-12)


def test_one_query_says_little() -> None:
    assert lower_bound(np.array([1.0]), 10) == pytest.approx(1 / (1 + Z**2))
    assert 0 < lower_bound(np.array([0.5]), 10) < 0.1


@given(hnp.arrays(np.float64, st.integers(1, 50), elements=st.sampled_from([0.0, 0.3, 0.9, 1.0])), st.integers(1, 100))
def test_the_bound_is_a_share_and_not_above_the_mean(recalls: Numbers, k: int) -> None:
    assert 0 <= lower_bound(recalls, k) <= recalls.mean() + 1e-12


def test_more_confidence_gives_a_lower_bound() -> None:
    recalls = np.repeat([0.8, 1.0], [100, 100])
    assert lower_bound(recalls, 10, confidence=0.99) < lower_bound(recalls, 10) < 0.9


@pytest.mark.parametrize("k", [10, 100])
@pytest.mark.parametrize("queries", [100, 400])
@pytest.mark.parametrize(("mean", "correlation"), [(0.9, 0.1), (0.95, 0.3), (0.98, 0.1), (0.98, 0.5), (0.995, 0.3)])
def test_the_bound_is_below_the_true_recall_in_about_95_of_100_samples(
    queries: int, k: int, mean: float, correlation: float
) -> None:
    """Neighbours of one query that are found with a chance of their own, drawn from a beta distribution."""
    random = np.random.default_rng(1)
    ours = 1 / correlation - 1
    chances = random.beta(mean * ours, (1 - mean) * ours, (4000, queries))
    samples = random.binomial(k, chances) / k
    covered = np.mean([lower_bound(sample, k) <= mean for sample in samples])
    assert covered >= 0.94 - 2 * math.sqrt(0.94 * 0.06 / 4000)


def test_the_bound_is_hardly_lower_than_it_has_to_be() -> None:
    """Compared with what one would say who knew by how much the means of samples vary."""
    random = np.random.default_rng(1)
    samples = random.binomial(10, random.beta(0.95 * 7 / 3, 0.05 * 7 / 3, (1000, 400))) / 10
    distance = np.mean([sample.mean() - lower_bound(sample, 10) for sample in samples])
    assert distance < 1.15 * Z * samples.mean(axis=1).std()


def test_a_bound_that_takes_neighbours_as_independent_is_too_high() -> None:
    """What the effective sample size is for, and why the test above can fail."""
    random = np.random.default_rng(1)
    samples = random.binomial(10, random.beta(0.95 * 7 / 3, 0.05 * 7 / 3, (1000, 400))) / 10
    assert np.mean([wilson(sample.mean(), 4000) <= 0.95 for sample in samples]) < 0.9


@pytest.mark.parametrize(("queries", "k", "confidence"), [(0, 10, 0.95), (5, 0, 0.95), (5, 10, 1.0), (5, 10, 0.5)])
def test_a_bound_that_nothing_can_be_said_of_is_refused(queries: int, k: int, confidence: float) -> None:
    with pytest.raises(UsageError, match=f"{queries} queries, k={k}, confidence={confidence}: give at least"):
        lower_bound(np.ones(queries), k, confidence=confidence)


# Precision


def test_precision_is_the_share_of_relevant_answers_among_the_first() -> None:
    relevant = relevance("x.x.", "....", "xxxx")
    assert precision(relevant, 1).tolist() == [1.0, 0.0, 1.0]
    assert precision(relevant, 3).tolist() == pytest.approx([2 / 3, 0.0, 1.0])


def test_precision_of_fewer_answers_than_asked_for_is_of_those_there_are() -> None:
    assert precision(relevance("xx.x"), 10).tolist() == [0.75]
    assert precision(np.empty((2, 0), bool), 10).tolist() == [0.0, 0.0]


def test_precision_of_no_answers_is_refused() -> None:
    with pytest.raises(UsageError, match="k=0"):
        precision(relevance("x"), 0)


def test_average_precision_of_cases_worked_by_hand() -> None:
    relevant = relevance("x.x..", "..x.x", "xx...", "....x", ".....")
    expected = [(1 + 2 / 3) / 2, (1 / 3 + 2 / 5) / 2, 1.0, 1 / 5, 0.0]
    assert average_precision(relevant).tolist() == pytest.approx(expected)


@given(TRUE_AND_FALSE)
def test_average_precision_is_what_its_definition_says(relevant: NDArray[np.bool_]) -> None:
    def slow(ranking: list[bool]) -> float:
        precisions = [sum(ranking[:rank]) / rank for rank, hit in enumerate(ranking, 1) if hit]
        return sum(precisions) / len(precisions) if precisions else 0.0

    assert average_precision(relevant).tolist() == pytest.approx([slow(ranking) for ranking in relevant.tolist()])


# From scores


def slow_average_precision(scores: NDArray[np.float32], codes: Rows, query: int) -> float:
    """By sorting the other images, the first of equals first, in plain Python."""
    others = [place for place in range(len(codes)) if place != query]
    others.sort(key=lambda place: -float(scores[place]))  # Python's sort keeps equals in their order
    return float(average_precision(np.array([[codes[place] == codes[query] for place in others]], bool))[0])


def test_a_query_is_left_out_of_its_own_answer_wherever_it_would_be() -> None:
    codes = np.array([0, 0, 1, 1])
    first, last = [1.0, 0.5, 0.9, 0.1], [-1.0, 0.5, 0.9, 0.1]
    found = average_precision_by_score(np.array([first, last], np.float32), codes, np.array([0, 0]))
    assert found.tolist() == [0.5, 0.5]  # its only other image comes second


def test_equal_scores_are_ranked_by_position() -> None:
    codes = np.array([0, 1, 0, 0])
    scores = np.array([[1, 0, 0, -0.0], [0.5, 0.5, 0.5, 0.5]], np.float32)
    found = average_precision_by_score(scores, codes, np.array([0, 2]))
    assert found.tolist() == pytest.approx([(1 / 2 + 2 / 3) / 2, (1 + 2 / 3) / 2])


@settings(max_examples=200)
@given(
    st.integers(2, 30).flatmap(
        lambda count: st.tuples(
            hnp.arrays(np.float32, (3, count), elements=st.floats(-1, 1, width=16)),
            hnp.arrays(np.int64, count, elements=st.integers(0, 2)),
            hnp.arrays(np.int64, 3, elements=st.integers(0, count - 1)),
        )
    )
)
def test_the_average_precision_of_scores_is_that_of_the_sorted_images(
    drawn: tuple[NDArray[np.float32], Rows, Rows],
) -> None:
    scores, codes, queries = drawn
    expected = [slow_average_precision(row, codes, query) for row, query in zip(scores, queries.tolist(), strict=True)]
    assert average_precision_by_score(scores, codes, queries).tolist() == pytest.approx(expected)


def test_images_without_a_label_are_wrong_answers_and_no_queries() -> None:
    codes, scores = np.array([0, -1, 0]), np.array([[1, 0.9, 0.8]], np.float32)
    assert average_precision_by_score(scores, codes, np.array([0])).tolist() == [0.5]
    with pytest.raises(UsageError, match="without a label"):
        average_precision_by_score(scores, codes, np.array([1]))


def test_scores_of_other_images_are_refused() -> None:
    with pytest.raises(UsageError, match="1 queries and 4 images"):
        average_precision_by_score(np.zeros((1, 3), np.float32), np.zeros(4, np.int64), np.array([0]))


def test_a_million_images_are_ranked_in_little_memory_and_time() -> None:
    random = np.random.default_rng(0)
    scores, codes = random.standard_normal((2, 1_000_000), np.float32), random.integers(0, 1000, 1_000_000)
    tracemalloc.start()
    before = time.process_time()
    found = average_precision_by_score(scores, codes, np.array([3, 5]))
    seconds, memory = time.process_time() - before, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert memory < 30e6
    assert seconds < 2  # 0.06 s where nothing else runs
    assert found.tolist() == pytest.approx([0.001, 0.001], abs=5e-4)  # by chance, one image in 1,000


# Labels


def test_labels_become_places_among_their_sorted_names() -> None:
    labels = Labels.of(["dress", None, "hat", "b\udcff", "dress"])
    assert labels.names == ("b\udcff", "dress", "hat")
    assert labels.codes.tolist() == [1, -1, 2, 0, 1]


@pytest.mark.parametrize(
    ("given_labels", "expected"),
    [
        (["a", "b", "a", None, "b", "c", None], [0, 1, 2, 4]),
        (["a", "b", "c"], []),
        (["a", "a", None], []),  # one label: no answer could be wrong
        ([None, None], []),
        ([], []),
    ],
)
def test_an_image_can_be_asked_if_another_has_its_label(given_labels: list[str | None], expected: list[int]) -> None:
    assert Labels.of(given_labels).answerable().tolist() == expected


def test_the_means_of_all_queries() -> None:
    values = np.array([0.0, 0.5, 1.0])
    assert overall(values, values / 2, values / 4) == Quality(0.5, 0.25, 0.125)


def test_without_queries_there_are_no_means() -> None:
    nothing = np.empty(0)
    assert overall(nothing, nothing, nothing) == Quality(None, None, None)


def test_the_means_of_each_label_lowest_precision_first() -> None:
    labels = Labels.of(["a", "b", "b", None, "a", "b", "c"])
    queries = np.array([0, 1, 4, 5])
    at_1, at_10, mean = np.array([1.0, 0, 1, 1]), np.array([0.5, 0.25, 1, 0.25]), np.array([0.5, 0.5, 0.75, 0.25])
    assert by_label(labels, queries, at_1, at_10, mean) == (
        LabelQuality("b", 3, 2, 0.5, 0.25, 0.375),
        LabelQuality("a", 2, 2, 1.0, 0.75, 0.625),
    )


def test_labels_of_the_same_precision_come_by_average_precision_and_name() -> None:
    labels = Labels.of(["b", "a", "c"])
    ones = np.ones(3)
    found = by_label(labels, np.array([0, 1, 2]), ones, ones, np.array([0.5, 0.5, 0.25]))
    assert [quality.label for quality in found] == ["c", "a", "b"]
