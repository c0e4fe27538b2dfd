"""What is expected by chance: against foreign queries, a slow definition, and what must not change it or raise."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike import Collection, Match, Where
from lookalike.results import BEYOND_CHANCE
from lookalike.search import chance
from lookalike.search.chance import FEWEST, Chance, Numbers
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.rows import RowSet
from lookalike.storage.vectors import Vectors, unit
from tests.support.crowds import DIM, crowd, directions
from tests.support.searched_collections import QUERIES, ROWS
from tests.support.vector_collections import clustered, create, drop, keys_of, put, reopened


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """301 images, of which the first and the last are alike, for tests that change nothing."""
    with crowd(tmp_path_factory.mktemp("chance") / "photos") as collection:
        yield collection


def of(vectors: Vectors) -> Chance:
    """The chances of a collection that is no larger than the sample."""
    return Chance(vectors.astype(np.float16), np.arange(len(vectors)), len(vectors))


def expected(vectors: Vectors, query: Vectors) -> Numbers:
    """What is expected as near to a query as each of these vectors."""
    return of(vectors).judged(query, np.arange(len(vectors)), vectors.astype(np.float16).__getitem__).expected


# Numbers


def _with_common_part(count: int, seed: int) -> Vectors:
    return unit(directions(count, seed, 64) + 2 * directions(1, 99, 64))


@pytest.mark.parametrize("count", [150, 700, 6000])
@pytest.mark.parametrize(
    ("stored", "foreign"),
    [
        (directions, directions),
        (_with_common_part, _with_common_part),
        (_with_common_part, lambda count, seed: directions(count, seed, 64)),
        (
            lambda count, seed: clustered(count, 64, seed=seed),
            lambda count, seed: clustered(count, 64, seed=seed, centres=1, spread=5),
        ),
    ],
    ids=["directions", "a common part", "from elsewhere", "clusters"],
)
def test_foreign_queries_find_as_many_as_are_expected(
    stored: Callable[[int, int], Vectors], foreign: Callable[[int, int], Vectors], count: int
) -> None:
    """Within a factor of three from 0.1 to 10, for collections that are the sample and such as are larger."""
    vectors = stored(count, 1).astype(np.float16)
    rows = np.arange(count)
    sampled = rows[np.sort(np.argsort(chance._lots(rows))[:1500])]
    known = Chance(vectors[sampled], sampled, count)
    told = np.array([known.judged(query[None], rows, vectors.__getitem__).expected for query in foreign(300, 2)])
    for least in (0.1, 0.3, 1, 3, 10):
        found = np.mean(np.sum(told <= least, axis=1))
        assert least / 3 < found < least * 3, least


def _slow(vectors: Vectors, query: Vectors, place: int) -> float:
    """The definition for one vector of a collection that is the sample, in double precision, step by step."""
    stored = vectors.astype(np.float16).astype(np.float64)
    mean = stored.mean(axis=0)
    around = query[0].astype(np.float64) - mean
    cosines = [float((v - mean) @ around / np.linalg.norm(v - mean) / np.linalg.norm(around)) for v in stored]
    values = [math.copysign(-math.log(1 - cosine**2), cosine) for cosine in cosines]
    tail = max(7, round(len(values) / 100))
    *top, threshold = sorted(values, reverse=True)[: tail + 1]
    if values[place] <= threshold + 1e-6:
        return float(sum(value >= values[place] - 1e-6 for value in values))
    others = sum(value - threshold for value in top) - (values[place] - threshold)
    share = (tail - 1) / (len(values) - 1) * (1 + (values[place] - threshold) / others) ** (1 - tail)
    return len(values) * share


def test_the_numbers_are_those_of_the_definition() -> None:
    vectors = clustered(400, 24, seed=5)
    for query in clustered(3, 24, seed=6)[:, None]:
        told, defined = expected(vectors, query), np.array([_slow(vectors, query, place) for place in range(400)])
        is_fitted = defined < 7
        assert told[is_fitted] == pytest.approx(defined[is_fitted], rel=1e-3)
        assert told[~is_fitted] == pytest.approx(defined[~is_fitted], abs=1)  # two may be as near but for rounding


def test_what_is_nearer_is_expected_less() -> None:
    vectors, query = directions(500, 3).astype(np.float16).astype(np.float32), directions(1, 4)
    left, around = (each - vectors.mean(axis=0) for each in (vectors, query))
    cosines = left @ around[0] / np.linalg.norm(left, axis=1)
    assert np.all(np.diff(expected(vectors, query)[np.argsort(cosines)]) < 1 / 500)


def test_turning_everything_changes_nothing() -> None:
    vectors, query = clustered(400, 24, seed=7), clustered(1, 24, seed=8)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(24, 24)))[0].astype(np.float32)
    # Half precision rounds the turned vectors otherwise.
    assert expected(vectors @ turn, query @ turn) == pytest.approx(expected(vectors, query), rel=0.05, abs=2)


def test_the_size_of_a_collection_scales_what_is_expected() -> None:
    vectors, query = directions(1500, 9).astype(np.float16), directions(1, 10)
    of_few, of_many = (Chance(vectors, np.arange(1500), count) for count in (1500, 150_000))
    foreign = directions(50, 11).astype(np.float16)
    told = [each.judged(query, np.arange(5000, 5050), lambda _: foreign).expected for each in (of_few, of_many)]
    assert told[1] == pytest.approx(100 * told[0])


# Searches


def test_a_copy_is_beyond_chance_and_others_are_not(crowded: Collection) -> None:
    copy, *others = crowded.search_id(1, k=300)
    assert copy.key == "copy.jpg"
    assert copy.expected is not None
    assert copy.expected < 1e-3
    assert min(match.expected or 0 for match in others) > BEYOND_CHANCE


def test_neither_filters_nor_the_order_nor_k_change_what_is_expected(crowded: Collection) -> None:
    query = directions(1, 20)
    plain = told_of(crowded.search_vector(query, k=301))
    assert len(plain) == 301
    for found in (
        crowded.search_vector(7 * query, k=301),
        crowded.search_vector(query, k=5),
        crowded.search_vector(query, k=301, refine=True),
        crowded.search_vector(query, k=301, where=Where(under="a")),
        crowded.search_vector(query, k=301, exact=True, min_score=0.1),
    ):
        assert found
        assert told_of(found) == pytest.approx({key: plain[key] for key in told_of(found)}, rel=1e-4)


def test_an_index_and_an_exact_search_expect_the_same(indexed: Collection) -> None:
    for query in QUERIES:
        exact = told_of(indexed.search_vector(query, k=ROWS, exact=True))
        told = told_of(indexed.search_vector(query, k=20))
        assert told == pytest.approx({key: exact[key] for key in told}, rel=1e-4)
        assert all(0 <= each <= len(indexed) for each in exact.values())


def told_of(matches: list[Match]) -> dict[str, float]:
    return {match.key: match.expected for match in matches if match.expected is not None}


@pytest.mark.parametrize("refine", [False, True])
def test_confident_leaves_out_what_may_be_chance(crowded: Collection, refine: bool) -> None:
    vectors = directions(1, 1)
    found = crowded.search_vector(vectors, k=301, refine=refine)
    confident = [match for match in found if match.expected is not None and match.expected <= 0.1]
    assert {match.key for match in confident} == {"a/000.jpg", "copy.jpg"}
    assert crowded.search_vector(vectors, k=301, refine=refine, confident=True) == confident
    assert [match.key for match in crowded.search_id(1, refine=refine, confident=True)] == ["copy.jpg"]
    assert crowded.search_vector(directions(1, 30), refine=refine, confident=True) == []


def test_of_too_few_images_nobody_can_tell(tmp_path: Path) -> None:
    with create(tmp_path / "photos", DIM) as collection:
        query = directions(1, 2)
        assert collection.search_vector(query) == []
        put(collection, directions(FEWEST - 1, 1), keys_of(FEWEST - 1))
        assert {match.expected for match in collection.search_vector(query, k=200)} == {None}
        assert collection.search_vector(query, confident=True) == []
        put(collection, directions(1, 3), ["one more.jpg"])
        assert None not in {match.expected for match in collection.search_vector(query, k=200)}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the collections that samples have been taken of, as they are taken."""
    sizes: list[int] = []
    sampled = chance.sampled

    def counting(vectors: MappedVectors, live: RowSet) -> Chance:
        sizes.append(live.size)
        return sampled(vectors, live)

    monkeypatch.setattr(chance, "sampled", counting)
    return sizes


