"""What the columns of a table hold: which one names the images, and which are of numbers."""

import math
import random
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.filters import Value

# What programs write into a cell that has no value: the defaults of pandas.read_csv, among them those of R and Excel.
NO_VALUE = frozenset(
    {
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
        *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    }
)
_WHOLE = re.compile(r"0|-?[1-9]\d{0,18}", re.ASCII)
# Not numbers: codes with leading zeros, such as postal codes, and digits without a point that exceed 64 bits.
_DECIMAL = re.compile(r"-?((0|[1-9]\d*)(\.\d*|(?=[eE]))|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WITH_COMMA = re.compile(r"-?(0|[1-9]\d*),\d+", re.ASCII)
_LONGEST_NUMBER = 400  # characters
_SHOWN = 100  # characters of a cell in a report
_MOSTLY = 0.5  # a column of which more are numbers is of numbers, its owner will think

_Kind = Callable[[str], Value]


@dataclass(frozen=True)
class NotANumber:
    """The cell that makes a column of numbers one of text.

    Attributes:
        column: the name of the column, most of whose other cells are numbers.
        line: of the first such cell, in the file.
        cell: what it holds, up to 100 characters.
    """

    column: str
    line: int
    cell: str


class Column:
    """The kind of a column of a CSV file, which is known when all of its cells have been added.

    Attributes:
        filled: the number of cells that have a value.
        no_value: the number of cells that say that they have none, as `NA` does.
        longest: the number of characters of the longest cell, and the line that it is on.
    """

    def __init__(self, *, is_text: bool = False, decimal_comma: bool = False) -> None:
        """`decimal_comma` says that numbers may be written as in 1,5; they are if none is written as in 1.5."""
        self._is_text, self._decimal_comma = is_text, decimal_comma
        self._numbers, self._floats, self._points, self._commas = 0, 0, 0, 0
        self._first_text: tuple[int, str] | None = None
        self.filled, self.no_value, self.longest = 0, 0, (0, 0)

    def add(self, line: int, cell: str) -> None:
        """Adds the next cell, without spaces around it."""
        if cell in NO_VALUE:
            self.no_value += bool(cell)
            return
        self.filled += 1
        if len(cell) > self.longest[0]:
            self.longest = len(cell), line
        if not self._is_text and not self._is_number(cell) and self._first_text is None:
            self._first_text = line, cell[:_SHOWN]

    def conversion(self) -> Callable[[str], Value | None]:
        """The function from a cell to its value, None if it has none; ValueError if the file is another one now."""
        kind = self._kind()
        return lambda cell: None if cell in NO_VALUE else kind(cell)

    def not_a_number(self, name: str) -> NotANumber | None:
        """The first cell that is none, if most are numbers; `name` is the column's."""
        if self._is_text or self._first_text is None or self._numbers <= _MOSTLY * self.filled:
            return None
        return NotANumber(name, *self._first_text)

    def _kind(self) -> _Kind:
        if self._is_text or self._first_text is not None or (self._points and self._commas):
            return str
        if self._commas:
            return _from_decimal_comma
        return float if self._floats else int

    def _is_number(self, cell: str) -> bool:
        if len(cell) > _LONGEST_NUMBER:
            return False
        if _WHOLE.fullmatch(cell) and -(2**63) <= int(cell) < 2**63:
            self._numbers += 1
            return True
        if self._decimal_comma and _WITH_COMMA.fullmatch(cell):
            self._commas += 1
        elif _DECIMAL.fullmatch(cell) and math.isfinite(float(cell)):
            self._points += "." in cell
        else:
            return False
        self._numbers, self._floats = self._numbers + 1, self._floats + 1
        return True


def _from_decimal_comma(cell: str) -> float:
    return float(cell.replace(",", "."))


class ImageColumn:
    """Finds the column that names the images: the one whose cells name most of them.

    All of the first rows are tried, and ever fewer of the later ones, evenly and always the same, so that the time
    hardly grows with the table.
    """

    _MOST_ROWS, _CELLS, _REMEMBERED = 50, 5000, 1000
    _LONGEST = 4096  # characters; no path has more
    _LONGEST_NAME = 255  # characters; no file system has longer names

    def __init__(self, columns: int, names_image: Callable[[str], bool]) -> None:
        """`names_image` says whether a text names an image."""
        self._first = max(1, min(self._MOST_ROWS, self._CELLS // columns))
        self._names_image, self._known = names_image, dict[str, bool]()
        self._rows, self._random = 0, random.Random(0)
        self._found: list[set[str]] = [set() for _ in range(columns)]
        self._hits = [0] * columns
        self._names: list[list[str]] = []  # in the rows that are tried, those of files, else ""

    def add(self, cells: Sequence[object]) -> None:
        """Adds the next row."""
        self._rows += 1
        if self._rows > self._first and self._random.random() * self._rows >= self._first:
            return
        self._names.append([self._name(cell) for cell in cells])
        for column, cell in enumerate(cells):
            if isinstance(cell, str) and self._is_image(cell):
                self._hits[column] += 1
                self._found[column].add(cell)

    def hits(self) -> int:
        """The number of rows, of those that were tried, in which the best column names an image."""
        return max(self._hits)

    def best(self, preference: Callable[[int], Any]) -> int | None:
        """The column that names most images; of several, the one with the least preference. None if none names any."""
        column = _best(self._hits, self._found, preference)
        return column if self._hits[column] else None

    def best_by_name(
        self,
        images_named: Callable[[Collection[str]], Collection[str]],
        preference: Callable[[int], Any],
        is_usual: Callable[[int], bool],
    ) -> int | None:
        """The column that has the names of most files of images, for tables that have no paths.

        Names may be numbers, such as 1163 for `images/1163.jpg`. In a column of another than a usual name, most of the
        rows that were tried have to name images, since a few numbers do so by chance.

        Args:
            images_named: which of some names are those of images, perhaps without their suffixes.
            preference: as for `best`.
            is_usual: whether a column is called as one that names images often is.
        """
        known = images_named({name for row in self._names for name in row if name})
        columns = [[name for name in column if name in known] for column in zip(*self._names, strict=True)]
        if not columns:
            return None
        column = _best([len(names) for names in columns], [set(names) for names in columns], preference)
        least = 0 if is_usual(column) else _MOSTLY * len(self._names)
        return column if len(columns[column]) > least else None

    def _name(self, cell: object) -> str:
        """What a cell has if it can be the name of a file without its folders; else ""."""
        text = cell.strip() if isinstance(cell, str) else str(cell) if isinstance(cell, int) else ""
        return "" if len(text) > self._LONGEST_NAME or "/" in text or "\\" in text else text

    def _is_image(self, cell: str) -> bool:
        if not cell or len(cell) > self._LONGEST:
            return False
        if cell not in self._known:
            if len(self._known) >= self._REMEMBERED:
                self._known.clear()
            self._known[cell] = self._names_image(cell)
        return self._known[cell]


def _best(hits: Sequence[int], found: Sequence[Collection[str]], preference: Callable[[int], Any]) -> int:
    """The column with most hits; of several, that with most different names, then that with the least preference."""
    return min(range(len(hits)), key=lambda column: (-hits[column], -len(found[column]), preference(column), column))
