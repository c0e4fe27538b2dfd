"""Sets the attributes of a collection's images from a table."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from lookalike import arguments
from lookalike.attributes.columns import NO_VALUE, NotANumber
from lookalike.attributes.image_names import ImageNames
from lookalike.attributes.table import Table, read_table
from lookalike.errors import UsageError
from lookalike.filters import Value
from lookalike.sources.folder import absolute
from lookalike.storage.catalog import Catalog

_MAX_NAMED = 5  # unknown and ambiguous paths in a report
_AT_ONCE = 100_000  # rows whose names are looked for together

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
        images: the number of rows that name an image of the collection.
        unknown: the number of rows that name none.
        first_unknown: the paths in the first five of these.
        names: of the attributes that the table has.
        ambiguous: the number of rows whose path names two images: one beside the table, and one whose key it is.
        first_ambiguous: the first five of these.
        column: the name of the column that names the images; "" if it has none.
        no_value: the number of cells that say that they have no value, as `NA` does; they count as empty.
        not_numbers: for each column of text most of whose cells are numbers, the first that is none.
        nameless: the number of rows whose cell in that column is empty; they are left out.
        by_name: the number of rows that name an image by the name of its file, without its folder or its suffix.
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
    nameless: int = 0
    by_name: int = 0


def apply(catalog: Catalog, folder: Path, path: Path, base: Path | None = None) -> AttributesReport:
    """Sets the attributes of a collection's images from a table, in one transaction.

    Attributes that the table does not name stay as they are; an empty cell removes the attribute.

    Args:
        catalog: of the collection.
        folder: the folder that the keys of its images are relative to.
        path: the table, for `table.read_table`.
        base: what the paths in it are relative to, by default the table's own folder; or else they are keys.

    Raises:
        UsageError: the table does not exist or cannot be used.
        StorageError: the disk is full or failing.
    """
    names = ImageNames(catalog, absolute(base) if base else absolute(path).parent, folder)
    table = read_table(path, names.is_image, names.keys_by_name)
    counts, unknown, ambiguous = Counter[str](), _First[str](), _First[Ambiguous]()
    with catalog.writing() as transaction:
        for row in _named_rows(table, names):
            if row.key is not None:
                with _errors_of(path, row.name):
                    transaction.set_attributes(row.key, row.values)
                counts.update(images=1, by_name=row.by_name)
                if row.key != row.name and names.has_key(row.name):
                    ambiguous.add(Ambiguous(row.name, row.key, row.name))
            elif row.name.strip() in NO_VALUE:
                counts.update(nameless=1)
            else:
                unknown.add(row.name)
    return AttributesReport(
        counts["images"],
        unknown.count,
        tuple(unknown.items),
        table.names,
        ambiguous.count,
        tuple(ambiguous.items),
        column=table.column,
        no_value=table.no_value,
        not_numbers=table.not_numbers,
        nameless=counts["nameless"],
        by_name=counts["by_name"],
    )


@dataclass(frozen=True)
class _NamedRow:
    """A row of a table: what names the image, its key or None, whether only its file's name says so, the attributes."""

    name: str
    key: str | None
    by_name: bool
    values: Mapping[str, Value | None]


def _named_rows(table: Table, names: ImageNames) -> Iterator[_NamedRow]:
    """Yields the rows of a table with the keys of their images."""
    rows = table.rows()
    while some := list(islice(rows, _AT_ONCE)):
        by_name = names.keys_by_name({name.strip() for name, _ in some}) if table.by_name else {}
        for name, values in some:
            key = names.key(name) if name else None
            if key is None and (found := by_name.get(name.strip())):
                yield _NamedRow(name, found, True, values)
            else:
                yield _NamedRow(name, key, False, values)


@contextmanager
def _errors_of(path: Path, name: str) -> Iterator[None]:
    """Has an error about a value say in which table and row it is."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{path}: {arguments.shown(name)}: {error.message}") from None


class _First(Generic[_Item]):
    """Counts items, and keeps the first few."""

    def __init__(self) -> None:
        self.count, self.items = 0, list[_Item]()

    def add(self, item: _Item) -> None:
        self.count += 1
        if len(self.items) < _MAX_NAMED:
            self.items.append(item)
