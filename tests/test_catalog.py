"""The catalog: a dictionary to whoever asks, committed states only, and an error that fits where its file does not."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike import database
from lookalike.catalog import Catalog, Known, Totals, Transaction
from lookalike.database import _wal_is_safe
from lookalike.errors import CorruptError, IncompatibleError, StorageError


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """An empty one."""
    Catalog.create(tmp_path / "catalog.sqlite")
    catalog = Catalog(tmp_path / "catalog.sqlite")
    yield catalog
    catalog.close()


def put(transaction: Transaction, key: str, row: int, *, label: str | None = None) -> None:
    transaction.put_image(key, row, size=1, changed_ns=2, label=label)


def add_vector(transaction: Transaction, row: int) -> None:
    transaction.add_vector(row, bytes([row]) * 32, 1000 + row, width=row, height=row + 1)


def fill(catalog: Catalog, keys: list[str]) -> None:
    """One image with a vector of its own for each key, behind those that are there."""
    first = catalog.count()
    with catalog.writing() as transaction:
        for row, key in enumerate(keys, first):
            add_vector(transaction, row)
            put(transaction, key, row)


def keys_of(catalog: Catalog) -> list[str]:
    return [known.key for known in catalog.known("", limit=10_000)]


# Against a dictionary

ODD_NAMES = (
    *(
        "a",
        "a.b",
        "a/b",
        "a/b.jpg",
        "a/c/d",
        "a0",
        "a!",
        "A",
        "aa",
        "ü",
        "a\nb",
        "a'b",
        'a"b',
        "a;--",
        "a%",
        "a_",
        "a*b",
    ),
    *("/", "/a", "/a/b", "//", " ", "a/ü", "日本", "😀"),
    *map(os.fsdecode, (b"\xff", b"\xff" * 9 + b".jpg", b"a/\xff\xfe", b"a/\xff", b"\x80/b", b"\xed\xa0\x80", b"a\xc3")),
)
KEYS = (
    st.sampled_from(ODD_NAMES[:4])
    | st.sampled_from(ODD_NAMES)
    | st.binary(min_size=1, max_size=5).map(lambda name: os.fsdecode(name.replace(b"\0", b"0")))
)
NUMBERS = st.integers(-1, 2**63 - 1)
PUT = st.tuples(st.just("put"), KEYS, st.integers(0, 5), NUMBERS, NUMBERS, st.none() | KEYS)
SKIP = st.tuples(st.just("skip"), KEYS, st.sampled_from(["truncated", 'it\'s \n "odd"']), NUMBERS, NUMBERS)
REMOVE = st.tuples(st.just("remove"), st.lists(KEYS, max_size=4))
RENAME = st.tuples(st.just("rename"), KEYS)
OPERATIONS = st.one_of(PUT, PUT, PUT, SKIP, REMOVE, RENAME, RENAME)
COMMITS = st.lists(st.tuples(st.lists(OPERATIONS, min_size=1, max_size=8), st.booleans()), min_size=1, max_size=6)


@dataclass(frozen=True)
class Entry:
    id: int
    row: int
    size: int
    changed_ns: int
    label: str | None


@dataclass
class Model:
    """What a catalog is to hold."""

    images: dict[str, Entry] = field(default_factory=dict)
    skipped: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    vectors: dict[int, int] = field(default_factory=dict)  # row by hash
    ids: set[int] = field(default_factory=set)  # that were ever given
    newest: int = 0

    def known(self) -> list[Known]:
        images = [Known(key, entry.size, entry.changed_ns, False) for key, entry in self.images.items()]
        skipped = [Known(key, size, time, True) for key, (_, size, time) in self.skipped.items()]
        return sorted(images + skipped, key=lambda known: os.fsencode(known.key))

    def dead(self) -> list[int]:
        return sorted(set(self.vectors.values()) - {entry.row for entry in self.images.values()})


def apply(operation: tuple[Any, ...], transaction: Transaction, model: Model) -> None:
    """Does the same to both, and compares what comes back."""
    match operation:
        case ("put", key, hash_, size, changed_ns, label):
            row = model.vectors.get(hash_)
            if row is None:
                row = model.vectors[hash_] = len(model.vectors)
                add_vector_with_hash(transaction, row, hash_)
            before = model.images.get(key)
            result = transaction.put_image(key, row, size=size, changed_ns=changed_ns, label=label)
            assert result == (before.row if before else None)
            model.skipped.pop(key, None)
            model.images[key] = Entry(before.id if before else 0, row, size, changed_ns, label)
            if not before:
                [(id_,)] = transaction._connection.execute("SELECT MAX(id) FROM images")
                assert id_ not in model.ids
                model.ids.add(id_)
                model.images[key] = replace(model.images[key], id=id_)
        case ("skip", key, reason, size, changed_ns):
            assert transaction.put_skipped(key, reason, size=size, changed_ns=changed_ns) == (key in model.images)
            model.images.pop(key, None)
            model.skipped[key] = (reason, size, changed_ns)
        case ("remove", keys):
            assert transaction.remove(keys) == len(set(keys) & set(model.images))
            for key in keys:
                model.images.pop(key, None)
                model.skipped.pop(key, None)
        case ("rename", key):
            old = model.images.get(key)
            names = [
                (entry.id, name)
                for name, entry in model.images.items()
                if old and entry.row == old.row and entry.id > model.newest and name != key
            ]
            assert transaction.rename(key, model.newest) == bool(names)
            if old and names:
                _, name = min(names)
                model.images[name] = replace(model.images[name], id=model.images.pop(key).id)


def add_vector_with_hash(transaction: Transaction, row: int, hash_: int) -> None:
    transaction.add_vector(row, bytes([hash_]) * 32, 1000 + row, width=row, height=row + 1)


def pages(catalog: Catalog, within: str, limit: int) -> list[Known]:
    """Everything below `within`, a page at a time."""
    found: list[Known] = []
    while page := catalog.known(within, os.fsencode(found[-1].key) if found else b"", limit=limit):
        assert len(page) <= limit
        found += page
    return found


def assert_same(catalog: Catalog, model: Model) -> None:
    assert catalog.totals() == Totals(
        images=len(model.images), vectors=len(model.vectors), dead=len(model.dead()), skipped=len(model.skipped)
    )
    assert catalog.count() == len(model.vectors)
    assert catalog.dead_rows() == model.dead()
    for limit in (1, 3, 1000):
        assert pages(catalog, "", limit) == [known for known in model.known() if not known.key.startswith("/")]
        for folder in ("a", "/", "/a", os.fsdecode(b"\x80")):
            below = f"{folder.rstrip('/')}/"
            expected = [known for known in model.known() if known.key.startswith(below) and known.key != below]
            assert pages(catalog, folder, limit) == expected
    for known in model.known():
        assert catalog.known_file(known.key) == known
    assert catalog.known_file("nothing of that name") is None
    assert list(catalog.skipped()) == [
        (known.key, model.skipped[known.key][0]) for known in model.known() if known.skipped
    ]
    for hash_, row in model.vectors.items():
        assert catalog.row_of(bytes([hash_]) * 32) == row
        assert catalog.crc32(row) == 1000 + row
        of_row = sorted((key for key, entry in model.images.items() if entry.row == row), key=os.fsencode)
        assert [image.key for image in catalog.images_of(row)] == of_row
        assert [image.key for image in catalog.images_of(row, limit=1)] == of_row[:1]
    assert catalog.row_of(b"\xff" * 32) is None
    assert catalog.crc32(99) is None
    assert catalog.image(10**9) is None
    assert catalog.crc32s(1, 4) == {row: 1000 + row for row in range(1, 4) if row < len(model.vectors)}
    for key, entry in model.images.items():
        image = catalog.image(entry.id)
        assert image
        assert (image.id, image.key, image.row, image.label) == (entry.id, key, entry.row, entry.label)
        assert (image.width, image.height) == (entry.row, entry.row + 1)
    assert catalog.newest_id() == max((entry.id for entry in model.images.values()), default=0)
    assert catalog.damage() is None


class GivenUpError(Exception):
    """Ends a transaction that is to leave no trace."""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty catalog, to be copied."""
    path = tmp_path_factory.mktemp("catalog") / "empty.sqlite"
    Catalog.create(path)
    return path


