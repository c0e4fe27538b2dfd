"""Missing images: their files are gone or cannot be used. All that is known of them is set aside until they are back.

A missing image is not found, but keeps its id, its attributes and its vector.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lookalike.images.reading import FileStatus
from lookalike.storage.records import MissingImage

DEAD = "(SELECT row FROM dead WHERE row NOT IN (SELECT row FROM missing WHERE row IS NOT NULL))"
"""The rows that belong to no image, be it missing or not."""

_AT_KEY = "(SELECT id FROM images WHERE key = CAST(? AS TEXT))"
_KEEP = f"""
    INSERT INTO missing (id, key, hash, row, size, mtime_ns, ctime_ns, since_ns)
    SELECT id, key, hash, row, size, mtime_ns, ctime_ns, ? FROM images JOIN vectors USING (row) WHERE id = {_AT_KEY}
"""  # noqa: S608
_KEEP_ATTRIBUTES = f"INSERT INTO missing_attributes SELECT * FROM attributes WHERE image = {_AT_KEY}"  # noqa: S608
_DROP = "DELETE FROM images WHERE key = CAST(? AS TEXT)"


@dataclass(frozen=True)
class MissingCounts:
    """The number of images that were missing before a run, that it has missed, and that it has left out."""

    before: int
    new: int
    excluded: int

    @classmethod
    def of(cls, found: Iterable[tuple[str, int]], since_ns: int, leaves_out: Callable[[str], bool]) -> "MissingCounts":
        """Counts (key, since_ns) of missing images, for a run that began at a time and leaves some keys out."""
        counts = Counter((since >= since_ns, leaves_out(key)) for key, since in found)
        return cls(before=counts[False, False], new=counts[True, False], excluded=counts[True, True])


class MissingImages:
    """The missing images of a catalog, within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __bool__(self) -> bool:
        return bool(self._connection.execute("SELECT EXISTS (SELECT 1 FROM missing)").fetchone()[0])

    def set_aside(self, keys: Iterable[str], since_ns: int) -> int:
        """Makes the images of these keys missing, and returns their number."""
        names = [(os.fsencode(key),) for key in dict.fromkeys(keys)]
        self._connection.executemany(_KEEP, [(since_ns, *name) for name in names])
        self._connection.executemany(_KEEP_ATTRIBUTES, names)
        return self._connection.executemany(_DROP, names).rowcount

    def with_id(self, id_: int) -> list[MissingImage]:
        """The one of this number, if there is one."""
        return self._found("id = ?", id_) if 0 < id_ < 2**63 else []  # what SQLite can count

    def with_hash(self, hash_: bytes) -> list[MissingImage]:
        """Those whose files had these contents, by id."""
        return self._found("hash = ? ORDER BY id", hash_)

    def last_at(self, key: str) -> MissingImage | None:
        """The one that was under this key last, or None."""
        return next(iter(self._found("key = CAST(? AS TEXT) ORDER BY since_ns DESC, id DESC LIMIT 1", key)), None)

    def bring_back(self, image: MissingImage, key: str, row: int, status: FileStatus, label: str | None) -> None:
        """Makes an image of a missing one again, with its id and attributes, under a key that no image has.

        Args:
            image: the missing one.
            key: its key from now on.
            row: the row of its vector.
            status: its file's.
            label: unless its attributes say otherwise.
        """
        add = """
            INSERT INTO images (id, key, row, size, mtime_ns, ctime_ns, label)
            VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?, COALESCE(
                (SELECT value FROM missing_attributes WHERE image = ? AND name = 'label'), CAST(? AS TEXT)
            ))
        """
        named = None if label is None else os.fsencode(label)
        times = (status.size, status.mtime_ns, status.ctime_ns)
        self._connection.execute(add, (image.id, os.fsencode(key), row, *times, image.id, named))
        self._connection.execute("INSERT INTO attributes SELECT * FROM missing_attributes WHERE image = ?", (image.id,))
        self._connection.execute("DELETE FROM missing WHERE id = ?", (image.id,))

    def move(self, row: int, new: int) -> None:
        """Gives the missing images of a row the vector in another one."""
        self._connection.execute("UPDATE missing SET row = ? WHERE row = ?", (new, row))

    def rename(self, image_id: int, key: str) -> None:
        """Gives a missing image another key."""
        query = "UPDATE missing SET key = CAST(? AS TEXT) WHERE id = ?"
        self._connection.execute(query, (os.fsencode(key), image_id))

    def forget(self, *, until_ns: int) -> int:
        """Forgets those that were missed first at that time or before, and returns their number."""
        return self._connection.execute("DELETE FROM missing WHERE since_ns <= ?", (until_ns,)).rowcount

    def all(self) -> list[MissingImage]:
        """All of them, by key."""
        return self._found("TRUE ORDER BY key, since_ns")

    def remove(self, keys: Iterable[str]) -> int:
        """Forgets those of these keys, and returns their number."""
        names = [(os.fsencode(key),) for key in keys]
        return self._connection.executemany("DELETE FROM missing WHERE key = CAST(? AS TEXT)", names).rowcount

    def _found(self, condition: str, *values: bytes | str | int) -> list[MissingImage]:
        query = f"SELECT id, key, hash, row, since_ns, size, mtime_ns, ctime_ns FROM missing WHERE {condition}"  # noqa: S608
        given = [os.fsencode(value) if isinstance(value, str) else value for value in values]
        found = self._connection.execute(query, given).fetchall()
        return [
            MissingImage(id_, key, hash_, row, FileStatus(*status), since_ns)
            for id_, key, hash_, row, since_ns, *status in found
        ]
