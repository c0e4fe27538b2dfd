"""Keeping an index current: removing dead vectors, taking in young ones, and building it anew."""

from dataclasses import replace
from pathlib import Path

import pytest

from lookalike import Collection, MaintenancePolicy
from lookalike.filters import Where
from lookalike.index import defaults
from lookalike.index.maintenance import Maintenance
from lookalike.index.operating_point import OperatingPoint, SearchParameters
from lookalike.index.policies import TARGET_RECALL
from lookalike.index.tuning import Tuner
from tests.support.indexed_collections import (
    DIM,
    POLICIES,
    QUERIES,
    ROWS,
    assert_sound,
    built,
    content,
    files,
    images,
    stocked,
)
from tests.support.vector_collections import clustered, drop, keys_of, put

# Removing the vectors of deleted images


def test_dead_vectors_are_removed_and_nothing_else_changes(photos: Collection) -> None:
    photos.build(spec="IVF4,SQ8")
    with photos._catalog.writing() as transaction:
        for number, key in enumerate(keys_of(60)):
            transaction.set_attributes(
                key, {"price": number, "colour": "red", "label": "zebra" if number % 2 else None}
            )
    dropped = [key for number, key in enumerate(keys_of(ROWS)) if number % 3 == 0]
    drop(photos, dropped)
    before = images(photos)
    assert len(before) == ROWS - len(dropped)
    assert photos.info().dead == len(dropped)

    made = photos.build(spec="IVF4,SQ8")
    assert made is not None
    assert made.rows == ROWS - len(dropped)
    assert images(photos) == before
    assert (photos.info().dead, photos.info().vectors) == (0, ROWS - len(dropped))
    assert files(photos) == {"vectors.000001.faiss", "index/000002.faiss", "index/000002.json"}
    assert photos._catalog.state().count == ROWS - len(dropped)
    with photos._catalog._database.connection() as connection:
        rows = [row for (row,) in connection.execute("SELECT row FROM images ORDER BY id")]
        assert rows == list(range(len(rows)))  # in their order, without gaps
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert_sound(photos)
    found = photos.search_vector(QUERIES[0], k=ROWS, where=Where(attributes={"price": [1, 5]}))
    assert {match.attributes["price"] for match in found} == {1, 5}

    put(photos, clustered(30, DIM, seed=6), keys_of(30, ROWS))  # and the collection can be changed as before
    drop(photos, keys_of(1, 1))
    photos.build(spec="Flat")
    assert files(photos) == {"vectors.000002.faiss", "index/000003.faiss", "index/000003.json"}
    assert_sound(photos)


def test_if_all_images_are_deleted_nothing_is_left(photos: Collection) -> None:
    photos.build(spec="Flat")
    drop(photos, keys_of(ROWS))
    assert photos.maintain() == Maintenance(removed=ROWS)
    assert files(photos) == {"vectors.000001.faiss"}
    assert photos.search_vector(QUERIES[0]) == []
    assert photos.check() == []
    put(photos, clustered(5, DIM, seed=7), keys_of(5))
    assert_sound(photos)


# Keeping it current


def test_if_nothing_is_due_nothing_is_written(tmp_path: Path) -> None:
    with stocked(tmp_path / "few", 100) as few, stocked(tmp_path / "many") as many:
        built(many)
        put(many, clustered(49, DIM, seed=5), keys_of(49, ROWS))
        drop(many, keys_of(89))  # of 449, that is not a fifth
        for photos in (few, many):
            before, state = content(photos), photos._catalog.state()
            assert photos.maintain() == Maintenance()
            assert photos._catalog.state() == state
            assert content(photos) == before


def test_young_vectors_join_the_index_once_there_are_many(photos: Collection) -> None:
    made = built(photos)
    drop(photos, keys_of(7, 3))
    put(photos, clustered(50, DIM, seed=5), keys_of(50, ROWS))
    assert photos.info().young == 50
    assert photos.maintain() == Maintenance(joined=50)
    joined = photos.info().index
    assert joined is not None
    assert (joined.rows, joined.trained_rows, joined.spec) == (ROWS + 50, ROWS, made.spec)
    assert (joined.target_recall, joined.reached_recall) == (made.target_recall, made.reached_recall)
    assert photos.info().young == 0
    assert photos.info().dead == 7
    assert files(photos) == {"vectors.faiss", "index/000002.faiss", "index/000002.json"}
    assert_sound(photos)
    assert photos.maintain() == Maintenance()


def test_in_a_large_index_many_is_a_share_of_its_rows(tmp_path: Path) -> None:
    maintenance = MaintenancePolicy(young_rows=1, young_share=0.05, check_queries=20)
    with stocked(tmp_path / "photos", policies=replace(POLICIES, maintenance=maintenance)) as photos:
        built(photos)
        put(photos, clustered(19, DIM, seed=5), keys_of(19, ROWS))
        assert photos.maintain() == Maintenance()
        put(photos, clustered(1, DIM, seed=6), keys_of(1, ROWS + 19))
        assert photos.maintain() == Maintenance(joined=20)


def test_at_four_times_as_many_vectors_the_index_is_built_anew(tmp_path: Path) -> None:
    with stocked(tmp_path / "photos", 100) as photos:
        built(photos)
        put(photos, clustered(299, DIM, seed=5), keys_of(299, 100))
        assert photos.maintain() == Maintenance(joined=299)
        put(photos, clustered(1, DIM, seed=6), keys_of(1, 399))
        done = photos.maintain()
        assert done == Maintenance(built=photos.info().index)
        assert done.built is not None
        assert (done.built.rows, done.built.trained_rows, done.built.spec) == (400, 400, "IVF4,SQ8")
        assert_sound(photos)


