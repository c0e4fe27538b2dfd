"""Makes groups of images from pairs of copies, so that a chain of likenesses does not glue a collection together.

Each group has a centre of which every other member is a copy itself. Two crops from opposite corners of a photograph
are in its group, though they have nothing in common; but where A is a copy of B, B of C, and C of D, A and D do not get
into one group for that. This is a greedy cover by stars: the image with the most copies becomes a centre first.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """An image and its copies.

    Attributes:
        centre: the number of the image of which the others are copies.
        copies: the numbers of the others, the most certain first; at least one.
    """

    centre: int
    copies: tuple[int, ...]


def group(scores: Mapping[tuple[int, int], float]) -> list[Group]:
    """Makes groups of images; each image is in one group at most, and the order of the pairs does not matter.

    Args:
        scores: the score of each pair of copies, by the numbers of the two images, in either order.

    Returns:
        The groups, the largest first, then by the number of their centres.
    """
    linked = _links(scores)
    waiting = [_rank(number, linked) for number in linked]
    heapq.heapify(waiting)
    groups = []
    while waiting:
        rank = heapq.heappop(waiting)
        number = rank[2]
        if not linked[number]:
            continue
        now = _rank(number, linked)
        if now != rank:  # some of its copies have been taken since
            heapq.heappush(waiting, now)
            continue
        copies = sorted(linked[number], key=lambda other: (-linked[number][other], other))
        groups.append(Group(number, tuple(copies)))
        _take(linked, {number, *copies})
    return sorted(groups, key=lambda each: (-len(each.copies), each.centre))


_Links = dict[int, dict[int, float]]  # of each image, its copies that are in no group yet


def _links(scores: Mapping[tuple[int, int], float]) -> _Links:
    linked: _Links = defaultdict(dict)
    for (first, second), score in scores.items():
        if first != second:
            best = max(score, linked[first].get(second, score))
            linked[first][second] = linked[second][first] = best
    return dict(linked)


def _rank(number: int, linked: _Links) -> tuple[int, float, int]:
    """The smaller, the sooner an image becomes a centre: by its copies, their scores, its number."""
    copies = linked[number]
    return -len(copies), -sum(copies[other] for other in sorted(copies)), number


def _take(linked: _Links, members: set[int]) -> None:
    for member in members:
        for other in linked[member]:
            if other not in members:
                del linked[other][member]
        linked[member] = {}
