"""Fills the catalog of a collection that is being made, many images at a time, before anybody can see it.

Nothing of it survives a crash: the directory that it is in is thrown away then, see making.py. So SQLite keeps no
journal and does not wait for the disk. What costs time for each image is left out, and made at the end for all:
indexes, and triggers that do nothing in a new catalog.
"""

import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any

from lookalike.filters import Value
from lookalike.images import revisions
from lookalike.images.reading import FileStatus
from lookalike.storage import schema, sqlite, unread
from lookalike.storage.catalog import Catalog
from lookalike.system import durable

_CACHE_KB = 64_000
_FIRST_ID = 1
_LATER = ("image_added", "images_by_row", "images_by_label", "attributes_by_value")


@dataclass(frozen=True)
class NewImages:
    """Some images for a catalog, column by column; all columns have a value for each image.

    Attributes:
        keys: of the images.
        hashes: the SHA-256s of their files, or what stands for them.
        crc32s: of their vectors, as they are stored.
        labels: or None.
        widths: in pixels; 0 is not known.
        heights: likewise.
        attributes: by name; those of an image that has none are left out or empty.
        statuses: of their files; None if no file was read.
        decodings: the revisions of the decoders that they were read with; None is the present one.
    """

    keys: Sequence[str]
    hashes: Sequence[bytes]
    crc32s: Sequence[int]
    labels: Sequence[str | None]
    widths: Sequence[int]
    heights: Sequence[int]
    attributes: Sequence[Mapping[str, Value]] | None = None
    statuses: Sequence[FileStatus] | None = None
    decodings: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def only(self, places: Sequence[int]) -> "NewImages":
        """Those of the images at these places."""
        columns: dict[str, Any] = vars(self)
        taken = {name: values and [values[place] for place in places] for name, values in columns.items()}
        return NewImages(**taken)


@dataclass(frozen=True)
class Added:
    """What became of some images.

    Attributes:
        new: the places of those whose vectors are new, and have the next rows in this order.
        refused: the places of those whose key another image has.
    """

    new: Sequence[int]
    refused: Sequence[int] = ()