@settings(max_examples=150, deadline=None)
@given(commits=COMMITS)
def test_it_holds_what_a_dictionary_would(empty: Path, commits: list[tuple[list[Any], bool]]) -> None:
    """Put, replace, remove, skip and rename, in transactions that are kept or given up, under any names."""
    path = empty.with_name("catalog.sqlite")
    shutil.copyfile(empty, path)
    model = Model()
    with mock.patch.object(database, "_set_durability"):  # loss of power is not what is tried here
        catalog = Catalog(path)
        for operations, kept in commits:
            changes, draft = catalog.changes(), copy(model)
            draft.newest = catalog.newest_id()
            try:
                with catalog.writing() as transaction:
                    for operation in operations:
                        apply(operation, transaction, draft)
                    if not kept:
                        raise GivenUpError
            except GivenUpError:
                assert catalog.changes() == changes
            else:
                model = draft
                assert catalog.changes() > changes
            assert_same(catalog, model)
        catalog.close()


def copy(model: Model) -> Model:
    return Model(dict(model.images), dict(model.skipped), dict(model.vectors), set(model.ids), model.newest)


def test_copies_share_a_row_which_is_dead_when_the_last_of_them_is_gone(catalog: Catalog) -> None:
    with catalog.writing() as transaction:
        add_vector(transaction, 0)
        for key in ("one", "two"):
            put(transaction, key, 0)
    assert [image.key for image in catalog.images_of(0)] == ["one", "two"]
    for key, dead in (("one", []), ("two", [0])):
        with catalog.writing() as transaction:
            transaction.remove([key])
        assert catalog.dead_rows() == dead
    with catalog.writing() as transaction:
        put(transaction, "three", 0)
    assert catalog.dead_rows() == []


