"""A search holds no read transaction while it searches: a writer may commit meanwhile, and answers stay true."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike import Collection
from lookalike.errors import StorageError
from lookalike.search import searcher
from lookalike.search.options import SearchOptions
from lookalike.storage import sqlite
from lookalike.storage.mapped_vectors import MappedVectors
from tests.support.vector_collections import Exact, assert_exact, clustered, create, drop, keys_of, put, reopened

ROWS, DIM = 60, 24
QUERY = clustered(1, DIM, seed=3)


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Collection]:
    with create(tmp_path / "photos", DIM) as collection:
        put(collection, clustered(ROWS, DIM, seed=1), keys_of(ROWS))
        yield collection


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch, photos: Collection) -> Callable[[Callable[[Collection], object]], None]:
    """Has something done by another writer, in a thread of its own, in the midst of the first search."""
    monkeypatch.setattr(sqlite, "_BUSY_TIMEOUT_S", 0.2)  # a writer that has to wait for the search fails soon
    search, done = MappedVectors.search, threading.Event()

    def arrange(work: Callable[[Collection], object]) -> None:
        def write(failed: list[BaseException]) -> None:
            try:
                with reopened(photos) as other:
                    work(other)
            except BaseException as error:
                failed.append(error)

        def interrupted(self: MappedVectors, *arguments: Any, **options: Any) -> Any:
            found = search(self, *arguments, **options)
            if not done.is_set():
                done.set()
                failed: list[BaseException] = []
                writer = threading.Thread(target=write, args=[failed])
                writer.start()
                writer.join()
                assert failed == []
            return found

        monkeypatch.setattr(MappedVectors, "search", interrupted)

    return arrange


def lose_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the first answer taken, whatever changes meanwhile."""
    monkeypatch.setattr(searcher, "_PATIENCE_S", -1.0)
    monkeypatch.setattr(searcher, "_HELD_S", -1.0)


def nearest_keys(collection: Collection, k: int = 10) -> list[str]:
    return [match.key for match in collection.search_vector(QUERY[0], k=k, exact=True)]


def test_a_writer_commits_during_a_search_which_is_then_repeated(photos: Collection, meanwhile: Any) -> None:
    new = np.concatenate([QUERY, clustered(4, DIM, seed=9)])
    meanwhile(lambda other: put(other, new, keys_of(5, ROWS)))
    found = photos.search_vector(QUERY[0], k=10)
    assert found[0].key == keys_of(1, ROWS)[0]
    assert_exact(found, Exact(photos).scores(QUERY), 10)


def test_an_image_deleted_during_a_search_is_not_returned(photos: Collection, meanwhile: Any) -> None:
    best = nearest_keys(photos)
    meanwhile(lambda other: drop(other, best[:3]))
    found = photos.search_vector(QUERY[0], k=10)
    assert not {match.key for match in found} & set(best[:3])
    assert_exact(found, Exact(photos).scores(QUERY), 10)


def test_a_search_without_patience_leaves_out_what_was_deleted(
    photos: Collection, meanwhile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what a long search of many queries does."""
    lose_patience(monkeypatch)
    best = nearest_keys(photos)
    meanwhile(lambda other: drop(other, best[:3]))
    assert [match.key for match in photos.search_vector(QUERY[0], k=10)] == best[3:]


@pytest.mark.parametrize("patient", [True, False])
def test_a_compaction_during_a_search_never_mixes_up_rows(
    photos: Collection, meanwhile: Any, monkeypatch: pytest.MonkeyPatch, patient: bool
) -> None:
    if not patient:
        lose_patience(monkeypatch)
    drop(photos, nearest_keys(photos)[1:6])
    meanwhile(lambda other: other.build(spec="Flat"))
    assert_exact(photos.search_vector(QUERY[0], k=10, exact=True), Exact(photos).scores(QUERY), 10)


def test_a_filter_is_applied_to_the_state_that_names_the_images(photos: Collection, meanwhile: Any) -> None:
    from lookalike import Where

    meanwhile(lambda other: put(other, QUERY, ["a/new.jpg"]))
    found = photos.search_vector(QUERY[0], k=5, where=Where(label="a"))
    assert found[0].key == "a/new.jpg"
    assert_exact(found, Exact(photos).scores(QUERY, admitted=lambda key: key.startswith("a/")), 5)


def test_search_by_id_finds_the_image_although_others_are_written(photos: Collection, meanwhile: Any) -> None:
    meanwhile(lambda other: put(other, clustered(5, DIM, seed=7), keys_of(5, ROWS)))
    found = photos.search_id(7, k=10)
    vector = Exact(photos).vectors[Exact(photos).keys.index(keys_of(ROWS)[6])]
    true = Exact(photos).scores(vector[None].astype(np.float32), admitted=lambda key: key != keys_of(ROWS)[6])
    assert_exact(found, true, 10)


def test_a_short_search_that_is_always_overtaken_gets_a_transaction(
    photos: Collection, meanwhile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer belongs to one state; a writer waits where a reader keeps it out (not with a write-ahead log)."""
    monkeypatch.setattr(searcher, "_PATIENCE_S", -1.0)
    attempts: list[bool] = []

    def write(other: Collection) -> None:
        attempts.append(True)
        with suppress(StorageError):
            drop(other, best[:3])

    best = nearest_keys(photos)
    meanwhile(write)
    assert [match.key for match in photos.search_vector(QUERY[0], k=10)] == best
    assert attempts == [True]


def test_a_search_of_many_queries_never_keeps_a_writer_out(
    photos: Collection, meanwhile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short the attempts before were, which ended at the first query."""
    monkeypatch.setattr(searcher, "_PATIENCE_S", -1.0)
    best = nearest_keys(photos)
    meanwhile(lambda other: drop(other, best[:3]))
    answers = photos._searcher.by_vectors(QUERY.repeat(501, axis=0), SearchOptions(k=10))
    assert [[match.key for match in answer] for answer in answers] == [best[3:]] * 501
