"""Reads the catalog page by page, and counts what its images have in common, for people who look through them."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from lookalike.filters import LABEL, Value, Where, is_value
from lookalike.images.reading import FileStatus
from lookalike.storage import filter_sql, seals
from lookalike.storage.filter_sql import Condition
from lookalike.storage.known_files import KnownFiles
from lookalike.storage.records import InvalidRecordError, StoredImage, checked_count, is_count
from lookalike.storage.sqlite import Connection

NO_LIMIT = -1
_MAX_SHOWN = 200  # characters of a value that is counted; a longer one is no category
_MAX_NAMES = 50  # attributes whose values are counted
# The folders before the name: the key without the characters at its end that are no "/".
_FOLDER = "rtrim(key, replace(key, '/', ''))"

Counts: TypeAlias = tuple[tuple[Value | None, int], ...]
"""Values, each with the number of images that have it, the most frequent first."""


@dataclass(frozen=True)
class ValueCounts:
    """How many images have each label, folder and value of an attribute.

    Attributes:
        images: the number of images that are counted.
        labels: by label; None counts the images that have none.
        folders: by the folder that directly holds the image, without a slash at the end; "" is the collection's own.
        attributes: by value, for each attribute.
    """

    images: int
    labels: Counts
    folders: Counts
    attributes: Mapping[str, Counts]


class BrowsedImages(KnownFiles):
    """The images of a catalog in the order of their ids, and what they have in common."""

    def image(self, id_: int) -> StoredImage | None:
        """The image of that number, or None."""
        if not 0 < id_ < 2**63:  # what SQLite can count
            return None
        found = self._images("0 AS place", "images", "id = ?", (id_,))
        return found[0] if found else None

    def images_of(self, ids: Sequence[int]) -> list[StoredImage]:
        """The images of these numbers that are there, by number."""
        return self._images("id AS place", "images", "id IN (SELECT value FROM json_each(?))", (json.dumps(ids),))

    def image_at(self, key: str) -> StoredImage | None:
        """The image of that key, or None."""
        found = self._images("0 AS place", "images", "key = CAST(? AS TEXT)", (os.fsencode(key),))
        return found[0] if found else None

    def images_after(self, after_id: int, *, where: Where | None, limit: int) -> list[StoredImage]:
        """The images with a larger id that match, by id.

        Raises:
            UsageError: the filter asks for an attribute that no image has.
        """
        with self._database.reading() as connection:
            condition = self._condition(connection, self.as_stored(where) if where else None)
            values = (max(min(after_id, 2**63 - 1), 0), *condition.values)
            return self._images("id AS place", "images", f"id > ? AND ({condition.sql})", values, limit)

    def files_after(self, after_id: int, *, limit: int) -> list[tuple[FileStatus, int]]:
        """The status of the file and the revision of the decoders of the images with a larger id, by id."""
        query = """
            SELECT size, mtime_ns, ctime_ns, decoding FROM images JOIN vectors USING (row)
            WHERE id > ? ORDER BY id LIMIT ?
        """
        with self._database.connection() as connection:
            found = connection.execute(query, (after_id, limit)).fetchall()
        return [
            (FileStatus(*status), checked_count(decoding, "the revision of the decoders"))
            for *status, decoding in found
        ]

    def last_id(self) -> int:
        """The largest number of an image; 0 if there is none."""
        with self._database.connection() as connection:
            (found,) = connection.execute("SELECT MAX(id) FROM images").fetchone()
        return checked_count(found or 0, "the last id")

    def value_counts(self, where: Where | None, *, most: int) -> ValueCounts:
        """Counts the images that match, by label, by folder and by attribute; of each, the `most` frequent values.

        Raises:
            UsageError: the filter asks for an attribute that no image has.
        """
        with self._database.reading() as connection:
            condition = self._condition(connection, self.as_stored(where) if where else None)
            query = f"SELECT COUNT(*) FROM images WHERE {condition.sql}"  # noqa: S608
            (images,) = connection.execute(query, condition.values).fetchone()
            return ValueCounts(
                images,
                labels=_counted(connection, "label", condition, most),
                folders=_folders(_counted(connection, _FOLDER, condition, most)),
                attributes=_attributes(connection, condition if where else None, most),
            )

    def attribute_names(self) -> list[str]:
        """The names of the attributes that images have, in order."""
        with self._database.connection() as connection:
            names = [name for (name,) in connection.execute("SELECT DISTINCT name FROM attributes ORDER BY name")]
            if not all(isinstance(name, str) for name in names):
                raise InvalidRecordError("an attribute has no name")
        return names

    def _condition(self, connection: Connection, where: Where | None) -> Condition:
        if where is None:
            return Condition("TRUE")
        filter_sql.refuse_unknown_names(connection, where, self.attribute_names)
        return filter_sql.for_scan(where)

    def _images(
        self, place: str, source: str, condition: str, values: Sequence[Any], limit: int = NO_LIMIT
    ) -> list[StoredImage]:
        """The images of a source that meet a condition, in the order of `place` and key, with their attributes."""
        with self._database.connection() as connection:
            return self._images_and_crc32s(self._found_rows(connection, place, source, condition, values, limit))[0]

    @staticmethod
    def _found_rows(
        connection: Connection, place: str, source: str, condition: str, values: Sequence[Any], limit: int
    ) -> list[tuple[Any, ...]]:
        """What `_images_and_crc32s` takes: a row for each attribute of an image, or one if it has none.

        Each begins with what the newest commit says, so that the statement is of one state.
        """
        query = f"""
            SELECT (SELECT count FROM changes), (SELECT token FROM changes), crc32,
                found.id, key, row, label, width, height, hash, seal, attributes.name, attributes.value FROM (
                SELECT {place}, id, key, images.row, label, width, height, hash, seal, crc32
                FROM {source} JOIN vectors ON vectors.row = images.row
                WHERE {condition} ORDER BY place, key LIMIT ?
            ) AS found LEFT JOIN attributes ON image = found.id ORDER BY place, key, name
        """  # noqa: S608
        return connection.execute(query, (*values, limit)).fetchall()

    @staticmethod
    def _images_and_crc32s(found: Sequence[tuple[Any, ...]]) -> tuple[list[StoredImage], dict[int, int]]:
        """Images, in the order of the rows, and the checksums of their vectors by row."""
        return seals.unsealed(row[3:] for row in found), {row[5]: row[2] for row in found}


def _counted(connection: Connection, column: str, condition: Condition, most: int) -> Counts:
    query = f"""
        SELECT {column} AS value, COUNT(*) AS images FROM images WHERE {condition.sql}
        GROUP BY value ORDER BY images DESC, value LIMIT ?
    """  # noqa: S608
    return tuple(_checked(*row) for row in connection.execute(query, (*condition.values, most)))


def _folders(counts: Counts) -> Counts:
    return tuple((value.rstrip("/") or value[:1] if isinstance(value, str) else value, n) for value, n in counts)


def _attributes(connection: Connection, condition: Condition | None, most: int) -> dict[str, Counts]:
    within = f"image IN (SELECT id FROM images WHERE {condition.sql})" if condition else "TRUE"  # noqa: S608
    query = f"""
        SELECT name, value, images FROM (
            SELECT name, value, COUNT(*) AS images,
                row_number() OVER (PARTITION BY name ORDER BY COUNT(*) DESC, value) AS place
            FROM attributes WHERE name <> ? AND length(value) <= ? AND {within} GROUP BY name, value
        ) WHERE place <= ? ORDER BY name, place LIMIT ?
    """  # noqa: S608
    values = (LABEL, _MAX_SHOWN, *(condition.values if condition else ()), most, most * _MAX_NAMES)
    found: dict[str, list[tuple[Value | None, int]]] = {}
    for name, value, images in connection.execute(query, values):
        if not isinstance(name, str):
            raise InvalidRecordError("an attribute has no name")
        found.setdefault(name, []).append(_checked(value, images))
    return {name: tuple(counts) for name, counts in found.items()}


def _checked(value: Any, images: Any) -> tuple[Value | None, int]:
    if not (value is None or is_value(value)) or not is_count(images):
        raise InvalidRecordError("an image has a label or an attribute that is no value")
    return value, images
