"""What the catalog says of the vectors of parts of the images: which rows of their file belong to which image.

An image with parts has a place there: its parts are in the rows from place * per_image on, one after the other. Places
are given in the order in which the parts were encoded, and stay when the rows of whole images are renumbered.
"""

import sqlite3
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lookalike.errors import CorruptError
from lookalike.storage import layout, records
from lookalike.storage.missing import DEAD
from lookalike.storage.records import InvalidRecordError, RegionState, StoredGeneration
from lookalike.storage.sqlite import Connection, Database

_CRC32_BYTES = 4
_PAGE = 1000  # rows that are read at a time
# Gives the whole images of parts other rows; `moved` has the old and the new ones, and no longer those that are gone.
RENUMBER = "UPDATE regions SET row = (SELECT new FROM temp.moved WHERE old = regions.row)"
_WITHOUT = "NOT EXISTS (SELECT 1 FROM regions WHERE regions.row = images.row)"


@dataclass(frozen=True)
class FileOfRow:
    """A row of the vectors of whole images, the SHA-256 of its file, and a key under which that was."""

    row: int
    hash: bytes
    key: str

    def __post_init__(self) -> None:
        if not (records.is_count(self.row) and isinstance(self.hash, bytes) and records.is_key(self.key)):
            raise InvalidRecordError("invalid record of an image without regions")


