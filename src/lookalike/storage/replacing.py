"""Gives images another vector although their files are as they were, since these are decoded otherwise now.

The row of the earlier vector becomes one of no image, which is removed when the file of vectors is compacted.
"""

import sqlite3

from lookalike.images import revisions
from lookalike.storage.missing import MissingImages


def outdate(connection: sqlite3.Connection, row: int) -> None:
    """Takes the hash away from the vector in a row, so that another one can have it. It is not found by it any more."""
    connection.execute("UPDATE vectors SET hash = ? WHERE row = ?", (row.to_bytes(8, "big"), row))  # no SHA-256


def move_images(connection: sqlite3.Connection, row: int, new: int) -> list[int]:
    """Gives all images of a row, missing or not, the vector in another one; returns the ids of those not missing."""
    ids = [id_ for (id_,) in connection.execute("SELECT id FROM images WHERE row = ?", (row,))]
    connection.execute("UPDATE images SET row = ? WHERE row = ?", (new, row))
    MissingImages(connection).move(row, new)
    if not ids:
        connection.execute("INSERT INTO dead VALUES (?)", (new,))
    return ids


def note_decoding(connection: sqlite3.Connection, rows: list[int]) -> None:
    """Notes that these vectors are as the decoders of today would give them."""
    query = "UPDATE vectors SET decoding = ? WHERE row = ?"
    connection.executemany(query, [(revisions.CURRENT, row) for row in rows])
