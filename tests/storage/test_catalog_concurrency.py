"""Several connections to one catalog: in threads, in other catalogs, and in processes."""

import contextlib
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lookalike.storage.catalog import Catalog
from tests.support.catalogs import GivenUpError, fill, fill_many, keys_of, put


def test_a_reader_sees_one_state_while_another_commits(journaled: Catalog) -> None:
    other = Catalog(journaled.path)
    with journaled.reading() as state:
        assert (state.count, state.changes, keys_of(journaled)) == (1, 1, ["first"])
        commit = threading.Thread(target=fill, args=(other, ["second"]))
        commit.start()
        commit.join(0.3)  # with a rollback journal it waits for this reader
        with journaled._database.connection() as connection:
            assert journaled._state(connection) == state
        assert (journaled.totals().vectors, keys_of(journaled)) == (1, ["first"])
    commit.join()
    state = journaled.state()
    assert (state.count, state.changes, keys_of(journaled)) == (2, 2, ["first", "second"])
    other.close()


def test_what_is_not_committed_is_seen_by_nobody_else(journaled: Catalog) -> None:
    with ThreadPoolExecutor(1) as another:
        with contextlib.suppress(GivenUpError), journaled.writing() as transaction:
            transaction.remove(["first"])
            assert another.submit(keys_of, journaled).result() == ["first"]
            raise GivenUpError
        assert keys_of(journaled) == another.submit(keys_of, journaled).result() == ["first"]


@pytest.mark.parametrize("work", ["compact", "set_attributes"])
def test_a_transaction_larger_than_the_cache_shuts_no_reader_out(journaled: Catalog, work: str) -> None:
    fill_many(journaled, 5000)
    with journaled._database.connection() as connection:
        connection.execute("PRAGMA cache_size = 10")  # pages
    before, other = journaled.totals(), Catalog(journaled.path)
    with other._database.connection() as connection:
        connection.execute("PRAGMA busy_timeout = 0")
    with journaled.writing() as transaction:
        if work == "compact":
            transaction.compact("vectors.000001.faiss")
        else:
            for number in range(5000):
                transaction.set_attributes(f"{number:04}", {"text": "long " * 20})
        assert other.totals() == before
        assert other.state().vectors == "vectors.faiss"
    assert other.totals() == journaled.totals()
    assert journaled.damage() is None
    other.close()


def test_each_commit_is_on_the_disk_when_it_returns(synced: None, journaled: Catalog) -> None:
    """SQLite calls that EXTRA; the connection of every thread has it."""
    with ThreadPoolExecutor(1) as another:
        for synchronous in (synchronous_of(journaled), another.submit(synchronous_of, journaled).result()):
            assert synchronous == 3


def synchronous_of(catalog: Catalog) -> int:
    with catalog._database.connection() as connection:
        return int(connection.execute("PRAGMA synchronous").fetchone()[0])


def test_threads_write_and_read_through_connections_of_their_own(journaled: Catalog) -> None:
    connections: dict[int, sqlite3.Connection] = {}

    def work(number: int) -> None:
        with journaled._database.connection() as connection:
            connections[number] = connection
        for turn in range(3):
            with journaled.writing() as transaction:
                put(transaction, f"{number}/{turn}", 0)
            assert f"{number}/{turn}" in keys_of(journaled)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, connections.values()))) == 4
    assert len(keys_of(journaled)) == 1 + 4 * 3
    assert journaled.state().changes == 1 + 4 * 3


def test_connections_of_threads_that_have_ended_are_closed(catalog: Catalog) -> None:
    used: list[sqlite3.Connection] = []

    def work() -> None:
        with catalog._database.connection() as connection:
            used.append(connection)

    for _ in range(10):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    still_open = [connection for connection in used if is_open(connection)]
    assert len(still_open) <= 1  # the last one's, until there is another


def is_open(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def test_a_closed_catalog_opens_its_file_again_when_it_is_used(catalog: Catalog) -> None:
    fill(catalog, ["a"])
    with catalog._database.connection() as before:
        pass
    catalog.close()
    assert not is_open(before)
    assert keys_of(catalog) == ["a"]


def test_what_is_closed_while_it_is_used_is_not_called_damaged(catalog: Catalog) -> None:
    with catalog._database.connection() as connection:
        connection.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        catalog.totals()


def test_a_forked_process_gets_connections_of_its_own(tmp_path: Path) -> None:
    """In the midst of the parent's transaction it reads what is committed, and its end disturbs nothing."""
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path)
    program = """if True:
        import os, sys
        from pathlib import Path
        from lookalike.images.reading import FileStatus
        from lookalike.storage.catalog import Catalog
        catalog = Catalog(Path(sys.argv[1]))

        def put(key):
            with catalog.writing() as transaction:
                transaction.put_image(key, 0, FileStatus(1, 2, 3))

        with catalog.writing() as transaction:
            transaction.add_vector(0, b"0" * 32, 0, width=1, height=1)
        with catalog.writing() as transaction:
            transaction.put_image("parent", 0, FileStatus(1, 2, 3))
            if not os.fork():
                assert catalog.totals().images == 0
                os._exit(0)  # as multiprocessing does
            assert os.wait()[1] == 0
            assert catalog.totals().images == 1
        if not os.fork():
            assert catalog.totals().images == 1
            put("child")
            sys.exit(0)  # with all that Python does at the end
        assert os.wait()[1] == 0
        put("parent again")
        print([known.key for known in catalog.known_files()], catalog.damage())
    """
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert (done.stderr, done.stdout) == ("", "['child', 'parent', 'parent again'] None\n")
