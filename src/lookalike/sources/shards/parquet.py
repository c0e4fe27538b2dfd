"""Reads Parquet files of images, as Hugging Face's datasets write them, or with a column of the bytes of image files.

The name of a member is the number of its row, of eight digits. The other columns of texts, numbers and times are
attributes; the numbers of Hugging Face's class labels become their names. Rows are read a few at a time, since a group
of rows may have gigabytes.
"""

import json
import os
import threading
import weakref
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, BinaryIO

from lookalike.errors import ImageError
from lookalike.filters import LABEL
from lookalike.sources import arrow
from lookalike.sources.shards.base import MOST_FACTS, DamagedShardError, Facts, Member, usable_facts

_DIGITS = 8
_ROWS = 8  # that are read at a time
_KEPT_BYTES = 96 * 2**20  # of images that were read last
_FREE_BYTES, _MOST_TIMES = 64 * 2**20, 200  # a group of rows may unpack to so much, or to so many times its size
_NAMES = ("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes", "data", "content")
_NO_BYTES = "no bytes in this row"


@dataclass(frozen=True)
class _Columns:
    """What the columns of a file are.

    Attributes:
        image: the name of that of the images.
        facts: the conversions of those that become attributes, by name.
        classes: the names of the classes of those that have class labels, by the name of the column.
    """

    image: str
    facts: Mapping[str, arrow.Conversion]
    classes: Mapping[str, Sequence[str]]

    @property
    def all(self) -> list[str]:
        return [self.image, *self.facts]


@dataclass(frozen=True)
class _Row:
    data: bytes | None
    facts: Facts


@dataclass
class _Group:
    """A group of rows that is being read.

    Attributes:
        first: the number of its first row.
        batches: what is still to be read, or None if nothing has been.
        next: the number of the first row that is still to be read.
        broken_from: from that row on, it cannot be read; None if that is not known of any.
        reason: why not.
    """

    first: int
    batches: Iterator[Any] | None = None
    next: int = 0
    broken_from: int | None = None
    reason: str = ""


@dataclass
class _Kept:
    """The rows that were read last, and the bytes of their images."""

    rows: OrderedDict[int, _Row] = field(default_factory=OrderedDict)
    bytes: int = 0

    def add(self, number: int, row: _Row) -> None:
        if number not in self.rows:
            self.bytes += len(row.data or b"")
        self.rows[number] = row
        while self.bytes > _KEPT_BYTES and len(self.rows) > _ROWS:
            _, old = self.rows.popitem(last=False)
            self.bytes -= len(old.data or b"")


