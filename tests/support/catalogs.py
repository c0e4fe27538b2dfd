"""Builders of catalogs for the tests, and what they read back of them."""

import os
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from lookalike.images.reading import FileStatus
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import StoredImage
from lookalike.storage.transaction import Transaction

STATUS = FileStatus(1, 2, 3)  # of a file that need not exist


class GivenUpError(Exception):
    """Ends a transaction that is to leave no trace."""


# Writing


def put(transaction: Transaction, key: str, row: int) -> None:
    transaction.put_image(key, row, STATUS)


def move(transaction: Transaction, old: str, new: str) -> None:
    """Gives an image another key, as when its file is renamed."""
    image = transaction.image_at(old)
    assert image
    transaction.move(image, new, image.row, STATUS)


def hash_of(number: int) -> bytes:
    """The hash of the image file with that number, which is its row unless a catalog has been compacted."""
    return bytes([number]) * 32


def add_vector(transaction: Transaction, row: int, number: int | None = None) -> None:
    """The vector of the image file with that number, by default the row's; its CRC-32 is 1000 more than the number."""
    number = row if number is None else number
    transaction.add_vector(row, hash_of(number), 1000 + number, width=number, height=number + 1)


def fill(catalog: Catalog, keys: Sequence[str]) -> None:
    """One image with a vector of its own for each key, behind those that are there."""
    first = catalog.state().count
    with catalog.writing() as transaction:
        for row, key in enumerate(keys, first):
            add_vector(transaction, row)
            put(transaction, key, row)


def fill_copies(catalog: Catalog, number: int) -> None:
    """So many images that share the first vector."""
    with catalog.writing() as transaction:
        for each in range(number):
            put(transaction, f"copy {each}", 0)


def fill_many(catalog: Catalog, number: int) -> None:
    """Images with vectors of their own, of which every fifth is then removed."""
    first = catalog.state().count
    with catalog.writing() as transaction:
        for each in range(1, number):
            transaction.add_vector(first + each - 1, each.to_bytes(32, "little"), each, width=1, height=1)
            put(transaction, f"{each:04}", first + each - 1)
        transaction.remove(f"{each:04}" for each in range(1, number, 5))


def set_attributes(catalog: Catalog, key: str, values: Mapping[str, Any]) -> None:
    with catalog.writing() as transaction:
        assert transaction.set_attributes(key, values)


# Reading


def keys_of(catalog: Catalog) -> list[str]:
    """The keys of all files in the collection's own folder, in the order of their bytes."""
    return [known.key for known in catalog.known_files()]


def images_of(catalog: Catalog) -> list[StoredImage]:
    """All images, by row and key."""
    return catalog.images_of_rows(range(catalog.state().count))


def image_of(catalog: Catalog, key: str) -> StoredImage:
    [image] = [image for image in images_of(catalog) if image.key == key]
    return image


def attributes_of(catalog: Catalog, key: str) -> dict[str, Any]:
    return dict(image_of(catalog, key).attributes)


def label_of(catalog: Catalog, key: str) -> str | None:
    return image_of(catalog, key).label


def labels_of(catalog: Catalog) -> dict[str, int]:
    """The number of images of each label, by a connection that is not the catalog's."""
    with closing(sqlite3.connect(catalog.path)) as connection:
        connection.text_factory = os.fsdecode
        return dict(Counter(label for (label,) in connection.execute("SELECT label FROM images") if label is not None))


def typed(attributes: Mapping[str, Any]) -> dict[str, tuple[type, Any]]:
    """Attributes with the types of their values, which are equal although they differ in Python: 7 and 7.0."""
    return {name: (type(value), value) for name, value in attributes.items()}


def schema_of(catalog: Catalog) -> set[tuple[str, str, str | None]]:
    """The tables, indexes and triggers of a catalog, temporary ones too."""
    with catalog._database.connection() as connection:
        return set(
            connection.execute(
                "SELECT type, name, sql FROM sqlite_schema UNION SELECT * FROM ("
                "SELECT type, name, sql FROM sqlite_temp_schema)"
            )
        )
