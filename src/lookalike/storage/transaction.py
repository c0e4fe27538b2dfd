"""Changes to a catalog within one transaction."""

import os
import sqlite3
from collections.abc import Iterable, Mapping

from lookalike import arguments
from lookalike.filters import LABEL, Value, checked, checked_name
from lookalike.images import revisions
from lookalike.images.reading import FileStatus
from lookalike.sources.keys import folder_label
from lookalike.storage import carrying, replacing, schema, seals
from lookalike.storage.carrying import Carried
from lookalike.storage.filter_sql import stored
from lookalike.storage.missing import DEAD, MissingImages
from lookalike.storage.records import FiledImage, InvalidRecordError, MissingImage, StoredGeneration, checked_hash
from lookalike.storage.stored_augmentation import FORGET, ChangedAugmentation
from lookalike.storage.stored_regions import RENUMBER, ChangedRegions

# A label that was given as an attribute stays, whatever folder the file is in.
_GIVEN_LABEL = f"SELECT value FROM attributes WHERE image = images.id AND name = '{LABEL}'"  # noqa: S608


_MOST_CHANGED = 100_000  # images that wait to be sealed


def _label(key: str) -> bytes | None:
    label = folder_label(key)
    return None if label is None else os.fsencode(label)


def _values(status: FileStatus) -> tuple[int, int, int | None]:
    return status.size, status.mtime_ns, status.ctime_ns


