"""Fills the catalog of a collection that is being made, many images at a time, before anybody can see it.

Nothing of it survives a crash: the directory that it is in is thrown away then, see making.py. So SQLite keeps no
journal and does not wait for the disk. What costs time for each image is left out, and made at the end for all:
indexes, and triggers that do nothing in a new catalog.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
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
_AT_ONCE = 100  # rows that one statement inserts
_LATER = ("image_added", "image_removed", "images_by_row", "images_by_label", "attributes_by_value")


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
        attributes: by name, a column for each; None is an image that has none of that name.
        statuses: of their files; None if no file was read.
        decodings: the revisions of the decoders that they were read with; None is the present one.
    """

    keys: Sequence[str]
    hashes: Sequence[bytes]
    crc32s: Sequence[int]
    labels: Sequence[str | None]
    widths: Sequence[int]
    heights: Sequence[int]
    attributes: Mapping[str, Sequence[Value | None]] = field(default_factory=dict)
    statuses: Sequence[FileStatus] | None = None
    decodings: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def only(self, places: Sequence[int]) -> "NewImages":
        """Those of the images at these places."""
        columns: dict[str, Any] = vars(self)
        taken = {name: _at(places, values) for name, values in columns.items() if name != "attributes"}
        attributes = {name: _at(places, values) for name, values in self.attributes.items()}
        return NewImages(**taken, attributes=attributes)


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
        decodings = images.decodings or [revisions.CURRENT] * len(images)
        columns = rows, images.hashes, images.crc32s, images.widths, images.heights, decodings
        query = "INSERT OR IGNORE INTO vectors (row, hash, crc32, width, height, decoding) VALUES"
        self._insert(query, "(?, ?, ?, ?, ?, ?)", columns)

    def _put_images(self, rows: Sequence[int], images: NewImages) -> None:
        ids = range(self._id, self._id + len(images))
        statuses = images.statuses or [unread.STATUS] * len(images)
        times = ([getattr(status, name) for status in statuses] for name in ("size", "mtime_ns", "ctime_ns"))
        columns = ids, _texts(images.keys), rows, *times, _texts(images.labels), self._seals(images)
        query = "INSERT OR IGNORE INTO images (id, key, row, size, mtime_ns, ctime_ns, label, seal) VALUES"
        self._insert(query, "(?, CAST(? AS TEXT), ?, ?, ?, ?, CAST(? AS TEXT), ?)", columns)

    def _insert(self, query: str, values: str, columns: Sequence[Sequence[Any]]) -> None:
        """Inserts rows, given as columns, many with each statement: that takes half the time."""
        width = len(columns)
        for start in range(0, len(columns[0]), _AT_ONCE):
            parts = [column[start : start + _AT_ONCE] for column in columns]
            flat: list[Any] = [None] * (len(parts[0]) * width)
            for place, part in enumerate(parts):
                flat[place::width] = part
            self._connection.execute(f"{query} {', '.join([values] * len(parts[0]))}", flat)

    def _seals(self, images: NewImages) -> list[int]:
        """The seals of images, as `seals.seal_of` has them."""
        ids = range(self._id, self._id + len(images))
        parts = [
            ["" if value is None else f"\0{name}\0{value!r}" for value in values]
            for name, values in sorted(images.attributes.items())
        ]
        given: Iterable[str] = map("".join, zip(*parts, strict=True)) if parts else repeat("")
        facts = zip(ids, images.keys, images.labels, images.widths, images.heights, given, images.hashes, strict=False)
        return [
            zlib.crc32(
                f"{id_}\0{key}\0{label!r}\0{width}\0{height}{rest}".encode("utf-8", "surrogateescape"),
                zlib.crc32(hash_),
            )
            for id_, key, label, width, height, rest, hash_ in facts
        ]

    def _put_attributes(self, images: NewImages) -> None:
        query = "INSERT INTO attributes (image, name, value) VALUES"
        for name, values in images.attributes.items():
            kept = [(id_, value) for id_, value in enumerate(values, self._id) if value is not None]
            called, ids = [*_texts([name])], [id_ for id_, value in kept if isinstance(value, str)]
            texts = _texts([value for _, value in kept if isinstance(value, str)])
            self._insert(query, "(?, CAST(? AS TEXT), CAST(? AS TEXT))", (ids, called * len(ids), texts))
            if len(texts) < len(kept):
                ids = [id_ for id_, value in kept if not isinstance(value, str)]
                numbers = [value for _, value in kept if not isinstance(value, str)]
                self._insert(query, "(?, CAST(? AS TEXT), ?)", (ids, called * len(ids), numbers))


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


def _texts(texts: Sequence[str | None]) -> Sequence[str | bytes | None]:
    """Texts as SQLite takes them: as bytes if there are names among them that are not UTF-8."""
    try:
        "".join(filter(None, texts)).encode()
    except UnicodeEncodeError:
        return [None if text is None else _encoded(text) for text in texts]
    return texts


def _at(places: Sequence[int], values: Any) -> Any:
    """The items of a column at some places; None if there is no column."""
    return None if values is None else [values[place] for place in places]
