"""Reads Parquet files. pyarrow, an extra, is known here only, and loaded when there is such a file to read."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lookalike.errors import UsageError

_BATCH = 10_000  # rows in memory

_Cells = list[Any]
_Conversion = Callable[[Any], _Cells]


def names(path: Path) -> list[str]:
    """The names of a file's columns.

    Raises:
        UsageError: it is no Parquet file, a column is neither text, numbers nor times, or pyarrow is missing.
    """
    schema = _schema(path)
    _conversions(path, schema)
    return list(schema.names)


def rows(path: Path) -> Iterator[tuple[Any, ...]]:
    """The cells of each row, as text, numbers or None.

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
        raise UsageError(f'{path}: Parquet needs an extra: pip install "lookalike[parquet]"') from error
    with _errors(path):
        return read_schema(path)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError, ValueError, OverflowError) as error:  # the last two: text or a date that is none
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{path}: it cannot be read as Parquet: {reason}") from error


def _conversions(path: Path, schema: Any) -> list[_Conversion]:
    conversions = []
    for name, kind in zip(schema.names, schema.types, strict=True):
        conversion = _conversion(kind)
        if conversion is None:
            raise UsageError(
                f"{path}: the column {name!r} is of the type {kind}; leave it out, or make it text or numbers"
            )
        conversions.append(conversion)
    return conversions


def _conversion(kind: Any) -> _Conversion | None:
    """What makes text, numbers and None of a column of this type, or None where there is nothing."""
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
    """As text; of a time at midnight only the date is left, so that a range of dates has its last day."""
    return [None if value is None else value.isoformat().removesuffix("T00:00:00") for value in column.to_pylist()]


def _timestamps(column: Any) -> Any:
    """In microseconds, which are Python's, and in UTC, so that no data base of time zones is needed."""
    from pyarrow import timestamp

    return column.cast(timestamp("us", column.type.tz and "UTC"), safe=False)
