"""Groups of copies: stars, never chains."""

import random

from hypothesis import given
from hypothesis import strategies as st

from lookalike.copies.groups import Group, group

PAIRS = st.dictionaries(
    st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda pair: pair[0] < pair[1]),
    st.sampled_from([0.6, 0.7, 0.8, 0.9]),
    max_size=40,
)


def test_nothing_makes_no_groups() -> None:
    assert group({}) == []


def test_a_photograph_is_grouped_with_crops_that_have_nothing_in_common() -> None:
    assert group({(5, 1): 0.7, (5, 2): 0.9, (3, 5): 0.8}) == [Group(5, (2, 3, 1))]


def test_a_chain_is_not_glued_together() -> None:
    chain = {(number, number + 1): 0.9 for number in range(8)}
    groups = group(chain)
    assert groups == [Group(1, (0, 2)), Group(4, (3, 5)), Group(7, (6, 8))]


def test_two_groups_that_one_pair_joins_stay_two() -> None:
    first = {(0, 1): 0.9, (0, 2): 0.9, (0, 3): 0.9}
    second = {(10, 11): 0.9, (10, 12): 0.9, (10, 13): 0.9}
    assert group({**first, **second, (3, 13): 0.6}) == [Group(0, (1, 2, 3)), Group(10, (11, 12, 13))]


def test_among_two_the_lower_number_is_the_centre() -> None:
    assert group({(9, 4): 0.7}) == [Group(4, (9,))]


def test_a_pair_given_in_both_orders_counts_once_with_its_better_score() -> None:
    assert group({(1, 2): 0.7, (2, 1): 0.9, (1, 3): 0.8, (1, 1): 1.0}) == [Group(1, (2, 3))]


@given(PAIRS, st.integers(0, 1000))
def test_every_member_is_a_copy_of_its_centre_and_in_one_group(scores: dict[tuple[int, int], float], seed: int) -> None:
    groups = group(scores)
    members = [number for each in groups for number in (each.centre, *each.copies)]
    assert len(members) == len(set(members))
    assert all(tuple(sorted((each.centre, copy))) in scores for each in groups for copy in each.copies)
    # No pair is left of which neither is in a group.
    assert all(first in members or second in members for first, second in scores)
    pairs = [(pair if seed % 2 else pair[::-1], score) for pair, score in scores.items()]
    random.Random(seed).shuffle(pairs)
    assert group(dict(pairs)) == groups
