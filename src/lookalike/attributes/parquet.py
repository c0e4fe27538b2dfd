"""Reads Parquet files. Only this module uses pyarrow, an optional dependency, and loads it when it is needed.

A file below one kilobyte may take gigabytes to read, and nothing in it tells. So it is first read in a process of its
own with a limit of memory, and then in this one, in the same small parts.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lookalike.errors import Hint, UsageError
from lookalike.system import worker

_BATCH_ROWS, _BATCH_CELLS = 10_000, 1_000_000  # in memory at once
_BUFFER = 2**20  # bytes of a column of the file
_MEMORY, _SECONDS = 2**30, 600.0  # that reading may take
# Of the description of a file: the items of a list, such as columns, and the bytes of a text.
_DESCRIPTION = {"thrift_container_size_limit": 100_000, "thrift_string_size_limit": 10_000_000}

_Cells = list[Any]
_Conversion = Callable[[Any], _Cells]


def check(path: Path) -> None:
    """Reads a file in a process of its own.

    Raises:
        UsageError: as for `names` and `rows`, or it takes too much memory or time, or ends the process.
    """
    _check_apart(path, _read, path)


def check_batches(paths: Sequence[Path], size: int) -> None:
    """Does as `check` for `batches` of several files, whose columns may be of any type."""
    if paths:
        _check_apart(paths[0], _read_batches, (paths, size))


def _check_apart(path: Path, work: Callable[[Any, Callable[[int], None]], None], task: Any) -> None:
    _require(path)
    try:
        worker.run(work, task, name="pyarrow", progress=lambda _: None, seconds=_SECONDS, memory=_MEMORY)
    except (MemoryError, worker.EndedError, TimeoutError) as error:
        limits = f"{_MEMORY / 1e9:.1f} GB of memory or {_SECONDS / 60:.0f} minutes"
        raise UsageError(f"{path}: reading it takes more than {limits}, or ends the process that does") from error


def _read(path: Path, _progress: Callable[[int], None]) -> None:
    """Runs in the process of its own; the system's allocator reserves no memory that is not used."""
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    for _ in rows(path):
        pass


def _read_batches(task: tuple[Sequence[Path], int], _progress: Callable[[int], None]) -> None:
    """Runs in the process of its own, too."""
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    paths, size = task
    for path in paths:
        for _ in batches(path, None, size):
            pass


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Opens a file with pyarrow; raises UsageError if it is no Parquet file, or pyarrow is missing."""
    _require(path)
    from pyarrow.parquet import ParquetFile

    with _errors(path), ParquetFile(path, buffer_size=_BUFFER, **_DESCRIPTION) as file:
        yield file


def batches(path: Path, columns: Sequence[str] | None, size: int) -> Iterator[dict[str, Any]]:
    """Yields the columns of a file as pyarrow has them, by name, about `size` rows at a time; None is all columns.

    Raises:
        UsageError: the file cannot be read as Parquet.
    """
    import pyarrow as pa

    def joined(some: list[Any]) -> dict[str, Any]:
        table = pa.Table.from_batches(some).combine_chunks()
        return {name: _chunk(table.column(place)) for place, name in enumerate(table.column_names)}

    with opened(path) as file:
        waiting, count = list[Any](), 0
        for batch in file.iter_batches(batch_size=size, columns=columns, use_threads=False):
            waiting.append(batch)  # there may be a row in each
            count += len(batch)
            if count >= size:
                yield joined(waiting)
                waiting, count = [], 0
        if count:
            yield joined(waiting)


def _chunk(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks else column.combine_chunks()


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

    with _errors(path), ParquetFile(path, buffer_size=_BUFFER, **_DESCRIPTION) as file:
        size = max(1, min(_BATCH_ROWS, _BATCH_CELLS // len(conversions)))
        for batch in file.iter_batches(batch_size=size, use_threads=False):
            yield from zip(*map(_converted, conversions, batch.columns), strict=True)


def _converted(conversion: _Conversion, column: Any) -> _Cells:
    return conversion(column)


def _require(path: Path) -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        hint = Hint("install", {"extra": "parquet"})
        raise UsageError(f"{path}: reading Parquet needs packages that are not installed", hint) from error


def _schema(path: Path) -> Any:
    from pyarrow.parquet import ParquetFile

    with _errors(path), ParquetFile(path, **_DESCRIPTION) as file:
        return file.schema_arrow


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    from pyarrow import ArrowException

    try:
        yield
    except MemoryError:  # some of which are of Arrow's
        raise
    except (ArrowException, OSError, ValueError, OverflowError) as error:  # the last two: invalid text or dates
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{path}: cannot be read as Parquet: {reason}") from error


def cells_of(column: Any) -> list[Any]:
    """The cells of a column of Arrow's, as text, numbers or None, of a type that `is_usable`."""
    conversion = _conversion(column.type)
    assert conversion
    return conversion(column)


def is_usable(kind: Any) -> bool:
    """Whether a column of this type of Arrow's holds text, numbers or times."""
    return _conversion(kind) is not None


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