class BulkCatalog:
    """Adds images with the next ids, and vectors with the next rows."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection, self._row, self._id = connection, 0, _FIRST_ID

    @property
    def images(self) -> int:
        """The number of images."""
        return self._id - _FIRST_ID

    @property
    def rows(self) -> int:
        """The number of vectors."""
        return self._row

    def add(self, images: NewImages) -> Added:
        """Adds images. Those of the same file share a vector, and its width and height, which are those of the first.

        An image whose key there is already is refused.
        """
        before, count = self._connection.total_changes, len(images)
        rows = range(self._row, self._row + count)
        self._put_vectors(rows, images)
        self._put_images(rows, images)
        if self._connection.total_changes - before == 2 * count:  # all are new, as they mostly are
            self._put_attributes(images)
            self._row, self._id = self._row + count, self._id + count
            return Added(range(count))
        self._connection.execute("DELETE FROM images WHERE id >= ?", (self._id,))
        self._connection.execute("DELETE FROM vectors WHERE row >= ?", (self._row,))
        return self._add_singly(images)

    def _add_singly(self, images: NewImages) -> Added:
        new, refused = list[int](), list[int]()
        for place in range(len(images)):
            image = images.only([place])
            if self._found("SELECT 1 FROM images WHERE key = CAST(? AS TEXT)", _encoded(image.keys[0])):
                refused.append(place)
                continue
            query = "SELECT row, width, height FROM vectors WHERE hash = ?"
            known = self._found(query, image.hashes[0])
            if known is None:
                known = self._row, image.widths[0], image.heights[0]
                self._put_vectors([self._row], image)
                self._row += 1
                new.append(place)
            row, width, height = known
            taken = replace(image, widths=[width], heights=[height])
            self._put_images([row], taken)
            self._put_attributes(taken)
            self._id += 1
        return Added(new, refused)

    def _found(self, query: str, value: bytes) -> tuple[int, int, int] | None:
        found: tuple[int, int, int] | None = self._connection.execute(query, (value,)).fetchone()
        return found

    def _put_vectors(self, rows: Sequence[int], images: NewImages) -> None:
        decodings = images.decodings or repeat(revisions.CURRENT)
        values = zip(rows, images.hashes, images.crc32s, images.widths, images.heights, decodings, strict=False)
        query = "INSERT OR IGNORE INTO vectors (row, hash, crc32, width, height, decoding) VALUES (?, ?, ?, ?, ?, ?)"
        self._connection.executemany(query, values)

    def _put_images(self, rows: Sequence[int], images: NewImages) -> None:
        ids, keys = range(self._id, self._id + len(images)), list(map(_encoded, images.keys))
        statuses = [(s.size, s.mtime_ns, s.ctime_ns) for s in images.statuses] if images.statuses else repeat(_UNREAD)
        labels = [None if label is None else _encoded(label) for label in images.labels]
        values = (
            (id_, key, row, size, mtime_ns, ctime_ns, label, seal)
            for id_, key, row, (size, mtime_ns, ctime_ns), label, seal in zip(
                ids, keys, rows, statuses, labels, self._seals(images, keys), strict=False
            )
        )
        query = """
            INSERT OR IGNORE INTO images (id, key, row, size, mtime_ns, ctime_ns, label, seal)
            VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?, CAST(? AS TEXT), ?)
        """
        self._connection.executemany(query, values)

    def _seals(self, images: NewImages, keys: Sequence[bytes]) -> Iterator[int]:
        """The seals of images, as `seals.seal_of` has them."""
        given = map(_sealed, images.attributes) if images.attributes else repeat(b"")
        ids = range(self._id, self._id + len(images))
        for id_, key, label, width, height, hash_, rest in zip(
            ids, keys, images.labels, images.widths, images.heights, images.hashes, given, strict=False
        ):
            facts = b"%d\0%b\0%b\0%d\0%d%b" % (id_, key, _encoded(repr(label)), width, height, rest)
            yield zlib.crc32(facts, zlib.crc32(hash_))

    def _put_attributes(self, images: NewImages) -> None:
        if images.attributes is None:
            return
        query = "INSERT INTO attributes (image, name, value) VALUES (?, ?, ?)"
        texts = "INSERT INTO attributes (image, name, value) VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT))"
        numbers, strings = list[tuple[int, str, Value]](), list[tuple[int, bytes, bytes]]()
        for id_, given in enumerate(images.attributes, self._id):
            for name, value in given.items():
                if isinstance(value, str):
                    strings.append((id_, _encoded(name), _encoded(value)))
                else:
                    numbers.append((id_, name, value))
        self._connection.executemany(texts, strings)
        self._connection.executemany(query, numbers)


_UNREAD = (unread.STATUS.size, unread.STATUS.mtime_ns, unread.STATUS.ctime_ns)


@contextmanager
def filling(path: Path) -> Iterator[BulkCatalog]:
    """Makes a catalog and gives what fills it. At the end it is complete, and on the disk.

    Raises:
        StorageError: the disk is full or failing.
    """
    Catalog.create(path)
    with sqlite.translated(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        connection.execute("PRAGMA journal_mode = OFF")
        for setting in ("synchronous = OFF", "locking_mode = EXCLUSIVE", f"cache_size = -{_CACHE_KB}"):
            connection.execute(f"PRAGMA {setting}")
        connection.execute("BEGIN")
        with schema.made_later(connection, _LATER):
            yield BulkCatalog(connection)
        connection.execute("UPDATE changes SET count = count + 1, token = random()")
        connection.execute("COMMIT")
        connection.execute("PRAGMA locking_mode = NORMAL")
        connection.execute(f"PRAGMA journal_mode = {mode}")
    with durable.storage_errors(path), path.open("rb") as file:
        durable.sync(file.fileno())


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _sealed(attributes: Mapping[str, Value]) -> bytes:
    """The part of a seal that is of the attributes."""
    return _encoded("".join([f"\0{name}\0{attributes[name]!r}" for name in sorted(attributes)]))
