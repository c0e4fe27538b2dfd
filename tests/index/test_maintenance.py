"""Building the index of a collection and keeping it current: what is published, when, and what a failure leaves."""

import itertools
import math
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lookalike import Collection
from lookalike.errors import CorruptError, LockedError, StorageError, UsageError
from lookalike.filters import Where
from lookalike.index import maintenance, tuning
from lookalike.index.build_progress import BuildProgress
from lookalike.index.faiss_index import Effort, Index
from lookalike.index.generation import Generation
from lookalike.index.maintenance import Maintenance
from lookalike.index.options import Wish, memory_bytes
from lookalike.index.tuning import OperatingPoint
from lookalike.storage import layout, vectors
from lookalike.system import durable
from tests.support.small_policies import quick_builds
from tests.support.vector_collections import (
    Exact,
    assert_exact,
    assert_true,
    clustered,
    create,
    drop,
    keys_of,
    one_thread,
    put,
    reopened,
)

ROWS, DIM = 400, 24
QUERIES = clustered(5, DIM, seed=2)


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Indexes are due from 300 vectors on, and 50 young ones are taken in; measured with few queries."""
    with (
        quick_builds(),
        one_thread(),
        mock.patch.object(os, "fsync"),  # power is not lost here
        mock.patch.object(tuning, "_EXACT_VALUES", 300 * DIM),
        mock.patch.object(maintenance, "_YOUNG_ROWS", 50),
    ):
        yield


def stocked(folder: Path, rows: int = ROWS) -> Collection:
    photos = create(folder, DIM)
    if rows:
        put(photos, clustered(rows, DIM, seed=1), keys_of(rows))
    return photos


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Collection]:
    with stocked(tmp_path / "photos") as collection:
        yield collection


def files(photos: Collection) -> set[str]:
    """All but those of SQLite and the lock."""
    names = (path.relative_to(photos.directory).as_posix() for path in photos.directory.rglob("*") if path.is_file())
    return {name for name in names if not name.startswith(("catalog.sqlite", "lock", "collection.json"))}


def content(photos: Collection) -> dict[str, bytes]:
    return {name: (photos.directory / name).read_bytes() for name in files(photos)}


def assert_sound(photos: Collection) -> None:
    """It is whole, and its answers are true, and those that are to be exact are."""
    assert photos.check() == []
    exact = Exact(photos)
    for query in QUERIES:
        true = exact.scores(query)
        assert_exact(photos.search_vector(query, exact=True), true, 10)
        assert_true(photos.search_vector(query), true, 10)
        in_a = exact.scores(query, admitted=lambda key: key.startswith("a/"))
        assert_true(photos.search_vector(query, where=Where(label="a")), in_a, 10)


def images(photos: Collection) -> list[tuple[Any, ...]]:
    """All that the catalog says of images but the row, and each one's vector."""
    rows = photos._catalog._images("TRUE", ())
    stored = Exact(photos)
    by_key = dict(zip(stored.keys, stored.vectors.tolist(), strict=True))
    return [(i.id, i.key, i.label, i.width, dict(i.attributes), by_key[i.key]) for i in rows]


# Building


def test_what_was_built_is_published_and_described(photos: Collection) -> None:
    made = photos.build(recall=0.5)
    assert made is not None
    assert photos.info().index == made
    assert (made.rows, made.trained_rows, made.dim) == (ROWS, ROWS, DIM)
    assert (made.promise, made.reached, made.asked_spec, made.asked_memory) == (0.5, 0.5, None, None)
    assert made.spec == tuning.specs(DIM, ROWS)[0].factory
    assert made.bytes == (photos.directory / "index" / "000001.faiss").stat().st_size
    assert files(photos) == {"vectors.faiss", "index/000001.faiss", "index/000001.json"}
    assert (photos.info().young, photos.info().dead) == (0, 0)
    assert_sound(photos)


