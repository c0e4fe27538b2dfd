"""Sixteen shards answer as one collection of the same images does."""

import math
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike import Between, Not, Where
from lookalike.cluster.numbering import parts_of, whole_id
from lookalike.errors import NoImageError, UsageError
from tests.support.sharded_collections import DIM, POLICIES, QUERIES, ROWS, SHARDS, Both, made, told
from tests.support.vector_collections import Exact, clustered, keys_of, put


@pytest.mark.parametrize("k", [1, 10, 300, ROWS + 5])
def test_it_gives_the_same_answers(both: Both, k: int) -> None:
    for query in QUERIES:
        assert told(both.whole.search_vector(query, k=k)) == told(both.one.search_vector(query, k=k))


def test_it_keeps_to_the_least_score(both: Both) -> None:
    for query in QUERIES:
        found = both.whole.search_vector(query, k=ROWS, min_score=0.3)
        assert told(found) == told(both.one.search_vector(query, k=ROWS, min_score=0.3))
        assert all(match.score >= 0.3 for match in found)


@pytest.mark.parametrize(
    "where",
    [
        Where(label="b"),
        Where(label=["c", "d"]),
        Where(label="nothing"),
        Where(under="a"),
        Where(under=""),
        Where(attributes={"number": [2, 3]}),
        Where(attributes={"number": Between(5)}),
        Where(attributes={"rare": "x"}),
        Where(attributes={"rare": Not("x"), "number": 5}),
    ],
    ids=["label", "labels", "no label", "under", "top", "values", "range", "rare", "not"],
)
def test_filters_admit_the_same_images(both: Both, tmp_path: Path, where: Where) -> None:
    both.annotate(tmp_path)
    assert both.whole.count(where) == both.one.count(where)
    for query in QUERIES[:4]:
        assert told(both.whole.search_vector(query, where=where)) == told(both.one.search_vector(query, where=where))


def test_a_filter_by_ids_takes_those_of_the_whole(both: Both) -> None:
    found = both.whole.search_vector(QUERIES[0], k=40)
    ids = [match.id for match in found[::3]]
    assert [match.id for match in both.whole.search_vector(QUERIES[0], k=40, where=Where(ids=ids))] == ids


def test_an_attribute_that_no_image_has_is_refused(both: Both, tmp_path: Path) -> None:
    both.annotate(tmp_path)
    with pytest.raises(UsageError, match=r"no image has an attribute 'colour'.*'number', 'rare'"):
        both.whole.search_vector(QUERIES[0], where=Where(attributes={"colour": "red"}))


def test_an_image_finds_its_neighbours_in_all_shards(both: Both) -> None:
    ids = {match.key: match.id for match in both.one.search_vector(QUERIES[0], k=ROWS)}
    for match in both.whole.search_vector(QUERIES[0], k=5):
        assert told(both.whole.search_id(match.id)) == told(both.one.search_id(ids[match.key]))
        assert both.whole.image(match.id).key == match.key


def test_a_refined_order_is_the_same_where_every_image_is_in_the_sample(tmp_path: Path) -> None:
    both = made(tmp_path.resolve(), rows=1200, shards=7)
    for query in QUERIES:
        ours, theirs = (each.search_vector(query, refine=True) for each in (both.whole, both.one))
        assert [match.key for match in ours] == [match.key for match in theirs]


def test_new_images_are_found_at_once_and_removed_ones_are_not(both: Both) -> None:
    both.whole.search_vector(QUERIES[0])
    both.put(clustered(40, DIM, seed=3), keys_of(40, first=ROWS))
    both.drop([match.key for match in both.one.search_vector(QUERIES[0], k=30)][::2])
    for query in QUERIES:
        assert told(both.whole.search_vector(query, k=50)) == told(both.one.search_vector(query, k=50))


def test_a_change_of_a_shard_that_has_no_match_is_noticed(both: Both) -> None:
    """The state of every shard is compared, not only of those whose images are named."""
    query = clustered(1, DIM, seed=77)[0]
    before = both.whole.search_vector(query, k=1)[0]
    number, _ = parts_of(before.id)
    other = (number + 1) % SHARDS
    both.shards[other]._catalog.state()
    put(both.shards[other], query[None], ["new.jpg"])
    assert both.whole.search_vector(query, k=1)[0].key == "new.jpg"


def test_several_queries_at_once_have_the_answers_of_each(both: Both) -> None:
    state = both.whole._snapshots.last()
    both.whole.search_vector(QUERIES[0])
    state = both.whole._snapshots.last()
    assert state is not None
    together = both.whole._searcher.by_vectors(QUERIES, lookalike.SearchOptions(7))
    for query, matches in zip(QUERIES, together, strict=True):
        assert told(lookalike.Matches(matches)) == told(both.whole.search_vector(query, k=7))


@pytest.mark.parametrize(
    ("spec", "recall"), [("IVF8,PQ12x4fs", 0.85), ("Pad32,IVF8,SQ8", 0.9), ("IVF8,SQ8", 0.9), ("HNSW16,SQ8", 0.8)]
)
def test_an_index_keeps_its_recall_over_the_whole(both: Both, spec: str, recall: float) -> None:
    built = both.whole.build(recall=recall, spec=spec)
    assert built is not None
    assert built.spec == spec
    assert built.reached_recall >= recall
    assert built.rows == ROWS
    assert not both.whole._snapshots.last().searches_exactly(10)  # type: ignore[union-attr]
    exact = Exact(both.one)
    assert exact.recall(both.whole.search_vector, clustered(100, DIM, seed=4)) >= recall
    both.put(clustered(40, DIM, seed=3), keys_of(40, first=ROWS))
    both.drop(keys_of(300, first=50))
    assert Exact(both.one).recall(both.whole.search_vector, clustered(100, DIM, seed=4)) >= recall - 0.05
    for query in QUERIES:
        found = both.whole.search_vector(query, exact=True)
        assert told(found) == told(both.one.search_vector(query, exact=True))
        in_b = both.whole.search_vector(query, where=Where(label="b"), exact=True)
        assert told(in_b) == told(both.one.search_vector(query, where=Where(label="b")))


