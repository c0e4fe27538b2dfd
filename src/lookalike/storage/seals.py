"""Seals images: a checksum of all that is stored of one, so that a damaged byte never comes back as an answer.

SQLite does not notice a flipped bit in a text or a number.
"""

import itertools
import json
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from lookalike.filters import Value
from lookalike.storage.records import InvalidRecordError, StoredImage

_PAGE = 1000  # images read at a time


def seal_of(image: StoredImage) -> int:
    """The CRC-32 of what is stored of an image; instead of its row, which changes, that of the SHA-256 of its file.

    The types of values count: 7, 7.0 and "7" are three values.
    """
    attributes = sorted(image.attributes.items()) if image.attributes else ()
    given = "".join([f"\0{name}\0{value!r}" for name, value in attributes])
    text = f"{image.id}\0{image.key}\0{image.label!r}\0{image.width}\0{image.height}{given}"
    return zlib.crc32(text.encode("utf-8", "surrogateescape"), zlib.crc32(image.sha256))


def unsealed(rows: Iterable[Sequence[Any]]) -> list[StoredImage]:
    """The images of rows as `_sealed_images` takes them.

    Raises:
        InvalidRecordError: one is not as it was sealed.
    """
    found = _sealed_images(rows)
    for image, stored in found:
        if stored != seal_of(image):
            raise InvalidRecordError(_not_as_written(image))
    return [image for image, _ in found]


def seal(connection: sqlite3.Connection, ids: Collection[int] | None = None) -> None:
    """Seals these images as they are now; None is all."""
    for page in _pages(connection, ids):
        seals = [(seal_of(image), image.id) for image, _ in page]
        connection.executemany("UPDATE images SET seal = ? WHERE id = ?", seals)


def first_damage(connection: sqlite3.Connection) -> str | None:
    """The first problem that SQLite's own checks find, or the seals of the images; None if there is none."""
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        return str(found)
    if broken := connection.execute("PRAGMA foreign_key_check").fetchone():
        return f"table {broken[0]} refers to a missing row"
    for image, stored in itertools.chain.from_iterable(_pages(connection, None)):
        if stored != seal_of(image):
            return _not_as_written(image)
    return None


def _not_as_written(image: StoredImage) -> str:
    return f"the record of image {image.id} is not as it was written"


def _pages(connection: sqlite3.Connection, ids: Collection[int] | None) -> Iterator[list[tuple[StoredImage, int]]]:
    """These images with their seals, by id, a page at a time."""
    among = "TRUE" if ids is None else "id IN (SELECT value FROM json_each(?))"
    query = f"""
        SELECT id, key, images.row, label, width, height, hash, seal, name, value FROM (
            SELECT * FROM images WHERE id > ? AND {among} ORDER BY id LIMIT {_PAGE}
        ) AS images JOIN vectors USING (row) LEFT JOIN attributes ON image = id ORDER BY id
    """  # noqa: S608
    given: list[Any] = [] if ids is None else [json.dumps(sorted(ids))]
    last = 0
    while rows := connection.execute(query, [last, *given]).fetchall():
        yield _sealed_images(rows)
        last = rows[-1][0]


def _sealed_images(rows: Iterable[Sequence[Any]]) -> list[tuple[StoredImage, int]]:
    """The images of rows that begin with the fields of one and its seal, with their seals, in the order of the rows.

    Each row ends with the name and the value of an attribute, or with None twice.
    """
    found: dict[tuple[Any, ...], dict[str, Value]] = {}
    for *image, name, value in rows:
        attributes = found.setdefault((*image,), {})
        if name is not None:
            attributes[name] = value
    return [(StoredImage(*(*fields, attributes)), seal) for (*fields, seal), attributes in found.items()]
