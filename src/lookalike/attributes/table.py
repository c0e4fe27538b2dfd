"""Reads tables of attributes: CSV, JSON lines and Parquet files, one of whose columns names the images."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from lookalike import arguments
from lookalike.attributes import csv_text, json_lines, parquet
from lookalike.attributes.columns import Column, ImageColumn, NotANumber
from lookalike.attributes.csv_text import Dialect
from lookalike.errors import UsageError
from lookalike.filters import LABEL, Value
from lookalike.filters.where import MAX_TEXT

# Names of a column of paths, without "_" and the like, the likeliest first. The values decide; these only among equals.
_PATH_COLUMNS = (
    *("path", "filepath", "imagepath", "sourcefile", "file", "filename", "imagefile", "imagename", "image"),
    *("imageid", "id"),
)
# What pandas calls an index without a name when it has read it from a CSV file, or writes it to a Parquet file.
_INDEX = re.compile(r"Unnamed: 0(\.\d+)?|__index_level_\d+__")
_CHANGED = "changed while it was read; try again"
_MAX_COLUMNS = 5_000
_TRIED_ROWS = 100  # of a table that may be written in several dialects
_TYPED_HITS, _TYPED_ROWS = 20, 10_000  # so many images name the column of paths, or so many rows are tried

Row = tuple[str, dict[str, Value | None]]
NamesImage = Callable[[str], bool]
"""Whether a path names an image."""
_Read = Callable[[], Iterator[tuple[Any, ...]]]
ImagesNamed = Callable[[Collection[str]], Collection[str]]
"""Which of some names are those of the files of images, perhaps without their suffixes."""


@dataclass(frozen=True)
class Table:
    """A table of attributes.

    Attributes:
        path: of the file.
        names: of the attributes, in the order of the columns.
        rows: reads the file again and yields, for each row, what names the image, "" if that is empty, and the
            attributes; None is an empty cell.
        column: the name of the column that names the images; "" if it has none.
        no_value: the number of cells that say that they have no value, as `NA` does.
        not_numbers: for each column of text most of whose cells are numbers, the first that is none.
        by_name: whether cells of that column may be names of files without their folders, perhaps without suffixes.
    """

    path: Path
    names: tuple[str, ...]
    rows: Callable[[], Iterator[Row]]
    column: str
    no_value: int = 0
    not_numbers: tuple[NotANumber, ...] = ()
    by_name: bool = False


def read_table(
    path: Path, names_image: NamesImage = lambda _: False, images_named: ImagesNamed = lambda _: ()
) -> Table:
    """Opens a table. A CSV file is read once to find the types of its columns.

    The images are named by the column whose cells are paths of most of them, as `names_image` tells; if there is none,
    by the one that has the names of most files, as `images_named` tells; else by the one named path, file_name or the
    like, or by the first.

    The cells of a CSV file are separated by commas, semicolons or tabs, and it is in UTF-8, or in UTF-16 or UTF-32 with
    a byte order mark. A column is of integers if each of its cells that is not empty is an integer as Python writes it,
    of floats if each is a decimal number without leading zeros, and else of text. Labels are always text. Empty is also
    what says so: NA, NaN, None, NULL and the like. In a Parquet file, a boolean becomes the text "true" or "false", NaN
    is an empty cell, and dates and times become ISO 8601 text, in UTC if they have a time zone. JSON lines are alike;
    what is a list or an object there is no attribute.

    Raises:
        UsageError: the file is missing, of another kind or damaged, or a column or a row is invalid. Reading the rows
            may raise it, too.
    """
    suffix = path.suffix.lower()
    if suffix not in {*csv_text.SUFFIXES, *json_lines.SUFFIXES, ".parquet"}:
        raise UsageError(
            f"{path}: attributes are read from .csv, .tsv, .jsonl and .parquet files; save it as one of these"
        )
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    finder = _Finder(names_image, images_named)
    if suffix == ".parquet":
        parquet.check(path)
        return _typed(path, parquet.names(path), partial(parquet.rows, path), finder)
    if suffix in json_lines.SUFFIXES:
        names = json_lines.names(path)
        return _typed(path, names, partial(json_lines.rows, path, names), finder)
    return _csv(path, finder)


@dataclass(frozen=True)
class _Finder:
    """Tells whether paths, and which names of files, are those of images."""

    names_image: NamesImage
    images_named: ImagesNamed


@dataclass(frozen=True)
class _Header:
    """The columns of a table: their names, which of them are attributes, and which one names the images, and how."""

    path: Path
    names: tuple[str, ...]
    attributes: tuple[int, ...]
    paths: int
    by_name: bool

    def row(self, name: str, values: Sequence[Any]) -> Row:
        """A row of the table, of the values of the attributes."""
        return name, {self.names[column]: value for column, value in zip(self.attributes, values, strict=True)}

    @property
    def attribute_names(self) -> tuple[str, ...]:
        return tuple(self.names[column] for column in self.attributes)

    def described(self) -> str:
        """The column that names the images, for a message."""
        name = self.names[self.paths]
        return f"the column {arguments.shown(name)}" if name else f"column {self.paths + 1}"


def _checked_names(path: Path, given: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns; "" for one without. Raises UsageError if a table cannot have these."""
    names = tuple(name.strip() for name in given)
    if len(names) > _MAX_COLUMNS:
        raise UsageError(f"{path}: it has {len(names):,} columns; leave out some, so that there are {_MAX_COLUMNS:,}")
    for name, count in Counter(names).most_common():
        if count > 1 and name:
            raise UsageError(f"{path}: two columns are named {arguments.shown(name)}; rename one of them")
    if len(names) < 2:
        raise UsageError(
            f"{path}: it needs a column of paths and one of attributes, and has only"
            f" {arguments.shown(', '.join(names))}; commas, semicolons or tabs separate columns"
        )
    return names