def test_the_promise_is_kept_for_queries_that_nobody_has_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a few neighbours and for many, with the index's own promise and with another."""
    monkeypatch.setattr(tuning, "QUERIES", 1000)
    monkeypatch.setattr(tuning, "_DEEP_QUERIES", 200)
    of_few, of_many = tuning.Queries(all=1000, beyond=500, first=50), tuning.Queries(all=200, beyond=100, first=50)
    monkeypatch.setattr(tuning, "_QUERIES", {10: of_few, 100: of_many, 1000: of_many})
    monkeypatch.setattr(tuning, "_median_ms", lambda *_: 1e3)  # as if there were a great many vectors
    with stocked(tmp_path / "many", 4000) as photos:
        made = photos.build(recall=0.93)
        assert made is not None
        assert made.reached == 0.93
        exact = Exact(photos)
        unseen = clustered(150, DIM, seed=3)
        for k in (1, 4, 10, 11, 60):
            found = exact.recall(lambda query, k=k: photos.search_vector(query, k=k), unseen, k=k)  # type: ignore[misc]
            assert found >= 0.93 - 0.03, k  # three standard deviations of so few queries
        found = exact.recall(lambda query: photos.search_vector(query, recall=0.6), unseen)
        assert found >= 0.6 - 0.03


def test_memory_bounds_the_index(photos: Collection) -> None:
    rungs = tuning.smallest_specs(DIM, ROWS)
    sizes = [spec.bytes(ROWS) for spec in rungs]
    for spec, size in zip(rungs, sizes, strict=True):
        made = photos.build(memory=size, recall=1.0)  # which takes the finest that it may
        assert made is not None
        assert made.asked_memory == size
        assert made.bytes <= size * 1.1
        assert made.spec in [rung.factory for rung in rungs[: rungs.index(spec) + 1]]
    assert_sound(photos)


def test_too_little_memory_is_refused_and_the_least_is_named(photos: Collection) -> None:
    photos.build(recall=0.5)
    before = content(photos)
    with pytest.raises(UsageError, match=r"memory=1,000 bytes: an index of 400 vectors takes ([\d,]+)") as refusal:
        photos.build(memory="1kB")
    assert content(photos) == before
    told = re.search(r"takes ([\d,]+)", str(refusal.value))
    assert told
    least = int(told[1].replace(",", ""))
    made = photos.build(memory=least, recall=0.5)
    assert made is not None
    assert made.spec == tuning.smallest_specs(DIM, ROWS)[0].factory
    with pytest.raises(UsageError, match=f"memory={least - 1:,}"):
        photos.build(memory=least - 1)


def test_a_spec_that_takes_more_memory_than_it_may_is_refused(photos: Collection) -> None:
    with pytest.raises(UsageError, match=r"IVF8,Flat: it takes [\d,]+ bytes for 400 vectors, and may take 10,000"):
        photos.build(spec="IVF8,Flat", memory=10_000)
    assert files(photos) == {"vectors.faiss"}
    made = photos.build(spec="IVF8,Flat", memory="1MB")
    assert made is not None
    assert (made.asked_spec, made.asked_memory) == ("IVF8,Flat", 10**6)


@pytest.mark.parametrize(
    "spec", ["Flat", "SQ8", "IVF4,PQ6x4fs", "IVF8_HNSW8,SQ8", "HNSW8", "PCA8,IVF4,SQ8", "IVF4,RaBitQ"]
)
@pytest.mark.parametrize("rows", [ROWS, 40])
def test_an_index_can_be_named_by_its_factory_string_whatever_the_size(tmp_path: Path, spec: str, rows: int) -> None:
    with stocked(tmp_path / "photos", rows) as photos:
        made = photos.build(spec=spec, recall=0.5)
        assert made is not None
        assert (made.spec, made.asked_spec) == (spec, spec)
        assert {point.depth for point in made.points} == {10} | ({100} if rows > 100 else set())
        put(photos, clustered(20, DIM, seed=5), keys_of(20, rows))
        drop(photos, keys_of(20, 3))
        assert photos.info().young == 20
        assert_sound(photos)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("PQ8", "put IVF in front"),
        ("nonsense", "could not parse"),
        ("IVF500,Flat", "500 lists"),
        ("PCA99,Flat", "PCA99"),
    ],
)
def test_a_spec_that_cannot_be_is_refused_and_nothing_changes(photos: Collection, spec: str, reason: str) -> None:
    photos.build(spec="Flat")
    drop(photos, keys_of(3))
    before = content(photos)
    with pytest.raises(UsageError, match=reason):
        photos.build(spec=spec)
    assert content(photos) == before
    assert_sound(photos)


