"""Searching a collection that has an index, or had one: the answers, and when they are exact."""

import itertools
import os
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

import lookalike
from lookalike import Collection
from lookalike.errors import CorruptError, DamagedIndexWarning, UsageError
from lookalike.filters import Between, Where
from lookalike.index import generation, maintenance, tuning
from lookalike.index.faiss_index import Effort, Index
from lookalike.index.generation import Generation
from lookalike.index.tuning import OperatingPoint
from lookalike.search.searcher import Request
from lookalike.storage.catalog import State
from lookalike.storage.vectors import Vectors
from tests.support.pictures import ColourEncoder, draw, picture
from tests.support.project import environment
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

ROWS, DIM = 900, 24
QUERIES = clustered(6, DIM, seed=2)
SPECS = ["IVF16,PQ6x4fs", "IVF16,Flat", "HNSW8,SQ8", "RaBitQ", "PCA8,IVF8,SQ8", "Flat"]


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with quick_builds(), one_thread(), mock.patch.object(os, "fsync"):
        yield


@dataclass
class Searches:
    """The efforts of all searches of an index, in their order."""

    efforts: list[Effort] = field(default_factory=list)

    def of(self, search: Callable[[], object]) -> list[Effort]:
        self.efforts.clear()
        search()
        return list(self.efforts)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> Searches:
    watched, search = Searches(), Index.search

    def seen(*given: object, effort: Effort, **options: object) -> object:
        watched.efforts.append(effort)
        return search(*given, effort=effort, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Index, "search", seen)
    return watched


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured is given: little effort promises 0.9, much of it 0.98, for 10 and for 100 neighbours."""
    made = tuple(
        OperatingPoint(depth, Effort(breadth, candidates), low + 0.01, low, milliseconds)
        for depth in (10, 100)
        for breadth, candidates, low, milliseconds in ((1, 1, 0.9, 1.0), (16, 100, 0.98, 2.0))
    )
    monkeypatch.setattr(tuning, "operating_points", lambda *_, **__: made)


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Collection]:
    """With some deleted, and an index that some are younger than."""
    with create(tmp_path / "photos", DIM) as collection:
        stock(collection)
        yield collection


def stock(collection: Collection, spec: str = "IVF16,PQ6x4fs") -> None:
    put(collection, clustered(ROWS, DIM, seed=1), keys_of(ROWS))
    drop(collection, keys_of(50, 20))
    collection.build(spec=spec, recall=0.95)
    put(collection, clustered(100, DIM, seed=3), keys_of(100, ROWS))
    drop(collection, keys_of(40, 100) + keys_of(10, ROWS + 20))
    with collection._catalog.writing() as transaction:
        for number, key in enumerate(keys_of(20, 200) + keys_of(5, ROWS)):
            transaction.set_attributes(key, {"price": number})


# The answers


@pytest.mark.parametrize(("spec", "k"), [*itertools.product(SPECS, [1, 10, 77]), ("IVF16,PQ6x4fs", 2000)])
def test_with_an_index_younger_images_and_deleted_ones_each_answer_is_true(tmp_path: Path, spec: str, k: int) -> None:
    with create(tmp_path / "photos", DIM) as photos:
        stock(photos, spec)
        assert (photos.info().young, photos.info().dead) == (100, 50)
        exact = Exact(photos)
        assert len(exact.keys) == len(photos) == 900
        many = photos._searcher.of_vectors(QUERIES, Request(k))
        for query, among_many in zip(QUERIES, many, strict=True):
            true = exact.scores(query)
            found = photos.search_vector(query, k=k)
            assert_true(found, true, k)
            assert_true(among_many, true, k)
            assert [match.score for match in among_many] == pytest.approx([match.score for match in found], abs=3e-6)
            assert_exact(photos.search_vector(query, k=k, exact=True), true, k)


@pytest.mark.parametrize("exact", [False, True])
def test_many_queries_at_once_get_the_answers_of_each(photos: Collection, exact: bool) -> None:
    """So many that those of young images, and exact ones, are found by products of matrices."""
    queries = clustered(50, DIM, seed=8)
    together = photos._searcher.of_vectors(queries, Request(10, exact=exact))
    for query, found in zip(queries, together, strict=True):
        alone = photos.search_vector(query, exact=exact)
        assert [match.score for match in found] == pytest.approx([match.score for match in alone], abs=3e-6)
        assert {match.key for match in found} == {match.key for match in alone}
    assert photos._searcher.of_vectors(queries[:0], Request(10)) == []


@pytest.mark.parametrize("spec", SPECS)
def test_an_effort_that_looks_at_everything_gives_the_exact_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, searches: Searches, spec: str
) -> None:
    point = OperatingPoint(1000, Effort(1024, ROWS / 10), 1, 0.99, 1)
    monkeypatch.setattr(tuning, "operating_points", lambda *_, **__: (point,))
    with create(tmp_path / "photos", DIM) as photos:
        stock(photos, spec)
        exact = Exact(photos)
        for where, admitted in FILTERS:
            for query in QUERIES:
                monkeypatch.setattr(tuning, "_EXACT_VALUES", 1)  # so that no filter is too narrow for the index
                assert_exact(photos.search_vector(query, where=where), exact.scores(query, admitted=admitted), 10)
        assert len(searches.efforts) > len(QUERIES)


FILTERS: list[tuple[Where | None, Callable[[str], bool]]] = [
    (None, lambda key: True),
    (Where(label="a"), lambda key: key.startswith("a/")),
    (Where(label=["c", "d"]), lambda key: key[0] in "cd"),
    (Where(under="b"), lambda key: key.startswith("b/")),
    (Where(label="a", under="b"), lambda key: False),
    (Where(attributes={"price": Between(3, 12)}), lambda key: key in keys_of(10, 203)),
    (Where(attributes={"price": Between(20, None)}), lambda key: key in keys_of(5, ROWS)),  # all of them young
    (Where(label="nobody"), lambda key: False),
]


@pytest.mark.parametrize(("where", "admitted"), FILTERS)
@pytest.mark.parametrize("narrow", [False, True], ids=["through the index", "few are compared exactly"])
def test_a_filter_admits_what_it_says_and_nothing_else(
    photos: Collection,
    monkeypatch: pytest.MonkeyPatch,
    where: Where | None,
    admitted: Callable[[str], bool],
    narrow: bool,
) -> None:
    if not narrow:
        monkeypatch.setattr(tuning, "_EXACT_VALUES", 1)
    exact = Exact(photos)
    for query in QUERIES:
        true = exact.scores(query, admitted=admitted)
        for k in (1, 10, 500):
            assert_true(photos.search_vector(query, k=k, where=where), true, k)
            assert_exact(photos.search_vector(query, k=k, where=where, exact=True), true, k)
            if narrow and where is not None:
                assert_exact(photos.search_vector(query, k=k, where=where), true, k)


def test_the_answer_to_an_image_of_the_collection_leaves_it_out(photos: Collection) -> None:
    exact = Exact(photos)
    for key in (*keys_of(8, 300), *keys_of(4, ROWS)):  # in the index, and younger
        [image] = [match for match in photos.search_vector(vector_of(exact, key), k=3, exact=True) if match.key == key]
        others = exact.scores(vector_of(exact, key)[None])
        del others[key]
        found = photos.search_id(image.id)
        assert_true(found, others, 10)
        assert found.queries[0].key == key
        assert_exact(photos.search_id(image.id, exact=True), others, 10)
        assert len(photos.search_id(image.id, k=1)) == 1


def vector_of(exact: Exact, key: str) -> Vectors:
    vector: Vectors = exact.vectors[exact.keys.index(key)].astype(np.float32)
    return vector


def test_what_scores_less_than_wanted_is_left_out(photos: Collection) -> None:
    for query in QUERIES:
        found = photos.search_vector(query, k=10)
        least = found[4].score
        assert photos.search_vector(query, k=10, min_score=least) == [m for m in found if m.score >= least]


@pytest.mark.parametrize("k", [0, -1])
def test_k_has_to_be_positive(photos: Collection, k: int) -> None:
    with pytest.raises(UsageError, match=f"k={k}"):
        photos.search_vector(QUERIES[0], k=k)


@pytest.mark.parametrize("recall", [0, 1.01, -1, float("nan")])
def test_recall_has_to_be_a_share(photos: Collection, recall: float) -> None:
    with pytest.raises(UsageError, match="recall="):
        photos.search_vector(QUERIES[0], recall=recall)


def test_an_attribute_that_no_image_has_is_refused(photos: Collection) -> None:
    with pytest.raises(UsageError, match=r"colour.*price"):
        photos.search_vector(QUERIES[0], where=Where(attributes={"colour": "red"}))


@pytest.mark.parametrize("shape", [(23,), (25,), (1, 24)])
def test_a_query_of_another_dimension_is_refused(photos: Collection, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="24 dimensions"):
        photos.search_vector(np.ones(shape))


def test_a_query_of_another_dimension_is_refused_behind_the_facade_too(photos: Collection) -> None:
    request = Request(3)
    for shape in ((1, 23), (2, 25), (24,)):
        with pytest.raises(UsageError, match="24 dimensions"):
            photos._searcher.of_vectors(np.ones(shape, np.float32), request)


def test_an_index_over_images_that_are_all_gone_finds_the_younger_ones(photos: Collection) -> None:
    drop(photos, [key for key in Exact(photos).keys if key not in keys_of(100, ROWS)])
    exact = Exact(photos)
    assert len(exact.keys) == 90
    for query in QUERIES:
        assert_exact(photos.search_vector(query), exact.scores(query), 10)


# How hard it looks


@pytest.mark.usefixtures("points")
@pytest.mark.parametrize(
    ("k", "recall", "effort"),
    [
        (10, None, Effort(16, 100)),  # the promise was 0.95
        (10, 0.9, Effort(1, 1)),
        (10, 0.91, Effort(16, 100)),
        (10, 0.98, Effort(16, 100)),
        (10, 0.981, None),  # more than anything promises
        (10, 1, None),
        (1, 0.9, Effort(1, 10)),
        (5, 0.9, Effort(1, 2)),
        (11, 0.9, Effort(1, 100 / 11)),
        (100, 0.9, Effort(1, 1)),
        (101, 0.1, None),  # deeper than was measured
        (10**9, None, None),
    ],
)
def test_a_search_looks_as_hard_as_its_promise_needs_or_is_exact(
    tmp_path: Path, searches: Searches, k: int, recall: float | None, effort: Effort | None
) -> None:
    with create(tmp_path / "photos", DIM) as photos:
        stock(photos)
        exact = Exact(photos)
        for query in QUERIES:
            searches.efforts.clear()
            found = photos.search_vector(query, k=k, recall=recall)
            assert searches.efforts == ([] if effort is None else [effort])
            (assert_exact if effort is None else assert_true)(found, exact.scores(query), k)


@pytest.mark.usefixtures("points")
def test_an_exact_search_asks_no_index(photos: Collection, searches: Searches) -> None:
    id_ = photos.search_vector(QUERIES[0])[0].id
    assert searches.of(lambda: photos.search_vector(QUERIES[0], exact=True)) == []
    assert searches.of(lambda: photos.search_id(id_, exact=True)) == []
    assert searches.of(lambda: photos.search_id(id_)) == [Effort(16, 100)]  # as for ten, though it finds itself


@pytest.mark.usefixtures("points")
def test_of_what_a_filter_admits_as_many_are_looked_for_as_are_among_more_of_all(
    photos: Collection, monkeypatch: pytest.MonkeyPatch, searches: Searches
) -> None:
    """The 4 nearest of one image in five are among the 20 nearest of all, more or less."""
    monkeypatch.setattr(tuning, "_EXACT_VALUES", 1)
    live = len(photos)
    admitted = len(photos.search_vector(QUERIES[0], k=1000, where=Where(label="c"), exact=True))
    depth = 4 * live / admitted
    assert 10 < depth < 100
    where = Where(label="c")
    assert searches.of(lambda: photos.search_vector(QUERIES[0], k=4, where=where, recall=0.9)) == [
        Effort(1, 100 / depth)
    ]
    assert searches.of(lambda: photos.search_vector(QUERIES[0], k=60, where=where, recall=0.9)) == []


@pytest.mark.usefixtures("points")
def test_where_the_lists_that_were_looked_at_hold_too_few_the_search_is_exact(
    photos: Collection, monkeypatch: pytest.MonkeyPatch, searches: Searches
) -> None:
    monkeypatch.setattr(tuning, "_EXACT_VALUES", 1)
    exact = Exact(photos)
    far = [match for match in photos.search_vector(-QUERIES[0], k=200, exact=True) if match.key in keys_of(ROWS)][:90]
    where, admitted = Where(ids=[match.id for match in far]), {match.key for match in far}
    searches.efforts.clear()
    found = photos.search_vector(QUERIES[0], k=9, where=where, recall=0.9)
    assert searches.efforts == [Effort(1, pytest.approx(1, abs=0.2))]  # type: ignore[arg-type]
    assert_exact(found, exact.scores(QUERIES[0], admitted=lambda key: key in admitted), 9)


def test_without_an_index_a_recall_changes_nothing(tmp_path: Path) -> None:
    with create(tmp_path / "photos", DIM) as photos:
        put(photos, clustered(50, DIM, seed=1), keys_of(50))
        assert photos.search_vector(QUERIES[0], recall=0.5) == photos.search_vector(QUERIES[0], exact=True)


# Copies


def test_ten_thousand_copies_of_a_picture_share_one_vector_and_all_come_back(tmp_path: Path) -> None:
    """Here files that are alike byte for byte; the index knows one vector of them."""
    folder = tmp_path / "photos"
    for seed in range(60):
        draw(folder / f"{seed}.png", seed)
    with lookalike.create(folder, encoder=ColourEncoder()) as photos:
        photos.add(folder)
        [first] = photos.search(picture(7), k=1)
        row = photos._catalog.image(first.id)
        assert row is not None
        with photos._catalog.writing() as transaction:  # as adding so many files does, but sooner
            for number in range(9_999):
                transaction.put_image(f"copies/{number:05}.png", row.row, size=1, changed_ns=1, label="copies")
        photos.build(spec="IVF4,SQ8")
        assert (photos.info().images, photos.info().vectors) == (10_059, 60)
        found = photos.search(picture(7), k=10_000)
        assert {match.key for match in found} == {"7.png", *(f"copies/{number:05}.png" for number in range(9_999))}
        assert all(match.score == pytest.approx(1, abs=1e-3) for match in found)
        assert [match.key for match in photos.search(picture(7), k=10_001)[10_000:]] != []
        assert {match.label for match in photos.search(picture(7), k=20, where=Where(label="copies"))} == {"copies"}
        others = photos.search_id(first.id, k=10_000)
        assert first.id not in {match.id for match in others}
        assert sum(match.label == "copies" for match in others) == 9_999
        photos.remove(["copies"])
        assert photos.search(picture(7), k=1)[0].key == "7.png"
        assert photos.info().dead == 0


@pytest.mark.parametrize("spec", ["HNSW8", "HNSW8,SQ8", "IVF16,SQ8", "IVF16_HNSW8,PQ6x4fs"])
def test_different_files_with_the_same_vector_do_not_hide_the_others(tmp_path: Path, spec: str) -> None:
    """Copies fill each other's links in a graph, and whole lists; what cannot be reached is found exactly."""
    with create(tmp_path / "photos", DIM) as photos:
        put(photos, clustered(500, DIM, seed=1), keys_of(500))
        put(photos, QUERIES[:1].repeat(400, axis=0), keys_of(400, 500))
        put(photos, clustered(100, DIM, seed=3), keys_of(100, 900))
        photos.build(spec=spec, recall=0.9)
        exact = Exact(photos)
        for query in (*QUERIES, *exact.vectors[:5].astype(np.float32)):
            true = exact.scores(query)
            for k in (1, 10, 30):
                assert_true(photos.search_vector(query, k=k), true, k)
                assert_exact(photos.search_vector(query, k=k, recall=1), true, k)
        assert {match.key for match in photos.search_vector(QUERIES[0], k=400)} == set(keys_of(400, 500))