class ParquetShard:
    """An open Parquet file."""

    damage = ""

    def __init__(self, opened: BinaryIO) -> None:
        """Reads what an open file says that it has; the file is this object's from now on.

        Raises:
            DamagedShardError: it is no Parquet file, or has no column of images.
        """
        try:
            self._file = arrow.open_parquet(opened)
            self._columns = _columns(self._file.schema_arrow)
            description = self._file.metadata
            sizes = [description.row_group(number).num_rows for number in range(description.num_row_groups)]
        except arrow.reasons() as error:
            opened.close()
            raise DamagedShardError(f"cannot be read as Parquet: {arrow.reason(error)}") from error
        except BaseException:
            opened.close()
            raise
        self._lock = threading.Lock()
        self._starts = [0, *accumulate(sizes)]
        self._groups = [_Group(start, next=start) for start in self._starts[:-1]]
        self._size = opened.seek(0, os.SEEK_END) // max(self._starts[-1], 1)
        self._kept = _Kept()
        self.close: Callable[[], object] = weakref.finalize(self, opened.close)

    def members(self) -> Iterable[Member]:
        return (Member(f"{row:0{_DIGITS}}", self._size) for row in range(min(self._starts[-1], 10**_DIGITS)))

    def size_of(self, name: str) -> int | None:
        return None if self._number(name) is None else self._size

    def read(self, name: str, max_bytes: int) -> bytes:
        data = self._row(name).data
        if not data:
            raise ImageError(_NO_BYTES, name)
        if len(data) > max_bytes:
            raise ImageError(f"more than {max_bytes / 2**20:g} MB, the limit for a file", name)
        return data

    def facts(self, name: str) -> Facts:
        try:
            return self._row(name).facts
        except ImageError:
            return {}

    def _number(self, name: str) -> int | None:
        """The number of the row of a name; None if there is none."""
        number = int(name) if len(name) == _DIGITS and name.isascii() and name.isdigit() else -1
        return number if 0 <= number < self._starts[-1] else None

    def _row(self, name: str) -> _Row:
        number = self._number(name)
        if number is None:
            raise ImageError("not in the file", name)
        with self._lock:
            if number not in self._kept.rows:
                self._read_up_to(number, name)
            return self._kept.rows[number]

    def _read_up_to(self, number: int, name: str) -> None:
        """Reads rows until the one of that number is kept; raises ImageError if it cannot be read."""
        at = bisect_right(self._starts, number) - 1
        group = self._groups[at]
        if group.broken_from is not None and number >= group.broken_from:
            raise ImageError(group.reason, name)
        if group.batches is None or number < group.next:
            self._check_size(at, name)
            reading = {"batch_size": _ROWS, "row_groups": [at], "columns": self._columns.all, "use_threads": False}
            group.batches, group.next = self._file.iter_batches(**reading), group.first
        failures: tuple[type[Exception], ...] = (MemoryError, StopIteration, *arrow.reasons())
        try:
            while group.next <= number:
                batch = next(group.batches)
                for position, row in enumerate(self._rows(batch), group.next):
                    self._kept.add(position, row)
                group.next += len(batch)
        except failures as error:
            group.broken_from, group.batches = group.next, None
            group.reason = f"cannot be read: {arrow.reason(error) or 'it has fewer rows than it says'}"
            raise ImageError(group.reason, name) from error

    def _check_size(self, at: int, name: str) -> None:
        """Raises ImageError if a group says that it unpacks to far more than images do."""
        described = self._file.metadata.row_group(at)
        columns = [described.column(number) for number in range(described.num_columns)]
        stored = sum(column.total_compressed_size for column in columns)
        if sum(column.total_uncompressed_size for column in columns) > _FREE_BYTES + _MOST_TIMES * stored:
            raise ImageError("in a group of rows that unpacks to far more than images do", name)

    def _rows(self, batch: Any) -> Iterator[_Row]:
        columns = {name: convert(batch.column(name)) for name, convert in self._columns.facts.items()}
        for name, classes in self._columns.classes.items():
            columns[name] = [_class(value, classes) for value in columns[name]]
        if LABEL not in columns and len(self._columns.classes) == 1:
            columns[LABEL] = columns[next(iter(self._columns.classes))]
        images = batch.column(self._columns.image).to_pylist()
        for position, image in enumerate(images):
            given = [(name, cells[position]) for name, cells in columns.items()]
            data, file_name = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
            yield _Row(data, usable_facts([("file_name", file_name), *given]))


def _class(value: Any, classes: Sequence[str]) -> str | None:
    return classes[value] if isinstance(value, int) and 0 <= value < len(classes) else None


def _columns(schema: Any) -> _Columns:
    """What the columns are.

    Raises:
        DamagedShardError: there are no images.
    """
    from pyarrow import types

    kinds = dict(zip(schema.names, schema.types, strict=True))
    features = _features(schema)
    images = [name for name, kind in kinds.items() if _may_hold_images(kind)]
    declared = [name for name in images if features.get(name, {}).get("_type") == "Image"]
    if not images:
        raise DamagedShardError("it has no column of images: of bytes, or as Hugging Face's datasets write them")
    image = min(declared or images, key=_preference)
    facts = {name: made for name, kind in kinds.items() if name != image and (made := arrow.conversion(kind))}
    classes = {
        name: [str(each) for each in features[name]["names"]]
        for name in facts
        if features.get(name, {}).get("_type") == "ClassLabel"
        and isinstance(features[name].get("names"), list)
        and types.is_integer(kinds[name])
    }
    return _Columns(image, dict(list(facts.items())[:MOST_FACTS]), classes)


def _may_hold_images(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        position = kind.get_field_index("bytes")
        return position >= 0 and _is_binary(kind.field(position).type)
    return _is_binary(kind)


def _is_binary(kind: Any) -> bool:
    from pyarrow import types

    tests = types.is_binary, types.is_large_binary, types.is_binary_view
    return any(test(kind) for test in tests)


def _preference(name: str) -> int:
    """How likely a name is that of the column of images: the less, the likelier."""
    return _NAMES.index(name.lower()) if name.lower() in _NAMES else len(_NAMES)


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """What Hugging Face's datasets note of the columns, by name; {} if there is nothing."""
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        noted = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: each for name, each in noted.items() if isinstance(each, dict)}
    return {}
