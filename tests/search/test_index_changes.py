"""Searches while the index is built, maintained and compacted: by other collections, processes and threads."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from lookalike import Collection, MaintenancePolicy, Policies
from lookalike.index.generation import Generation
from lookalike.index.operating_point import OperatingPoint, SearchParameters
from lookalike.index.tuning import Tuner
from lookalike.search.snapshot import Snapshot, Snapshots
from tests.support.project import environment
from tests.support.searched_collections import DIM, QUERIES, QUICK, RecordedSearches, stocked, vector_of
from tests.support.vector_collections import (
    Exact,
    assert_exact,
    assert_true,
    clustered,
    drop,
    keys_of,
    put,
    reopened,
)

YOUNG_JOIN_SOON = Policies(QUICK.tuning, MaintenancePolicy(young_rows=20, check_queries=20))


def test_a_collection_that_is_open_elsewhere_sees_each_index(indexed: Collection, searches: RecordedSearches) -> None:
    with reopened(indexed) as other:

        def both() -> None:
            exact = Exact(indexed)
            for query in QUERIES[:2]:
                for collection in (indexed, other):
                    assert_true(collection.search_vector(query), exact.scores(query), 10)
                    assert_exact(collection.search_vector(query, exact=True), exact.scores(query), 10)
            assert other.info().index == indexed.info().index
            assert other.check() == []

        both()
        assert {parameters.nprobe for parameters in searches.of(both)} != set()
        indexed.build(spec="HNSW8")  # which compacts too
        assert searches.of(both) != []
        put(indexed, clustered(30, DIM, seed=4), keys_of(30, 2000))
        both()
        drop(indexed, keys_of(200, 300))
        indexed.maintain()
        both()
        indexed.build()  # none: there are too few
        assert other.info().index is None
        both()  # the first search goes by the state before, and again by this one
        assert searches.of(both) == []
        indexed.build(spec="IVF4,Flat")
        assert searches.of(both) != []


def test_a_search_goes_by_the_state_before_until_that_has_changed(
    indexed: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[None] = []
    current = Snapshots.current

    def counted(snapshots: Snapshots, **given: bool) -> AbstractContextManager[Snapshot]:
        looks.append(None)
        return current(snapshots, **given)

    monkeypatch.setattr(Snapshots, "current", counted)
    indexed.search_vector(QUERIES[0])
    looks.clear()
    indexed.search_vector(QUERIES[0])
    assert looks == []
    put(indexed, QUERIES[:1], ["the query itself"])
    assert indexed.search_vector(QUERIES[0])[0].key == "the query itself"
    assert len(looks) >= 1


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


def test_another_process_sees_each_change_of_the_index(indexed: Collection) -> None:
    command = [sys.executable, "-W", "error", "-c", READER, str(indexed.directory)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment()) as process:
        assert process.stdin
        assert process.stdout

        def reported() -> str:
            assert process.stdin
            assert process.stdout
            process.stdin.write("\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        def expected() -> str:
            index = indexed.info().index
            found = indexed.search_vector(np.ones(DIM))
            return " ".join(
                [str(index and index.spec), str(len(indexed)), *(f"{match.key}={match.score:.4f}" for match in found)]
            )

        seen = [reported()]
        assert seen[-1] == expected()
        changes: list[Callable[[], object]] = [
            lambda: indexed.build(spec="HNSW8"),
            lambda: drop(indexed, keys_of(250, 300)),
            indexed.maintain,
            lambda: put(indexed, clustered(30, DIM, seed=4), keys_of(30, 2000)),
            lambda: indexed.build(spec="Flat"),
            indexed.build,
        ]
        for change in changes:
            change()
            seen.append(reported())
            assert seen[-1] == expected()
        assert len({each.split()[0] for each in seen}) >= 4
        process.stdin.close()
        assert process.wait() == 0


@pytest.mark.usefixtures("quick")
def test_threads_search_while_another_adds_removes_builds_and_compacts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lasting images are always found, with the right score and id; removed ones never are."""
    with stocked(tmp_path / "photos", policies=YOUNG_JOIN_SOON) as photos:
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

        everything = OperatingPoint(10, SearchParameters(1024, 90), 1, 0.99, 1)
        monkeypatch.setattr(Tuner, "points", lambda *_, **__: (everything,))
        photos.build(spec="IVF16,SQ8")
        with reopened(photos) as other:
            collections = (photos, photos, other, other)
            threads = [threading.Thread(target=search, args=each) for each in enumerate(collections)]
            for thread in threads:
                thread.start()
            gone = [key for key in exact.keys if key not in lasting]
            for turn in range(8):
                put(photos, clustered(30, DIM, seed=20 + turn), keys_of(30, 3000 + 30 * turn))
                photos.maintain()
                drop(photos, gone[70 * turn : 70 * (turn + 1)])
                photos.build(spec=("IVF16,SQ8", "HNSW8", None, "Flat")[turn % 4])
                found = {match.key for match in photos.search_vector(QUERIES[0], k=2000)}
                assert not found & set(gone[: 70 * (turn + 1)])
            done.set()
            for thread in threads:
                thread.join()
        assert errors == []
        assert min(searched) > 0
        assert photos.check() == []


def test_a_check_during_a_compaction_finds_no_damage(indexed: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compaction renumbers the rows and replaces the file."""
    with reopened(indexed) as other:
        crc32s = other._catalog.crc32s
        compacted: list[Generation | None] = []

        def compact_first(rows: Sequence[int]) -> dict[int, int]:
            if not compacted:
                compacted.append(indexed.build(spec="Flat"))
            return crc32s(rows)

        monkeypatch.setattr(other._catalog, "crc32s", compact_first)
        assert other.check() == []
        assert compacted != []
        assert other.info().dead == 0