def test_the_id_of_an_image_that_was_removed_is_not_given_again(catalog: Catalog) -> None:
    fill(catalog, ["a", "b"])
    with catalog.writing() as transaction:
        transaction.remove(["b"])
    fill(catalog, ["c"])
    assert [image.id for row in range(3) for image in catalog.images_of(row)] == [1, 3]


def test_a_renamed_image_keeps_its_id_and_has_the_rest_of_the_new_one(catalog: Catalog) -> None:
    fill(catalog, ["old"])
    newest = catalog.newest_id()
    with catalog.writing() as transaction:
        transaction.put_image("new/name", 0, size=7, changed_ns=8, label="new")
        assert transaction.rename("old", newest)
    [image] = catalog.images_of(0)
    assert (image.id, image.key, image.label) == (1, "new/name", "new")
    assert catalog.known("") == [Known("new/name", 7, 8, skipped=False)]


def test_an_image_that_is_new_itself_is_not_taken_for_the_one_that_it_was_renamed_to(catalog: Catalog) -> None:
    with catalog.writing() as transaction:
        add_vector(transaction, 0)
        put(transaction, "new", 0)
        assert not transaction.rename("new", 0)
    assert keys_of(catalog) == ["new"]


def test_any_sqlite_tool_shows_the_keys(catalog: Catalog) -> None:
    fill(catalog, ["plain.jpg", "with 'quote'.jpg", "ü.jpg"])
    connection = sqlite3.connect(catalog.path)
    assert [key for (key,) in connection.execute("SELECT key FROM images ORDER BY key")] == keys_of(catalog)
    connection.close()


# Several connections


