"""Gives the images of a collection the attributes that a table has for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lookalike.attributes.table import read_table
from lookalike.sources.folder import absolute, key_of
from lookalike.storage.catalog import Catalog

_NAMED = 5  # paths in a report


@dataclass(frozen=True)
class AttributesReport:
    """What came of a table.

    Attributes:
        images: rows that named an image of the collection.
        unknown: rows that named none.
        first_unknown: the paths in the first few of these.
        names: of the attributes that the table has.
    """

    images: int
    unknown: int
    first_unknown: tuple[str, ...]
    names: tuple[str, ...]


def apply(catalog: Catalog, folder: Path, path: Path) -> AttributesReport:
    """Gives the images of a collection the attributes that a table has for them, all of it or nothing.

    What an image has and the table does not name stays; an empty cell takes the attribute away.

    Args:
        catalog: the collection's.
        folder: what the keys of its images are relative to.
        path: the table, as `table.read_table` takes it. The paths in it are keys, or else relative to its own folder.

    Raises:
        UsageError: there is no such table, or it cannot be used.
        StorageError: the disk is full or failing.
    """
    table = read_table(path)
    beside = absolute(path).parent
    images, unknown = 0, 0
    first_unknown: list[str] = []
    with catalog.writing() as transaction:
        for name, values in table.rows():
            if any(transaction.set_attributes(key, values) for key in keys_of(name, beside=beside, folder=folder)):
                images += 1
                continue
            unknown += 1
            if len(first_unknown) < _NAMED:
                first_unknown.append(name)
    return AttributesReport(images, unknown, tuple(first_unknown), table.names)


def keys_of(name: str, *, beside: Path, folder: Path) -> Iterator[str]:
    """The keys that a path in a table may stand for, the likeliest first.

    Args:
        name: the path, as it is in the table.
        beside: the table's folder.
        folder: what the keys are relative to.
    """
    yield name
    try:
        key = key_of(absolute(beside / name), folder)
    except (OSError, ValueError, RuntimeError):  # no file can have that name, or its links lead in a circle
        return
    if key != name:
        yield key
