"""Opens Parquet files and converts their columns. pyarrow is an optional dependency, which is loaded when needed."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from lookalike.errors import Hint, UsageError

_BUFFER = 2**20  # bytes of a column of the file
# Of the description of a file: the items of a list, such as columns, and the bytes of a text.
_DESCRIPTION = {"thrift_container_size_limit": 100_000, "thrift_string_size_limit": 10_000_000}

Cells = list[Any]
Conversion = Callable[[Any], Cells]
"""Turns a column of pyarrow's into text, numbers and None."""


def require(path: PurePath) -> None:
    """Raises UsageError if pyarrow is missing, which reading a file takes."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        hint = Hint("install", {"extra": "parquet"})
        raise UsageError(f"{path}: reading Parquet needs packages that are not installed", hint) from error


def open_parquet(source: Path | BinaryIO) -> Any:
    """A `pyarrow.parquet.ParquetFile` that takes little memory of its own; it may raise whatever `reasons` knows."""
    from pyarrow.parquet import ParquetFile

    return ParquetFile(source, buffer_size=_BUFFER, **_DESCRIPTION)


def reasons() -> tuple[type[Exception], ...]:
    """The errors that reading a damaged file raises: the last two are for invalid text or dates."""
    from pyarrow import ArrowException

    return ArrowException, OSError, ValueError, OverflowError


@contextmanager
def errors(path: Path) -> Iterator[None]:
    """Turns the errors of a damaged file into UsageError."""
    try:
        yield
    except MemoryError:  # some of which are of Arrow's
        raise
    except reasons() as error:
        raise UsageError(f"{path}: cannot be read as Parquet: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """The first line of an error's message."""
    return str(error).partition("\n")[0]


def conversion(kind: Any) -> Conversion | None:
    """The function that converts a column of a type; None if it is neither of text, nor of numbers, nor of times."""
    from pyarrow import types

    if types.is_dictionary(kind):
        inner = conversion(kind.value_type)
        return inner and (lambda column: inner(column.dictionary_decode()))
    converters: list[tuple[Callable[[Any], bool], Conversion]] = [
        (types.is_null, _plain),
        (types.is_string, _plain),
        (types.is_large_string, _plain),
        (types.is_string_view, _plain),
        (types.is_integer, _plain),
        (types.is_boolean, lambda column: _plain(column.cast("string"))),  # "true" and "false", as in a CSV file
        (types.is_floating, _numbers),
        (types.is_decimal, _numbers),
        (types.is_date, _iso),
        (types.is_time, _iso),
        (types.is_timestamp, lambda column: _iso(_timestamps(column))),
    ]
    return next((conversion for fits, conversion in converters if fits(kind)), None)


def _plain(column: Any) -> Cells:
    return list(column.to_pylist())


def _numbers(column: Any) -> Cells:
    values = column.cast("float64").to_pylist()
    return [None if value is None or math.isnan(value) else value for value in values]


def _iso(column: Any) -> Cells:
    """Converts to ISO 8601; midnight is left out, so that a range of dates includes its last day."""
    return [None if value is None else value.isoformat().removesuffix("T00:00:00") for value in column.to_pylist()]


def _timestamps(column: Any) -> Any:
    """Converts to microseconds, as Python has them, and to UTC, so that no time zone database is needed."""
    from pyarrow import timestamp

    return column.cast(timestamp("us", column.type.tz and "UTC"), safe=False)
