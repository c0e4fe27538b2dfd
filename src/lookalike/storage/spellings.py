r"""Finds names that are stored in another spelling than they are given in.

One letter may be one character or a letter and an accent (Unicode's NFC and NFD): people type the first, and the names
of files from a Mac have the second. Both look the same. A table written on Windows has `\` between the folders of a
path. Another spelling is meant only if nothing is stored under a name as it was given, and something under exactly one
other.
"""

import itertools
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from lookalike.filters import Allowed, Between, Not, Value, Where
from lookalike.storage.filter_sql import below
from lookalike.storage.sqlite import Connection

_LONGEST = 4096  # characters of a path
_MOST = 64  # spellings of a path, in each part of which letters may be composed or not
_NAMED = "name = CAST(? AS TEXT)"

_Found = TypeVar("_Found")


def spellings(path: str) -> Iterator[str]:
    r"""Yields the other spellings of a path: each part composed or decomposed, and with `/` for `\`."""
    if len(path) > _LONGEST or (path.isascii() and "\\" not in path):
        return
    for text in dict.fromkeys([path, path.replace("\\", "/")]):
        forms = itertools.product(*(_forms(part) for part in text.split("/")))
        yield from (name for name in map("/".join, itertools.islice(forms, _MOST)) if name != path)


def only(found: Iterable[_Found]) -> _Found | None:
    """What was found, if it is one thing, maybe several times; else None."""
    different: list[_Found] = []
    for each in found:
        if each not in different:
            different.append(each)
    return different[0] if len(different) == 1 else None


def as_stored(connection: Connection, where: Where) -> Where:
    """A filter with its labels, folder, and names and texts of attributes in the spelling of the catalog."""
    values = (value for value in _values(where) if isinstance(value, str))
    texts = itertools.chain(where.labels or (), where.conditions, values)
    if all(map(str.isascii, texts)) and next(spellings(where.under or ""), None) is None:
        return where
    return _Spelled(connection).filter(where)


class _Spelled:
    """The spelling that a catalog has of labels, folders, and names and texts of attributes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def filter(self, where: Where) -> Where:
        labels = where.labels and {self._label(each) for each in where.labels}
        attributes = {}
        for given, allowed in where.conditions.items():
            name = self._name(given)
            attributes[name] = self._allowed(name, allowed)
        return replace(where, label=labels, under=where.under and self._folder(where.under), attributes=attributes)

    def _label(self, label: str) -> str:
        return _meant(label, _forms(label), lambda each: self._has("images", "label = CAST(? AS TEXT)", each))

    def _folder(self, folder: str) -> str:
        def has(each: str) -> bool:
            within = below(each)
            return self._has("images", within.sql, *within.values)

        return _meant(folder, spellings(folder), has)

    def _name(self, name: str) -> str:
        return _meant(name, _forms(name), lambda each: self._has("attributes", _NAMED, each))

    def _allowed(self, name: str, allowed: Allowed) -> Allowed:
        if isinstance(allowed, Between):
            return allowed
        if isinstance(allowed, Not):
            return Not(frozenset(self._value(name, each) for each in allowed.excluded))
        return frozenset(self._value(name, each) for each in allowed)

    def _value(self, name: str, value: Value) -> Value:
        def has(each: str) -> bool:
            return self._has("attributes", f"{_NAMED} AND value = CAST(? AS TEXT)", name, each)

        return _meant(value, _forms(value), has) if isinstance(value, str) else value

    def _has(self, table: str, condition: str, *values: Any) -> bool:
        query = f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1"  # noqa: S608
        given = [os.fsencode(value) if isinstance(value, str) else value for value in values]
        return self._connection.execute(query, given).fetchone() is not None


def _meant(name: str, others: Iterable[str], is_stored: Callable[[str], bool]) -> str:
    """The name itself if it is stored, or has no other spelling; else the only other one that is."""
    candidates = [other for other in others if other != name]
    if not candidates or is_stored(name):
        return name
    return only(filter(is_stored, candidates)) or name


def _values(where: Where) -> Iterator[Value]:
    for allowed in where.conditions.values():
        if not isinstance(allowed, Between):
            yield from allowed.excluded if isinstance(allowed, Not) else allowed


def _forms(text: str) -> list[str]:
    """A text as it is, composed and decomposed, each once."""
    if text.isascii():
        return [text]
    return list(dict.fromkeys([text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))]))