@pytest.mark.parametrize("recall", [0, 1.1, math.nan])
def test_a_recall_that_is_no_share_is_refused(photos: Collection, recall: float) -> None:
    with pytest.raises(UsageError, match="recall="):
        photos.build(recall=recall)


def promising(recalls: dict[str, float]) -> Callable[..., tuple[OperatingPoint, ...]]:
    """What is measured of each kind of code."""

    def measured(index: Index, *_: Any, **__: Any) -> tuple[OperatingPoint, ...]:
        low = recalls[index.spec.factory.rpartition(",")[2]]
        return (
            OperatingPoint(10, Effort(1, 1), low - 0.2, low - 0.2, 1),
            OperatingPoint(10, Effort(2, 1), low, low, 2),
        )

    return measured


@pytest.mark.parametrize(
    ("coarse", "fine", "finest", "spec", "reached", "tried"),
    [
        (0.99, 0.995, 0.999, "PQ6x4fs", 0.98, 1),
        (0.97, 0.98, 0.999, "PQ12x4fs", 0.98, 2),
        (0.90, 0.95, 0.999, "SQ8", 0.98, 3),
        (0.90, 0.95, 0.97, "SQ8", 0.97, 3),
        (0.90, 0.96, 0.93, "PQ12x4fs", 0.96, 3),
        (0.90, 0.90, 0.90, "PQ6x4fs", 0.90, 3),
    ],
)
def test_finer_codes_are_tried_until_one_keeps_the_promise_or_else_the_best_is_taken(
    photos: Collection,
    monkeypatch: pytest.MonkeyPatch,
    coarse: float,
    fine: float,
    finest: float,
    spec: str,
    reached: float,
    tried: int,
) -> None:
    measured = mock.Mock(side_effect=promising({"PQ6x4fs": coarse, "PQ12x4fs": fine, "SQ8": finest}))
    monkeypatch.setattr(tuning, "operating_points", measured)
    made = photos.build(recall=0.98)
    assert made is not None
    assert measured.call_count == tried
    assert made.spec.endswith(spec)
    assert (made.promise, made.reached) == (0.98, reached)
    assert photos.info().index == made


def test_few_images_get_no_index_and_lose_the_one_they_had(tmp_path: Path) -> None:
    with stocked(tmp_path / "photos", 299) as photos:
        assert photos.build() is None
        assert photos.info().index is None
        photos.build(spec="Flat")
        assert photos.info().index is not None
        assert photos.build() is None
        assert photos.info().index is None
        assert files(photos) == {"vectors.faiss"}
        assert_sound(photos)
        put(photos, clustered(1, DIM, seed=4), ["b/one.jpg"])
        assert photos.build(recall=0.5) is not None


@pytest.mark.parametrize("spec", [None, "Flat", "IVF1,Flat", "HNSW8"])
@pytest.mark.parametrize("rows", [0, 1, 2, 10, 11])
def test_an_index_of_next_to_nothing_is_none_or_finds_everything(tmp_path: Path, spec: str | None, rows: int) -> None:
    with stocked(tmp_path / "photos", rows) as photos:
        if rows == 0 and spec == "IVF1,Flat":
            with pytest.raises(UsageError, match="1 lists for 0 vectors"):
                photos.build(spec=spec)
            return
        made = photos.build(spec=spec)
        assert (made is None) == (spec is None or rows == 0)
        if made and rows < 11:
            assert (made.points, made.reached, made.chosen) == ((), made.promise, None)
        exact = Exact(photos)
        assert photos.check() == []
        for query in QUERIES:
            assert_exact(photos.search_vector(query), exact.scores(query), 10)
        assert photos.maintain() == Maintenance()


def test_the_number_of_a_generation_is_never_used_again(photos: Collection) -> None:
    for number in (1, 2, 3):
        photos.build(spec="Flat")
        assert files(photos) == {"vectors.faiss", f"index/{number:06}.faiss", f"index/{number:06}.json"}
    drop(photos, keys_of(200))
    photos.build()  # none
    photos.build(spec="Flat")
    assert "index/000004.faiss" in files(photos)