class Transaction:
    """The changes that `Catalog.writing` commits.

    Attributes:
        missing: the images whose files are gone or cannot be used.
        regions: which parts of the images have vectors.
        augmentation: what is known of augmented vectors.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.missing, self.regions = MissingImages(connection), ChangedRegions(connection)
        self.augmentation = ChangedAugmentation(connection)
        self._changed: set[int] = set()  # ids of images that are to be sealed

    # Images

    def add_vector(self, row: int, hash_: bytes, crc32: int, *, width: int, height: int) -> None:
        """Adds the vector in a row: the SHA-256 and the size of its image, and its CRC-32."""
        values = (row, hash_, crc32, width, height, revisions.CURRENT)
        query = "INSERT INTO vectors (row, hash, crc32, width, height, decoding) VALUES (?, ?, ?, ?, ?, ?)"
        self._connection.execute(query, values)

    def replace_vector(self, old: int, row: int, crc32: int, *, width: int, height: int) -> None:
        """Adds another vector for the images of a row, since their file, which has not changed, is decoded otherwise.

        The earlier one is of no image any more, and is removed when the file of vectors is compacted.
        """
        hash_ = self.hash_of(old)
        replacing.outdate(self._connection, old)
        self.add_vector(row, hash_, crc32, width=width, height=height)
        for image_id in replacing.move_images(self._connection, old, row):
            self._seal_later(image_id)

    def note_decoding(self, rows: Iterable[int]) -> None:
        """Notes that the vectors in these rows are as the decoders of today would give them."""
        replacing.note_decoding(self._connection, [*rows])

    def put_image(self, key: str, row: int, status: FileStatus) -> None:
        """Adds an image, or gives the image of this key another row and status.

        Its label is that of its folder, unless it was given one as an attribute; it keeps its attributes.
        """
        self.forget_skipped([key])
        query = f"""
            INSERT INTO images (key, row, size, mtime_ns, ctime_ns, label)
            VALUES (CAST(? AS TEXT), ?, ?, ?, ?, CAST(? AS TEXT))
            ON CONFLICT (key) DO UPDATE SET
                row = excluded.row, size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,
                label = COALESCE(({_GIVEN_LABEL}), excluded.label)
            RETURNING id
        """  # noqa: S608
        found = self._connection.execute(query, (os.fsencode(key), row, *_values(status), _label(key))).fetchall()
        self._seal_later(found[0][0])

    def image_at(self, key: str) -> FiledImage | None:
        """The image of this key, or None."""
        return next(iter(self._filed("key = CAST(? AS TEXT)", os.fsencode(key))), None)

    def image_with_id(self, id_: int) -> FiledImage | None:
        """The image of this number, or None."""
        return next(iter(self._filed("id = ?", id_)), None)

    def images(self) -> list[FiledImage]:
        """All images, by id."""
        return self._filed("TRUE ORDER BY id")

    def images_with_row(self, row: int) -> list[FiledImage]:
        """The images of this row, by id: the copies of one file."""
        return self._filed("row = ? ORDER BY id", row)

    def move(self, image: FiledImage, key: str, row: int, status: FileStatus) -> None:
        """Gives an image another key, which no image has, and the row and status of the file there.

        It keeps its id and its attributes.
        """
        self.forget_skipped([key])
        query = f"""
            UPDATE images SET key = CAST(? AS TEXT), row = ?, size = ?, mtime_ns = ?, ctime_ns = ?,
                label = COALESCE(({_GIVEN_LABEL}), CAST(? AS TEXT))
            WHERE id = ?
        """  # noqa: S608
        self._connection.execute(query, (os.fsencode(key), row, *_values(status), _label(key), image.id))
        self._seal_later(image.id)

    def absorb(self, image: FiledImage, other: FiledImage) -> None:
        """Makes two images of the same file one, with the id and the key of the first, and the attributes of both.

        Where both have an attribute, that of the first stays.
        """
        move = "UPDATE OR IGNORE attributes SET image = ? WHERE image = ?"
        self._connection.execute(move, (image.id, other.id))
        self._connection.execute("DELETE FROM images WHERE id = ?", (other.id,))
        self._seal_later(image.id)

    def skipped_keys(self) -> list[str]:
        """The keys of the skipped files."""
        return [key for (key,) in self._connection.execute("SELECT key FROM skipped").fetchall()]

    def rename_skipped(self, key: str, new: str) -> None:
        """Gives a skipped file another key."""
        query = "UPDATE OR REPLACE skipped SET key = CAST(? AS TEXT) WHERE key = CAST(? AS TEXT)"
        self._connection.execute(query, (os.fsencode(new), os.fsencode(key)))

    def bring_back(self, image: MissingImage, key: str, row: int, status: FileStatus) -> None:
        """Makes an image of a missing one again, with its id and attributes, under a key that no image has."""
        self.forget_skipped([key])
        self.missing.bring_back(image, key, row, status, folder_label(key))
        self._seal_later(image.id)

    def bring_back_unchanged(self, key: str) -> bool:
        """Makes an image again of the missing one that was under a key last, as it was; returns whether it could."""
        image = self.missing.last_at(key)
        if image is None or image.row is None:
            return False
        self.bring_back(image, key, image.row, image.status)
        return True

    def put_status(self, key: str, status: FileStatus) -> None:
        """Records the status of a file that has not changed."""
        for table in ("images", "skipped"):
            query = f"UPDATE {table} SET size = ?, mtime_ns = ?, ctime_ns = ? WHERE key = CAST(? AS TEXT)"  # noqa: S608
            self._connection.execute(query, (*_values(status), os.fsencode(key)))

    def put_skipped(self, key: str, reason: str, status: FileStatus, *, since_ns: int) -> None:
        """Records a file that cannot be used; its image is missing from then on."""
        self.missing.set_aside([key], since_ns)
        self.forget_skipped([key])
        query = """
            INSERT INTO skipped (key, size, mtime_ns, ctime_ns, reason, decoding)
            VALUES (CAST(? AS TEXT), ?, ?, ?, ?, ?)
        """
        self._connection.execute(query, (os.fsencode(key), *_values(status), reason, revisions.CURRENT))

    def forget_skipped(self, keys: Iterable[str]) -> None:
        """Forgets that these files cannot be used."""
        names = [(os.fsencode(key),) for key in keys]
        self._connection.executemany("DELETE FROM skipped WHERE key = CAST(? AS TEXT)", names)

    def remove(self, keys: Iterable[str]) -> int:
        """Forgets these files, and returns the number of images among them, missing or not."""
        named = list(keys)
        self.forget_skipped(named)
        names = [(os.fsencode(key),) for key in named]
        present = self._connection.executemany("DELETE FROM images WHERE key = CAST(? AS TEXT)", names).rowcount
        return present + self.missing.remove(named)

    # Images whose contents have changed in the run that is under way

    def note_edit(self, image_id: int, before: bytes, *, now: bytes) -> None:
        """Remembers what the file of an image was: an earlier note stays, unless the file is as it was then."""
        self._connection.execute("INSERT OR IGNORE INTO edited (image, hash) VALUES (?, ?)", (image_id, before))
        self._connection.execute("DELETE FROM edited WHERE image = ? AND hash = ?", (image_id, now))

    def edited_from(self, hash_: bytes) -> list[FiledImage]:
        """The images whose files had these contents when the run began, by id."""
        return self._filed("id IN (SELECT image FROM edited WHERE hash = ?) ORDER BY id", hash_)

    def edited_hash(self, image_id: int) -> bytes | None:
        """What the file of an image was when the run began; None if it has not changed."""
        found = self._connection.execute("SELECT hash FROM edited WHERE image = ?", (image_id,)).fetchone()
        return None if found is None else checked_hash(found[0])

    def forget_edit(self, image_id: int) -> None:
        """Forgets what the file of an image was."""
        self._connection.execute("DELETE FROM edited WHERE image = ?", (image_id,))

    def hash_of(self, row: int) -> bytes:
        """The SHA-256 of the file that the vector in a row was made of."""
        found = self._connection.execute("SELECT hash FROM vectors WHERE row = ?", (row,)).fetchone()
        if found is None:
            raise InvalidRecordError("an image without a vector")
        return checked_hash(found[0])

    def _filed(self, condition: str, *values: bytes | int) -> list[FiledImage]:
        query = f"SELECT id, key, row, size, mtime_ns, ctime_ns FROM images WHERE {condition}"  # noqa: S608
        found = self._connection.execute(query, values).fetchall()
        return [FiledImage(id_, key, row, FileStatus(*status)) for id_, key, row, *status in found]

    # Attributes

    def set_attributes(self, key: str, values: Mapping[str, Value | None]) -> bool:
        """Sets these attributes of an image, deletes those that are None, and leaves the others.

        One named `label` also becomes the image's label, whatever its folder.

        Returns:
            Whether there is such an image.

        Raises:
            UsageError: a value is neither text nor a number, or is not finite or has more than 64 bits.
        """
        table, image = "attributes", self.image_at(key)
        found = image or self.missing.last_at(key)
        if found is None:
            return False
        if image is None:
            table = "missing_attributes"
        for name, value in values.items():
            checked_name(name)
            if value is None:
                query = f"DELETE FROM {table} WHERE image = ? AND name = CAST(? AS TEXT)"  # noqa: S608
                self._connection.execute(query, (found.id, stored(name)))
            else:
                self._put_attribute(table, found.id, name, checked(value, f"attribute {arguments.shown(name)}"))
        if image:
            self._seal_later(image.id)
        if image and LABEL in values:
            query = f"UPDATE images SET label = COALESCE(({_GIVEN_LABEL}), CAST(? AS TEXT)) WHERE id = ?"  # noqa: S608
            self._connection.execute(query, (_label(key), image.id))
        return True

    def add_attributes(self, image_id: int, key: str, values: Mapping[str, Value]) -> bool:
        """Gives an image the attributes that it does not have yet, and returns whether there were any."""
        names = self._connection.execute("SELECT name FROM attributes WHERE image = ?", (image_id,)).fetchall()
        known = {name for (name,) in names}
        new = {name: value for name, value in values.items() if name not in known}
        return bool(new) and self.set_attributes(key, new)

    def _put_attribute(self, table: str, image_id: int, name: str, value: Value) -> None:
        value = str(value) if name == LABEL else value
        cast = "CAST(? AS TEXT)" if isinstance(value, str) else "?"
        query = f"""
            INSERT INTO {table} (image, name, value) VALUES (?, CAST(? AS TEXT), {cast})
            ON CONFLICT (image, name) DO UPDATE SET value = excluded.value
        """  # noqa: S608
        self._connection.execute(query, (image_id, stored(name), stored(value)))

    def seal(self) -> None:
        """Seals the images that have changed; the last thing that is done."""
        if self._changed:
            seals.seal(self._connection, self._changed)
            self._changed = set()

    def _seal_later(self, image_id: int) -> None:
        self._changed.add(image_id)
        if len(self._changed) >= _MOST_CHANGED:
            self.seal()

    def carry_over(self, *, now_ns: int) -> Carried:
        """Gives the images what they are in the attached catalog `before`; see `carrying.carry_over`."""
        labelled = "SELECT key FROM images WHERE id IN (SELECT image FROM attributes WHERE name = ?)"
        for (key,) in self._connection.execute(labelled, (LABEL,)).fetchall():
            self.set_attributes(key, {LABEL: None})  # undoes the labels that an earlier call has set
        carried = carrying.carry_over(self._connection, now_ns=now_ns)
        seals.seal(self._connection)
        return carried

    # The index and the file of vectors

    def put_generation(self, stored: StoredGeneration, *, of_regions: bool = False) -> None:
        """Names the generation of the index of images, or of their parts, that serves from now on."""
        self.drop_generation(of_regions=of_regions)
        values = (stored.number, stored.rows, stored.index_sha256, stored.card_sha256, of_regions)
        query = "INSERT INTO generations (number, rows, index_sha256, card_sha256, of_regions) VALUES (?, ?, ?, ?, ?)"
        self._connection.execute(query, values)

    def drop_generation(self, *, of_regions: bool = False) -> None:
        """Names no index of images, or of their parts."""
        self._connection.execute("DELETE FROM generations WHERE of_regions = ?", (of_regions,))

    def compact(self, vectors: str) -> None:
        """Forgets the dead rows, renumbers the others from 0 in their order, and drops the index.

        `vectors` is the name of the file that has just these vectors, in this order.
        """
        with schema.made_later(self._connection, ["image_replaced"]):  # it would call renumbered rows dead
            for statement in _TAKE_VECTORS_OUT:
                self._connection.execute(statement)
            with schema.made_later(
                self._connection, ["images_by_row", "images_by_label"]
            ):  # faster than updating them all along
                self._connection.execute("UPDATE images SET row = (SELECT new FROM temp.moved WHERE old = images.row)")
            for statement in (*_PUT_VECTORS_BACK, RENUMBER, FORGET, *_DONE):
                self._connection.execute(statement)
        self.drop_generation()
        self._connection.execute("UPDATE storage SET vectors = CAST(? AS TEXT)", (os.fsencode(vectors),))


# All vectors leave the table and come back: the row is its primary key, and new rows must not meet old ones.
_TAKE_VECTORS_OUT = (
    "PRAGMA defer_foreign_keys = ON",  # until the commit
    "CREATE TEMP TABLE kept (row INTEGER PRIMARY KEY, hash, crc32, width, height, decoding)",
    f"""
    INSERT INTO temp.kept SELECT row, hash, crc32, width, height, decoding FROM vectors WHERE row NOT IN {DEAD}
    """,  # noqa: S608
    "CREATE TEMP TABLE moved (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)",
    "INSERT INTO temp.moved SELECT row, row_number() OVER (ORDER BY row) - 1 FROM temp.kept",
    "DELETE FROM dead",
    "DELETE FROM vectors",
)
_PUT_VECTORS_BACK = (
    """
    INSERT INTO vectors (row, hash, crc32, width, height, decoding)
    SELECT new, hash, crc32, width, height, decoding FROM temp.moved JOIN temp.kept ON kept.row = old ORDER BY new
    """,
    "UPDATE missing SET row = (SELECT new FROM temp.moved WHERE old = missing.row)",
    "INSERT INTO dead SELECT row FROM missing WHERE row IS NOT NULL EXCEPT SELECT row FROM images",
)
_DONE = ("DROP TABLE temp.moved", "DROP TABLE temp.kept")
