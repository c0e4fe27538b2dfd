"""Searches of a collection whose index, or a vector, is damaged."""

import os
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lookalike import Collection, Hint
from lookalike.errors import CorruptError, DamagedIndexWarning
from lookalike.index import generation
from lookalike.index.faiss_index import Index
from lookalike.storage.records import State
from lookalike.storage.vectors import Vectors
from tests.support.indexed_collections import flip
from tests.support.searched_collections import DIM, QUERIES, QUICK, ROWS, SPEC, RecordedSearches, vector_of
from tests.support.vector_collections import (
    Exact,
    assert_exact,
    assert_true,
    clustered,
    create,
    drop,
    keys_of,
    put,
    reopened,
)


def make_unreadable(path: Path) -> None:
    """Makes the system refuse to read it, as it would without permission or from a failing disk."""
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize("suffix", ["faiss", "json"])
@pytest.mark.parametrize(
    "damage",
    [flip, lambda path: os.truncate(path, 50), Path.unlink, make_unreadable],
    ids=["flipped", "cut", "gone", "unreadable"],
)
def test_with_a_damaged_index_searches_are_exact_and_say_so_once(
    indexed: Collection, searches: RecordedSearches, suffix: str, damage: Callable[[Path], None]
) -> None:
    path = indexed.directory / "index" / f"000001.{suffix}"
    damage(path)
    exact = Exact(indexed)
    with reopened(indexed) as other:
        searches.parameters.clear()
        with pytest.warns(DamagedIndexWarning, match=rf"000001\.{suffix}") as raised:
            answers = [other.search_vector(query) for query in QUERIES]
        for query, found in zip(QUERIES, answers, strict=True):
            assert_exact(found, exact.scores(query), 10)
        [warning] = [each.message for each in raised]
        assert isinstance(warning, DamagedIndexWarning)
        assert warning.message.startswith(f"{path}: ")
        assert warning.hints == (Hint("maintain", {"path": str(indexed.folder)}),)
        assert str(warning).endswith(f"lookalike.open({str(indexed.folder)!r}).maintain()")
        assert searches.parameters == []
        threads = [threading.Thread(target=other.search_vector, args=(query,)) for query in QUERIES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        indexed.build(spec="IVF16,Flat")
        assert searches.of(lambda: assert_true(other.search_vector(QUERIES[0]), exact.scores(QUERIES[0]), 10)) != []


def test_threads_that_meet_a_damaged_index_at_once_warn_once(indexed: Collection) -> None:
    flip(indexed.directory / "index" / "000001.faiss")
    with reopened(indexed) as other, warnings.catch_warnings(record=True) as raised:
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
        assert [type(each.message) for each in raised] == [DamagedIndexWarning]


def test_a_collection_goes_on_with_the_index_that_it_has_read(indexed: Collection, searches: RecordedSearches) -> None:
    """The file is damaged later, which only a collection that is opened anew can notice."""
    indexed.search_vector(QUERIES[0])
    flip(indexed.directory / "index" / "000001.faiss")
    exact = Exact(indexed)
    searches.parameters.clear()
    for query in QUERIES:
        assert_true(indexed.search_vector(query), exact.scores(query), 10)
    assert len(searches.parameters) == len(QUERIES)


def test_commits_meanwhile_do_not_make_it_read_a_damaged_index_again(
    indexed: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(indexed.directory / "index" / "000001.faiss")
    read, reads = generation.read_index, 0

    def counting(*given: Any) -> Index:
        nonlocal reads
        reads += 1
        return read(*given)

    monkeypatch.setattr(generation, "read_index", counting)
    with reopened(indexed) as other:
        reading, calls = other._catalog.reading, 0

        @contextmanager
        def reading_after_a_commit() -> Iterator[State]:
            nonlocal calls
            calls += 1
            if calls in (2, 4, 6):  # the index was read in one state, and is compared with the next
                drop(indexed, keys_of(1, 300 + calls))
            with reading() as state:
                yield state

        monkeypatch.setattr(other._catalog, "reading", reading_after_a_commit)
        with pytest.warns(DamagedIndexWarning):
            found = other.search_vector(QUERIES[0])
    assert (reads, calls > 1) == (1, True)
    assert_exact(found, Exact(indexed).scores(QUERIES[0]), 10)


def test_the_index_of_another_collection_never_answers(
    indexed: Collection, tmp_path: Path, searches: RecordedSearches
) -> None:
    with create(tmp_path / "other", DIM, QUICK) as other:
        put(other, clustered(ROWS - 50, DIM, seed=9), keys_of(ROWS - 50))
        other.build(spec=SPEC, recall=0.95)
        for name in ("000001.faiss", "000001.json"):
            shutil.copy(other.directory / "index" / name, indexed.directory / "index" / name)
    exact = Exact(indexed)
    searches.parameters.clear()
    with reopened(indexed) as again:
        with pytest.warns(DamagedIndexWarning):
            answers = [again.search_vector(query) for query in QUERIES]
        for query, found in zip(QUERIES, answers, strict=True):
            assert_exact(found, exact.scores(query), 10)
    assert searches.parameters == []
    assert [("000001" in damage) for damage in indexed.check()] == [True]


def test_a_damaged_vector_is_never_returned_though_the_index_finds_it(indexed: Collection) -> None:
    exact = Exact(indexed)
    key = keys_of(1, 400)[0]
    with indexed._catalog._database.connection() as connection:
        (row,) = connection.execute("SELECT row FROM images WHERE key = ?", (key,)).fetchone()
    path = indexed.directory / indexed._catalog.state().vectors
    content = bytearray(path.read_bytes())
    content[81 + row * DIM * 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptError, match=f"row {row} is damaged"):
        indexed.search_vector(vector_of(exact, key))
    assert len(indexed.check()) == 1
