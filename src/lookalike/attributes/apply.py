"""Sets the attributes of a collection's images from a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lookalike.attributes.table import read_table
from lookalike.sources.folder import absolute, key_of
from lookalike.storage.catalog import Catalog

_MAX_NAMED = 5  # unknown paths in a report


@dataclass(frozen=True)
class AttributesReport:
    """The result of applying a table to a collection.

    Attributes:
        images: the number of rows whose path is an image of the collection.
        unknown: the number of the other rows.
        first_unknown: the paths in the first five of these.
        names: of the attributes that the table has.
    """

    images: int
    unknown: int
    first_unknown: tuple[str, ...]
    names: tuple[str, ...]


def apply(catalog: Catalog, folder: Path, path: Path) -> AttributesReport:
    """Sets the attributes of a collection's images from a table, in one transaction.

    Attributes that the table does not name stay as they are; an empty cell removes the attribute.

    Args:
        catalog: of the collection.
        folder: the folder that the keys of its images are relative to.
        path: the table, for `table.read_table`. The paths in it are keys, or else relative to the table's own folder.

    Raises:
        UsageError: the table does not exist or cannot be used.
        StorageError: the disk is full or failing.
    """
    table = read_table(path)
    table_folder = absolute(path).parent
    images, unknown = 0, 0
    first_unknown: list[str] = []
    with catalog.writing() as transaction:
        for name, values in table.rows():
            keys = keys_of(name, table_folder=table_folder, folder=folder)
            if any(transaction.set_attributes(key, values) for key in keys):
                images += 1
                continue
            unknown += 1
            if len(first_unknown) < _MAX_NAMED:
                first_unknown.append(name)
    return AttributesReport(images, unknown, tuple(first_unknown), table.names)


def keys_of(name: str, *, table_folder: Path, folder: Path) -> Iterator[str]:
    """Yields the keys that a path in a table may stand for, the likeliest first.

    Args:
        name: the path as it is in the table.
        table_folder: the folder of the table.
        folder: the folder that the keys are relative to.
    """
    yield name
    try:
        key = key_of(absolute(table_folder / name), folder)
    except (OSError, ValueError, RuntimeError):  # an impossible file name, or a symlink loop
        return
    if key != name:
        yield key