def test_how_far_it_is_is_told_in_order(photos: Collection) -> None:
    told: list[BuildProgress] = []
    made = photos.build(spec="IVF4,SQ8", progress=told.append)
    assert made is not None
    assert [stage for stage, _ in itertools.groupby(each.stage for each in told)] == [
        "training",
        "adding",
        "comparing",
        "measuring",
    ]
    shares = [each.done for each in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.99 < shares[-1] <= 1
    assert all(each.spec == "IVF4,SQ8" and each.seconds_left >= 0 for each in told)


@pytest.mark.parametrize("stage", ["training", "adding", "comparing", "measuring"])
def test_a_build_that_is_interrupted_changes_nothing(photos: Collection, stage: str) -> None:
    photos.build(spec="IVF4,SQ8")
    drop(photos, keys_of(150, 5))
    before, state, there = content(photos), photos._catalog.state(), images(photos)

    def interrupt(progress: BuildProgress) -> None:
        if progress.stage == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        photos.build(spec="Flat", progress=interrupt)
    assert content(photos) == before  # and nothing is left behind
    assert (photos._catalog.state(), images(photos)) == (state, there)
    assert_sound(photos)
    assert photos.build(spec="Flat") is not None  # the lock was given back


# Taking out the vectors of deleted images


def test_dead_vectors_are_taken_out_and_nothing_else_changes(photos: Collection) -> None:
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

    put(photos, clustered(30, DIM, seed=6), keys_of(30, ROWS))  # and life goes on
    drop(photos, keys_of(1, 1))
    photos.build(spec="Flat")
    assert files(photos) == {"vectors.000002.faiss", "index/000003.faiss", "index/000003.json"}
    assert_sound(photos)


def test_where_all_images_are_deleted_nothing_is_left(photos: Collection) -> None:
    photos.build(spec="Flat")
    drop(photos, keys_of(ROWS))
    assert photos.maintain() == Maintenance(removed=ROWS)
    assert files(photos) == {"vectors.000001.faiss"}
    assert photos.search_vector(QUERIES[0]) == []
    assert photos.check() == []
    put(photos, clustered(5, DIM, seed=7), keys_of(5))
    assert_sound(photos)


# Keeping it current


def built(photos: Collection, spec: str | None = "IVF4,SQ8") -> Generation:
    made = photos.build(spec=spec, recall=0.5)
    assert made is not None
    return made


def test_where_nothing_is_due_nothing_is_written(tmp_path: Path) -> None:
    with stocked(tmp_path / "few", 100) as few, stocked(tmp_path / "many") as many:
        built(many)
        put(many, clustered(49, DIM, seed=5), keys_of(49, ROWS))
        drop(many, keys_of(89))  # of 449, that is not a fifth
        for photos in (few, many):
            before, state = content(photos), photos._catalog.state()
            assert photos.maintain() == Maintenance()
            assert photos._catalog.state() == state
            assert content(photos) == before


def test_young_vectors_are_taken_in_once_there_are_many(photos: Collection) -> None:
    made = built(photos)
    drop(photos, keys_of(7, 3))
    put(photos, clustered(50, DIM, seed=5), keys_of(50, ROWS))
    assert photos.info().young == 50
    assert photos.maintain() == Maintenance(joined=50)
    joined = photos.info().index
    assert joined is not None
    assert (joined.rows, joined.trained_rows, joined.spec) == (ROWS + 50, ROWS, made.spec)
    assert (joined.promise, joined.reached) == (made.promise, made.reached)
    assert photos.info().young == 0
    assert photos.info().dead == 7
    assert files(photos) == {"vectors.faiss", "index/000002.faiss", "index/000002.json"}
    assert_sound(photos)
    assert photos.maintain() == Maintenance()


def test_of_a_large_index_many_is_a_hundredth(photos: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_YOUNG_ROWS", 1)
    monkeypatch.setattr(maintenance, "_YOUNG_SHARE", 0.05)
    built(photos)
    put(photos, clustered(19, DIM, seed=5), keys_of(19, ROWS))
    assert photos.maintain() == Maintenance()
    put(photos, clustered(1, DIM, seed=6), keys_of(1, ROWS + 19))
    assert photos.maintain() == Maintenance(joined=20)


def test_at_four_times_as_many_vectors_it_is_built_anew(tmp_path: Path) -> None:
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


def test_once_a_fifth_is_dead_the_dead_are_taken_out(photos: Collection) -> None:
    made = built(photos)
    drop(photos, keys_of(79))
    assert photos.maintain() == Maintenance()
    drop(photos, keys_of(1, 79))
    done = photos.maintain()
    assert done == Maintenance(removed=80, built=photos.info().index)
    assert done.built is not None
    assert (done.built.rows, done.built.spec, done.built.promise) == (320, made.spec, made.promise)
    assert photos.info().dead == 0
    assert_sound(photos)


def test_without_an_index_too_the_dead_are_taken_out(tmp_path: Path) -> None:
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
        assert (done.built.promise, done.built.asked_spec) == (tuning.RECALL, None)
        assert photos.maintain() == Maintenance()
        assert_sound(photos)


def test_a_collection_that_has_shrunk_loses_its_index(photos: Collection) -> None:
    built(photos, None)
    drop(photos, keys_of(101))
    assert photos.maintain() == Maintenance(removed=101)
    assert photos.info().index is None
    assert files(photos) == {"vectors.000001.faiss"}
    assert_sound(photos)


def test_what_was_asked_for_is_asked_for_again(photos: Collection) -> None:
    photos.build(recall=0.61, memory="1MB")
    drop(photos, keys_of(90))
    done = photos.maintain()
    assert done.built is not None
    assert (done.built.promise, done.built.asked_memory, done.built.asked_spec) == (0.61, 10**6, None)
    photos.build(recall=0.62, spec="HNSW8")
    drop(photos, keys_of(90, 90))
    done = photos.maintain()
    assert done.built is not None
    assert (done.built.promise, done.built.asked_spec, done.built.spec) == (0.62, "HNSW8", "HNSW8")


@pytest.mark.parametrize("spec", ["IVF64,Flat", "PCA20,Flat", "IVF2,PQ6"])
def test_where_what_was_asked_for_can_no_longer_be_the_default_takes_its_place(photos: Collection, spec: str) -> None:
    """There are too few vectors for so many lists, directions, or codes."""
    photos.build(spec=spec, recall=0.5)
    drop(photos, keys_of(ROWS - 19))
    assert photos.maintain() == Maintenance(removed=ROWS - 19)
    assert photos.info().index is None
    assert_sound(photos)


def test_memory_that_no_longer_is_enough_is_no_obstacle(photos: Collection) -> None:
    least = tuning.smallest_specs(DIM, ROWS)[0].bytes(ROWS)
    photos.build(recall=0.5, memory=least)
    put(photos, clustered(1200, DIM, seed=5), keys_of(1200, ROWS))
    done = photos.maintain()
    assert done.built is not None
    assert (done.built.promise, done.built.asked_memory) == (0.5, None)
    assert_sound(photos)


def pretend(monkeypatch: pytest.MonkeyPatch, *, now: float, others: float) -> None:
    """The recall of what is in use, and the most that any effort reaches."""

    def measure(index: Index, *_: Any, depth: int, effort: Effort, **__: Any) -> OperatingPoint:
        return OperatingPoint(depth, effort, now, now - 0.01, 1.0)

    points = (OperatingPoint(10, Effort(3, 3), others + 0.001, others, 1.0),)
    monkeypatch.setattr(tuning, "measure", measure)
    monkeypatch.setattr(tuning, "operating_points", lambda *_, **__: points)


@pytest.mark.parametrize(
    ("now", "others", "joins", "effort"),
    [
        (0.97, 0.5, True, None),  # it keeps its promise as it is,
        (0.95, 0.5, True, None),
        (0.94, 0.95, True, Effort(3, 3)),  # or with another effort,
        (0.94, 0.94, False, Effort(3, 3)),  # or else is built anew
    ],
)
def test_what_joins_is_measured_again(
    photos: Collection, monkeypatch: pytest.MonkeyPatch, now: float, others: float, joins: bool, effort: Effort | None
) -> None:
    pretend(monkeypatch, now=1, others=0.95)
    made = photos.build(spec="IVF4,SQ8", recall=0.95)
    assert made is not None
    assert made.reached == 0.95
    put(photos, clustered(60, DIM, seed=5), keys_of(60, ROWS))
    drop(photos, keys_of(3))
    pretend(monkeypatch, now=now, others=others)
    done = photos.maintain()
    index = photos.info().index
    assert index is not None
    assert done == (Maintenance(joined=60) if joins else Maintenance(removed=3, built=index))
    assert index.trained_rows == (ROWS if joins else ROWS + 57)
    assert index.points == (made.points if effort is None else tuning.operating_points(mock.Mock()))  # type: ignore[call-arg]
    assert index.reached == (0.95 if joins else 0.94)


# Damage


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "truncated": lambda path: os.truncate(path, path.stat().st_size - 1),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("suffix", ["faiss", "json"])
def test_a_damaged_index_is_named_by_check_and_restored_by_build(
    photos: Collection, suffix: str, damage: Callable[[Path], object]
) -> None:
    built(photos)
    damage(photos.directory / "index" / f"000001.{suffix}")
    [found] = photos.check()
    assert re.search(rf"000001\.{suffix}: .*lookalike index", found)
    built(photos)
    assert_sound(photos)


@pytest.mark.parametrize(("suffix", "damage"), list(itertools.product(["json", "faiss"], DAMAGES)))
def test_an_index_that_is_damaged_or_gone_is_built_again_on_occasion(
    photos: Collection, suffix: str, damage: str
) -> None:
    built(photos)
    DAMAGES[damage](photos.directory / "index" / f"000001.{suffix}")
    is_told = suffix == "json" or damage != "flipped"
    assert (photos.info().index is None, photos.info().damage is not None) == (is_told, is_told)
    done = photos.maintain()
    assert photos.info().damage is None
    assert done.built is not None
    if suffix == "faiss":  # else what was asked for is lost
        assert (done.built.spec, done.built.promise) == ("IVF4,SQ8", 0.5)
    assert_sound(photos)


def test_nothing_joins_a_damaged_index(photos: Collection) -> None:
    built(photos)
    put(photos, clustered(60, DIM, seed=5), keys_of(60, ROWS))
    flip(photos.directory / "index" / "000001.faiss")
    done = photos.maintain()
    assert done.built is not None
    assert (done.joined, done.built.rows, done.built.spec) == (0, ROWS + 60, "IVF4,SQ8")
    assert_sound(photos)


@pytest.mark.parametrize("dead", [0, 100])
def test_a_damaged_vector_is_in_no_index(photos: Collection, dead: int) -> None:
    built(photos)
    drop(photos, keys_of(dead))
    path = photos.directory / "vectors.faiss"
    content_ = bytearray(path.read_bytes())
    content_[-5] ^= 1  # in the last row
    path.write_bytes(content_)
    before = content(photos)
    with pytest.raises(CorruptError, match=rf"vectors\.faiss: the vector in row {ROWS - 1} is damaged"):
        photos.build()
    assert content(photos) == before
    [found] = photos.check()
    assert f"row {ROWS - 1}" in found
    drop(photos, keys_of(1, ROWS - 1))
    drop(photos, keys_of(100, 100))
    photos.build(spec="SQ8")  # without it all is well
    assert_sound(photos)


def test_dead_vectors_that_are_damaged_are_in_no_compacted_file_and_in_nobodys_way(photos: Collection) -> None:
    path = photos.directory / "vectors.faiss"
    content_ = bytearray(path.read_bytes())
    content_[-5] ^= 1
    path.write_bytes(content_)
    drop(photos, keys_of(1, ROWS - 1))
    built(photos)
    assert photos.check() == []


# The disk, and other processes


def test_what_a_killed_process_has_left_disturbs_nobody_and_is_taken_away(photos: Collection) -> None:
    made = built(photos)
    before = files(photos)
    for name in ("index/000002.faiss", "index/000002.faiss.new", "index/000002.json.new", "vectors.000001.faiss"):
        (photos.directory / name).write_bytes(b"left by a process that was killed")
    assert_sound(photos)
    with reopened(photos) as other:
        assert_sound(other)
        assert other.info().index == made
    drop(photos, keys_of(1))
    put(photos, clustered(1, DIM, seed=5), keys_of(1, ROWS))
    assert photos.maintain() == Maintenance()
    assert files(photos) == before
    (photos.directory / "vectors.000001.faiss").write_bytes(b"left")
    (photos.directory / "index" / "000002.faiss").write_bytes(b"left")
    photos.build(spec="SQ8")
    assert files(photos) == {"vectors.000001.faiss", "index/000002.faiss", "index/000002.json"}
    assert_sound(photos)


def full_disk(*_: Any, **__: Any) -> Any:
    raise OSError(28, "No space left on device")


def full_while_appending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "_write_all", full_disk)


def full_while_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "write", full_disk)


