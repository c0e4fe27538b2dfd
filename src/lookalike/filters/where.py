"""Filters as values: which images may be found, by labels, folders, ids and attributes."""

import math
import numbers
import operator
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from lookalike import arguments
from lookalike.errors import UsageError

Value = str | int | float
LABEL = "label"  # the attribute that is also the image's label

_MAX_VALUES = 30_000  # SQLite accepts 32,766 in one statement by default
MAX_TEXT = 2**20  # characters of a text
INT64 = range(-(2**63), 2**63)
_IDS = range(1, 2**63)


@dataclass(frozen=True)
class Between:
    """A range of numbers, or of texts in the order of their UTF-8 bytes. None is no limit.

    A range of numbers contains no text, and a range of texts no number. Without any limit it contains every value.

    Attributes:
        low: the low end.
        high: the high end.
        without_low: the low end itself is not in the range.
        without_high: the high end itself is not in the range.

    Raises:
        UsageError: `low` is above `high`, one is a number and the other a text, or the range contains nothing.
    """

    low: Value | None = None
    high: Value | None = None
    without_low: bool = field(default=False, kw_only=True)
    without_high: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        for end in ("low", "high"):
            given = getattr(self, end)
            object.__setattr__(self, end, None if given is None else checked(given, f"Between({end}=...)"))
            flag = arguments.flag(getattr(self, f"without_{end}"), f"without_{end}")
            object.__setattr__(self, f"without_{end}", flag and given is not None)
        if self.low is None or self.high is None:
            return
        if isinstance(self.low, str) != isinstance(self.high, str):
            raise UsageError(f"{self}: one end is a number and the other a text; give two numbers or two texts")
        if _order(self.low) > _order(self.high):
            raise UsageError(f"{self}: the low end is above the high end; give the smaller one first")
        if self.low == self.high and (self.without_low or self.without_high):
            raise UsageError(f"{self}: nothing is in this range; include both ends")

    def __repr__(self) -> str:
        ends = [f"{end}={getattr(self, end)!r}" for end in ("low", "high")]
        flags = [f"{name}=True" for name in ("without_low", "without_high") if getattr(self, name)]
        return f"Between({', '.join(ends + flags)})"


@dataclass(frozen=True)
class Not:
    """Every value but one, or but several; an image without the attribute has none of them, and so it passes, too.

    Attributes:
        values: the value, or a list of values, that the image must not have.

    Raises:
        UsageError: one is neither text nor a number.
    """

    values: Value | Collection[Value]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _values_of(self.values, "Not(values=...)"))

    @property
    def excluded(self) -> frozenset[Value]:
        """The values that the image must not have."""
        assert isinstance(self.values, frozenset)
        return self.values


Allowed = frozenset[Value] | Between | Not


class Conditions(Mapping[str, Allowed]):
    """The allowed values of each attribute, by name; immutable and hashable."""

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        if given is not None and not isinstance(given, Mapping):
            raise UsageError(f"attributes={arguments.shown(given)}: give a dict, such as {{'colour': 'red'}}")
        self._allowed = {checked_name(name): _allowed(name, wanted) for name, wanted in (given or {}).items()}

    def __getitem__(self, name: str) -> Allowed:
        return self._allowed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._allowed)

    def __len__(self) -> int:
        return len(self._allowed)

    def __hash__(self) -> int:
        return hash(frozenset(self._allowed.items()))

    def __repr__(self) -> str:
        return repr(self._allowed)


@dataclass(frozen=True)
class Where:
    """A filter: an image passes if it meets every condition that is given. Filters can be compared and hashed.

    An empty list matches no image.

    Attributes:
        label: the label, or a list of labels, one of which the image has.
        under: the folder that the image is in or below, as its key begins: "2024" or "2024/" contains 2024/x.jpg but
            not 20245/x.jpg, and "" is the collection's folder. Images that were added from another folder are in
            absolute folders.
        ids: the ids of the images.
        attributes: for each name the value, a list of values, one of which the image has, a range (Between), or values
            that it does not have (Not). The numbers 3 and 3.0 are equal; the number 3 and the text "3" are not.

    A letter with an accent may be one character or two in a label, a folder, and the name or the text of an attribute:
    if no image has it as it is given, and images have it in one other spelling, that is meant.

    Raises:
        UsageError: a value is neither text nor a number, a number is not finite or has more than 64 bits, or there are
            more than 30,000 labels and values.
    """

    label: str | Collection[str] | None = None
    under: str | None = None
    ids: Collection[int] | None = None
    attributes: Mapping[str, Value | Collection[Value] | Between | Not] = field(default_factory=dict)

    def __post_init__(self) -> None:
        attributes = Conditions(self.attributes)
        if LABEL in attributes:
            raise UsageError("attributes={'label': ...}: the label is a filter of its own; give label=...")
        checked_parts = {"label": _labels(self.label), "under": _folder(self.under), "ids": _ids(self.ids)}
        for name, value in (checked_parts | {"attributes": attributes}).items():
            object.__setattr__(self, name, value)
        if (count := len(self.labels or ()) + sum(map(_count, attributes.values()))) > _MAX_VALUES:
            raise UsageError(f"{count:,} labels and values: give at most {_MAX_VALUES:,}")

    @property
    def labels(self) -> frozenset[str] | None:
        """The labels, one of which an image must have, or None if the label does not matter."""
        assert self.label is None or isinstance(self.label, frozenset)
        return self.label

    @property
    def conditions(self) -> Conditions:
        """The allowed values of each attribute."""
        assert isinstance(self.attributes, Conditions)
        return self.attributes


