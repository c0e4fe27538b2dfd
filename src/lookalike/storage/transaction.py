"""Changes to a catalog within one transaction."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

from lookalike.filters import LABEL, Value, checked, checked_name
from lookalike.storage.filter_sql import stored
from lookalike.storage.records import checked_row

# A label that was given as an attribute stays, whatever folder the file is in.
_GIVEN_LABEL = f"SELECT value FROM attributes WHERE image = images.id AND name = '{LABEL}'"  # noqa: S608


def folder_label(key: str) -> str | None:
    """The default label of an image: the name of the folder that it is in; None at the top."""
    return PurePosixPath(key).parent.name or None


@dataclass(frozen=True)
class Carried:
    """The number of images that were found again: `kept` under their keys, `renamed` under others."""

    kept: int
    renamed: int


class Transaction:
    """The changes that `Catalog.writing` commits."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    # Images

    def add_vector(self, row: int, hash_: bytes, crc32: int, *, width: int, height: int) -> None:
        """Adds the vector in a row: the SHA-256 and the size of its image, and its CRC-32."""
        values = (row, hash_, crc32, width, height)
        self._connection.execute("INSERT INTO vectors (row, hash, crc32, width, height) VALUES (?, ?, ?, ?, ?)", values)

    def put_image(self, key: str, row: int, *, size: int, changed_ns: int) -> int | None:
        """Adds or replaces an image, and returns the row that it had before, or None if it is new.

        Its label is that of its folder, unless it was given one as an attribute; it keeps its attributes.
        """
        name = os.fsencode(key)
        self._connection.execute("DELETE FROM skipped WHERE key = CAST(? AS TEXT)", (name,))
        before = self._connection.execute("SELECT row FROM images WHERE key = CAST(? AS TEXT)", (name,)).fetchone()
        query = f"""
            INSERT INTO images (key, row, size, changed_ns, label)
            VALUES (CAST(? AS TEXT), ?, ?, ?, CAST(? AS TEXT))
            ON CONFLICT (key) DO UPDATE
            SET row = excluded.row, size = excluded.size, changed_ns = excluded.changed_ns,
                label = COALESCE(({_GIVEN_LABEL}), excluded.label)
        """  # noqa: S608
        label = folder_label(key)
        self._connection.execute(query, (name, row, size, changed_ns, None if label is None else os.fsencode(label)))
        return None if before is None else checked_row(before[0])

    def put_skipped(self, key: str, reason: str, *, size: int, changed_ns: int) -> bool:
        """Records a skipped file, and drops its image; returns whether there was one."""
        was_image = self.remove([key]) > 0
        values = (os.fsencode(key), size, changed_ns, reason)
        self._connection.execute("INSERT INTO skipped VALUES (CAST(? AS TEXT), ?, ?, ?)", values)
        return was_image

    def remove(self, keys: Iterable[str]) -> int:
        """Forgets these files, and returns the number of images among them."""
        names = [(os.fsencode(key),) for key in keys]
        self._connection.executemany("DELETE FROM skipped WHERE key = CAST(? AS TEXT)", names)
        return self._connection.executemany("DELETE FROM images WHERE key = CAST(? AS TEXT)", names).rowcount

    def rename(self, old: str, newest: int) -> bool:
        """Gives the vanished image `old` the key of one with the same vector that was added since.

        `newest` is the largest id from before. The older entry stays, so that the image keeps its id and its
        attributes. Returns whether there was such an image.
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
        change = f"""
            UPDATE images SET key = CAST(? AS TEXT), size = ?, changed_ns = ?,
                label = COALESCE(({_GIVEN_LABEL}), CAST(? AS TEXT))
            WHERE key = CAST(? AS TEXT)
        """  # noqa: S608
        label = None if label is None else os.fsencode(label)
        self._connection.execute(change, (os.fsencode(key), size, changed_ns, label, os.fsencode(old)))
        return True

    def set_attributes(self, key: str, values: Mapping[str, Value | None]) -> bool:
        """Sets these attributes of an image, deletes those that are None, and leaves the others.

        One named `label` also becomes the image's label, whatever its folder.

        Returns:
            Whether there is such an image.

        Raises:
            UsageError: a value is neither text nor a number, or is not finite or has more than 64 bits.
        """
        found = self._connection.execute("SELECT id FROM images WHERE key = CAST(? AS TEXT)", (os.fsencode(key),))
        row = found.fetchone()
        if row is None:
            return False
        (image,) = row
        for name, value in values.items():
            checked_name(name)
            if value is not None:
                self._put_attribute(image, name, checked(value, name))
            elif self._drop_attribute(image, name) and name == LABEL:
                self._set_label(image, folder_label(key))
        return True

    def _put_attribute(self, image: int, name: str, value: Value) -> None:
        if name == LABEL:
            value = str(value)
            self._set_label(image, value)
        cast = "CAST(? AS TEXT)" if isinstance(value, str) else "?"
        query = f"""
            INSERT INTO attributes (image, name, value) VALUES (?, CAST(? AS TEXT), {cast})
            ON CONFLICT (image, name) DO UPDATE SET value = excluded.value
        """  # noqa: S608
        self._connection.execute(query, (image, stored(name), stored(value)))

    def _drop_attribute(self, image: int, name: str) -> bool:
        query = "DELETE FROM attributes WHERE image = ? AND name = CAST(? AS TEXT)"
        return self._connection.execute(query, (image, stored(name))).rowcount > 0

    def _set_label(self, image: int, label: str | None) -> None:
        query = "UPDATE images SET label = CAST(? AS TEXT) WHERE id = ?"
        self._connection.execute(query, (None if label is None else stored(label), image))

    # From another catalog

    def carry_over(self) -> Carried:
        """Gives the images their ids, attributes and given labels in the attached catalog `before`.

        An image whose key is unknown there is taken for a vanished one with the same file. All others get ids that no
        image has had there.
        """
        labelled = self._connection.execute(f"SELECT key FROM main.images WHERE id IN ({_LABELLED})")  # noqa: S608
        for (key,) in labelled.fetchall():  # undoes the labels that an earlier call has set
            self.set_attributes(key, {LABEL: None})
        self._connection.execute("CREATE TEMP TABLE carried (image INTEGER PRIMARY KEY, id INTEGER NOT NULL UNIQUE)")
        kept, renamed, _ = [self._connection.execute(statement).rowcount for statement in _MATCH]
        for statement in _CARRY_OVER:
            self._connection.execute(statement)
        return Carried(kept, renamed)

    # The index and the file of vectors

    def put_generation(self, number: int, rows: int, index_sha256: bytes, card_sha256: bytes) -> None:
        """Names the generation of the index that serves from now on.

        `rows` of the vectors, from 0, are in it. The number is `Catalog.next_generation`'s.
        """
        self.drop_generation()
        values = (number, rows, index_sha256, card_sha256)
        query = "INSERT INTO generations (number, rows, index_sha256, card_sha256) VALUES (?, ?, ?, ?)"
        self._connection.execute(query, values)

    def drop_generation(self) -> None:
        """Names no index."""
        self._connection.execute("DELETE FROM generations")

    def compact(self, vectors: str) -> None:
        """Forgets the dead rows, renumbers the others from 0 in their order, and drops the index.

        `vectors` is the name of the file that has just these vectors, in this order.
        """
        with self._without("image_replaced"):  # it would call renumbered rows dead
            for statement in _TAKE_VECTORS_OUT:
                self._connection.execute(statement)
            with self._without("images_by_row", "images_by_label"):  # faster than updating them all along
                self._connection.execute("UPDATE images SET row = (SELECT new FROM temp.moved WHERE old = images.row)")
            for statement in _PUT_VECTORS_BACK:
                self._connection.execute(statement)
        self.drop_generation()
        self._connection.execute("UPDATE storage SET vectors = CAST(? AS TEXT)", (os.fsencode(vectors),))

    @contextmanager
    def _without(self, *names: str) -> Iterator[None]:
        """Drops these triggers and indexes, and makes them again at the end."""
        find = "SELECT type, sql FROM sqlite_schema WHERE name = ?"
        taken = [(name, *self._connection.execute(find, (name,)).fetchone()) for name in names]
        for name, kind, _ in taken:
            self._connection.execute(f"DROP {kind} {name}")
        yield
        for *_, sql in taken:
            self._connection.execute(sql)


_LABELLED = f"SELECT image FROM main.attributes WHERE name = '{LABEL}'"  # noqa: S608
_NTH = "row_number() OVER (PARTITION BY hash ORDER BY id) AS nth"
_LAST_ID = "(SELECT COALESCE(MAX(seq), 0) FROM before.sqlite_sequence WHERE name = 'images')"
_MATCH = (
    "INSERT INTO temp.carried SELECT new.id, old.id FROM main.images AS new JOIN before.images AS old USING (key)",
    f"""
    INSERT INTO temp.carried SELECT new.id, old.id FROM (
        SELECT id, hash, {_NTH} FROM main.images JOIN main.vectors USING (row)
        WHERE id NOT IN (SELECT image FROM temp.carried)
    ) AS new JOIN (
        SELECT id, hash, {_NTH} FROM before.images JOIN before.vectors USING (row)
        WHERE id NOT IN (SELECT id FROM temp.carried)
    ) AS old USING (hash, nth)
    """,  # noqa: S608
    f"""
    INSERT INTO temp.carried SELECT id, {_LAST_ID} + row_number() OVER (ORDER BY id) FROM main.images
    WHERE id NOT IN (SELECT image FROM temp.carried)
    """,  # noqa: S608
)
_CARRY_OVER = (
    "DELETE FROM main.attributes",
    "UPDATE main.images SET id = -id",  # out of the way of the ids that they get
    "UPDATE main.images SET id = (SELECT carried.id FROM temp.carried WHERE image = -images.id)",
    "DELETE FROM main.sqlite_sequence WHERE name = 'images'",
    f"""
    INSERT INTO main.sqlite_sequence (name, seq)
    SELECT 'images', MAX({_LAST_ID}, (SELECT COALESCE(MAX(id), 0) FROM main.images))
    """,  # noqa: S608
    """
    INSERT INTO main.attributes (image, name, value)
    SELECT image, name, value FROM before.attributes WHERE image IN (SELECT id FROM temp.carried)
    """,
    f"UPDATE main.images SET label = ({_GIVEN_LABEL}) WHERE id IN ({_LABELLED})",  # noqa: S608
    "DROP TABLE temp.carried",
)

# All vectors leave the table and come back: the row is its primary key, and new rows must not meet old ones.
_TAKE_VECTORS_OUT = (
    "PRAGMA defer_foreign_keys = ON",  # until the commit
    "CREATE TEMP TABLE kept (row INTEGER PRIMARY KEY, hash, crc32, width, height)",
    """
    INSERT INTO temp.kept SELECT row, hash, crc32, width, height FROM vectors WHERE row NOT IN (SELECT row FROM dead)
    """,
    "CREATE TEMP TABLE moved (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)",
    "INSERT INTO temp.moved SELECT row, row_number() OVER (ORDER BY row) - 1 FROM temp.kept",
    "DELETE FROM dead",
    "DELETE FROM vectors",
)
_PUT_VECTORS_BACK = (
    """
    INSERT INTO vectors (row, hash, crc32, width, height)
    SELECT new, hash, crc32, width, height FROM temp.moved JOIN temp.kept ON kept.row = old ORDER BY new
    """,
    "DROP TABLE temp.moved",
    "DROP TABLE temp.kept",
)
