"""Reads the text of CSV files as spreadsheets and programs write them: which encoding, what separates the cells, rows.

A row is read in bounded memory and linear time, whatever is in the file.
"""

import csv
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from lookalike.errors import UsageError

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}  # the likeliest, by the suffix of the file
_ALL_DELIMITERS = (",", ";", "\t")
_MAX_ROW = 10_000_000  # characters of a row
_FIRST = 1_000_000  # characters of the first line in which delimiters are counted
_QUOTED = re.compile(r'"[^"]*(?:"|$)')
# The first line of a file that Excel is to open with this delimiter.
_NAMED_DELIMITER = re.compile(r'"?sep=([^\w"\r\n\v\f])"?\r?\n?', re.IGNORECASE)
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"))
_MARKS_OF_16_BITS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
SUFFIXES = frozenset(_DELIMITERS)


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        encoding: the name of its encoding in Python.
        delimiter: what separates its cells.
        skipped: the number of lines before the names of the columns.
    """

    encoding: str
    delimiter: str
    skipped: int = 0

    @property
    def encoding_name(self) -> str:
        """The encoding as people write it."""
        return self.encoding.upper().removesuffix("-SIG").removesuffix("-LE").removesuffix("-BE")


def dialects(path: Path) -> list[Dialect]:
    """The dialects in which a file may be written, the likeliest first: there are several if its first line has several
    delimiters.

    Raises:
        UsageError: the file cannot be read.
    """
    encoding = _encoding(path)
    default = _DELIMITERS[path.suffix.lower()]
    lines = enumerate(_first_lines(path, encoding), 1)
    number, line = next(((number, line) for number, line in lines if line.strip()), (1, ""))
    if named := _NAMED_DELIMITER.fullmatch(line):
        return [Dialect(encoding, named[1], number)]
    bare = _QUOTED.sub("", line)
    known = sorted(_ALL_DELIMITERS, key=lambda delimiter: (-bare.count(delimiter), delimiter != default))
    return [Dialect(encoding, delimiter) for delimiter in known if delimiter in bare] or [Dialect(encoding, default)]


def rows(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows that are not empty, each with the number of its last line.

    Raises:
        UsageError: the file cannot be read, is not in that encoding, or has a row that is too long or wrongly quoted.
    """
    try:
        with path.open(encoding=dialect.encoding, newline="") as file, closing(_Lines(path, file)) as lines:
            for _ in range(dialect.skipped):
                next(lines, None)
            lines.begin_row()
            reader = csv.reader(lines, delimiter=dialect.delimiter, strict=True)
            for cells in reader:
                lines.begin_row()
                if any(map(str.strip, cells)):
                    yield lines.number, cells
    except UnicodeError:
        name = dialect.encoding_name
        advice = "save it with that encoding; in a spreadsheet as CSV UTF-8" if name == "UTF-8" else "save it as UTF-8"
        raise UsageError(f"{path}: not {name}; {advice}") from None
    except csv.Error as error:
        raise UsageError(f"{path}: line {lines.number}: {error}") from None
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error


class _Lines:
    """The lines of a file, so many of which make a row that it does not become too long to be kept in memory.

    Attributes:
        number: of the line that was read last, from 1.
    """

    def __init__(self, path: Path, file: TextIO) -> None:
        self.number = 0
        self._path, self._file, self._row = path, file, 0
        self._limit: int | None = None  # of a cell, as it was before this row

    def begin_row(self) -> None:
        """Begins to count anew."""
        self._row = 0
        self.close()

    def close(self) -> None:
        """Limits the length of a cell as before."""
        if self._limit is not None:
            csv.field_size_limit(self._limit)
            self._limit = None
            _LONG_ROW.release()

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(_MAX_ROW - self._row + 1)
        self._row, self.number = self._row + len(line), self.number + bool(line)
        if self._row > _MAX_ROW:
            limit = f"more than {_MAX_ROW / 1e6:g} million characters in a row"
            raise UsageError(f"{self._path}: line {self.number}: {limit}")
        if not line:
            raise StopIteration
        self._allow(self._row)
        return line

    def _allow(self, cell: int) -> None:
        """Lets a cell of this row be so long. The limit is that of the process: only one thread raises it at a time."""
        if self._limit is None and cell > csv.field_size_limit():
            _LONG_ROW.acquire()
            self._limit = csv.field_size_limit(_MAX_ROW)


_LONG_ROW = threading.Lock()  # held while the limit of the csv module is raised


def _encoding(path: Path) -> str:
    """The encoding that the first bytes of a file tell: by a mark or, of ASCII in 16 bits, by zeros; else UTF-8."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    for mark, encoding in (*_MARKS, *_MARKS_OF_16_BITS):
        if start.startswith(mark):
            return encoding
    zeros = [not byte for byte in start]
    if zeros == [False, True, False, True]:
        return "utf-16-le"
    return "utf-16-be" if zeros == [True, False, True, False] else "utf-8"


def _first_lines(path: Path, encoding: str) -> Iterator[str]:
    """Yields the beginnings of the first lines; none of a file that is in another encoding, which `rows` reports."""
    try:
        with path.open(encoding=encoding, newline="") as file:
            while line := file.readline(_FIRST):
                yield line
    except (UnicodeError, OSError):
        return