def test_the_sample_is_read_once_for_a_state(tmp_path: Path, read: list[int]) -> None:
    with crowd(tmp_path / "photos") as collection:
        for seed in range(3):
            collection.search_vector(directions(1, seed))
        assert read == [301]
        drop(collection, ["copy.jpg"])
        collection.search_id(3)
        collection.search_id(4, refine=True)
        assert read == [301, 300]


def test_the_sample_changes_no_more_than_the_collection(tmp_path: Path) -> None:
    with create(tmp_path / "photos", DIM) as collection:
        put(collection, directions(4000, 1), keys_of(4000))
        before = _sampled_rows(collection)
        put(collection, directions(40, 2), keys_of(40, 4000))
        drop(collection, keys_of(40))
        after = _sampled_rows(collection)
    assert len(before) == len(after) == 1500
    assert len(before & after) > 1450
    assert min(after) >= 40
    assert abs(np.mean(list(before)) - 2000) < 100  # from all over the file


def test_the_sample_serves_while_few_images_come_and_go(tmp_path: Path, read: list[int]) -> None:
    with create(tmp_path / "photos", DIM) as collection:
        put(collection, directions(4000, 1), keys_of(4000))
        collection.search_id(200)
        put(collection, directions(80, 2), keys_of(80, 4000))
        drop(collection, keys_of(100))
        collection.search_id(200, refine=True)
        assert read == [4000]
        put(collection, directions(200, 3), keys_of(200, 5000))
        collection.search_id(200)
        assert read == [4000, 4180]
        collection.build()  # compacts: the rows have other numbers then
        [match] = collection.search_id(200, k=1)
        assert len(read) == 3
        with reopened(collection) as other:
            assert other.search_id(200, k=1)[0].expected == match.expected