def test_every_shard_has_the_lists_of_all_and_works_by_itself(both: Both) -> None:
    both.whole.build(recall=0.5, spec="IVF8,SQ8")
    for shard in both.shards:
        index = shard.info().index
        assert index is not None
        assert index.spec == "IVF8,SQ8"
        assert shard.check() == []
        assert Exact(shard).recall(shard.search_vector, QUERIES) >= 0.5


def test_the_default_index_is_sized_for_a_shard(tmp_path: Path) -> None:
    policies = lookalike.Policies(lookalike.TuningPolicy(0, POLICIES.tuning.queries, 1e3))
    both = made(tmp_path.resolve(), rows=4000, shards=4, policies=policies)
    built = both.whole.build(recall=0.5)
    assert built is not None
    assert built.spec.startswith("IVF4,")  # 256 vectors in each; the 4,000 of the whole would have 128 lists


def test_maintaining_a_shard_keeps_the_whole_measured(both: Both) -> None:
    both.whole.build(recall=0.5, spec="IVF8,SQ8")
    both.put(clustered(40 * SHARDS, DIM, seed=3), keys_of(40 * SHARDS, first=ROWS))
    assert both.whole.needs_maintenance()
    done = both.whole.maintain()
    assert done.joined == 40 * SHARDS
    info = both.whole.info()
    assert info.index is not None
    assert (info.index.rows, info.young) == (ROWS + 40 * SHARDS, 0)
    assert not both.whole.needs_maintenance()


def test_a_shard_that_has_changed_its_index_goes_by_its_own_points(both: Both) -> None:
    both.whole.build(recall=0.9, spec="IVF8,SQ8")
    both.shards[3].build(spec="IVF4,SQ8", recall=0.9)
    assert both.whole.info().index is None
    assert Exact(both.one).recall(both.whole.search_vector, QUERIES) >= 0.9


def test_ids_are_unique_and_pages_have_every_image_once(both: Both) -> None:
    keys, last = list[str](), 0
    while page := both.whole.images(after=last, limit=123):
        assert [image.id for image in page] == sorted(image.id for image in page)
        assert page[0].id > last
        keys += [image.key for image in page]
        last = page[-1].id
    assert sorted(keys) == sorted(keys_of(ROWS))


def test_counts_add_up(both: Both) -> None:
    ours, theirs = both.whole.facets(), both.one.facets()
    assert ours == theirs
    assert both.whole.facets(Where(label="c")) == both.one.facets(Where(label="c"))
    assert len(both.whole) == len(both.one) == ROWS
    assert both.whole.info().images == ROWS


def test_what_is_expected_by_chance_is_that_of_the_whole(both: Both) -> None:
    """Both estimate it from samples of the same images: they differ, but not by the number of shards."""
    ratios = []
    for query in clustered(60, DIM, seed=8):
        ours, theirs = both.whole.search_vector(query), both.one.search_vector(query)
        assert [match.key for match in ours] == [match.key for match in theirs]
        ratios += [
            math.log(mine.expected / its.expected)
            for mine, its in zip(ours, theirs, strict=True)
            if mine.expected and its.expected
        ]
    assert abs(np.mean(ratios)) < 0.3
    assert np.std(ratios) < 1


def test_expected_is_the_same_where_every_image_is_in_the_sample(tmp_path: Path) -> None:
    both = made(tmp_path.resolve(), rows=1200, shards=5)
    for query in QUERIES:
        ours, theirs = both.whole.search_vector(query), both.one.search_vector(query)
        np.testing.assert_allclose([m.expected for m in ours], [m.expected for m in theirs], rtol=1e-3)  # type: ignore[arg-type]


def test_expected_stays_when_an_earlier_shard_has_grown(tmp_path: Path) -> None:
    """The rows of later shards get other numbers then; what is in the sample is still known."""
    both = made(tmp_path.resolve(), rows=6000, shards=3)
    query = clustered(1, DIM, seed=5)[0]
    before = both.whole.search_vector(query)
    put(both.shards[0], clustered(7, DIM, seed=9), keys_of(7, first=9000))
    after = {match.key: match.expected for match in both.whole.search_vector(query)}
    known = [match for match in before if match.key in after]
    assert len(known) >= 3
    np.testing.assert_allclose([after[m.key] for m in known], [m.expected for m in known], rtol=0.01)  # type: ignore[arg-type]


@pytest.mark.parametrize("image_id", [-1, 0, 10**6, whole_id(0, 2**31), 99 * 2**32 + 1, 2**70])
def test_an_id_that_no_image_has_is_refused(both: Both, image_id: int) -> None:
    for look in (both.whole.image, both.whole.search_id, both.whole.original):
        with pytest.raises(NoImageError, match=str(image_id)):
            look(image_id)


@pytest.mark.parametrize(("number", "local"), [(0, 1), (0, 2**32 - 1), (1, 1), (2**21 - 1, 2**32 - 1)])
def test_ids_can_be_told_apart_and_fit_into_a_float(number: int, local: int) -> None:
    whole = whole_id(number, local)
    assert parts_of(whole) == (number, local)
    assert int(float(whole)) == whole


def test_parts_of_images_are_not_searched(both: Both) -> None:
    with pytest.raises(UsageError, match="regions: parts of images"):
        both.whole.search_vector(QUERIES[0], regions=True)
