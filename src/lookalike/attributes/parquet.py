"""Reads Parquet files. Only this module uses pyarrow, an optional dependency, and loads it when it is needed."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lookalike.errors import Hint, UsageError

_BATCH = 10_000  # rows in memory at once

_Cells = list[Any]
_Conversion = Callable[[Any], _Cells]


def names(path: Path) -> list[str]:
    """Returns the names of a file's columns.

    Raises:
        UsageError: the file is not a Parquet file, a column is not of text, numbers or times, or pyarrow is missing.
    """
    schema = _schema(path)
    _conversions(path, schema)
    return list(schema.names)


def rows(path: Path) -> Iterator[tuple[Any, ...]]:
    """Yields the cells of each row, as text, numbers or None.

    Raises:
        UsageError: as for `names`, or the file is damaged.
    """
    conversions = _conversions(path, _schema(path))
    from pyarrow.parquet import ParquetFile

    with _errors(path), ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH):
            yield from zip(*map(_converted, conversions, batch.columns), strict=True)


def _converted(conversion: _Conversion, column: Any) -> _Cells:
    return conversion(column)


def _schema(path: Path) -> Any:
    try:
        from pyarrow.parquet import read_schema
    except ImportError as error:
        hint = Hint("install", {"extra": "parquet"})
        raise UsageError(f"{path}: reading Parquet needs packages that are not installed", hint) from error
    with _errors(path):
        return read_schema(path)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError, ValueError, OverflowError) as error:  # the last two: invalid text or dates
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{path}: cannot be read as Parquet: {reason}") from error


def _conversions(path: Path, schema: Any) -> list[_Conversion]:
    conversions = []
    for name, kind in zip(schema.names, schema.types, strict=True):
        conversion = _conversion(kind)
        if conversion is None:
            raise UsageError(
                f"{path}: the column {name!r} is of the type {kind}; leave it out, or convert it to text or numbers"
            )
        conversions.append(conversion)
    return conversions


def _conversion(kind: Any) -> _Conversion | None:
    """Returns the function that converts a column of this type to text, numbers and None; None if there is none."""
    from pyarrow import types

    if types.is_dictionary(kind):
        inner = _conversion(kind.value_type)
        return inner and (lambda column: inner(column.dictionary_decode()))
    converters: list[tuple[Callable[[Any], bool], _Conversion]] = [
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


def _plain(column: Any) -> _Cells:
    return list(column.to_pylist())


def _numbers(column: Any) -> _Cells:
    values = column.cast("float64").to_pylist()
    return [None if value is None or math.isnan(value) else value for value in values]


def _iso(column: Any) -> _Cells:
    """Converts to ISO 8601; midnight is left out, so that a range of dates includes its last day."""
    return [None if value is None else value.isoformat().removesuffix("T00:00:00") for value in column.to_pylist()]


def _timestamps(column: Any) -> Any:
    """Converts to microseconds, as Python has them, and to UTC, so that no time zone database is needed."""
    from pyarrow import timestamp

    return column.cast(timestamp("us", column.type.tz and "UTC"), safe=False)
