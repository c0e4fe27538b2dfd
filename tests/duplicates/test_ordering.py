"""The order in which pairs of pictures are compared."""

import random

from lookalike.duplicates.ordering import Pair, in_order


def prepared(pairs: list[Pair], kept: int) -> int:
    """How many pictures are prepared if so many are kept, and the one that was used last is kept longest."""
    count, ready = 0, dict[int, None]()
    for number in (number for pair in pairs for number in pair):
        count += number not in ready
        ready.pop(number, None)
        ready[number] = None
        if len(ready) > kept:
            del ready[next(iter(ready))]
    return count


def test_each_pair_comes_once_as_it_was() -> None:
    rng = random.Random(1)
    pairs = list({(rng.randrange(50), 50 + rng.randrange(50)) for _ in range(300)})
    assert sorted(in_order(pairs)) == sorted(pairs)
    assert in_order([]) == []


def test_a_picture_of_a_chain_is_prepared_once() -> None:
    chain = [(number, number + 1) for number in range(100)]
    shuffled = random.Random(2).sample(chain, len(chain))
    assert prepared(shuffled, 3) > 150
    assert prepared(in_order(shuffled), 3) <= 102


def test_pictures_of_a_group_come_together() -> None:
    """Twenty groups of ten, all pairs of each, and a link to the next group."""
    pairs = [(10 * group + i, 10 * group + j) for group in range(20) for i in range(10) for j in range(i)]
    pairs += [(10 * group, 10 * group + 10) for group in range(19)]
    shuffled = random.Random(3).sample(pairs, len(pairs))
    assert prepared(shuffled, 15) > 1500
    assert prepared(in_order(shuffled), 15) < 230


def test_the_order_is_the_same_each_time() -> None:
    rng = random.Random(4)
    pairs = [(rng.randrange(100), 100 + rng.randrange(100)) for _ in range(500)]
    assert in_order(pairs) == in_order(pairs)
