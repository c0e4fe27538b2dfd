"""The SQLite side of a collection: which images there are, and which row of the vectors each of them has.

A commit here is what makes anything count: the vectors that it names are on the disk before it.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike import database
from lookalike.database import Database
from lookalike.errors import CorruptError, IncompatibleError

_APPLICATION_ID = 0x4C6B416C  # "LkAl"

# Each entry takes a catalog from the version of its place in the list to the next. Paths are TEXT that holds
# the bytes of the name, whether or not they are UTF-8, so that any SQLite tool shows them.
_MIGRATIONS = (
    """
    CREATE TABLE vectors (
        row INTEGER PRIMARY KEY,     -- its place in vectors.faiss, from 0
        hash BLOB NOT NULL UNIQUE,   -- SHA-256 of the image's file
        crc32 INTEGER NOT NULL,      -- of the row as it is stored
        width INTEGER NOT NULL,      -- of the image as it is seen, in pixels
        height INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE images (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,    -- its path, relative to the collection's folder where it is inside
        row INTEGER NOT NULL REFERENCES vectors (row),
        size INTEGER NOT NULL,       -- of the file, in bytes
        changed_ns INTEGER NOT NULL,
        label TEXT
    ) STRICT;
    CREATE INDEX images_by_row ON images (row);
    CREATE TABLE skipped (
        key TEXT PRIMARY KEY,
        size INTEGER NOT NULL,
        changed_ns INTEGER NOT NULL,
        reason TEXT NOT NULL
    ) STRICT;
    CREATE TABLE dead (row INTEGER PRIMARY KEY REFERENCES vectors (row)) STRICT;  -- rows that no image has
    CREATE TABLE changes (count INTEGER NOT NULL) STRICT;  -- commits so far, for readers that remember
    INSERT INTO changes VALUES (0);
    CREATE TRIGGER image_added AFTER INSERT ON images BEGIN
        DELETE FROM dead WHERE row = NEW.row;
    END;
    CREATE TRIGGER image_removed AFTER DELETE ON images
        WHEN NOT EXISTS (SELECT 1 FROM images WHERE row = OLD.row)
    BEGIN
        INSERT INTO dead VALUES (OLD.row);
    END;
    CREATE TRIGGER image_replaced AFTER UPDATE OF row ON images WHEN OLD.row <> NEW.row BEGIN
        DELETE FROM dead WHERE row = NEW.row;
        INSERT INTO dead SELECT OLD.row WHERE NOT EXISTS (SELECT 1 FROM images WHERE row = OLD.row);
    END;
    """,
)


@dataclass(frozen=True)
class StoredImage:
    """One image of the catalog, and the row of its vector."""

    id: int
    key: str
    row: int
    label: str | None
    width: int
    height: int


@dataclass(frozen=True)
class Known:
    """What is known of a file: whether it has changed since is told by its size and time."""

    key: str
    size: int
    changed_ns: int
    skipped: bool


@dataclass(frozen=True)
class Totals:
    """How many there are of each."""

    images: int
    vectors: int
    dead: int
    skipped: int


class Catalog:
    """The catalog of one collection. Threads may share it: each gets a connection of its own."""

    def __init__(self, path: Path) -> None:
        """Raises CorruptError where it is no catalog, IncompatibleError where a newer Lookalike made it."""
        self.path, self._database = path, Database(path)
        if not path.is_file():
            raise CorruptError(f"{path}: the catalog is missing")
        with self._database.connection() as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION_ID:
            raise CorruptError(f"{path}: this is not a catalog of Lookalike's")
        if version != len(_MIGRATIONS):
            raise IncompatibleError(
                f"{path}: it has format {version} and this Lookalike knows up to {len(_MIGRATIONS)}; upgrade Lookalike"
            )

    @classmethod
    def create(cls, path: Path) -> None:
        """Makes an empty catalog, all of it or nothing."""
        pragmas = f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {len(_MIGRATIONS)};"
        database.create(path, "".join(_MIGRATIONS) + pragmas)

    def close(self) -> None:
        """Lets go of its file; the next use opens it again."""
        self._database.close()

    # Reading

    def reading(self) -> AbstractContextManager[None]:
        """Everything that this thread reads within sees one committed state."""
        return self._database.reading()

    def count(self) -> int:
        """How many rows of the vectors are committed."""
        with self._database.connection() as connection:
            (last,) = connection.execute("SELECT MAX(row) FROM vectors").fetchone()
            return 0 if last is None else int(last) + 1

    def totals(self) -> Totals:
        tables = ("images", "vectors", "dead", "skipped")
        with self._database.connection() as connection:
            return Totals(*(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables))  # noqa: S608

    def changes(self) -> int:
        """A number that is different after every commit."""
        with self._database.connection() as connection:
            return int(connection.execute("SELECT count FROM changes").fetchone()[0])

    def dead_rows(self) -> list[int]:
        """The rows that no image has any more, in order."""
        with self._database.connection() as connection:
            return [row for (row,) in connection.execute("SELECT row FROM dead ORDER BY row")]

    def row_of(self, hash_: bytes) -> int | None:
        """The row of the image file with that SHA-256, dead or alive."""
        with self._database.connection() as connection:
            found = connection.execute("SELECT row FROM vectors WHERE hash = ?", (hash_,)).fetchone()
            return None if found is None else int(found[0])

    def crc32(self, row: int) -> int | None:
        """The checksum that a row's vector must have, or None where there is no such row."""
        with self._database.connection() as connection:
            found = connection.execute("SELECT crc32 FROM vectors WHERE row = ?", (row,)).fetchone()
            return None if found is None else int(found[0])

    def crc32s(self, start: int, stop: int) -> dict[int, int]:
        """The checksums of the rows from `start` up to and without `stop`, by row."""
        query = "SELECT row, crc32 FROM vectors WHERE row >= ? AND row < ?"
        with self._database.connection() as connection:
            return dict(connection.execute(query, (start, stop)).fetchall())

    def images_of(self, row: int, *, limit: int = -1) -> list[StoredImage]:
        """The images that have this row, by key; at most `limit` unless it is negative."""
        return self._images("WHERE row = ? ORDER BY key LIMIT ?", (row, limit))

    def image(self, id_: int) -> StoredImage | None:
        if not 0 < id_ < 2**63:  # what SQLite can count
            return None
        found = self._images("WHERE id = ?", (id_,))
        return found[0] if found else None

    def newest_id(self) -> int:
        """The largest id of an image, or 0."""
        with self._database.connection() as connection:
            return int(connection.execute("SELECT COALESCE(MAX(id), 0) FROM images").fetchone()[0])

    def known_file(self, key: str) -> Known | None:
        """What is known of one file."""
        query = """
            SELECT key, size, changed_ns, 0 FROM images WHERE key = CAST(:key AS TEXT)
            UNION ALL
            SELECT key, size, changed_ns, 1 FROM skipped WHERE key = CAST(:key AS TEXT)
        """
        with self._database.connection() as connection:
            found = connection.execute(query, {"key": os.fsencode(key)}).fetchone()
            return None if found is None else _known(found)

    def known(self, within: str, after: bytes = b"", *, limit: int = 1000) -> list[Known]:
        """What is known of the files below the folder `within`, in the order of their keys' bytes.

        "" is the collection's own folder, and below it is what is not absolute. At most `limit` come back,
        those whose key is behind `after`; a negative limit is none.
        """
        condition = """
            WHERE key > CAST(:after AS TEXT) AND key < CAST(:end AS TEXT) AND (:absolute OR key NOT GLOB '/*')
        """
        query = f"""
            SELECT key, size, changed_ns, 0 FROM images {condition}
            UNION ALL
            SELECT key, size, changed_ns, 1 FROM skipped {condition}
            ORDER BY key LIMIT :limit
        """  # noqa: S608
        # "0" follows "/": what lies between them is what lies below the folder. No name has 256 bytes.
        prefix = os.fsencode(within).rstrip(b"/")
        start, end = (prefix + b"/", prefix + b"0") if within else (b"", b"\xff" * 256)
        values = {"after": max(after, start), "end": end, "absolute": within.startswith("/"), "limit": limit}
        with self._database.connection() as connection:
            return [_known(row) for row in connection.execute(query, values)]

    def skipped(self) -> Iterator[tuple[str, str]]:
        """(key, reason) of the files that were left out, by key."""
        with self._database.connection() as connection:
            yield from connection.execute("SELECT key, reason FROM skipped ORDER BY key").fetchall()

    def damage(self) -> str | None:
        """What SQLite's own checks find wrong, or None."""
        with self._database.connection() as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        if found != "ok":
            return str(found)
        return None if broken is None else f"table {broken[0]} names a row that is not there"

    # Writing

    @contextmanager
    def writing(self) -> Iterator["Transaction"]:
        """One transaction: all of it is committed at the end, or none of it.

        Raises:
            StorageError: the disk is full or failing.
        """
        with self._database.writing() as connection:
            yield Transaction(connection)
            connection.execute("UPDATE changes SET count = count + 1")

    def _images(self, where: str, values: Sequence[Any]) -> list[StoredImage]:
        query = f"SELECT id, key, row, label, width, height FROM images JOIN vectors USING (row) {where}"  # noqa: S608
        with self._database.connection() as connection:
            return [StoredImage(*row) for row in connection.execute(query, values)]


def _known(row: tuple[str, int, int, int]) -> Known:
    key, size, changed_ns, skipped = row
    return Known(key, size, changed_ns, bool(skipped))


class Transaction:
    """What can be changed, within `Catalog.writing`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add_vector(self, row: int, hash_: bytes, crc32: int, *, width: int, height: int) -> None:
        values = (row, hash_, crc32, width, height)
        self._connection.execute("INSERT INTO vectors (row, hash, crc32, width, height) VALUES (?, ?, ?, ?, ?)", values)

    def put_image(self, key: str, row: int, *, size: int, changed_ns: int, label: str | None) -> int | None:
        """Adds or replaces an image; the row that it had before, or None where it is new."""
        name = os.fsencode(key)
        self._connection.execute("DELETE FROM skipped WHERE key = CAST(? AS TEXT)", (name,))
        before = self._connection.execute("SELECT row FROM images WHERE key = CAST(? AS TEXT)", (name,)).fetchone()
        query = """
            INSERT INTO images (key, row, size, changed_ns, label)
            VALUES (CAST(? AS TEXT), ?, ?, ?, CAST(? AS TEXT))
            ON CONFLICT (key) DO UPDATE
            SET row = excluded.row, size = excluded.size, changed_ns = excluded.changed_ns, label = excluded.label
        """
        self._connection.execute(query, (name, row, size, changed_ns, None if label is None else os.fsencode(label)))
        return None if before is None else int(before[0])

    def put_skipped(self, key: str, reason: str, *, size: int, changed_ns: int) -> bool:
        """Notes that a file is left out, and drops the image that was there; whether there was one."""
        was_image = self.remove([key]) > 0
        values = (os.fsencode(key), size, changed_ns, reason)
        self._connection.execute("INSERT INTO skipped VALUES (CAST(? AS TEXT), ?, ?, ?)", values)
        return was_image

    def remove(self, keys: Iterable[str]) -> int:
        """Forgets these files; the number of images that were among them."""
        names = [(os.fsencode(key),) for key in keys]
        self._connection.executemany("DELETE FROM skipped WHERE key = CAST(? AS TEXT)", names)
        return self._connection.executemany("DELETE FROM images WHERE key = CAST(? AS TEXT)", names).rowcount

    def rename(self, old: str, newest: int) -> bool:
        """Gives the vanished image `old` the name of one with the same vector that was added since.

        `newest` is the largest id from before. The older entry lives on, so that the image keeps its id.
        Returns whether there was such an image.
        """
        find = """
            SELECT new.id, new.key, new.size, new.changed_ns, new.label FROM images AS old
            JOIN images AS new ON new.row = old.row AND new.id > ? AND new.id <> old.id
            WHERE old.key = CAST(? AS TEXT) ORDER BY new.id
        """
        found = self._connection.execute(find, (newest, os.fsencode(old))).fetchone()
        if found is None:
            return False
        new_id, key, size, changed_ns, label = found
        self._connection.execute("DELETE FROM images WHERE id = ?", (new_id,))
        values = (
            os.fsencode(key),
            size,
            changed_ns,
            None if label is None else os.fsencode(label),
            os.fsencode(old),
        )
        self._connection.execute(
            "UPDATE images SET key = CAST(? AS TEXT), size = ?, changed_ns = ?, label = CAST(? AS TEXT)"
            " WHERE key = CAST(? AS TEXT)",
            values,
        )
        return True
