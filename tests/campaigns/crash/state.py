"""What a collection holds, read with SQLite and FAISS alone."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.pictures import stored_vectors

_HEADER_BYTES = 81  # of a file of vectors


@dataclass(frozen=True)
class State:
    """What a collection holds.

    Attributes:
        ids: of the images, by key.
        stamps: the size and time of change of each image and each skipped file, by key.
        vectors: of the images, by key.
        prices: the attribute of the images that have it, missing or not, by id.
        missing: the ids of the missing images.
    """

    ids: dict[str, int]
    stamps: dict[str, tuple[int, int]]
    vectors: dict[str, NDArray[np.float32]]
    prices: dict[int, int]
    missing: set[int]

    @property
    def all_ids(self) -> set[int]:
        """The ids of all images, missing or not."""
        return self.missing | set(self.ids.values())


EMPTY = State({}, {}, {}, {}, set())


def read(directory: Path) -> State:
    """Reads what the collection in a directory holds; without a collection, nothing."""
    if not (directory / "collection.json").exists():
        return EMPTY
    connection = sqlite3.connect(directory / "catalog.sqlite")
    try:
        images = connection.execute("SELECT key, id, size, mtime_ns FROM images").fetchall()
        skipped = connection.execute("SELECT key, size, mtime_ns FROM skipped").fetchall()
        missing = {id_ for (id_,) in connection.execute("SELECT id FROM missing")}
        query = "SELECT image, value FROM attributes UNION ALL SELECT image, value FROM missing_attributes"
        prices = connection.execute(query).fetchall()
    finally:
        connection.close()
    stamps = {key: (size, time) for key, *_, size, time in (*images, *skipped)}
    assert len(stamps) == len(images) + len(skipped)
    ids = {key: id_ for key, id_, *_ in images}
    return State(ids, stamps, stored_vectors(directory), dict(prices), missing)


def is_between_commits(directory: Path, dim: int) -> bool:
    """Whether a catalog has a journal, or its file of vectors holds rows that no commit has named."""
    connection = sqlite3.connect(f"file:{directory / 'catalog.sqlite'}?mode=ro&immutable=1", uri=True)
    try:
        (rows,) = connection.execute("SELECT COUNT(*) FROM vectors").fetchone()
        vectors = directory / connection.execute("SELECT vectors FROM storage").fetchone()[0]
    except sqlite3.DatabaseError:
        return True
    finally:
        connection.close()
    if (directory / "catalog.sqlite-journal").exists() or not vectors.exists():
        return True
    return bool(vectors.stat().st_size > _HEADER_BYTES + rows * dim * 2)


def is_same(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    """Whether two vectors are the same but for the rounding to half precision, or both are missing."""
    if one is None or other is None:
        return one is other
    return bool(np.abs(one - other).max() < 1e-3)