def _header(
    path: Path, names: tuple[str, ...], images: ImageColumn, finder: _Finder, is_filled: Callable[[int], bool]
) -> _Header:
    """Decides what the columns are.

    A column without a name is no attribute: the first one is an index, as pandas and R write it, and others are empty.

    Raises:
        UsageError: a column without a name is filled, or there is no attribute.
    """

    def preference(column: int) -> int:
        return _preference(names[column])

    def is_usual(column: int) -> bool:
        return preference(column) < len(_PATH_COLUMNS)

    paths, by_name = images.best(preference), False
    if paths is None:
        found = images.best_by_name(
            finder.images_named, lambda column: (_is_index(names[column]), preference(column)), is_usual
        )
        paths = min(range(len(names)), key=preference) if found is None else found
        by_name = found is not None or is_usual(paths)
    for column, name in enumerate(names):
        if not name and column not in (0, paths) and is_filled(column):
            raise UsageError(f"{path}: column {column + 1} has no name; name it, or remove it")
    named = (column for column, name in enumerate(names) if not _is_index(name))
    attributes = tuple(column for column in named if column != paths)
    if not attributes:
        raise UsageError(f"{path}: it has a column of paths and none of attributes; add one, with a name")
    return _Header(path, names, attributes, paths, by_name)


def _is_index(name: str) -> bool:
    """Whether a column of that name, or of none, is an index, as far as its name tells."""
    return not name or bool(_INDEX.fullmatch(name))


def _preference(name: str) -> int:
    """How likely a name is that of a column of paths: the less, the likelier."""
    bare = re.sub(r"[\s_-]", "", name).lower()
    return _PATH_COLUMNS.index(bare) if bare in _PATH_COLUMNS else len(_PATH_COLUMNS)


# CSV


