"""Catalogs of earlier versions are brought up to date when they are opened."""

import contextlib
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.errors import CorruptError, IncompatibleError, StorageError
from lookalike.images.reading import FileStatus
from lookalike.storage import schema, sqlite
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import FileKind, State
from tests.support.catalogs import keys_of, schema_of


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A catalog of the first version with two images, one of them with a name that is not UTF-8."""
    return write_earlier(tmp_path / "catalog.sqlite")


def write_earlier(path: Path) -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        pragmas = f"PRAGMA application_id = {0x4C6B416C}; PRAGMA user_version = 1;"
        connection.executescript(f"BEGIN; {schema.MIGRATIONS[0]} {pragmas} COMMIT;")
        for row, key in enumerate((b"cats/a.jpg", b"\xff.jpg", b"gone")):
            connection.execute("INSERT INTO vectors VALUES (?, ?, ?, 4, 3)", (row, bytes([row]) * 32, 1000 + row))
            values = (row + 1, key, row, "cats" if row == 0 else None)
            connection.execute("INSERT INTO images VALUES (?, CAST(? AS TEXT), ?, 5, 6, ?)", values)
        connection.execute("DELETE FROM images WHERE key = 'gone'")
        connection.execute("INSERT INTO skipped VALUES ('bad.jpg', 1, 2, 'truncated')")
        connection.execute("UPDATE changes SET count = 5")
    return path


def assert_brought_up_to_date(catalog: Catalog) -> None:
    assert list(catalog.live_images()) == [(1, 0, "cats"), (2, 1, None)]
    assert keys_of(catalog) == ["bad.jpg", "cats/a.jpg", os.fsdecode(b"\xff.jpg")]
    assert catalog.dead_rows() == [2]
    assert list(catalog.skipped()) == [("bad.jpg", "truncated")]
    known = [(file.status, file.kind) for file in catalog.known_files()]
    assert known == [(FileStatus(1, 2, None), FileKind.SKIPPED)] + 2 * [(FileStatus(5, 6, None), FileKind.IMAGE)]
    assert replace(catalog.state(), token=0) == State(changes=5, count=3, vectors="vectors.faiss", generation=None)
    assert catalog.damage() is None


def test_an_earlier_catalog_is_brought_up_to_date_when_it_is_opened(earlier: Path) -> None:
    for _ in range(2):
        with closing(Catalog(earlier)) as catalog:
            assert_brought_up_to_date(catalog)
    with closing(Catalog(earlier)) as catalog, catalog.writing() as transaction:
        assert transaction.set_attributes("cats/a.jpg", {"price": 7})
        transaction.compact("vectors.000001.faiss")


def test_what_was_brought_up_to_date_is_as_what_is_made_today(earlier: Path, tmp_path: Path) -> None:
    Catalog.create(tmp_path / "today.sqlite")
    with closing(Catalog(earlier)) as catalog, closing(Catalog(tmp_path / "today.sqlite")) as today:
        assert schema_of(catalog) == schema_of(today)
        with catalog._database.connection() as connection, today._database.connection() as other:
            query = "PRAGMA user_version"
            assert connection.execute(query).fetchone() == other.execute(query).fetchone() == (len(schema.MIGRATIONS),)


def test_several_may_open_an_earlier_catalog_at_once(earlier: Path) -> None:
    barrier = threading.Barrier(6)

    def work(_: int) -> None:
        barrier.wait()
        with closing(Catalog(earlier)) as catalog:
            assert_brought_up_to_date(catalog)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


def test_a_catalog_that_another_process_updated_meanwhile_is_left_as_it_is(
    earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is read once more when nobody else can change it."""
    writing = sqlite.Database.writing

    def too_late(self: sqlite.Database) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        monkeypatch.undo()
        Catalog(earlier).close()
        return writing(self)

    monkeypatch.setattr(sqlite.Database, "writing", too_late)
    with closing(Catalog(earlier)) as catalog:
        assert_brought_up_to_date(catalog)


def test_bringing_a_catalog_up_to_date_is_all_or_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE new (a);\nCREATE TABLE images (a);"))
    with pytest.raises(CorruptError, match=r"catalog\.sqlite.*images"):
        Catalog(catalog.path)
    monkeypatch.undo()
    with closing(Catalog(catalog.path)) as again:
        assert "new" not in {name for _, name, _ in schema_of(again)}


def test_an_earlier_catalog_that_cannot_be_written_says_what_to_do(public_path: Path) -> None:
    folder = public_path / "folder"
    folder.mkdir()
    path = write_earlier(folder / "catalog.sqlite")
    for of_file, of_folder in ((0o444, 0o555), (0o444, 0o777), (0o666, 0o555)):
        path.chmod(of_file)
        folder.chmod(of_folder)
        with pytest.raises(StorageError, match=r"catalog\.sqlite.*opened once with permission to write"):
            Catalog(path)
    path.chmod(0o666)
    folder.chmod(0o777)
    Catalog(path).close()
    path.chmod(0o444)
    folder.chmod(0o555)
    with closing(Catalog(path)) as catalog:
        assert_brought_up_to_date(catalog)


def test_a_newer_format_asks_for_an_upgrade(catalog: Catalog) -> None:
    catalog.close()
    connection = sqlite3.connect(catalog.path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(IncompatibleError, match=r"catalog\.sqlite.*format 9.*upgrade"):
        Catalog(catalog.path)


@pytest.mark.parametrize("version", [0, -1])
def test_a_format_that_never_was_is_damage(catalog: Catalog, version: int) -> None:
    catalog.close()
    connection = sqlite3.connect(catalog.path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(CorruptError, match=rf"catalog\.sqlite.*format {version}"):
        Catalog(catalog.path)