def checked_where(where: object) -> Where | None:
    """Returns a filter or None; raises UsageError for anything else."""
    if where is not None and not isinstance(where, Where):
        raise UsageError(f"where={arguments.shown(where)}: give a filter, such as lookalike.Where(label='cat')")
    return where


def checked(value: object, name: str) -> Value:
    """Returns a value if an attribute can have it: text, or a finite number of at most 64 bits.

    Raises:
        UsageError: an attribute cannot have it; the message begins with `name`.
    """
    if isinstance(value, str):
        try:
            os.fsencode(value)
        except UnicodeEncodeError:
            given = arguments.shown(value)
            raise UsageError(f"{name}: {given} has half a character (a lone surrogate); leave it out") from None
        if len(value) > MAX_TEXT:
            raise UsageError(f"{name}: a text of {len(value):,} characters; give at most {MAX_TEXT:,}")
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UsageError(f"{name}: {value} is not finite; give a number or text")
        return float(value)
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):  # such as NumPy's float32
        return checked(_float(value), name)
    number = _whole(value)
    if number is None:
        given = arguments.shown(value)
        raise UsageError(f"{name}: {given} is of the type {type(value).__name__}; give text or a number")
    if number not in INT64:
        raise UsageError(f"{name}: {number} has more than 64 bits; give a float")
    return number


def is_value(value: object) -> bool:
    """Whether an attribute can have a value."""
    return isinstance(value, int | float) or (isinstance(value, str) and len(value) <= MAX_TEXT)


def checked_name(name: object) -> str:
    """Returns a name if an attribute can have it.

    Raises:
        UsageError: it is not text, or is empty.
    """
    if not isinstance(name, str) or not name:
        raise UsageError(f"attributes: {arguments.shown(name)} is not a name of an attribute; give text")
    return str(checked(name, "attributes"))


def _whole(value: Any) -> int | None:
    """Returns an integer, including NumPy's, as an int; None for any other value, including a bool."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def _float(value: numbers.Real) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _order(end: Value) -> Any:
    return os.fsencode(end) if isinstance(end, str) else end


def _allowed(name: str, wanted: object) -> Allowed:
    return wanted if isinstance(wanted, Between | Not) else _values_of(wanted, f"attributes[{name!r}]")


def _values_of(wanted: object, name: str) -> frozenset[Value]:
    return frozenset(checked(value, name) for value in _several(wanted))


def _several(given: object) -> Collection[object]:
    """The items of a list or another collection; anything else is a single item."""
    is_single = isinstance(given, str | bytes | bytearray | memoryview | Mapping) or not isinstance(given, Collection)
    try:
        return [given] if is_single else list(given)  # type: ignore[call-overload]
    except TypeError:  # an array of NumPy without dimensions
        return [given]


def _count(allowed: Allowed) -> int:
    return 0 if isinstance(allowed, Between) else len(allowed.excluded if isinstance(allowed, Not) else allowed)


def _labels(label: object) -> frozenset[str] | None:
    if label is None:
        return None
    several = _several(label)
    for each in several:
        if not isinstance(each, str):
            raise UsageError(f"label={arguments.shown(each)}: a label is text")
    return frozenset(str(checked(each, "label")) for each in several)


def _folder(under: object) -> str | None:
    if under is None:
        return None
    if not isinstance(under, str):
        raise UsageError(f"under={arguments.shown(under)}: give a folder as text, such as '2024'")
    folder = str(PurePosixPath(str(checked(under, "under"))))
    return "" if folder == "." else folder


def _ids(ids: object) -> frozenset[int] | None:
    if ids is None:
        return None
    if isinstance(ids, str | bytes | Mapping) or not isinstance(ids, Collection) or not getattr(ids, "shape", True):
        raise UsageError(f"ids={arguments.shown(ids)}: give a list of integers")
    return frozenset(number for number in map(_id, ids) if number in _IDS)


def _id(given: object) -> int:
    number = _whole(given)
    if number is None:
        raise UsageError(f"ids: {arguments.shown(given)} is not an integer")
    return number
