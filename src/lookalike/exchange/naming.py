"""What the cells of a table say of images: their keys, the SHA-256s and sizes of their files, their attributes."""

import json
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from lookalike.exchange.tables import Layout, Rows
from lookalike.filters import LABEL, Value
from lookalike.filters.where import INT64, MAX_TEXT
from lookalike.sources import keys
from lookalike.storage import records

_ODD = re.compile(r"//|(?:^|/)\.(?:/|$)|/$")  # in a path that is not as short as it could be
_PLAIN = 1000  # characters
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_MOST_PIXELS = 2**31 - 1  # of a side of an image

Columns: TypeAlias = dict[str, Sequence[Value | None]]
"""Attributes by name, a value for each image."""


def key_of(name: object, folder: str) -> str | None:
    """The key of the image of a name: a path, made relative to a folder if it is in it, or a URL; None if it is none.

    `folder` ends with a slash.
    """
    text = name if isinstance(name, str) else str(name) if isinstance(name, int) else ""
    if text[:1] == "/":
        text = text.removeprefix(folder)
    if _is_plain(text):
        return text
    if not keys.is_url(text) and _ODD.search(text):
        text = os.path.normpath(text).removeprefix(folder)
    return text if text.strip() and records.is_key(text) else None


def _is_plain(text: str) -> bool:
    """Whether a text is a key as it is: quick, and false for some that are."""
    return (
        0 < len(text) <= _PLAIN
        and "//" not in text
        and "./" not in text
        and "\0" not in text
        and text[-1] not in "/."
        and text[0] not in " ./"
    )


def folder_of(folder: Path) -> str:
    """A folder as `key_of` takes it."""
    return f"{os.fspath(folder).rstrip('/')}/"


def labels(keys: Sequence[str], attributes: Columns) -> list[str | None]:
    """The labels of images: those that they are given, else the names of their folders, which URLs have none of."""
    given = attributes.get(LABEL)
    if given is None:
        return list(map(_folder_name, keys))
    pairs = zip(given, keys, strict=True)
    return [_folder_name(key) if label is None else str(label) for label, key in pairs]


def _folder_name(key: str) -> str | None:
    parts = key.rsplit("/", 2)
    return (parts[-2] or None) if len(parts) > 1 and not keys.is_url(key) else None


def sha256s(layout: Layout, rows: Rows) -> list[bytes | None]:
    """The SHA-256s of the files, as far as the table has them."""
    if layout.sha256 is None:
        return [None] * len(rows)
    cells = rows.cells[layout.sha256]
    return [bytes.fromhex(cell) if isinstance(cell, str) and _SHA256.fullmatch(cell) else None for cell in cells]


def sides(name: str | None, rows: Rows) -> list[int]:
    """The widths or heights in a column, in pixels; 0 where there is none."""
    if name is None:
        return [0] * len(rows)
    return [int(cell) if isinstance(cell, int | float) and 0 < cell <= _MOST_PIXELS else 0 for cell in rows.cells[name]]


def attributes(layout: Layout, rows: Rows) -> Columns:
    """The attributes of the images, by name; None is a cell that is empty or holds no value."""
    found = {name: _values(rows.cells[name], is_label=name == LABEL) for name in layout.attributes}
    if layout.json is not None:
        parsed = list(map(_parsed, rows.cells[layout.json]))
        for name in dict.fromkeys(name for given in parsed for name in given):
            found[name] = [given.get(name) for given in parsed]
    return found


def _values(cells: Sequence[Any], *, is_label: bool) -> Sequence[Value | None]:
    kinds = set(map(type, cells)) - {type(None)}
    if kinds == {str} and max(map(len, filter(None, cells)), default=0) <= MAX_TEXT:
        return cells
    keep: Callable[[Any], bool] = is_attribute
    return [(str(cell) if is_label else cell) if keep(cell) else None for cell in cells]


def is_attribute(value: object) -> bool:
    """Whether it is a text or a number that an attribute can have."""
    if isinstance(value, str):
        return len(value) <= MAX_TEXT and not any("\ud800" <= each <= "\udfff" for each in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and value in INT64


def _parsed(cell: Any) -> dict[str, Value]:
    """The attributes in a JSON object, as Lookalike exports them."""
    try:
        given = json.loads(cell) if isinstance(cell, str) else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(given, dict):
        return {}
    return {
        name: str(value) if name == LABEL else value
        for name, value in given.items()
        if name and is_attribute(name) and is_attribute(value)
    }
