"""Checks the arguments of public functions. Each function here returns the value to go on with.

Each raises UsageError, which names the argument, shows its value, and says what to give.
"""

import math
import numbers
import operator
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from lookalike.errors import UsageError

_Item = TypeVar("_Item")

_LONGEST = 60  # characters of a value in a message


def whole(value: Any, name: str, *, least: int | None = None) -> int:
    """An integer, at least `least`. NumPy's are accepted; bools, and floats with whole values, are not."""
    found = None
    if not isinstance(value, bool):
        with suppress(TypeError):
            found = operator.index(value)
    if found is None:
        raise UsageError(f"{name}={shown(value)}: give a whole number")
    if least is not None and found < least:
        raise UsageError(f"{name}={found}: give at least {least}")
    return found


def number(value: Any, name: str, *, finite: bool = True) -> float:
    """A number of Python or NumPy as a float, unless it is NaN, or infinite although it has to be finite."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or value != value:  # NaN
        raise UsageError(f"{name}={shown(value)}: give a number")
    with suppress(OverflowError):
        if math.isfinite(value) or not finite:
            return float(value)
    raise UsageError(f"{name}={shown(value)}: give a finite number")


def flag(value: Any, name: str) -> bool:
    """True or False; NumPy's, and 1 and 0, are accepted."""
    with suppress(TypeError, KeyError):  # it cannot be hashed, or is something else
        return {True: True, False: False}[value]
    raise UsageError(f"{name}={shown(value)}: give True or False")


def text(value: Any, name: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise UsageError(f"{name}={shown(value)}: give text")
    return value


def path(value: Any, name: str) -> Path:
    """A path: text that is not empty and can be a file name, or an object that stands for a path; bytes are refused."""
    if isinstance(value, str | os.PathLike):
        with suppress(TypeError, UnicodeError):
            decoded = os.fsdecode(value)
            if decoded and b"\0" not in os.fsencode(decoded):
                return Path(decoded)
    raise UsageError(f"{name}={shown(value)}: give a path, as text or as a pathlib.Path")


def several(values: Iterable[_Item], name: str) -> list[_Item]:
    """The items of a list or any other iterable, but not of a single text, path, file or table."""
    single = isinstance(values, str | bytes | bytearray | memoryview | os.PathLike | Mapping) or hasattr(values, "read")
    with suppress(TypeError):  # an array of NumPy without dimensions
        if not single and isinstance(values, Iterable):
            return list(values)
    raise UsageError(f"{name}: expected a list, got the single value {shown(values)}")


def callback(value: Any, name: str) -> Any:
    """A function, or another object that can be called, or None."""
    if value is not None and not callable(value):
        raise UsageError(f"{name}={shown(value)}: give a function")
    return value


def instance(value: Any, kind: type[_Item], name: str, advice: str) -> _Item:
    """An object of a class; `advice` says what to give."""
    if not isinstance(value, kind):
        raise UsageError(f"{name}={shown(value)}: give {advice}")
    return value


def shown(value: object) -> str:
    """A value as it is written in Python, on one line, shortened."""
    line = " ".join(repr(value).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
