"""What the catalog says of augmented vectors: means of vectors and their nearest, by which a refined order goes.

They are in a file of their own, row by row as the vectors that they are made of. They can be made again, and are, once
many images have come or gone; when rows get other numbers, they do not count any more.
"""

import sqlite3
from array import array

from lookalike.errors import CorruptError
from lookalike.storage import layout
from lookalike.storage.records import AugmentedState
from lookalike.storage.sqlite import Connection, Database

_CRC32_BYTES = 4
FORGET = "UPDATE augmentation SET count = 0, live = 0, crc32s = x''"


class StoredAugmentation:
    """Reads what is known of augmented vectors. Threads may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def crc32s(self) -> "array[int]":
        """The checksums of all augmented vectors, by row, as 32-bit integers.

        Raises:
            CorruptError: they are not as many as there are vectors.
        """
        with self._database.connection() as connection:
            found = connection.execute("SELECT count, crc32s FROM augmentation").fetchone()
        crc32s = array("I")
        if found is None:
            return crc32s
        count, packed = found
        if not isinstance(packed, bytes) or len(packed) != count * _CRC32_BYTES or crc32s.itemsize != _CRC32_BYTES:
            raise CorruptError(
                f"{self._database.path}: the file is damaged: the checksums of augmented vectors are none"
            )
        crc32s.frombytes(packed)
        return crc32s


class ChangedAugmentation:
    """Changes what is known of augmented vectors, within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def want(self) -> None:
        """Keeps augmented vectors from now on; there are none yet."""
        if self._connection.execute("SELECT COUNT(*) FROM augmentation").fetchone()[0] == 0:
            query = "INSERT INTO augmentation (is_wanted, vectors, count, live, crc32s) VALUES (1, ?, 0, 0, x'')"
            self._connection.execute(query, (layout.next_augmented(None),))
        self._connection.execute("UPDATE augmentation SET is_wanted = 1")

    def end(self) -> None:
        """Keeps none any more; the name of the last file is kept, so that no other gets it."""
        self._connection.execute("UPDATE augmentation SET is_wanted = 0")
        self._connection.execute(FORGET)

    def put(self, vectors: str, live: int, crc32s: "array[int]") -> None:
        """Names the file of augmented vectors from now on.

        Args:
            vectors: its name.
            live: how many of its rows are those of images.
            crc32s: of the vectors in it, as 32-bit integers.
        """
        query = "UPDATE augmentation SET vectors = CAST(? AS TEXT), count = ?, live = ?, crc32s = ?"
        self._connection.execute(query, (vectors.encode(), len(crc32s), live, crc32s.tobytes()))


def state_of_augmentation(connection: Connection | sqlite3.Connection) -> AugmentedState | None:
    """What the newest commit says of augmented vectors; None if none are wanted.

    Raises:
        InvalidRecordError: that is not what Lookalike writes.
    """
    found = connection.execute("SELECT vectors, count, live FROM augmentation WHERE is_wanted").fetchone()
    return None if found is None else AugmentedState(*found)
