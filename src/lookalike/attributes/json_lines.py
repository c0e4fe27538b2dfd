"""Reads JSON lines: an object a line, whose members are the cells of a row."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lookalike.errors import UsageError
from lookalike.system import regular_file

SUFFIXES = frozenset({".jsonl", ".ndjson"})
_LONGEST = 2**24  # bytes of a line
_MOST_COLUMNS = 5_000


def names(path: Path) -> list[str]:
    """The names of the members, in the order in which they first appear; those that lists or objects have are left out.

    Raises:
        UsageError: a line is no JSON object.
    """
    found, nested = dict[str, None](), set[str]()
    for number, row in _objects(path):
        found.update(dict.fromkeys(row))
        nested.update(name for name, value in row.items() if isinstance(value, list | dict))
        if len(found) > _MOST_COLUMNS:
            raise UsageError(f"{path}: line {number}: more than {_MOST_COLUMNS:,} different names; leave some out")
    return [name for name in found if name not in nested]


def rows(path: Path, wanted: list[str]) -> Iterator[tuple[Any, ...]]:
    """Yields, for each line, the values of the members of these names: texts, numbers or None.

    Raises:
        UsageError: a line is no JSON object.
    """
    for _, row in _objects(path):
        yield tuple(_cell(row.get(name)) for name in wanted)


def _cell(value: Any) -> Any:
    match value:
        case bool():
            return "true" if value else "false"  # as in a CSV file
        case float() if not math.isfinite(value):
            return None
        case list() | dict():  # the file has changed meanwhile
            return None
    return value


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The numbers of the lines that are not empty, and the objects in them."""
    try:
        with regular_file.open_to_read(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST + 1), b""), 1):
                if len(line) > _LONGEST:
                    raise UsageError(f"{path}: line {number} has more than {_LONGEST:,} bytes")
                if text := line.removeprefix(b"\xef\xbb\xbf").strip():
                    yield number, _object(path, number, text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from error


def _object(path: Path, number: int, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"{path}: line {number} is no JSON; write an object on each line") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path}: line {number} is no JSON object; write one on each line")
    return found
