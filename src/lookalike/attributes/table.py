"""Reads tables of attributes: CSV, TSV and Parquet files with a column of paths and a column for each attribute.

The column of paths is the one named path, file, filename or image, else the first.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from lookalike.attributes import parquet
from lookalike.errors import UsageError
from lookalike.filters import LABEL, Value

_PATH_COLUMNS = ("path", "file", "filename", "image")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_CHANGED = "changed while it was read; try again"
_MAX_COLUMNS = 5_000
_MAX_ROW = 10_000_000  # characters of a row of a CSV file

Row = tuple[str, dict[str, Value | None]]


@dataclass(frozen=True)
class Table:
    """A table of attributes.

    Attributes:
        path: of the file.
        names: of the attributes, in the order of the columns.
        rows: reads the file again and yields, for each row, the path in it and the attributes; None is an empty cell.
    """

    path: Path
    names: tuple[str, ...]
    rows: Callable[[], Iterator[Row]]


def read_table(path: Path) -> Table:
    """Opens a table. A CSV file is read once to find the types of its columns.

    A column of a CSV file is of integers if each cell that is not empty is an integer as Python writes it, of floats
    if each is a decimal number without leading zeros, and else of text. Labels are always text. In a Parquet file, a
    boolean becomes the text "true" or "false", NaN is an empty cell, and dates and times become ISO 8601 text, in UTC
    if they have a time zone.

    Raises:
        UsageError: the file is missing, of another kind or damaged, or a column or a row is invalid. Reading the rows
            may raise it, too.
    """
    suffix = path.suffix.lower()
    if suffix not in {*_DELIMITERS, ".parquet"}:
        raise UsageError(f"{path}: attributes are read from .csv, .tsv and .parquet files; save it as one of these")
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    return _parquet(path) if suffix == ".parquet" else _csv(path, _DELIMITERS[suffix])


@dataclass(frozen=True)
class _Header:
    """The columns of a table: their names, and the offset of the column of paths."""

    path: Path
    names: tuple[str, ...]
    paths: int

    @property
    def attributes(self) -> tuple[str, ...]:
        return self.names[: self.paths] + self.names[self.paths + 1 :]

    def row(self, cells: Sequence[Any]) -> Row:
        values = dict(zip(self.names, cells, strict=True))
        return values.pop(self.names[self.paths]), values


def _header(path: Path, names: Sequence[str]) -> _Header:
    names = tuple(name.strip() for name in names)
    if len(names) > _MAX_COLUMNS:
        raise UsageError(f"{path}: it has {len(names):,} columns; leave out some, so that there are {_MAX_COLUMNS:,}")
    for number, name in enumerate(names):
        if not name:
            raise UsageError(f"{path}: column {number + 1} has no name; name it, or remove it")
    [(name, count)] = Counter(names).most_common(1)
    if count > 1:
        raise UsageError(f"{path}: two columns are named {name!r}; rename one of them")
    if len(names) < 2:
        hint = "; commas separate columns, and tabs in a .tsv" if ";" in names[0] else ""
        raise UsageError(
            f"{path}: it needs a column of paths and one of attributes, and has only {', '.join(names)!r}{hint}"
        )
    lower = [name.lower() for name in names]
    return _Header(path, names, next((lower.index(name) for name in _PATH_COLUMNS if name in lower), 0))


# CSV

_WHOLE = re.compile(r"0|-?[1-9]\d{0,18}", re.ASCII)
# Not numbers: codes with leading zeros, such as postal codes, and digits without a point that exceed 64 bits.
_DECIMAL = re.compile(r"-?((0|[1-9]\d*)(\.\d*|(?=[eE]))|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def _csv(path: Path, delimiter: str) -> Table:
    lines = _lines(path, delimiter)
    _, first = next(lines, (0, None))
    if first is None:
        raise UsageError(f"{path}: empty; its first line has to name the columns")
    header = _header(path, first)
    texts = {LABEL, header.names[header.paths]}
    kinds: list[Callable[[str], Value]] = [str if name in texts else int for name in header.names]
    for number, cells in lines:
        kinds = list(map(_kind, _cells(header, number, cells), kinds))
    return Table(path, header.attributes, lambda: _csv_rows(header, delimiter, kinds))


def _csv_rows(header: _Header, delimiter: str, kinds: Sequence[Callable[[str], Value]]) -> Iterator[Row]:
    lines = _lines(header.path, delimiter)
    next(lines, None)
    for number, cells in lines:
        filled = _cells(header, number, cells)
        try:
            values = [kind(cell) if cell else None for kind, cell in zip(kinds, filled, strict=True)]
        except ValueError:
            raise UsageError(f"{header.path}: {_CHANGED}") from None
        yield header.row(values)


def _lines(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the lines that are not empty, with their numbers."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = _Lines(path, file)
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            for cells in reader:
                lines.begin_row()
                if any(map(str.strip, cells)):
                    yield reader.line_num, cells
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8; save it with that encoding") from None
    except csv.Error as error:
        raise UsageError(f"{path}: line {reader.line_num}: {error}") from None
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error


class _Lines:
    """The lines of a file, so many of which make a row that it does not become too long to be kept in memory."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path, self._file, self._row, self._number = path, file, 0, 0

    def begin_row(self) -> None:
        """Begins to count anew."""
        self._row = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(_MAX_ROW - self._row + 1)
        self._row, self._number = self._row + len(line), self._number + 1
        if self._row > _MAX_ROW:
            limit = f"more than {_MAX_ROW / 1e6:g} million characters in a row"
            raise UsageError(f"{self._path}: line {self._number}: {limit}")
        if not line:
            raise StopIteration
        return line


def _cells(header: _Header, number: int, cells: Sequence[str]) -> list[str]:
    """Returns a cell for each column; the last ones of a line may be missing."""
    width = len(header.names)
    if any(map(str.strip, cells[width:])):
        raise UsageError(f"{header.path}: line {number} has {len(cells)} cells, and there are {width} columns")
    filled = [cell.strip() for cell in cells[:width]] + [""] * (width - len(cells))
    if not filled[header.paths]:
        raise UsageError(f"{header.path}: line {number} has no path in the column {header.names[header.paths]!r}")
    filled[header.paths] = cells[header.paths]  # a file name may begin or end with a space
    return filled


def _kind(cell: str, kind: Callable[[str], Value]) -> Callable[[str], Value]:
    """Returns the type of a column that was of the type `kind` up to this cell."""
    if not cell or kind is str:
        return kind
    if _WHOLE.fullmatch(cell) and -(2**63) <= int(cell) < 2**63:
        return kind
    return float if _DECIMAL.fullmatch(cell) and math.isfinite(float(cell)) else str


# Parquet


def _parquet(path: Path) -> Table:
    parquet.check(path)
    header = _header(path, parquet.names(path))
    return Table(path, header.attributes, lambda: _parquet_rows(header))


def _parquet_rows(header: _Header) -> Iterator[Row]:
    column = header.names[header.paths]
    for number, cells in enumerate(parquet.rows(header.path), 1):
        if len(cells) != len(header.names):
            raise UsageError(f"{header.path}: {_CHANGED}")
        name, values = header.row(cells)
        if not isinstance(name, str) or not name:
            raise UsageError(f"{header.path}: row {number} has no path in the column {column!r} but {name!r}")
        yield name, values