@pytest.fixture(params=["wal", "delete"])
def journaled(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """A catalog with either journal, holding one image."""
    monkeypatch.setattr(database, "_WAL_IS_SAFE", request.param == "wal")
    Catalog.create(tmp_path / "catalog.sqlite")
    catalog = Catalog(tmp_path / "catalog.sqlite")
    fill(catalog, ["first"])
    with catalog._database.connection() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == (request.param,)
    yield catalog
    catalog.close()


def test_whoever_reads_sees_one_state_while_another_commits(journaled: Catalog) -> None:
    other = Catalog(journaled.path)
    with journaled.reading():
        before = (journaled.count(), journaled.changes(), keys_of(journaled))
        commit = threading.Thread(target=fill, args=(other, ["second"]))
        commit.start()
        commit.join(0.3)  # with a rollback journal it waits for this reader
        assert (journaled.count(), journaled.changes(), keys_of(journaled)) == before == (1, 1, ["first"])
    commit.join()
    assert (journaled.count(), journaled.changes(), keys_of(journaled)) == (2, 2, ["first", "second"])
    other.close()


def test_what_is_not_committed_is_seen_by_nobody_else(journaled: Catalog) -> None:
    with ThreadPoolExecutor(1) as another:
        with contextlib.suppress(GivenUpError), journaled.writing() as transaction:
            transaction.remove(["first"])
            assert another.submit(keys_of, journaled).result() == ["first"]
            raise GivenUpError
        assert keys_of(journaled) == another.submit(keys_of, journaled).result() == ["first"]


def test_each_commit_is_on_the_disk_when_it_returns(journaled: Catalog) -> None:
    """SQLite calls that EXTRA; the connection of every thread has it."""
    with ThreadPoolExecutor(1) as another:
        for synchronous in (_synchronous(journaled), another.submit(_synchronous, journaled).result()):
            assert synchronous == 3


def _synchronous(catalog: Catalog) -> int:
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
    assert journaled.changes() == 1 + 4 * 3


def test_connections_of_threads_that_have_ended_are_closed(catalog: Catalog) -> None:
    used: list[sqlite3.Connection] = []

    def work() -> None:
        with catalog._database.connection() as connection:
            used.append(connection)

    for _ in range(10):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    still_open = [connection for connection in used if _is_open(connection)]
    assert len(still_open) <= 1  # the last one's, until there is another


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def test_a_closed_catalog_lets_go_of_its_file_and_opens_it_again_when_it_is_used(catalog: Catalog) -> None:
    fill(catalog, ["a"])
    with catalog._database.connection() as before:
        pass
    catalog.close()
    assert not _is_open(before)
    assert keys_of(catalog) == ["a"]


def test_what_is_closed_while_it_is_used_is_not_called_damaged(catalog: Catalog) -> None:
    with catalog._database.connection() as connection:
        connection.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        catalog.count()


def test_a_forked_process_gets_connections_of_its_own(tmp_path: Path) -> None:
    """In the midst of the parent's transaction it reads what is committed, and its end disturbs nothing."""
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path)
    program = """if True:
        import os, sys
        from pathlib import Path
        from lookalike.catalog import Catalog
        catalog = Catalog(Path(sys.argv[1]))

        def put(key):
            with catalog.writing() as transaction:
                transaction.put_image(key, 0, size=1, changed_ns=1, label=None)

        with catalog.writing() as transaction:
            transaction.add_vector(0, b"0" * 32, 0, width=1, height=1)
        with catalog.writing() as transaction:
            transaction.put_image("parent", 0, size=1, changed_ns=1, label=None)
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
        print([known.key for known in catalog.known("")], catalog.damage())
    """
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert (done.stderr, done.stdout) == ("", "['child', 'parent', 'parent again'] None\n")


# Faults


def test_a_file_that_is_missing_is_damage(tmp_path: Path) -> None:
    with pytest.raises(CorruptError, match=r"nothing\.sqlite.*missing"):
        Catalog(tmp_path / "nothing.sqlite")
    assert not (tmp_path / "nothing.sqlite").exists()


