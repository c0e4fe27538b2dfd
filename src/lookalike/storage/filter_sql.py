"""A `Where` as SQL, over the tables of the catalog."""

import json
import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.filters import Allowed, Between, Not, Value, Where
from lookalike.sources import keys
from lookalike.storage.sqlite import Connection

_MOST_LISTED = 20  # names of attributes in a message
_PLAIN = re.compile(r"[\w .:()%/-]{1,60}")


@dataclass(frozen=True)
class Condition:
    """A condition in SQL and the values of its parameters."""

    sql: str
    values: tuple[Any, ...] = ()


def for_scan(where: Where) -> Condition:
    """The condition of a matching image, in a form that is fast for finding all of them.

    The names are those of the columns of `images`.
    """
    return _and([*_of_image(where), *(_by_value(*each) for each in where.conditions.items())])


def for_lookup(where: Where) -> Condition:
    """The condition of a matching image, in a form that is fast for testing a few images."""
    return _and([*_of_image(where), *(_by_image(*each) for each in where.conditions.items())])


def refuse_unknown_names(connection: Connection, where: Where, names: Callable[[], list[str]]) -> None:
    """Refuses attributes that no image has, which are most likely misspelt; `names` lists those that there are.

    Raises:
        UsageError: there is one.
    """
    for name in where.conditions:
        query = "SELECT 1 FROM attributes WHERE name = CAST(? AS TEXT) LIMIT 1"
        if connection.execute(query, (stored(name),)).fetchone() is None:
            raise UsageError(f"no image has an attribute {arguments.shown(name)}; there are: {_listed(names())}")


def _listed(names: list[str]) -> str:
    """The first of some names, which may be a stranger's: on one line, and none of it acts upon a terminal."""
    shown = [name if _PLAIN.fullmatch(name) else arguments.shown(name) for name in names[:_MOST_LISTED]]
    more = [f"and {len(names) - len(shown):,} more"] if len(names) > len(shown) else []
    return ", ".join(shown + more) or "none"


def below(folder: str) -> Condition:
    """The condition that a key is below a folder, or in a shard; "" is the collection's own, without absolute keys."""
    if not folder:
        return Condition("key NOT GLOB '/*'")
    # "0" follows "/", and "$" follows "#": what is between them is below the folder, or in the shard.
    below_it, in_it = _begins(folder.rstrip("/"), "/", "0"), _begins(folder.rstrip("#"), "#", "$")
    if folder.endswith("#"):
        return in_it
    if not keys.is_shard(folder):
        return below_it
    return Condition(f"({below_it.sql} OR {in_it.sql})", below_it.values + in_it.values)


def _begins(name: str, divider: str, following: str) -> Condition:
    """The condition that a key begins with a name and a character, which another one follows."""
    ends = tuple(os.fsencode(name + each) for each in (divider, following))
    return Condition("(key >= CAST(? AS TEXT) AND key < CAST(? AS TEXT))", ends)


def stored(value: Value) -> bytes | Value:
    """A value as a parameter of SQLite: text is given as bytes, which need not be UTF-8, and then cast."""
    return os.fsencode(value) if isinstance(value, str) else value


def _of_image(where: Where) -> Iterator[Condition]:
    if where.labels is not None:
        yield _among("label", where.labels)
    if where.ids is not None:  # there may be more of them than a statement can have parameters
        yield Condition("id IN (SELECT value FROM json_each(?))", (json.dumps(sorted(where.ids)),))
    if where.under is not None:
        yield below(where.under)


def _by_value(name: str, allowed: Allowed) -> Condition:
    value, has = _value(allowed), "NOT IN" if isinstance(allowed, Not) else "IN"
    query = f"SELECT image FROM attributes WHERE name = CAST(? AS TEXT) AND {value.sql}"  # noqa: S608
    return Condition(f"id {has} ({query})", (stored(name), *value.values))


def _by_image(name: str, allowed: Allowed) -> Condition:
    value, has = _value(allowed), "NOT EXISTS" if isinstance(allowed, Not) else "EXISTS"
    query = f"SELECT 1 FROM attributes WHERE image = id AND name = CAST(? AS TEXT) AND {value.sql}"  # noqa: S608
    return Condition(f"{has} ({query})", (stored(name), *value.values))


def _value(allowed: Allowed) -> Condition:
    """The condition of a value that is allowed or, for Not, that is not."""
    if isinstance(allowed, Not):
        return _among("value", allowed.excluded)
    if not isinstance(allowed, Between):
        return _among("value", allowed)
    ends = [
        (">" if allowed.without_low else ">=", allowed.low),
        ("<" if allowed.without_high else "<=", allowed.high),
    ]
    parts = [Condition(f"value {sign} {_parameter(end)}", (stored(end),)) for sign, end in ends if end is not None]
    # SQLite sorts text after all numbers, so a range of one type has to exclude the other.
    if isinstance(allowed.low, int | float) and allowed.high is None:
        parts.append(Condition("value < ''"))
    if isinstance(allowed.high, str) and allowed.low is None:
        parts.append(Condition("value >= ''"))
    return _and(parts)


def _among(column: str, values: Collection[Value]) -> Condition:
    return Condition(f"{column} IN ({', '.join(map(_parameter, values))})", tuple(map(stored, values)))


def _parameter(value: Value) -> str:
    return "CAST(? AS TEXT)" if isinstance(value, str) else "?"


def _and(conditions: Collection[Condition]) -> Condition:
    sql = " AND ".join(condition.sql for condition in conditions)
    return Condition(sql or "TRUE", tuple(value for condition in conditions for value in condition.values))
