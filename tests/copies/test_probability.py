"""The probability of a copy by its score: rising, never certain, and what was found in each band of scores."""

import numpy as np
import pytest

from lookalike.copies.probability import copy_probability
from lookalike.copies.verification import LEAST_SCORE


def test_it_rises_with_the_score_and_is_never_certain() -> None:
    told = [copy_probability(score) for score in np.linspace(0, 1, 1001)]
    assert all(0 < each < 1 for each in told)
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("low", "high", "copies", "pairs"),
    # What benchmarks/copies.py has found on photographs: of so many pairs with a score in a band, so many are copies.
    [
        (0.0, 0.2, 178, 122_565),
        (0.5, 0.55, 44, 429),
        (0.55, 0.6, 82, 262),
        (0.6, 0.65, 167, 262),
        (0.65, 0.7, 301, 344),
        (0.7, 0.75, 530, 544),
        (0.8, 0.85, 1649, 1650),
        (0.95, 1.0, 6258, 6258),
    ],
)
def test_it_is_the_share_of_copies_among_pairs_of_about_that_score(
    low: float, high: float, copies: int, pairs: int
) -> None:
    told = np.mean([copy_probability(score) for score in np.linspace(low, high, 50)])
    assert told == pytest.approx(copies / pairs, abs=0.03)


def test_what_is_taken_for_a_copy_is_rather_one_than_not() -> None:
    assert copy_probability(LEAST_SCORE) > 0.7
    assert copy_probability(0.45) < 0.05
