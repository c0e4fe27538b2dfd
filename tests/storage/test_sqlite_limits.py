"""Catalogs of a stranger's: SQLite deletes no other file, reads no tables but ours, and always ends."""

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.errors import CorruptError
from lookalike.storage import sqlite_limits
from lookalike.storage.catalog import Catalog
from tests.support.catalogs import fill

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS row, i AS count FROM n"
MAGIC = bytes.fromhex("d9d505f920a163d7")


def changed(path: Path, *statements: str) -> Path:
    """Changes a catalog as only a stranger would."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in ("PRAGMA foreign_keys = OFF", "PRAGMA synchronous = OFF", *statements):
            connection.execute(statement)
        connection.commit()
    return path


def super_journal(name: bytes) -> bytes:
    """A journal of no pages that names another file, which SQLite would delete."""
    header = MAGIC + struct.pack(">IIIII", 0, 0, 1, 512, 4096)
    checksum = sum(struct.unpack(f"{len(name)}b", name)) & 0xFFFFFFFF
    page = struct.pack(">I", 2**30 // 4096 + 1)
    return header.ljust(512, b"\0") + page + name + struct.pack(">II", len(name), checksum) + MAGIC


def test_a_journal_that_would_have_another_file_deleted_is_refused(catalog: Catalog, tmp_path: Path) -> None:
    fill(catalog, ["a"])
    catalog.close()
    (precious := tmp_path / "precious").write_bytes(b"not empty")  # of empty files, SQLite takes no notice
    journal = catalog.path.with_name("catalog.sqlite-journal")
    journal.write_bytes(super_journal(bytes(precious)))
    with pytest.raises(CorruptError, match=r"catalog\.sqlite-journal: it would have another file deleted"):
        Catalog(catalog.path)
    assert precious.exists()


def test_a_journal_that_a_killed_writer_has_left_is_rolled_back(catalog: Catalog) -> None:
    fill(catalog, ["a"])
    catalog.close()
    catalog.path.with_name("catalog.sqlite-journal").write_bytes(bytes(600))
    with closing(Catalog(catalog.path)) as again:
        assert again.totals().images == 1


@pytest.mark.parametrize("suffix", ["", "-journal", "-wal", "-shm"])
def test_a_symlink_in_the_place_of_a_file_of_sqlite_is_refused(catalog: Catalog, tmp_path: Path, suffix: str) -> None:
    catalog.close()
    path = catalog.path.with_name(f"catalog.sqlite{suffix}")
    path.unlink(missing_ok=True)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptError, match=f"{path.name}: "):
        Catalog(catalog.path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TABLE dead", f"CREATE VIEW dead AS {ENDLESS}"],
        ["DROP TABLE changes", f"CREATE VIEW changes AS {ENDLESS}"],
        ["DROP TABLE dead", "CREATE TABLE dead (row AS (zeroblob(900000000)), id)"],
        ["CREATE TRIGGER own AFTER UPDATE ON changes BEGIN DELETE FROM images; END"],
        ["DROP TRIGGER image_removed"],
        ["CREATE TABLE other (a)"],
        ["DROP INDEX images_by_row"],
        [f"CREATE TABLE t{number} (a)" for number in range(200)],
    ],
)
def test_tables_that_are_not_those_of_a_catalog_are_never_read(catalog: Catalog, statements: list[str]) -> None:
    catalog.close()
    changed(catalog.path, *statements)
    with pytest.raises(CorruptError, match=r"catalog\.sqlite: the file is damaged: its tables are not those"):
        Catalog(catalog.path)


def test_a_schema_that_does_not_end_is_not_read_to_its_end(catalog: Catalog) -> None:
    catalog.close()
    changed(catalog.path, *(f"CREATE TABLE t{number} (a)" for number in range(3000)))
    with pytest.raises(CorruptError, match="reading it does not end"):
        Catalog(catalog.path)


def test_reading_more_than_a_file_can_hold_is_stopped(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_limits.WorkLimit, "_LEAST", 1_000_000)
    with pytest.raises(CorruptError, match="reading it does not end"), catalog._database.connection() as connection:
        connection.execute(f"SELECT COUNT(*) FROM ({ENDLESS})").fetchone()
    assert catalog.totals().images == 0
    with catalog._database.writing() as connection:
        query = f"SELECT COUNT(*) FROM ({ENDLESS} LIMIT 300000)"
        assert connection.execute(query).fetchone() == (300_000,)