# Damage


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def unreadable(path: Path) -> None:
    """The system refuses to read it, as it would without permission or from a failing disk."""
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize("suffix", ["faiss", "json"])
@pytest.mark.parametrize(
    "damage",
    [flip, lambda path: os.truncate(path, 50), Path.unlink, unreadable],
    ids=["flipped", "cut", "gone", "unreadable"],
)
def test_with_a_damaged_index_searches_are_exact_and_say_so_once(
    photos: Collection, searches: Searches, suffix: str, damage: Callable[[Path], None]
) -> None:
    damage(photos.directory / "index" / f"000001.{suffix}")
    exact = Exact(photos)
    with reopened(photos) as other:
        searches.efforts.clear()
        with pytest.warns(DamagedIndexWarning, match=rf"000001\.{suffix}.*lookalike index") as told:
            answers = [other.search_vector(query) for query in QUERIES]
        for query, found in zip(QUERIES, answers, strict=True):
            assert_exact(found, exact.scores(query), 10)
        assert len(told) == 1
        assert searches.efforts == []
        threads = [threading.Thread(target=other.search_vector, args=(query,)) for query in QUERIES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        photos.build(spec="IVF16,Flat")
        assert searches.of(lambda: assert_true(other.search_vector(QUERIES[0]), exact.scores(QUERIES[0]), 10)) != []


def test_threads_that_meet_a_damaged_index_at_once_say_so_once(photos: Collection) -> None:
    flip(photos.directory / "index" / "000001.faiss")
    with reopened(photos) as other, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        together = threading.Barrier(6)

        def search(query: Vectors) -> None:
            together.wait()
            other.search_vector(query)

        threads = [threading.Thread(target=search, args=(query,)) for query in QUERIES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [type(each.message) for each in told] == [DamagedIndexWarning]


def test_a_collection_goes_on_with_the_index_that_it_has_read(photos: Collection, searches: Searches) -> None:
    """The file is damaged later; only who opens it anew can know."""
    photos.search_vector(QUERIES[0])
    flip(photos.directory / "index" / "000001.faiss")
    exact = Exact(photos)
    searches.efforts.clear()
    for query in QUERIES:
        assert_true(photos.search_vector(query), exact.scores(query), 10)
    assert len(searches.efforts) == len(QUERIES)


def test_while_images_come_and_go_a_damaged_index_is_given_up_at_once(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit in between is no reason to read it again and again."""
    flip(photos.directory / "index" / "000001.faiss")
    read, reads = generation.read_index, 0

    def read_index(*given: Any) -> Index:
        nonlocal reads
        reads += 1
        return read(*given)

    monkeypatch.setattr(generation, "read_index", read_index)
    with reopened(photos) as other:
        state, calls = other._catalog.state, 0

        def state_after_a_commit() -> State:
            nonlocal calls
            calls += 1
            if calls in (2, 4, 6):  # it was read in one state, and is about to be told from the next
                drop(photos, keys_of(1, 300 + calls))
            return state()

        monkeypatch.setattr(other._catalog, "state", state_after_a_commit)
        with pytest.warns(DamagedIndexWarning):
            found = other.search_vector(QUERIES[0])
    assert (reads, calls > 1) == (1, True)
    assert_exact(found, Exact(photos).scores(QUERIES[0]), 10)


def test_the_index_of_another_collection_never_answers(photos: Collection, tmp_path: Path, searches: Searches) -> None:
    with create(tmp_path / "other", DIM) as other:
        put(other, clustered(ROWS - 50, DIM, seed=9), keys_of(ROWS - 50))
        other.build(spec="IVF16,PQ6x4fs", recall=0.95)
        for name in ("000001.faiss", "000001.json"):
            shutil.copy(other.directory / "index" / name, photos.directory / "index" / name)
    exact = Exact(photos)
    searches.efforts.clear()
    with reopened(photos) as again:
        with pytest.warns(DamagedIndexWarning):
            answers = [again.search_vector(query) for query in QUERIES]
        for query, found in zip(QUERIES, answers, strict=True):
            assert_exact(found, exact.scores(query), 10)
    assert searches.efforts == []
    assert [("000001" in damage) for damage in photos.check()] == [True]


def test_a_damaged_vector_is_never_returned_though_the_index_finds_it(photos: Collection) -> None:
    exact = Exact(photos)
    key = keys_of(1, 400)[0]
    with photos._catalog._database.connection() as connection:
        (row,) = connection.execute("SELECT row FROM images WHERE key = ?", (key,)).fetchone()
    path = photos.directory / photos._catalog.state().vectors
    content = bytearray(path.read_bytes())
    content[81 + row * DIM * 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptError, match=f"row {row} is damaged"):
        photos.search_vector(vector_of(exact, key))
    assert len(photos.check()) == 1


# Readers and writers


def test_a_collection_that_is_open_elsewhere_sees_each_change_of_the_index(
    photos: Collection, searches: Searches
) -> None:
    with reopened(photos) as other:

        def both() -> None:
            exact = Exact(photos)
            for query in QUERIES[:2]:
                for collection in (photos, other):
                    assert_true(collection.search_vector(query), exact.scores(query), 10)
                    assert_exact(collection.search_vector(query, exact=True), exact.scores(query), 10)
            assert other.info().index == photos.info().index
            assert other.check() == []

        both()
        assert {effort.breadth for effort in searches.of(both)} != set()
        photos.build(spec="HNSW8")  # which compacts too
        assert searches.of(both) != []
        put(photos, clustered(30, DIM, seed=4), keys_of(30, 2000))
        both()
        drop(photos, keys_of(200, 300))
        photos.maintain()
        both()
        photos.build()  # none: there are too few
        assert other.info().index is None
        assert searches.of(both) == []
        photos.build(spec="IVF4,Flat")
        assert searches.of(both) != []


READER = """
import sys
import numpy as np
import lookalike
from tests.support.vector_collections import OfDimension

with lookalike.open(sys.argv[1], encoder=OfDimension(24)) as photos:
    for _ in sys.stdin:
        found = photos.search_vector(np.ones(24), exact=False)
        index = photos.info().index
        print(index and index.spec, len(photos), *(f"{match.key}={match.score:.4f}" for match in found), flush=True)
"""


def test_another_process_sees_each_change_of_the_index(photos: Collection) -> None:
    command = [sys.executable, "-W", "error", "-c", READER, str(photos.directory)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment()) as process:
        assert process.stdin
        assert process.stdout

        def told() -> str:
            assert process.stdin
            assert process.stdout
            process.stdin.write("\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        def expected() -> str:
            index = photos.info().index
            found = photos.search_vector(np.ones(DIM))
            return " ".join(
                [str(index and index.spec), str(len(photos)), *(f"{match.key}={match.score:.4f}" for match in found)]
            )

        seen = [told()]
        assert seen[-1] == expected()
        changes: list[Callable[[], object]] = [
            lambda: photos.build(spec="HNSW8"),
            lambda: drop(photos, keys_of(250, 300)),
            photos.maintain,
            lambda: put(photos, clustered(30, DIM, seed=4), keys_of(30, 2000)),
            lambda: photos.build(spec="Flat"),
            photos.build,
        ]
        for change in changes:
            change()
            seen.append(told())
            assert seen[-1] == expected()
        assert len({each.split()[0] for each in seen}) >= 4
        process.stdin.close()
        assert process.wait() == 0


def test_threads_search_while_another_adds_removes_builds_and_compacts(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stays is always found, with the right score and id; what is gone never is, once it was removed."""
    monkeypatch.setattr(maintenance, "_YOUNG_ROWS", 20)
    exact = Exact(photos)
    lasting = keys_of(12, 300)
    ids = {match.key: match.id for match in photos.search_vector(QUERIES[0], k=10**6)}
    done, errors = threading.Event(), []
    searched = [0] * 4

    def search(number: int, collection: Collection) -> None:
        try:
            while not done.is_set():
                for key in lasting:
                    [best] = collection.search_vector(vector_of(exact, key), k=1, exact=number % 2 == 0)
                    assert (best.key, best.id, round(best.score, 3)) == (key, ids[key], 1), best
                    searched[number] += 1
        except BaseException as error:
            errors.append(error)

    monkeypatch.setattr(
        tuning, "operating_points", lambda *_, **__: (OperatingPoint(10, Effort(1024, 90), 1, 0.99, 1),)
    )
    photos.build(spec="IVF16,SQ8")
    with reopened(photos) as other:
        threads = [threading.Thread(target=search, args=(number, (photos, other)[number // 2])) for number in range(4)]
        for thread in threads:
            thread.start()
        gone = [key for key in exact.keys if key not in lasting]
        for turn in range(8):
            keys = keys_of(30, 3000 + 30 * turn)
            put(photos, clustered(30, DIM, seed=20 + turn), keys)
            photos.maintain()
            drop(photos, gone[70 * turn : 70 * (turn + 1)])
            photos.build(spec=("IVF16,SQ8", "HNSW8", None, "Flat")[turn % 4])
            assert not {match.key for match in photos.search_vector(QUERIES[0], k=2000)} & set(gone[: 70 * (turn + 1)])
        done.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert min(searched) > 0
    assert photos.check() == []


def test_a_check_at_the_same_time_as_a_compaction_finds_no_damage(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows have other numbers all of a sudden, and its file another name."""
    with reopened(photos) as other:
        crc32s = other._catalog.crc32s
        compacted: list[Generation | None] = []

        def compact_first(*given: int) -> object:
            if not compacted:
                compacted.append(photos.build(spec="Flat"))
            return crc32s(*given)

        monkeypatch.setattr(other._catalog, "crc32s", compact_first)
        assert other.check() == []
        assert compacted != []
        assert other.info().dead == 0
