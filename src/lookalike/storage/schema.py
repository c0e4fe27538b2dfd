"""The tables of a catalog, and the migrations from earlier versions."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from lookalike.errors import CorruptError, IncompatibleError, StorageError
from lookalike.storage import seals, sqlite
from lookalike.storage.sqlite import Database

_APPLICATION_ID = 0x4C6B416C  # "LkAl"

# Each entry migrates a catalog from the version that is its position in the list to the next. Paths are TEXT that holds
# the bytes of the name, whether or not they are UTF-8, so that any SQLite tool shows them.
MIGRATIONS = (
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
    """
    CREATE TABLE attributes (
        image INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        value ANY NOT NULL,          -- text, a whole number or a float
        PRIMARY KEY (image, name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX attributes_by_value ON attributes (name, value);
    CREATE INDEX images_by_label ON images (label, row);
    CREATE TABLE storage (vectors TEXT NOT NULL) STRICT;  -- the name of the file of vectors
    INSERT INTO storage VALUES ('vectors.faiss');
    CREATE TABLE generations (       -- of the index: the one that serves, or none
        number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again, so that a file's name never means two things
        rows INTEGER NOT NULL,       -- of the vectors, from 0, that it covers
        index_sha256 BLOB NOT NULL,
        card_sha256 BLOB NOT NULL
    ) STRICT;
    """,
    """
    ALTER TABLE images RENAME COLUMN changed_ns TO mtime_ns;
    ALTER TABLE images ADD COLUMN ctime_ns INTEGER;  -- NULL from before: mtime_ns is the later of both times
    ALTER TABLE images ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;  -- a CRC-32; see seals.py
    ALTER TABLE skipped RENAME COLUMN changed_ns TO mtime_ns;
    ALTER TABLE skipped ADD COLUMN ctime_ns INTEGER;
    CREATE TABLE missing (           -- images whose files are gone or cannot be used
        id INTEGER PRIMARY KEY,      -- that of the image
        key TEXT NOT NULL,           -- under which it was; several may have been under the same
        hash BLOB NOT NULL,
        row INTEGER REFERENCES vectors (row),  -- NULL if another model made it
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        ctime_ns INTEGER,
        since_ns INTEGER NOT NULL    -- the beginning of the run that missed it
    ) STRICT;
    CREATE INDEX missing_by_key ON missing (key);
    CREATE INDEX missing_by_hash ON missing (hash);
    CREATE INDEX missing_by_row ON missing (row);
    CREATE TABLE missing_attributes (
        image INTEGER NOT NULL REFERENCES missing (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        value ANY NOT NULL,
        PRIMARY KEY (image, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE edited (            -- images whose contents have changed in the run that is under way
        image INTEGER PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
        hash BLOB NOT NULL           -- what they were before
    ) STRICT;
    CREATE INDEX edited_by_hash ON edited (hash);
    CREATE TABLE identity (value BLOB NOT NULL) STRICT;  -- of the collection: random, and never the same
    INSERT INTO identity VALUES (randomblob(16));
    ALTER TABLE changes ADD COLUMN token INTEGER NOT NULL DEFAULT 0;  -- random, and another one after each commit
    """,
    """
    -- The revision of the decoders that the file was read with; see images/revisions.py. 0 is from before.
    ALTER TABLE vectors ADD COLUMN decoding INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE skipped ADD COLUMN decoding INTEGER NOT NULL DEFAULT 0;
    """,
    """
    CREATE TABLE region_storage (    -- one row if parts of the images have had vectors, else none
        per_image INTEGER NOT NULL,  -- how many parts; 0 if there are none any more; see images/region.py
        vectors TEXT NOT NULL,       -- the name of the file of their vectors
        count INTEGER NOT NULL       -- of the vectors that are committed there
    ) STRICT;
    CREATE TABLE regions (           -- the images whose parts have vectors
        place INTEGER PRIMARY KEY,   -- those of its parts are in the rows from place * per_image on
        row INTEGER,                 -- that of the vector of the whole image, or NULL if it is gone
        crc32s BLOB NOT NULL         -- of the rows of its parts, four bytes each, little-endian
    ) STRICT;
    CREATE INDEX regions_by_row ON regions (row);
    CREATE TABLE augmentation (      -- one row if augmented vectors are or were wanted, else none
        is_wanted INTEGER NOT NULL,
        vectors TEXT NOT NULL,       -- the name of their file, or of the last one
        count INTEGER NOT NULL,      -- of the rows of vectors, from 0, that have one
        live INTEGER NOT NULL,       -- how many of these were those of images
        crc32s BLOB NOT NULL         -- of these rows, four bytes each
    ) STRICT;
    -- 0 if the index is that of the vectors of whole images, 1 if of their parts.
    ALTER TABLE generations ADD COLUMN of_regions INTEGER NOT NULL DEFAULT 0;
    """,
)


def create(path: Path) -> None:
    """Makes an empty catalog in one transaction."""
    pragmas = f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {len(MIGRATIONS)};"
    sqlite.create(path, "".join(MIGRATIONS) + pragmas)


def bring_up_to_date(catalog: Database) -> None:
    """Makes sure that a file is a catalog, and migrates one of an earlier version.

    Raises:
        CorruptError: it is no catalog.
        IncompatibleError: a newer Lookalike made it.
        StorageError: it is of an earlier version and cannot be written.
    """
    with catalog.connection() as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != _APPLICATION_ID:
            raise CorruptError(f"{catalog.path}: this is not a Lookalike catalog")
        version = _version(connection, catalog.path)
        _check_tables(connection, version, catalog.path)
        if version == len(MIGRATIONS):
            return
    try:
        with catalog.writing() as connection:
            _migrate(connection, _version(connection, catalog.path))  # another process may have done it just now
    except StorageError as error:
        raise StorageError(
            f"{error}; an earlier Lookalike made it, and it has to be opened once with permission to write"
        ) from error


def _version(connection: sqlite3.Connection, path: Path) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version < 1:
        raise CorruptError(f"{path}: unknown format {version}")
    if version > len(MIGRATIONS):
        raise IncompatibleError(
            f"{path}: it has format {version} and this Lookalike knows up to {len(MIGRATIONS)}; upgrade Lookalike"
        )
    return int(version)


def _check_tables(connection: sqlite3.Connection, version: int, path: Path) -> None:
    """Raises CorruptError unless the tables, indexes and triggers are those of that version, and nothing else.

    In the place of a table there might be a view without an end, or a trigger that changes what is written.
    """
    if tables_in(connection) != tables_of("".join(MIGRATIONS[:version])):
        raise CorruptError(f"{path}: the file is damaged: its tables are not those of a catalog")


@cache
def tables_of(script: str) -> frozenset[tuple[object, ...]]:
    """What the schema of a database says that a script has made: tables, indexes and triggers."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        return tables_in(connection)


def tables_in(connection: sqlite3.Connection) -> frozenset[tuple[object, ...]]:
    """What the schema of a database says that is in it: at most the first hundred."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_schema LIMIT 100"
    return _normalized(connection.execute(query).fetchall())


def _normalized(rows: list[tuple[object, ...]]) -> frozenset[tuple[object, ...]]:
    """The rows of a schema without the differences in spacing that migrating may leave."""
    return frozenset((*names, " ".join(str(sql).split())) for *names, sql in rows)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    for migration in MIGRATIONS[version:]:
        for statement in _statements(migration):
            connection.execute(statement)
    seals.seal(connection)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit the transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def made_later(connection: sqlite3.Connection, names: Sequence[str]) -> Iterator[None]:
    """Drops these triggers and indexes, and makes them again at the end."""
    find = "SELECT type, sql FROM sqlite_schema WHERE name = ?"
    taken = [(name, *connection.execute(find, (name,)).fetchone()) for name in names]
    for name, kind, _ in taken:
        connection.execute(f"DROP {kind} {name}")
    yield
    for *_, sql in taken:
        connection.execute(sql)
