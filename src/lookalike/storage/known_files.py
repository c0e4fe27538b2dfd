"""Reads what the catalog knows of files, whether they are images, were skipped, or are missing."""

import itertools
import os
import sqlite3

from lookalike.images.reading import FileStatus
from lookalike.storage.filter_sql import below
from lookalike.storage.records import FileKind, KnownFile

_PAGE = 1000  # files read at a time
_LAST_MISSING = """
    (SELECT * FROM missing WHERE NOT EXISTS (
        SELECT 1 FROM missing AS later
        WHERE later.key = missing.key AND (later.since_ns, later.id) > (missing.since_ns, missing.id)
    ))
"""  # several may have been under one key
_TABLES = {FileKind.IMAGE: "images", FileKind.SKIPPED: "skipped", FileKind.MISSING: _LAST_MISSING}


def find(connection: sqlite3.Connection, key: str) -> KnownFile | None:
    """What is known of one file, or None."""
    query = f"{_of_each_kind('key = CAST(:key AS TEXT)')} ORDER BY kind LIMIT 1"
    found = connection.execute(query, {"key": os.fsencode(key)}).fetchone()
    return None if found is None else _known(found)


def page(connection: sqlite3.Connection, folder: str, after: bytes) -> list[KnownFile]:
    """The next files below a folder whose keys' bytes come after some, in their order; [] if there are none."""
    within = below(folder)
    query = f"{_of_each_kind(f'key > CAST(? AS TEXT) AND {within.sql}')} ORDER BY key, kind LIMIT ?"
    values = (after, *within.values) * len(FileKind)
    found = [_known(row) for row in connection.execute(query, (*values, _PAGE))]
    return [next(same) for _, same in itertools.groupby(found, key=lambda known: known.key)]


def _of_each_kind(condition: str) -> str:
    """The query for the files that meet a condition, of each kind: a file may be of several."""
    queries = (
        f"SELECT key, size, mtime_ns, ctime_ns, {kind.value} AS kind FROM {table} WHERE {condition}"  # noqa: S608
        for kind, table in _TABLES.items()
    )
    return " UNION ALL ".join(queries)


def _known(row: tuple[str, int, int, int | None, int]) -> KnownFile:
    key, size, mtime_ns, ctime_ns, kind = row
    return KnownFile(key, FileStatus(size, mtime_ns, ctime_ns), FileKind(kind))
