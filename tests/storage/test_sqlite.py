"""The journal of an SQLite file, by the version of SQLite."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.errors import StorageError
from lookalike.storage.catalog import Catalog
from lookalike.storage.sqlite import _wal_is_safe, translated


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


def test_the_journal_is_wal_where_that_is_safe_with_this_sqlite(catalog: Catalog) -> None:
    with catalog._database.connection() as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    assert mode == ("wal" if _wal_is_safe(sqlite3.sqlite_version_info) else "delete")


def test_a_log_in_a_folder_without_the_right_to_write_is_told(public_path: Path) -> None:
    """SQLite reads a file with a write-ahead log only if it can put the log's index beside it."""
    folder = public_path / "kept"
    folder.mkdir()
    path = folder / "catalog.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
    folder.chmod(0o500)

    def count() -> int:
        with translated(path), closing(sqlite3.connect(path)) as connection:
            return len(connection.execute("SELECT * FROM t").fetchall())

    with pytest.raises(StorageError, match="write-ahead log, so it can be read only where its folder can be written"):
        count()
    folder.chmod(0o700)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    folder.chmod(0o500)
    assert count() == 0
