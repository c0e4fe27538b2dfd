"""Reads Parquet files of attributes.

A file below one kilobyte may take gigabytes to read, and nothing in it tells. So it is first read in a process of its
own with a limit of memory, and then in this one, in the same small parts.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lookalike.errors import UsageError
from lookalike.sources import arrow
from lookalike.sources.arrow import Cells, Conversion
from lookalike.system import worker

_BATCH_ROWS, _BATCH_CELLS = 10_000, 1_000_000  # in memory at once
_MEMORY, _SECONDS = 2**30, 600.0  # that reading may take


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
    arrow.require(path)
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
    arrow.require(path)
    with arrow.errors(path), arrow.open_parquet(path) as file:
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
    with arrow.errors(path), arrow.open_parquet(path) as file:
        size = max(1, min(_BATCH_ROWS, _BATCH_CELLS // len(conversions)))
        for batch in file.iter_batches(batch_size=size, use_threads=False):
            yield from zip(*map(_converted, conversions, batch.columns), strict=True)


def _converted(conversion: Conversion, column: Any) -> Cells:
    return conversion(column)


def _schema(path: Path) -> Any:
    with arrow.errors(path), arrow.open_parquet(path) as file:
        return file.schema_arrow


def cells_of(column: Any) -> list[Any]:
    """The cells of a column of Arrow's, as text, numbers or None, of a type that `is_usable`."""
    conversion = arrow.conversion(column.type)
    assert conversion
    return conversion(column)


def is_usable(kind: Any) -> bool:
    """Whether a column of this type of Arrow's holds text, numbers or times."""
    return arrow.conversion(kind) is not None


def _conversions(path: Path, schema: Any) -> list[Conversion]:
    conversions = []
    for name, kind in zip(schema.names, schema.types, strict=True):
        conversion = arrow.conversion(kind)
        if conversion is None:
            raise UsageError(
                f"{path}: the column {name!r} is of the type {kind}; leave it out, or convert it to text or numbers"
            )
        conversions.append(conversion)
    return conversions
