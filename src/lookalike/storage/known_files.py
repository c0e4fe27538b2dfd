"""Reads what the catalog knows of files, whether they are images, were skipped, or are missing."""

import itertools
import os
from collections.abc import Iterable, Iterator

from lookalike.images.reading import FileStatus
from lookalike.storage.filter_sql import below
from lookalike.storage.records import FileKind, KnownFile, StoredVector, checked_hash
from lookalike.storage.sqlite import Database

_PAGE = 1000  # files read at a time
_LAST_MISSING = """
    (SELECT * FROM missing WHERE NOT EXISTS (
        SELECT 1 FROM missing AS later
        WHERE later.key = missing.key AND (later.since_ns, later.id) > (missing.since_ns, missing.id)
    ))
"""  # several may have been under one key
_TABLES = {FileKind.IMAGE: "images", FileKind.SKIPPED: "skipped", FileKind.MISSING: _LAST_MISSING}


class KnownFiles:
    """What a catalog knows of files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known_file(self, key: str) -> KnownFile | None:
        """What is known of one file."""
        return next(self.known_among([key]), None)

    def known_among(self, keys: Iterable[str]) -> Iterator[KnownFile]:
        """What is known of these files, in their order; an unknown file is left out."""
        with self._database.connection() as connection:
            query = f"{_of_each_kind('key = CAST(:key AS TEXT)')} ORDER BY kind LIMIT 1"
            found = [connection.execute(query, {"key": os.fsencode(key)}).fetchone() for key in keys]
            return iter([_known(row) for row in found if row is not None])

    def known_files(self, folder: str = "") -> Iterator[KnownFile]:
        """What is known of the files below a folder, in the order of their keys' bytes.

        "" is the collection's own folder, which has no absolute keys below it; those are below "/". A page is read at a
        time. Files may be added in the order of their keys meanwhile.
        """
        after = b""
        while page := self.known_page(folder, after):
            yield from page
            after = os.fsencode(page[-1].key)

    def known_page(self, folder: str, after: bytes) -> list[KnownFile]:
        """The first of these files whose keys' bytes come after some; [] if there are none."""
        within = below(folder)
        query = f"{_of_each_kind(f'key > CAST(? AS TEXT) AND {within.sql}')} ORDER BY key, kind LIMIT ?"
        values = (after, *within.values) * len(FileKind)
        with self._database.connection() as connection:
            found = [_known(row) for row in connection.execute(query, (*values, _PAGE))]
        return [next(same) for _, same in itertools.groupby(found, key=lambda known: known.key)]

    def keys_named(self, names: Iterable[str]) -> list[str]:
        """The keys that the first known of these names stands for: its own, or those of all files below a folder."""
        for name in names:
            if self.known_file(name):
                return [name]
            if below := [known.key for known in self.known_files("" if name == "." else name)]:
                return below
        return []

    def vector_of(self, hash_: bytes) -> StoredVector | None:
        """What is known of the vector of the image file with that SHA-256, or None."""
        query = "SELECT row, crc32, width, height FROM vectors WHERE hash = ?"
        with self._database.connection() as connection:
            found = connection.execute(query, (hash_,)).fetchone()
        return None if found is None else StoredVector(*found)

    def hash_at(self, key: str) -> bytes | None:
        """The SHA-256 of the file of an image, missing or not; None if it is of none."""
        query = """
            SELECT hash FROM images JOIN vectors USING (row) WHERE key = CAST(:key AS TEXT)
            UNION ALL
            SELECT hash FROM (SELECT hash FROM missing WHERE key = CAST(:key AS TEXT) ORDER BY since_ns DESC, id DESC)
        """
        with self._database.connection() as connection:
            found = connection.execute(query, {"key": os.fsencode(key)}).fetchone()
        return None if found is None else checked_hash(found[0])


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