def _sampled_rows(collection: Collection) -> set[int]:
    with collection._searcher._snapshots.current() as snapshot:
        return set(chance.sampled(snapshot.vectors, snapshot.live)._rows.tolist())


# What must raise nothing, not even a warning


@pytest.mark.parametrize(
    "vectors",
    [
        np.repeat(directions(1, 1), 150, axis=0),
        np.repeat(directions(2, 1), [149, 1], axis=0),
        np.repeat(directions(2, 1), [1, 149], axis=0),
        np.concatenate([directions(1, 1), -directions(1, 1)]).repeat(75, axis=0),
        np.concatenate([directions(140, 2), np.repeat(directions(1, 1), 10, axis=0)]),
        np.eye(DIM, dtype=np.float32).repeat(5, axis=0),
    ],
    ids=["identical", "all but one", "all but the first", "opposite", "ten copies of the query", "at right angles"],
)
def test_ties_and_duplicates_are_told_or_not_but_raise_nothing(vectors: Vectors) -> None:
    for query in (directions(1, 1), -directions(1, 1), directions(1, 2), vectors.mean(axis=0, keepdims=True)):
        told = expected(vectors, unit(query) if query.any() else directions(1, 3))
        assert told.shape == (len(vectors),)
        assert np.isnan(told).all() or ((told >= 0) & (told <= len(vectors))).all()


def test_identical_vectors_are_all_as_near_as_each() -> None:
    assert expected(np.repeat(directions(1, 1), 150, axis=0), directions(1, 2)).tolist() == [150] * 150


def test_copies_of_the_query_do_not_hide_each_other() -> None:
    told = expected(np.concatenate([directions(140, 2), np.repeat(directions(1, 1), 10, axis=0)]), directions(1, 1))
    assert told[140:].max() < 1e-3
    assert told[:140].min() > BEYOND_CHANCE


@pytest.mark.parametrize("damage", [math.nan, math.inf, 0, 60000])
def test_damaged_vectors_are_left_out_of_the_sample(damage: float) -> None:
    vectors, query = directions(400, 1).astype(np.float16), directions(1, 2)
    rows = np.arange(400)
    some = vectors[20:30]
    sound = Chance(np.delete(vectors, 7, axis=0), np.delete(rows, 7), 400)
    told = sound.judged(query, rows[20:30], lambda _: some).expected
    vectors[7] = damage
    damaged = Chance(vectors, rows, 400)
    assert np.array_equal(damaged.judged(query, rows[20:30], vectors.__getitem__).expected, told)
    assert np.isfinite(damaged.judged(query, rows, vectors.__getitem__).expected).sum() >= 399


def test_a_sample_without_some_rows_tells_as_if_they_were_not_there() -> None:
    """A copy of the query among the sample hides how near others are; without it, they are told as they were before."""
    others = directions(400, 1)
    query = directions(1, 2)
    copies = unit(query + 0.1 * directions(3, 3))
    stored = np.concatenate([others, copies]).astype(np.float16)
    rows = np.arange(403)
    whole, small = Chance(stored, rows, 403), Chance(stored[:400], rows[:400], 400)
    small.centre = whole.centre  # which stays
    small._sample = unit(whole.centre.taken_off(others.astype(np.float16).astype(np.float32)))
    near = np.argsort(others @ query[0])[::-1][:10]
    told = whole.without(np.array([400, 401, 402])).judged(query, near, stored.__getitem__)
    wanted = small.judged(query, near, stored.__getitem__)
    assert told.expected == pytest.approx(wanted.expected)
    assert told.relatives == pytest.approx(wanted.relatives)
    assert whole.judged(query, near, stored.__getitem__).expected[0] > 1.2 * told.expected[0]
    assert whole.without(np.array([400])).judged(query, near, stored.__getitem__).expected[0] > told.expected[0]