def full_in_the_midst_of_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    write = durable.write

    def writes_some(path: Path, source: Callable[[Callable[[bytes], int]], object]) -> durable.Written:
        write(path, source)
        return durable.Written(*full_disk())

    monkeypatch.setattr(durable, "write", writes_some)


def full_while_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full_disk)


def full_while_renaming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", full_disk)


def full_while_committing(monkeypatch: pytest.MonkeyPatch) -> None:
    def commit(*_: Any) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr("lookalike.storage.transaction.Transaction.drop_generation", commit)


@pytest.mark.parametrize(
    "fill",
    [
        full_while_appending,
        full_while_writing,
        full_in_the_midst_of_writing,
        full_while_syncing,
        full_while_renaming,
        full_while_committing,
    ],
)
def test_where_the_disk_is_full_the_last_index_serves_and_no_space_is_wasted(
    photos: Collection, monkeypatch: pytest.MonkeyPatch, fill: Callable[[pytest.MonkeyPatch], None]
) -> None:
    built(photos)
    drop(photos, keys_of(80))
    before, state, there = content(photos), photos._catalog.state(), images(photos)
    with monkeypatch.context() as full:
        fill(full)
        for change in (photos.build, photos.maintain, lambda: photos.build(spec="SQ8")):
            with pytest.raises(StorageError, match=r"[Nn]o space left|disk is full"):
                change()
            assert content(photos) == before
    assert (photos._catalog.state(), images(photos)) == (state, there)
    with mock.patch.object(Index, "search", autospec=True, side_effect=Index.search) as search:
        assert_sound(photos)
    assert search.call_count > 0
    assert photos.maintain().removed == 80
    assert_sound(photos)


