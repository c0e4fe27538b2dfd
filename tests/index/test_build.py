"""Building an index: what is published, which kind is chosen, and how progress is reported."""

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lookalike import Collection, TuningPolicy
from lookalike.errors import UsageError
from lookalike.index import defaults
from lookalike.index.build_progress import BuildProgress
from lookalike.index.maintenance import Maintenance
from lookalike.index.operating_point import OperatingPoint, SearchParameters
from lookalike.index.policies import QueryCounts
from lookalike.index.tuning import Tuner
from tests.support.indexed_collections import (
    DIM,
    POLICIES,
    QUERIES,
    ROWS,
    assert_sound,
    content,
    files,
    images,
    stocked,
)
from tests.support.vector_collections import Exact, assert_exact, clustered, drop, keys_of, put


def test_an_index_is_published_and_described(photos: Collection) -> None:
    made = photos.build(recall=0.5)
    assert made is not None
    assert photos.info().index == made
    assert (made.rows, made.trained_rows, made.dim) == (ROWS, ROWS, DIM)
    assert (made.target_recall, made.reached_recall, made.asked_spec, made.asked_memory) == (0.5, 0.5, None, None)
    assert made.spec == defaults.specs(DIM, ROWS)[0].factory
    assert made.bytes == (photos.directory / "index" / "000001.faiss").stat().st_size
    assert files(photos) == {"vectors.faiss", "index/000001.faiss", "index/000001.json"}
    assert (photos.info().young, photos.info().dead) == (0, 0)
    assert_sound(photos)


def test_the_target_recall_holds_for_queries_that_were_not_measured(tmp_path: Path) -> None:
    """For a few neighbours and for many, with the index's own target and with another."""
    of_many = QueryCounts(all=200, above_target=100, first=50)
    counts = {10: QueryCounts(all=1000, above_target=500, first=50), 100: of_many, 1000: of_many}
    tuning = TuningPolicy(300 * DIM, counts, exact_milliseconds=1e3)  # as of a great many vectors
    with stocked(tmp_path / "many", 4000, replace(POLICIES, tuning=tuning)) as photos:
        made = photos.build(recall=0.93)
        assert made is not None
        assert made.reached_recall == 0.93
        exact = Exact(photos)
        unseen = clustered(150, DIM, seed=3)
        for k in (1, 4, 10, 11, 60):
            found = exact.recall(lambda query, k=k: photos.search_vector(query, k=k), unseen, k=k)  # type: ignore[misc]
            assert found >= 0.93 - 0.03, k  # three standard deviations of so few queries
        found = exact.recall(lambda query: photos.search_vector(query, recall=0.6), unseen)
        assert found >= 0.6 - 0.03


def test_memory_bounds_the_index(photos: Collection) -> None:
    specs = defaults.small_specs(DIM, ROWS)
    sizes = [spec.bytes(ROWS) for spec in specs]
    for spec, size in zip(specs, sizes, strict=True):
        made = photos.build(memory=size, recall=1.0)  # which takes the finest that it may
        assert made is not None
        assert made.asked_memory == size
        assert made.bytes <= size * 1.1
        assert made.spec in [smaller.factory for smaller in specs[: specs.index(spec) + 1]]
    assert_sound(photos)


def test_too_little_memory_is_refused_and_the_least_is_named(photos: Collection) -> None:
    photos.build(recall=0.5)
    before = content(photos)
    with pytest.raises(UsageError, match=r"memory=1,000 bytes: an index of 400 vectors takes ([\d,]+)") as refusal:
        photos.build(memory="1kB")
    assert content(photos) == before
    named = re.search(r"takes ([\d,]+)", str(refusal.value))
    assert named
    least = int(named[1].replace(",", ""))
    made = photos.build(memory=least, recall=0.5)
    assert made is not None
    assert made.spec == defaults.small_specs(DIM, ROWS)[0].factory
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
def test_an_index_can_be_named_by_its_factory_string(tmp_path: Path, spec: str, rows: int) -> None:
    """Even of a collection that is too small for a default index."""
    with stocked(tmp_path / "photos", rows) as photos:
        made = photos.build(spec=spec, recall=0.5)
        assert made is not None
        assert (made.spec, made.asked_spec) == (spec, spec)
        assert {point.k for point in made.points} == {10} | ({100} if rows > 100 else set())
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
def test_an_impossible_spec_is_refused_and_nothing_changes(photos: Collection, spec: str, reason: str) -> None:
    photos.build(spec="Flat")
    drop(photos, keys_of(3))
    before = content(photos)
    with pytest.raises(UsageError, match=reason):
        photos.build(spec=spec)
    assert content(photos) == before
    assert_sound(photos)


@pytest.mark.parametrize("recall", [0, 1.1, math.nan])
def test_a_target_recall_out_of_range_is_refused(photos: Collection, recall: float) -> None:
    with pytest.raises(UsageError, match="recall="):
        photos.build(recall=recall)


def with_recalls(recalls: dict[str, float]) -> Callable[..., tuple[OperatingPoint, ...]]:
    """Measures the given recall for each kind of code."""

    def measured(tuner: Tuner, *_: Any) -> tuple[OperatingPoint, ...]:
        low = recalls[tuner.spec.factory.rpartition(",")[2]]
        return (
            OperatingPoint(10, SearchParameters(1, 1), low - 0.2, low - 0.2, 1),
            OperatingPoint(10, SearchParameters(2, 1), low, low, 2),
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
def test_finer_codes_are_tried_until_one_reaches_the_target(
    photos: Collection, coarse: float, fine: float, finest: float, spec: str, reached: float, tried: int
) -> None:
    """If none does, the one with the highest recall is taken."""
    recalls = with_recalls({"PQ6x4fs": coarse, "PQ12x4fs": fine, "SQ8": finest})
    with mock.patch.object(Tuner, "points", autospec=True, side_effect=recalls) as measured:
        made = photos.build(recall=0.98)
    assert made is not None
    assert measured.call_count == tried
    assert made.spec.endswith(spec)
    assert (made.target_recall, made.reached_recall) == (0.98, reached)
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
def test_an_index_of_a_few_images_finds_everything(tmp_path: Path, spec: str | None, rows: int) -> None:
    with stocked(tmp_path / "photos", rows) as photos:
        if rows == 0 and spec == "IVF1,Flat":
            with pytest.raises(UsageError, match="1 lists for 0 vectors"):
                photos.build(spec=spec)
            return
        made = photos.build(spec=spec)
        assert (made is None) == (spec is None or rows == 0)
        if made and rows < 11:
            assert (made.points, made.reached_recall, made.chosen) == ((), made.target_recall, None)
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


def test_progress_is_reported_stage_by_stage(photos: Collection) -> None:
    reported: list[BuildProgress] = []
    made = photos.build(spec="IVF4,SQ8", progress=reported.append)
    assert made is not None
    assert [stage for stage, _ in itertools.groupby(each.stage for each in reported)] == [
        "training",
        "adding",
        "comparing",
        "measuring",
    ]
    shares = [each.done for each in reported]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.99 < shares[-1] <= 1
    assert all(each.spec == "IVF4,SQ8" and each.seconds_left >= 0 for each in reported)


@pytest.mark.parametrize("stage", ["training", "adding", "comparing", "measuring"])
def test_an_interrupted_build_changes_nothing(photos: Collection, stage: str) -> None:
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
