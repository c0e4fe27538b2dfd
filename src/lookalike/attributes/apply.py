"""Sets the attributes of a collection's images from a table."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from lookalike import arguments
from lookalike.attributes.columns import NotANumber
from lookalike.attributes.table import read_table
from lookalike.errors import UsageError
from lookalike.sources.folder import absolute, key_of
from lookalike.storage.catalog import Catalog
from lookalike.storage.spellings import only, spellings

_MAX_NAMED = 5  # unknown and ambiguous paths in a report

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Ambiguous:
    """A path in a table that names two images.

    Attributes:
        path: as it is in the table.
        taken: the key of the image that has the attributes now, beside the table.
        other: the key of the other one.
    """

    path: str
    taken: str
    other: str


@dataclass(frozen=True)
class AttributesReport:
    """The result of applying a table to a collection.

    Attributes:
        images: the number of rows whose path is an image of the collection.
        unknown: the number of the other rows.
        first_unknown: the paths in the first five of these.
        names: of the attributes that the table has.
        ambiguous: the number of rows whose path names two images: one beside the table, and one whose key it is.
        first_ambiguous: the first five of these.
        column: the name of the column that names the images; "" if it has none.
        no_value: the number of cells that say that they have no value, as `NA` does; they count as empty.
        not_numbers: for each column of text most of whose cells are numbers, the first that is none.
    """

    images: int
    unknown: int
    first_unknown: tuple[str, ...]
    names: tuple[str, ...]
    ambiguous: int = 0
    first_ambiguous: tuple[Ambiguous, ...] = ()
    column: str = ""
    no_value: int = 0
    not_numbers: tuple[NotANumber, ...] = ()


def apply(catalog: Catalog, folder: Path, path: Path) -> AttributesReport:
    """Sets the attributes of a collection's images from a table, in one transaction.

    Attributes that the table does not name stay as they are; an empty cell removes the attribute.

    Args:
        catalog: of the collection.
        folder: the folder that the keys of its images are relative to.
        path: the table, for `table.read_table`. The paths in it are relative to the table's own folder, or else keys.

    Raises:
        UsageError: the table does not exist or cannot be used.
        StorageError: the disk is full or failing.
    """
    names = _Names(catalog, absolute(path).parent, folder)
    table = read_table(path, names.is_image)
    images, unknown, ambiguous = 0, _First[str](), _First[Ambiguous]()
    with catalog.writing() as transaction:
        for name, values in table.rows():
            taken = names.key(name)
            if taken is None:
                unknown.add(name)
                continue
            with _errors_of(path, name):
                transaction.set_attributes(taken, values)
            images += 1
            if taken != name and _is_image(catalog, name):
                ambiguous.add(Ambiguous(name, taken, name))
    counted = (images, unknown.count, tuple(unknown.items), table.names, ambiguous.count, tuple(ambiguous.items))
    return AttributesReport(*counted, table.column, table.no_value, table.not_numbers)


@contextmanager
def _errors_of(path: Path, name: str) -> Iterator[None]:
    """Has an error about a value say in which table and row it is."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{path}: {arguments.shown(name)}: {error.message}") from None


class _Names:
    """The images that the paths in a table name."""

    def __init__(self, catalog: Catalog, table_folder: Path, folder: Path) -> None:
        self._catalog, self._table_folder, self._folder = catalog, table_folder, folder

    def is_image(self, name: str) -> bool:
        """Whether it names an image."""
        return self.key(name) is not None

    def key(self, name: str) -> str | None:
        """The key of the image that it names; None if it names none.

        A name that names none as it is may be in another spelling, or have spaces around it.
        """
        if key := self._exactly(name):
            return key
        others = [*spellings(name), *([bare, *spellings(bare)] if (bare := name.strip()) != name else [])]
        return only(filter(None, map(self._exactly, others)))

    def _exactly(self, name: str) -> str | None:
        keys = keys_of(name, table_folder=self._table_folder, folder=self._folder)
        return next((key for key in keys if _is_image(self._catalog, key)), None)


class _First(Generic[_Item]):
    """Counts items, and keeps the first few."""

    def __init__(self) -> None:
        self.count, self.items = 0, list[_Item]()

    def add(self, item: _Item) -> None:
        self.count += 1
        if len(self.items) < _MAX_NAMED:
            self.items.append(item)


def keys_of(name: str, *, table_folder: Path, folder: Path) -> Iterator[str]:
    """Yields the keys that a path in a table may stand for, the likeliest first: that of the file beside the table.

    Args:
        name: the path as it is in the table.
        table_folder: the folder of the table.
        folder: the folder that the keys are relative to.
    """
    given = []
    if not name.startswith("/") and table_folder != folder:
        given.append(f"{key_of(table_folder, folder).rstrip('/')}/{name}")
    given.append(name)
    yield from given
    try:
        key = key_of(absolute(table_folder / name), folder)
    except (OSError, ValueError, RuntimeError):  # an impossible file name, or a symlink loop
        return
    if key not in given:
        yield key


def _is_image(catalog: Catalog, key: str) -> bool:
    """Whether it is the key of an image, missing or not."""
    return catalog.hash_at(key) is not None
