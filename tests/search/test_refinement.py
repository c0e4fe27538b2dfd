"""Refined searches: the order against a slow definition, the true scores, and what stays on top."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike import Collection, Match, Where
from lookalike.search import refinement
from lookalike.search.refinement import NEIGHBOURS, POOL, Centre
from lookalike.storage.vectors import Vectors, unit
from tests.support.vector_collections import clustered, create, keys_of, put

_DIM = 24


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Collection]:
    """900 vectors around twenty centres, more than a pool, without an index."""
    with create(tmp_path / "photos", _DIM) as collection:
        put(collection, _stored(), keys_of(900))
        yield collection


def _stored() -> Vectors:
    return clustered(900, _DIM, seed=3).astype(np.float16).astype(np.float32)


def _slow_order(vectors: Vectors, query: Vectors, rows: list[int]) -> list[int]:
    """The order of rows by the definition: one image after the other, in double precision, each mean written out."""
    left = vectors.astype(np.float64) - Centre(vectors.astype(np.float16))._mean
    around = query.astype(np.float64) - Centre(vectors.astype(np.float16))._mean
    centred = {row: left[row] / np.linalg.norm(left[row]) for row in rows}
    asked = around / np.linalg.norm(around)
    nearest = sorted(rows, key=lambda row: -(vectors[row] @ query))[:NEIGHBOURS]
    wide = asked + sum(max(float(centred[row] @ asked), 0.0) ** 2 * centred[row] for row in nearest)
    by_wide = sorted(rows, key=lambda row: -(centred[row] @ wide))
    pool, tail = by_wide[:POOL], by_wide[POOL:]
    members = {**{row: centred[row] for row in pool}, -1: asked}
    means = {row: _mean_of_nearest(members, vector) for row, vector in members.items()}
    order = sorted(pool, key=lambda row: -(means[row] @ means[-1]))
    first = max(pool, key=lambda row: centred[row] @ asked)
    copies = [row for row in pool if centred[row] @ asked >= 0.8 or row == first]
    copies.sort(key=lambda row: -(centred[row] @ asked))
    return [*copies, *(row for row in order if row not in copies), *tail]


def _mean_of_nearest(members: dict[int, Vectors], vector: Vectors) -> Vectors:
    nearest = sorted(members.values(), key=lambda other: -(other @ vector))[: NEIGHBOURS + 1]
    mean = sum(max(float(other @ vector), 0.0) ** 2 * other for other in nearest)
    return np.asarray(mean / np.linalg.norm(mean))


def _rows(matches: list[Match]) -> list[int]:
    return [match.id - 1 for match in matches]


@pytest.mark.parametrize("seed", range(4))
def test_the_order_is_that_of_the_definition(many: Collection, seed: int) -> None:
    query = unit(clustered(1, _DIM, seed=100 + seed))
    expected = _slow_order(_stored(), query[0], list(range(900)))
    found = _rows(many.search_vector(query, k=900, refine=True))
    assert sorted(found) == list(range(900))
    # Equal but for neighbours whose scores agree to single precision.
    assert np.mean(np.array(found) == expected) > 0.98
    assert found[:20] == expected[:20]


def test_scores_are_still_the_cosines(many: Collection) -> None:
    query = clustered(1, _DIM, seed=7)
    cosine = dict(enumerate(_stored() @ query[0]))
    for match in many.search_vector(query, k=900, refine=True):
        assert match.score == pytest.approx(cosine[match.id - 1], abs=1e-6)


@pytest.mark.parametrize("count", [1, 3])
def test_scores_are_the_cosines_where_all_images_are_the_same(tmp_path: Path, count: int) -> None:
    one = clustered(1, _DIM, seed=5).astype(np.float16).astype(np.float32)
    query = unit(clustered(1, _DIM, seed=6) + one)
    with create(tmp_path / "photos", _DIM) as collection:
        put(collection, one.repeat(count, axis=0), keys_of(count))
        for match in collection.search_vector(query, refine=True):
            assert match.score == pytest.approx(float(query[0] @ one[0]), abs=1e-6)


def test_a_filter_and_a_least_score_hold(many: Collection) -> None:
    query = clustered(1, _DIM, seed=8)
    put(many, clustered(50, _DIM, seed=4), [f"few/{number}" for number in range(50)])
    within = many.search_vector(query, k=900, refine=True, where=Where(under="few"))
    assert len(within) == 50
    assert all(match.key.startswith("few/") for match in within)
    low = many.search_vector(query, k=900, refine=True, min_score=0.5)
    assert low
    assert all(match.score >= 0.5 for match in low)
    assert {match.id for match in low} == {match.id for match in many.search_vector(query, k=900, min_score=0.5)}


def test_an_image_is_left_out_of_its_own_answer(many: Collection) -> None:
    found = many.search_id(5, k=30, refine=True)
    assert len(found) == 30
    assert 5 not in {match.id for match in found}


def test_an_answer_is_the_beginning_of_a_longer_one(many: Collection) -> None:
    query = clustered(1, _DIM, seed=9)
    longer = _rows(many.search_vector(query, k=300, refine=True))
    assert _rows(many.search_vector(query, k=5, refine=True)) == longer[:5]


def test_the_nearest_and_all_copies_stay_first(many: Collection) -> None:
    base = _stored()[17]
    noise = np.random.default_rng(0).normal(size=(3, _DIM)).astype(np.float32)
    put(many, unit(base + 0.04 * noise), ["copy-1", "copy-2", "copy-3"])
    found = many.search_vector(base, k=6, refine=True)
    assert found[0].id == 18
    assert {match.key for match in found[1:4]} == {"copy-1", "copy-2", "copy-3"}


def test_empty_and_tiny_collections_are_answered(tmp_path: Path) -> None:
    with create(tmp_path / "photos", _DIM) as collection:
        query = clustered(1, _DIM, seed=1)
        assert collection.search_vector(query, refine=True) == []
        for count in (1, 2, 3):
            put(collection, clustered(1, _DIM, seed=count), [f"{count}"])
            assert len(collection.search_vector(query, refine=True)) == count
        assert collection.search_vector(query, refine=True, where=Where(label="none")) == []


def test_the_mean_itself_is_an_image_like_any_other() -> None:
    centre = Centre(np.ones((3, 4), np.float16))
    left = centre.taken_off(np.array([[1, 1, 1, 1], [1, 0, 0, 0]], np.float32))
    assert np.array_equal(left, [[1, 1, 1, 1], [0, -1, -1, -1]])


def test_means_are_worked_out_as_by_hand() -> None:
    query, pool = np.array([[1, 0]], np.float32), np.array([[2, 0], [0, 3]], np.float32)
    refined = refinement.refine(query, pool)
    assert np.allclose(refined.cosines, [1, 0])
    # The query's mean is 1 (1, 0) + 1 (1, 0) + 0 (0, 1), the second image's 0 (1, 0) + 0 (1, 0) + 1 (0, 1).
    assert np.allclose(refined.scores, [1, 0])
    assert refinement.guarded_order(refined).tolist() == [0, 1]