@pytest.mark.parametrize("fill", [full_while_writing, full_while_renaming, full_while_committing])
def test_where_the_disk_is_full_nothing_joins(
    photos: Collection, monkeypatch: pytest.MonkeyPatch, fill: Callable[[pytest.MonkeyPatch], None]
) -> None:
    built(photos)
    put(photos, clustered(60, DIM, seed=5), keys_of(60, ROWS))
    before, state = content(photos), photos._catalog.state()
    with monkeypatch.context() as full:
        fill(full)
        with pytest.raises(StorageError):
            photos.maintain()
    assert (content(photos), photos._catalog.state()) == (before, state)
    assert_sound(photos)
    assert photos.maintain() == Maintenance(joined=60)


def test_while_another_process_writes_nothing_is_built(photos: Collection) -> None:
    built(photos)
    before = content(photos)
    with layout.locked(photos.directory):
        for change in (photos.build, photos.maintain):
            with pytest.raises(LockedError):
                change()
    assert content(photos) == before
    assert photos.build(spec="SQ8") is not None


# Sizes in words


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500MB", 500 * 10**6),
        ("500 MB", 500 * 10**6),
        (" 2gb ", 2 * 10**9),
        ("2GB", 2 * 10**9),
        ("1.5GiB", 3 * 2**29),
        ("10k", 10_000),
        ("10 kB", 10_000),
        ("3T", 3 * 10**12),
        ("4096", 4096),
        ("4096B", 4096),
        (4096, 4096),
        ("1KiB", 1024),
    ],
)
def test_a_size_is_a_number_of_bytes_with_or_without_a_unit(text: str | int, size: int | None) -> None:
    if size is None:
        with pytest.raises(UsageError, match="give a size"):
            memory_bytes(text)
    else:
        assert memory_bytes(text) == size


@pytest.mark.parametrize("text", ["", "MB", "0", "0MB", "-1", "1e6", "1.GB", "5 XB", "5MBB", True, "lots", "1,000"])
def test_what_is_no_size_is_refused(text: str | int) -> None:
    with pytest.raises(UsageError, match="memory="):
        memory_bytes(text)


def test_a_wish_for_a_recall_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="recall=2"):
        Wish(recall=2)
    assert replace(Wish(), recall=1).recall == 1
