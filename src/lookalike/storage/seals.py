"""Seals images: a checksum of all that is stored of one, so that a damaged byte never comes back as an answer.

SQLite does not notice a flipped bit in a text or a number.
"""

import json
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from lookalike.filters import Value

_PAGE = 1000  # images read at a time

Sealed = tuple[int, str, bytes, str | None, int, int]
"""The id, key, SHA-256, label, width and height of an image."""


def seal_of(image: Sealed, attributes: Mapping[str, Value]) -> int:
    """The CRC-32 of what is stored of an image. The types of values count: 7, 7.0 and "7" are three values."""
    id_, key, hash_, label, width, height = image
    given = "".join(f"\0{name}\0{value!r}" for name, value in sorted(attributes.items())) if attributes else ""
    text = f"{id_}\0{key}\0{label!r}\0{width}\0{height}{given}"
    return zlib.crc32(text.encode("utf-8", "surrogateescape"), zlib.crc32(hash_))


def seal(connection: sqlite3.Connection, ids: Collection[int] | None = None) -> None:
    """Seals these images as they are now; None is all."""
    seals = ((seal_of(image, attributes), image[0]) for image, _, attributes in _images(connection, ids))
    connection.executemany("UPDATE images SET seal = ? WHERE id = ?", seals)


def first_damage(connection: sqlite3.Connection) -> str | None:
    """The first problem that SQLite's own checks find, or the seals of the images; None if there is none."""
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        return str(found)
    if broken := connection.execute("PRAGMA foreign_key_check").fetchone():
        return f"table {broken[0]} refers to a missing row"
    for image, seal, attributes in _images(connection, None):
        if seal != seal_of(image, attributes):
            return f"the record of image {image[0]} is not as it was written"
    return None


def _images(
    connection: sqlite3.Connection, ids: Collection[int] | None
) -> Iterator[tuple[Sealed, int, dict[str, Value]]]:
    """These images with their seals and attributes, by id, read a page at a time."""
    among = "TRUE" if ids is None else "id IN (SELECT value FROM json_each(?))"
    query = f"""
        SELECT id, key, hash, label, width, height, seal, name, value FROM (
            SELECT * FROM images WHERE id > ? AND {among} ORDER BY id LIMIT {_PAGE}
        ) JOIN vectors USING (row) LEFT JOIN attributes ON image = id ORDER BY id
    """  # noqa: S608
    given: list[Any] = [] if ids is None else [json.dumps(sorted(ids))]
    last = 0
    while rows := connection.execute(query, [last, *given]).fetchall():
        page: dict[tuple[Any, ...], dict[str, Value]] = {}
        for *image, name, value in rows:
            attributes = page.setdefault((*image,), {})
            if name is not None:
                attributes[name] = value
        for (*sealed, seal), attributes in page.items():
            yield (*sealed,), seal, attributes
        last = rows[-1][0]
