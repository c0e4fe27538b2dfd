"""What a shard is: a file that contains many images, each under the name of a member."""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from lookalike.errors import UsageError
from lookalike.filters import Value
from lookalike.filters.where import INT64, checked

MOST_FACTS = 200  # attributes of an image
_LONGEST_NAME = 200  # characters of the name of an attribute

Facts = Mapping[str, Value]
"""What a shard says of an image: attributes by name; the one named `label` is its label."""


@dataclass(frozen=True)
class Member:
    """An image in a shard, as far as the list of its members tells.

    Attributes:
        name: within the shard, as it is a part of the key.
        size: of the image file in bytes; in a Parquet file the average.
    """

    name: str
    size: int


class Shard(Protocol):
    """An open shard. Threads may share it.

    Attributes:
        damage: why members may be missing that were in it, a short phrase; "" if all of it could be listed.
        close: closes its file, which otherwise happens once nobody uses it.
    """

    damage: str
    close: Callable[[], object]

    def members(self) -> Iterable[Member]:
        """The images in it, each name once, in the order of the names' bytes."""
        ...

    def size_of(self, name: str) -> int | None:
        """The size of a member in bytes, as in `members`; None if there is none of that name."""
        ...

    def read(self, name: str, max_bytes: int) -> bytes:
        """The bytes of an image file of at most `max_bytes`.

        Raises:
            ImageError: there is no such member, it is larger, or it cannot be read.
        """
        ...

    def facts(self, name: str) -> Facts:
        """What the shard says of a member; nothing if that cannot be read."""
        ...


class DamagedShardError(Exception):
    """Nothing in a file can be read as a shard; the message is a short phrase."""


def in_order(members: Iterable[Member]) -> list[Member]:
    """Members in the order of the bytes of their names."""
    return sorted(members, key=lambda member: os.fsencode(member.name))


def usable_facts(given: Iterable[tuple[object, object]]) -> dict[str, Value]:
    """Those of some (name, value) pairs that can be an attribute: texts, numbers and booleans that are not too long."""
    found: dict[str, Value] = {}
    for name, value in given:
        if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and (usable := _usable(value)) is not None:
            found[name] = usable
        if len(found) == MOST_FACTS:
            break
    return found


def _usable(value: object) -> Value | None:
    """A value as attributes have it; None if it is empty, or none can have it."""
    match value:
        case bool():
            return "true" if value else "false"  # as in a CSV file
        case int():
            return value if value in INT64 else None
        case float():
            return value if math.isfinite(value) else None
        case str() if value.strip() and "\0" not in value:
            with suppress(UsageError):  # too long, or with half a character
                return checked(value, "")
    return None