def _csv(path: Path, finder: _Finder) -> Table:
    dialect = _dialect(path, finder.names_image)
    lines = csv_text.rows(path, dialect)
    _, first = next(lines, (0, None))
    if first is None:
        raise UsageError(f"{path}: empty; its first line has to name the columns")
    names = _checked_names(path, first)
    images = ImageColumn(len(names), finder.names_image)
    columns = [Column(is_text=name == LABEL, decimal_comma=dialect.delimiter == ";") for name in names]
    for number, cells in lines:
        given = _fitted(path, number, cells, len(names))
        images.add(given)
        for column, cell in zip(columns, given, strict=True):
            column.add(number, cell.strip())
    header = _header(path, names, images, finder, lambda column: bool(columns[column].filled))
    _check_lengths(header, columns)
    found = [columns[column].not_a_number(names[column]) for column in header.attributes]
    return Table(
        path,
        header.attribute_names,
        lambda: _csv_rows(header, dialect, columns),
        names[header.paths],
        sum(columns[column].no_value for column in header.attributes),
        tuple(filter(None, found)),
        header.by_name,
    )


def _dialect(path: Path, names_image: NamesImage) -> Dialect:
    """The dialect of a CSV file: of several possible ones, the one in which it names most images."""
    possible = csv_text.dialects(path)
    return possible[0] if len(possible) == 1 else max(possible, key=lambda each: _hits(path, each, names_image))


def _hits(path: Path, dialect: Dialect, names_image: NamesImage) -> int:
    """The number of images that the first rows name in a dialect; -1 if they cannot be read in it."""
    try:
        _, first = next(rows := csv_text.rows(path, dialect), (0, []))
        images = ImageColumn(max(len(first), 1), names_image)
        for _, cells in islice(rows, _TRIED_ROWS):
            images.add(cells[: len(first)])
        return images.hits()
    except UsageError:
        return -1


def _csv_rows(header: _Header, dialect: Dialect, columns: Sequence[Column]) -> Iterator[Row]:
    lines = csv_text.rows(header.path, dialect)
    next(lines, None)
    conversions = [(column, columns[column].conversion()) for column in header.attributes]
    for number, cells in lines:
        given = _fitted(header.path, number, cells, len(header.names))
        name = given[header.paths]  # a file name may begin or end with a space
        try:
            values = [conversion(given[column].strip()) for column, conversion in conversions]
        except ValueError:
            raise UsageError(f"{header.path}: {_CHANGED}") from None
        yield header.row(name if name.strip() else "", values)


def _fitted(path: Path, number: int, cells: list[str], width: int) -> list[str]:
    """A cell for each column; the last ones of a line may be missing."""
    if any(map(str.strip, cells[width:])):
        raise UsageError(f"{path}: line {number} has {len(cells)} cells, and there are {width} columns")
    return cells[:width] + [""] * (width - len(cells))


def _check_lengths(header: _Header, columns: Sequence[Column]) -> None:
    """Raises UsageError if a text is longer than that of an attribute may be."""
    for column in header.attributes:
        length, line = columns[column].longest
        if length > MAX_TEXT:
            raise UsageError(
                f"{header.path}: line {line}: {length:,} characters in the column"
                f" {arguments.shown(header.names[column])}, and an attribute has at most {MAX_TEXT:,}; leave it out"
            )


# Parquet and JSON lines, whose cells have types


def _typed(path: Path, given: Sequence[str], read: _Read, finder: _Finder) -> Table:
    """The table in a file with columns of these names, whose rows a function reads."""
    names = _checked_names(path, given)
    images = ImageColumn(len(names), finder.names_image)
    for cells in islice(read(), _TYPED_ROWS):
        images.add(cells)
        if images.hits() >= _TYPED_HITS:
            break
    header = _header(path, names, images, finder, lambda _: True)
    rows = partial(_typed_rows, header, read)
    return Table(path, header.attribute_names, rows, names[header.paths], by_name=header.by_name)


def _typed_rows(header: _Header, read: _Read) -> Iterator[Row]:
    for number, cells in enumerate(read(), 1):
        if len(cells) != len(header.names):
            raise UsageError(f"{header.path}: {_CHANGED}")
        name = cells[header.paths]
        if not (name is None or isinstance(name, str) or (header.by_name and isinstance(name, int))):
            raise UsageError(
                f"{header.path}: row {number} has no path in {header.described()} but {arguments.shown(name)}"
            )
        yield header.row("" if name is None else str(name), [cells[column] for column in header.attributes])