@pytest.mark.parametrize("content", [b"", b"some text", b"\0" * 5000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_damage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(content)
    with pytest.raises(CorruptError, match=r"catalog\.sqlite"):
        Catalog(path)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE images (id)")
    connection.commit()
    connection.close()
    with pytest.raises(CorruptError, match=r"catalog\.sqlite: this is not a catalog"):
        Catalog(path)


def test_a_newer_format_asks_for_an_upgrade(catalog: Catalog) -> None:
    catalog.close()
    connection = sqlite3.connect(catalog.path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(IncompatibleError, match=r"catalog\.sqlite.*format 9.*upgrade"):
        Catalog(catalog.path)


def full(catalog: Catalog) -> bytes:
    """The bytes of the file of a catalog of many pages."""
    fill(catalog, [f"folder/{number:05}.jpg" for number in range(200)])
    with catalog.writing() as transaction:
        for number in range(3000):
            put(transaction, f"copies/{number:05}.jpg", number % 200, label="copies")
    catalog.close()
    return catalog.path.read_bytes()


def is_damaged(path: Path) -> bool:
    """Opening it or reading it is refused, or SQLite's own check finds something."""
    try:
        with closing(Catalog(path)) as catalog:
            return catalog.damage() is not None
    except CorruptError as error:
        return path.name in str(error)


def test_a_truncated_file_is_damage_wherever_it_ends(catalog: Catalog) -> None:
    sound = full(catalog)
    assert not is_damaged(catalog.path)
    sizes = [10, 99, 100, 1000, 4095, *range(4096, len(sound), 4096 * 5), len(sound) - 4096]
    for size in sizes:
        catalog.path.write_bytes(sound[:size])
        assert is_damaged(catalog.path), size


def test_every_page_that_is_overwritten_with_garbage_is_found(catalog: Catalog) -> None:
    sound = full(catalog)
    garbage = np.random.default_rng(0).bytes(4096)
    for start in range(0, len(sound), 4096):
        catalog.path.write_bytes(sound[:start] + garbage + sound[start + 4096 :])
        assert is_damaged(catalog.path), start


def test_a_row_that_an_image_names_and_that_is_not_there_is_found(catalog: Catalog) -> None:
    fill(catalog, ["a"])
    with catalog._database.connection() as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("UPDATE images SET row = 77")
    assert "images" in str(catalog.damage())


def test_a_full_disk_is_a_fault_of_the_disk_and_leaves_what_was_committed(catalog: Catalog) -> None:
    fill(catalog, ["a", "b"])
    with catalog._database.connection() as connection:
        connection.execute("PRAGMA max_page_count = 1")  # which SQLite takes as: no more than there are
    before = (keys_of(catalog), catalog.totals(), catalog.changes())
    with pytest.raises(StorageError, match=r"catalog\.sqlite: database or disk is full"):
        fill_copies(catalog, 3000)
    assert (keys_of(catalog), catalog.totals(), catalog.changes()) == before
    with catalog._database.connection() as connection:
        connection.execute("PRAGMA max_page_count = 10000")
    fill_copies(catalog, 3000)
    assert catalog.totals().images == 3002
    assert catalog.damage() is None


def fill_copies(catalog: Catalog, number: int) -> None:
    with catalog.writing() as transaction:
        for each in range(number):
            put(transaction, f"copy {each}", 0)


def test_a_lock_that_is_held_for_too_long_is_a_fault_of_the_disk(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_S", 0.05)
    other = Catalog(catalog.path)
    with catalog.writing():
        with pytest.raises(StorageError, match=r"catalog\.sqlite: database is locked"):
            fill(other, ["a"])
        assert keys_of(other) == []
    other.close()


def test_a_place_where_no_catalog_can_be_made_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"catalog\.sqlite"):
        Catalog.create(tmp_path / "missing" / "catalog.sqlite")


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 7, 0), False),
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 44, 9), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_wal_is_used_only_where_sqlite_has_the_fix_of_its_reset(version: tuple[int, int, int], safe: bool) -> None:
    assert _wal_is_safe(version) is safe


def test_the_journal_is_wal_where_that_is_safe_with_the_sqlite_that_is_here(catalog: Catalog) -> None:
    with catalog._database.connection() as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    assert mode == ("wal" if _wal_is_safe(sqlite3.sqlite_version_info) else "delete")
