"""Shards that are searched by other machines, which are played here: the answers are those of one collection."""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike import Between, ShardedCollection, Where
from lookalike.cluster.machines.group import ShardGroup
from lookalike.cluster.machines.states import LostGroupError
from lookalike.errors import NoImageError, UsageError
from tests.support.sharded_collections import DIM, POLICIES, QUERIES, ROWS, Both, made, told
from tests.support.vector_collections import Exact, clustered, keys_of


class PlayedGroups:
    """Groups of shards in this process; all that comes and goes is pickled.

    Attributes:
        lost: the places of those that do not answer.
    """

    address = "played"

    def __init__(self, whole: ShardedCollection, count: int, *, partial: bool = False) -> None:
        names = whole.shard_names
        self._directory, self._partial, self.lost = whole.directory, partial, set[int]()
        self._names = {place: names[place::count] for place in range(count)}
        self._groups = {place: self._opened(place) for place in self._names}

    def _opened(self, place: int) -> ShardGroup:
        return ShardGroup(self._directory, self._names[place], POLICIES, self._partial)

    def take_over(self, place: int) -> None:
        """Has another machine open the shards of one."""
        self._groups[place] = self._opened(place)

    def places(self) -> list[int]:
        return [place for place in self._groups if not (self._partial and place in self.lost)]

    def missing(self) -> tuple[str, ...]:
        return tuple(name for place in self.lost for name in self._names[place])

    def ask(self, method: str, calls: Mapping[int, Sequence[Any]]) -> dict[int, Any]:
        found = {}
        for place, given in calls.items():
            if place in self.lost:
                if not self._partial:
                    raise LostGroupError("a machine does not answer")
                continue
            called = getattr(self._groups[place], method)(*pickle.loads(pickle.dumps(given)))
            found[place] = pickle.loads(pickle.dumps(called))
        return found

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    both = made(tmp_path.resolve(), shards=7)
    yield both
    both.close()


def spread(both: Both, count: int = 3, *, partial: bool = False) -> tuple[ShardedCollection, PlayedGroups]:
    """The sharded collection of both on so many machines."""
    whole, groups = both.whole, PlayedGroups(both.whole, count, partial=partial)
    opened = ShardedCollection(
        whole.directory,
        whole._manifest,
        whole._shards,
        whole._encoder,
        POLICIES,
        groups,  # type: ignore[arg-type]
    )
    return opened, groups


@pytest.mark.parametrize("machines", [1, 3, 7])
def test_machines_find_what_one_collection_does(both: Both, machines: int) -> None:
    found = spread(both, machines)[0]
    for query in QUERIES:
        for k in (1, 10, ROWS + 5):
            assert told(found.search_vector(query, k=k)) == told(both.one.search_vector(query, k=k))
    ours, theirs = (each.search_vector(QUERIES[0]) for each in (found, both.whole))
    assert [match.id for match in ours] == [match.id for match in theirs]
    here, there = ([match.expected or 0.0 for match in matches] for matches in (ours, theirs))
    np.testing.assert_allclose(here, there, rtol=0.5)


def test_a_refined_order_is_the_same_where_every_image_is_in_the_sample(tmp_path: Path) -> None:
    both = made(tmp_path.resolve(), rows=1200, shards=7)
    found = spread(both)[0]
    for query in QUERIES:
        ours, theirs = (each.search_vector(query, refine=True) for each in (found, both.one))
        assert [match.key for match in ours] == [match.key for match in theirs]


def test_filters_admit_the_same_images(both: Both, tmp_path: Path) -> None:
    both.annotate(tmp_path)
    found = spread(both)[0]
    for where in (
        Where(label="b"),
        Where(under="a"),
        Where(attributes={"number": Between(5)}),
        Where(attributes={"rare": "x"}),  # which only one machine knows of
    ):
        for query in QUERIES[:3]:
            assert told(found.search_vector(query, where=where)) == told(both.one.search_vector(query, where=where))
    with pytest.raises(UsageError, match=r"no image has an attribute 'colour'"):
        found.search_vector(QUERIES[0], where=Where(attributes={"colour": "red"}))


def test_an_image_finds_its_neighbours_on_all_machines(both: Both) -> None:
    found = spread(both)[0]
    ids = {match.key: match.id for match in both.one.search_vector(QUERIES[0], k=ROWS)}
    for match in found.search_vector(QUERIES[0], k=5):
        assert told(found.search_id(match.id)) == told(both.one.search_id(ids[match.key]))
    with pytest.raises(NoImageError):
        found.search_id(2**40)


def test_what_changes_on_a_machine_is_noticed(both: Both) -> None:
    found = spread(both)[0]
    found.search_vector(QUERIES[0])
    both.put(clustered(40, DIM, seed=3), keys_of(40, first=ROWS))
    both.drop([match.key for match in both.one.search_vector(QUERIES[0], k=30)][::2])
    for query in QUERIES:
        assert told(found.search_vector(query, k=50)) == told(both.one.search_vector(query, k=50))


def test_indexes_keep_their_recall(both: Both) -> None:
    both.whole.build(recall=0.9, spec="IVF8,SQ8")
    found = spread(both)[0]
    assert Exact(both.one).recall(found.search_vector, clustered(100, DIM, seed=4)) >= 0.9
    assert found.info().index is not None


def test_a_machine_that_takes_over_goes_on_in_the_same_state(both: Both) -> None:
    found, groups = spread(both)
    expected = told(found.search_vector(QUERIES[0]))
    groups.take_over(1)
    assert told(found.search_vector(QUERIES[0])) == expected


def test_a_lost_machine_is_an_error(both: Both) -> None:
    found, groups = spread(both)
    found.search_vector(QUERIES[0])
    groups.lost.add(2)
    with pytest.raises(LostGroupError, match="does not answer"):
        found.search_vector(QUERIES[1])


def test_the_others_go_on_without_a_lost_machine(both: Both) -> None:
    found, groups = spread(both, partial=True)
    whole = found.search_vector(QUERIES[0], k=ROWS)
    assert whole.missing_shards == ()
    groups.lost.add(2)
    there = found.search_vector(QUERIES[0], k=ROWS)
    names = [name for place in (2,) for name in groups._names[place]]
    assert sorted(there.missing_shards) == sorted(names)
    lost = {both.whole.shard_names.index(name) for name in names}
    assert {match.id // 2**32 for match in whole} - {match.id // 2**32 for match in there} == lost
    assert [match.id for match in there] == [match.id for match in whole if match.id // 2**32 not in lost]
    groups.lost.clear()
    assert len(found.search_vector(QUERIES[0], k=ROWS)) == len(whole)


def test_a_single_collection_is_searched_on_one_machine(both: Both) -> None:
    import lookalike

    with pytest.raises(UsageError, match="a single collection, which is searched on one machine"):
        lookalike.open(both.one.directory, ray="local")