class StoredRegions:
    """Reads which parts of images have vectors. Threads may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last_file(self) -> str | None:
        """The name of the file of their vectors, or of the last one if there are none any more; else None."""
        with self._database.connection() as connection:
            found = connection.execute("SELECT vectors FROM region_storage").fetchone()
        if found is not None and not layout.is_regions(found[0]):
            raise self._damaged("the file of vectors of regions has another name")
        return found and str(found[0])

    def rows_by_place(self, state: RegionState, *, start: int = 0) -> "array[int]":
        """The row of the whole image for each place from `start` on, -1 where it is of none, as 64-bit integers.

        Raises:
            CorruptError: a place or a row is none.
        """
        rows = array("q", [-1]) * (state.places - start)
        with self._database.connection() as connection:
            found = connection.execute(
                "SELECT place, row FROM regions WHERE place >= ? AND row IS NOT NULL", (start,)
            ).fetchall()
        try:
            for place, row in found:
                rows[place - start] = row
        except (TypeError, IndexError, OverflowError):
            raise self._damaged("a place is none") from None
        return rows

    def live_places(self, state: RegionState) -> "array[int]":
        """The places of images, be they missing or not, as 64-bit integers.

        Raises:
            CorruptError: a place is none.
        """
        query = f"SELECT place FROM regions WHERE row IS NOT NULL AND row NOT IN {DEAD} ORDER BY place"  # noqa: S608
        with self._database.connection() as connection:
            try:
                places = array("q", (place for (place,) in connection.execute(query)))
            except (TypeError, OverflowError):
                raise self._damaged("a place is none") from None
        if places and not 0 <= places[0] <= places[-1] < state.places:
            raise self._damaged("a place is out of range")
        return places

    def crc32s(self, state: RegionState, rows: Sequence[int]) -> dict[int, int]:
        """The checksums of at least these rows of the file of parts, by row; a row of no image has none."""
        found = dict[int, int]()
        places = sorted({row // state.per_image for row in rows})
        with self._database.connection() as connection:
            for start in range(0, len(places), _PAGE):
                part = places[start : start + _PAGE]
                query = f"SELECT place, crc32s FROM regions WHERE place IN ({', '.join('?' * len(part))})"  # noqa: S608
                for place, packed in connection.execute(query, part):
                    first = int(place) * state.per_image
                    found.update(enumerate(self._unpacked(packed, state.per_image), first))
        return found

    def without(self, first_row: int = 0) -> int:
        """The number of images, not missing, whose parts have no vectors; images of the same bytes count once.

        Those whose rows are below `first_row` are not looked at.
        """
        query = f"SELECT COUNT(DISTINCT row) FROM images WHERE row >= ? AND {_WITHOUT}"  # noqa: S608
        with self._database.connection() as connection:
            return int(connection.execute(query, (first_row,)).fetchone()[0])

    def files_without(self, first_row: int = 0) -> Iterator[FileOfRow]:
        """The files of these images, by row; the same bytes may be at several keys."""
        query = f"""
            SELECT row, hash, key FROM images JOIN vectors USING (row)
            WHERE images.row > ? AND {_WITHOUT}
            ORDER BY images.row, images.id LIMIT ?
        """  # noqa: S608
        after = first_row - 1
        while True:
            with self._database.connection() as connection:
                page = [FileOfRow(*each) for each in connection.execute(query, (after, _PAGE)).fetchall()]
            if not page:
                return
            last = page[-1].row  # whose files may go on in the next page
            whole = [each for each in page if each.row < last] if len(page) == _PAGE else page
            yield from whole or page
            after = (whole or page)[-1].row

    def _unpacked(self, packed: object, per_image: int) -> tuple[int, ...]:
        if not isinstance(packed, bytes) or len(packed) != per_image * _CRC32_BYTES:
            raise self._damaged("the checksums of an image's regions are none")
        return struct.unpack(f"<{per_image}I", packed)

    def _damaged(self, why: str) -> CorruptError:
        return CorruptError(f"{self._database.path}: the file is damaged: {why}")


class ChangedRegions:
    """Changes which parts of images have vectors, within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def begin(self, per_image: int, vectors: str) -> None:
        """Keeps vectors of so many parts of each image from now on, in a file that has none yet."""
        self.end()
        self._connection.execute("DELETE FROM region_storage")
        query = "INSERT INTO region_storage (per_image, vectors, count) VALUES (?, CAST(? AS TEXT), 0)"
        self._connection.execute(query, (per_image, vectors.encode()))

    def end(self) -> None:
        """Keeps none any more; the name of the last file is kept, so that no other gets it."""
        self._connection.execute("UPDATE region_storage SET per_image = 0, count = 0")
        self._connection.execute("DELETE FROM regions")
        self._connection.execute("DELETE FROM generations WHERE of_regions")

    def add(self, rows: Sequence[int], place: int, crc32s: Sequence[Sequence[int]]) -> None:
        """Notes the vectors of parts of some images, which are behind all others in their file.

        Args:
            rows: those of the whole images.
            place: of the first of them.
            crc32s: of the vectors of the parts of each, equally many.
        """
        packed = (struct.pack(f"<{len(each)}I", *each) for each in crc32s)
        values = [(row, at, each) for at, (row, each) in enumerate(zip(rows, packed, strict=True), place)]
        self._connection.executemany("UPDATE regions SET row = NULL WHERE row = ?", [(row,) for row in rows])
        self._connection.executemany("INSERT INTO regions (row, place, crc32s) VALUES (?, ?, ?)", values)
        query = "UPDATE region_storage SET count = ? * per_image"
        self._connection.execute(query, (place + len(rows),))

    def compact(self, vectors: str) -> None:
        """Forgets the places of no image, renumbers the others from 0 in their order, and drops the index of parts.

        `vectors` is the name of the file that has just their vectors, in this order.
        """
        self._connection.execute(f"DELETE FROM regions WHERE row IS NULL OR row IN {DEAD}")  # noqa: S608
        # First out of the way, since no two may have the same place at any time.
        self._connection.execute("UPDATE regions SET place = -1 - place")
        renumber = """
            UPDATE regions SET place = moved.new
            FROM (SELECT place AS old, row_number() OVER (ORDER BY place DESC) - 1 AS new FROM regions) AS moved
            WHERE regions.place = moved.old
        """
        self._connection.execute(renumber)
        count = "per_image * (SELECT COUNT(*) FROM regions)"
        query = f"UPDATE region_storage SET vectors = CAST(? AS TEXT), count = {count}"  # noqa: S608
        self._connection.execute(query, (vectors.encode(),))
        self._connection.execute("DELETE FROM generations WHERE of_regions")


def state_of_regions(connection: Connection | sqlite3.Connection) -> RegionState | None:
    """What the newest commit says of the vectors of parts; None if there are none.

    Raises:
        InvalidRecordError: that is not what Lookalike writes.
    """
    query = """
        SELECT per_image, vectors, count, number, rows, index_sha256, card_sha256
        FROM region_storage LEFT JOIN generations ON of_regions
        WHERE per_image <> 0 ORDER BY number DESC LIMIT 1
    """
    found = connection.execute(query).fetchone()
    if found is None:
        return None
    per_image, vectors, count, *stored = found
    return RegionState(per_image, vectors, count, None if stored[0] is None else StoredGeneration(*stored))