def test_once_a_fifth_is_dead_the_dead_vectors_are_removed(photos: Collection) -> None:
    made = built(photos)
    drop(photos, keys_of(79))
    assert photos.maintain() == Maintenance()
    drop(photos, keys_of(1, 79))
    done = photos.maintain()
    assert done == Maintenance(removed=80, built=photos.info().index)
    assert done.built is not None
    assert (done.built.rows, done.built.spec) == (320, made.spec)
    assert done.built.target_recall == made.target_recall
    assert photos.info().dead == 0
    assert_sound(photos)


def test_without_an_index_dead_vectors_are_removed_too(tmp_path: Path) -> None:
    with stocked(tmp_path / "photos", 10) as photos:
        drop(photos, keys_of(1))
        assert photos.maintain() == Maintenance()
        drop(photos, keys_of(1, 1))
        assert photos.maintain() == Maintenance(removed=2)
        assert files(photos) == {"vectors.000001.faiss"}
        assert_sound(photos)


def test_a_collection_that_has_grown_gets_its_first_index(tmp_path: Path) -> None:
    with stocked(tmp_path / "photos", 299) as photos:
        assert photos.maintain() == Maintenance()
        put(photos, clustered(1, DIM, seed=5), keys_of(1, 299))
        done = photos.maintain()
        assert done.built is not None
        assert done == Maintenance(built=photos.info().index)
        assert (done.built.target_recall, done.built.asked_spec) == (TARGET_RECALL, None)
        assert photos.maintain() == Maintenance()
        assert_sound(photos)


def test_a_collection_that_has_shrunk_loses_its_index(photos: Collection) -> None:
    built(photos, None)
    drop(photos, keys_of(101))
    assert photos.maintain() == Maintenance(removed=101)
    assert photos.info().index is None
    assert files(photos) == {"vectors.000001.faiss"}
    assert_sound(photos)


def test_a_rebuilt_index_is_what_was_asked_for_the_last_time(photos: Collection) -> None:
    photos.build(recall=0.61, memory="1MB")
    drop(photos, keys_of(90))
    done = photos.maintain()
    assert done.built is not None
    assert (done.built.target_recall, done.built.asked_memory, done.built.asked_spec) == (0.61, 10**6, None)
    photos.build(recall=0.62, spec="HNSW8")
    drop(photos, keys_of(90, 90))
    done = photos.maintain()
    assert done.built is not None
    assert (done.built.target_recall, done.built.asked_spec, done.built.spec) == (0.62, "HNSW8", "HNSW8")


@pytest.mark.parametrize("spec", ["IVF64,Flat", "PCA20,Flat", "IVF2,PQ6"])
def test_a_spec_that_has_become_impossible_gives_way_to_the_default(photos: Collection, spec: str) -> None:
    """There are too few vectors for that many lists, dimensions, or codes."""
    photos.build(spec=spec, recall=0.5)
    drop(photos, keys_of(ROWS - 19))
    assert photos.maintain() == Maintenance(removed=ROWS - 19)
    assert photos.info().index is None
    assert_sound(photos)


def test_a_memory_limit_that_has_become_too_small_is_dropped(photos: Collection) -> None:
    least = defaults.small_specs(DIM, ROWS)[0].bytes(ROWS)
    photos.build(recall=0.5, memory=least)
    put(photos, clustered(1200, DIM, seed=5), keys_of(1200, ROWS))
    done = photos.maintain()
    assert done.built is not None
    assert (done.built.target_recall, done.built.asked_memory) == (0.5, None)
    assert_sound(photos)


def pretend(monkeypatch: pytest.MonkeyPatch, *, now: float, others: float) -> tuple[OperatingPoint, ...]:
    """Sets the measured recall of the parameters in use, and the most that any reach; returns the points."""

    def measure(_: Tuner, k: int, parameters: SearchParameters, queries: int | None = None) -> OperatingPoint:
        return OperatingPoint(k, parameters, now, now - 0.01, 1.0)

    points = (OperatingPoint(10, SearchParameters(3, 3), others + 0.001, others, 1.0),)
    monkeypatch.setattr(Tuner, "measure", measure)
    monkeypatch.setattr(Tuner, "points", lambda *_: points)
    return points


@pytest.mark.parametrize(
    ("now", "others", "joins", "stays"),
    [
        (0.97, 0.5, True, True),  # it reaches its recall as it is,
        (0.95, 0.5, True, True),
        (0.94, 0.95, True, False),  # or with other parameters,
        (0.94, 0.94, False, False),  # or else is built anew
    ],
)
def test_an_index_is_measured_again_when_vectors_join(
    photos: Collection, monkeypatch: pytest.MonkeyPatch, now: float, others: float, joins: bool, stays: bool
) -> None:
    pretend(monkeypatch, now=1, others=0.95)
    made = photos.build(spec="IVF4,SQ8", recall=0.95)
    assert made is not None
    assert made.reached_recall == 0.95
    put(photos, clustered(60, DIM, seed=5), keys_of(60, ROWS))
    drop(photos, keys_of(3))
    measured = pretend(monkeypatch, now=now, others=others)
    done = photos.maintain()
    index = photos.info().index
    assert index is not None
    assert done == (Maintenance(joined=60) if joins else Maintenance(removed=3, built=index))
    assert index.trained_rows == (ROWS if joins else ROWS + 57)
    assert index.points == (made.points if stays else measured)
    assert index.reached_recall == (0.95 if joins else 0.94)
