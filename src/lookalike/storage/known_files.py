"""Reads what the catalog knows of files, whether they are images, were skipped, or are missing."""

import itertools
import json
import os
from collections.abc import Iterable, Iterator

from lookalike.filters import Where
from lookalike.images import revisions
from lookalike.images.reading import FileStatus
from lookalike.storage.filter_sql import below
from lookalike.storage.records import FileKind, KnownFile, StoredVector, checked_count, checked_hash
from lookalike.storage.spellings import as_stored, only, spellings
from lookalike.storage.sqlite import Database

_PAGE = 1000  # files read at a time
_LAST_MISSING = """
    (SELECT * FROM missing WHERE NOT EXISTS (
        SELECT 1 FROM missing AS later
        WHERE later.key = missing.key AND (later.since_ns, later.id) > (missing.since_ns, missing.id)
    ))
"""  # several may have been under one key
_VECTOR = "(SELECT decoding FROM vectors WHERE vectors.row = {}.row)"  # of an image; NULL if another model made it
_TABLES = {
    FileKind.IMAGE: ("images", _VECTOR.format("images")),
    FileKind.SKIPPED: ("skipped", "decoding"),
    FileKind.MISSING: (f"{_LAST_MISSING} AS missing", f"COALESCE({_VECTOR.format('missing')}, 0)"),
}


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

    def decoding_of(self, hash_: bytes) -> int | None:
        """The revision of the decoders that made the vector of the file with that SHA-256; None if it has none."""
        with self._database.connection() as connection:
            found = connection.execute("SELECT decoding FROM vectors WHERE hash = ?", (hash_,)).fetchone()
            return None if found is None else checked_count(found[0], "the revision of the decoders")

    def outdated_among(self, rows: Iterable[int]) -> set[int]:
        """Those of these rows whose vectors were made by earlier decoders."""
        query = """
            SELECT row FROM vectors WHERE row IN (SELECT value FROM json_each(?)) AND decoding < ?
        """
        with self._database.connection() as connection:
            return {row for (row,) in connection.execute(query, (json.dumps([*rows]), revisions.CURRENT))}

    def count_outdated(self) -> int:
        """The number of images, and of skipped files, that were read by earlier decoders."""
        with self._database.connection() as connection:
            return int(connection.execute(_COUNT_OUTDATED, {"current": revisions.CURRENT}).fetchone()[0])

    def keys_named(self, names: Iterable[str]) -> list[str]:
        """The keys that the first known of these names stands for: its own, or those of all files below a folder.

        If none is known as it is, the only other spelling of one that is known counts; see `spellings`.
        """
        given = list(names)
        if found := next(filter(None, map(self._keys_at, given)), None):
            return found
        others = (self._keys_at(other) for name in given for other in spellings(name))
        return only(filter(None, others)) or []

    def _keys_at(self, name: str) -> list[str]:
        if self.known_file(name):
            return [name]
        return [known.key for known in self.known_files("" if name == "." else name)]

    def as_stored(self, where: Where) -> Where:
        """A filter with the names that are in it in the spelling of the catalog; see `spellings`."""
        with self._database.connection() as connection:
            return as_stored(connection, where)

    def vector_of(self, hash_: bytes) -> StoredVector | None:
        """What is known of the vector of the image file with that SHA-256, or None."""
        query = "SELECT row, crc32, width, height, decoding FROM vectors WHERE hash = ?"
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


_COUNT_OUTDATED = """
    SELECT (SELECT COUNT(*) FROM images JOIN vectors USING (row) WHERE decoding < :current)
        + (SELECT COUNT(*) FROM skipped WHERE decoding < :current)
"""


def _of_each_kind(condition: str) -> str:
    """The query for the files that meet a condition, of each kind: a file may be of several."""
    queries = (
        f"SELECT key, size, mtime_ns, ctime_ns, {kind.value} AS kind, {decoding} FROM {table} WHERE {condition}"  # noqa: S608
        for kind, (table, decoding) in _TABLES.items()
    )
    return " UNION ALL ".join(queries)


def _known(row: tuple[str, int, int, int | None, int, int]) -> KnownFile:
    key, size, mtime_ns, ctime_ns, kind, decoding = row
    return KnownFile(key, FileStatus(size, mtime_ns, ctime_ns), FileKind(kind), decoding)
