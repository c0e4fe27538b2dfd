"""Filters: which images may be found, by labels, folders, ids and attributes, and their text form."""

import math
import operator
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from lookalike import arguments
from lookalike.errors import UsageError

Value = str | int | float
LABEL = "label"  # the attribute that is also the image's label

_MAX_VALUES = 30_000  # SQLite accepts 32,766 in one statement by default
_MAX_TEXT = 2**20  # characters of a text
_INT64 = range(-(2**63), 2**63)
_IDS = range(1, 2**63)


@dataclass(frozen=True)
class Between:
    """A range of numbers, or of texts in the order of their UTF-8 bytes. Both ends are included; None is no limit.

    A range of numbers contains no text, and a range of texts no number. Without any limit it contains every value.

    Raises:
        UsageError: `low` is above `high`, or one is a number and the other a text.
    """

    low: Value | None = None
    high: Value | None = None

    def __post_init__(self) -> None:
        for end in ("low", "high"):
            given = getattr(self, end)
            object.__setattr__(self, end, None if given is None else checked(given, f"Between({end}=...)"))
        if self.low is None or self.high is None:
            return
        if isinstance(self.low, str) != isinstance(self.high, str):
            raise UsageError(f"{self}: one end is a number and the other a text; give two numbers or two texts")
        if _order(self.low) > _order(self.high):
            raise UsageError(f"{self}: the low end is above the high end; give the smaller one first")


Allowed = frozenset[Value] | Between


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
        attributes: for each name the value, a list of values, one of which the image has, or a range (Between). The
            numbers 3 and 3.0 are equal; the number 3 and the text "3" are not.

    Raises:
        UsageError: a value is neither text nor a number, a number is not finite or has more than 64 bits, or there are
            more than 30,000 labels and values.
    """

    label: str | Collection[str] | None = None
    under: str | None = None
    ids: Collection[int] | None = None
    attributes: Mapping[str, Value | Collection[Value] | Between] = field(default_factory=dict)

    def __post_init__(self) -> None:
        attributes = Conditions(self.attributes)
        if LABEL in attributes:
            raise UsageError("attributes={'label': ...}: the label is a filter of its own; give label=...")
        checked_parts = {"label": _labels(self.label), "under": _folder(self.under), "ids": _ids(self.ids)}
        for name, value in (checked_parts | {"attributes": attributes}).items():
            object.__setattr__(self, name, value)
        values = [self.labels or (), *(wanted for wanted in attributes.values() if isinstance(wanted, frozenset))]
        if (count := sum(map(len, values))) > _MAX_VALUES:
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
            raise UsageError(f"{name}: {value!r} has half a character (a lone surrogate); leave it out") from None
        if len(value) > _MAX_TEXT:
            raise UsageError(f"{name}: a text of {len(value):,} characters; give at most {_MAX_TEXT:,}")
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UsageError(f"{name}: {value} is not finite; give a number or text")
        return float(value)
    number = _whole(value)
    if number is None:
        raise UsageError(f"{name}: {value!r} is of the type {type(value).__name__}; give text or a number")
    if number not in _INT64:
        raise UsageError(f"{name}: {number} has more than 64 bits; give a float")
    return number


def is_value(value: object) -> bool:
    """Whether an attribute can have a value."""
    return isinstance(value, int | float) or (isinstance(value, str) and len(value) <= _MAX_TEXT)


def checked_name(name: object) -> str:
    """Returns a name if an attribute can have it.

    Raises:
        UsageError: it is not text, or is empty.
    """
    if not isinstance(name, str) or not name:
        raise UsageError(f"attributes: {name!r} is not a name of an attribute; give text")
    return str(checked(name, "attributes"))


def _whole(value: Any) -> int | None:
    """Returns an integer, including NumPy's, as an int; None for any other value, including a bool."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def _order(end: Value) -> Any:
    return os.fsencode(end) if isinstance(end, str) else end


def _allowed(name: str, wanted: object) -> Allowed:
    if isinstance(wanted, Between):
        return wanted
    if isinstance(wanted, Collection) and not isinstance(wanted, str | bytes | Mapping):
        return frozenset(checked(value, f"attributes[{name!r}]") for value in wanted)
    return frozenset([checked(wanted, f"attributes[{name!r}]")])


def _labels(label: object) -> frozenset[str] | None:
    if label is None:
        return None
    several = [label] if isinstance(label, str) or not isinstance(label, Collection) else label
    for each in several:
        if not isinstance(each, str):
            raise UsageError(f"label={each!r}: a label is text")
    return frozenset(str(checked(each, "label")) for each in several)


def _folder(under: object) -> str | None:
    if under is None:
        return None
    if not isinstance(under, str):
        raise UsageError(f"under={under!r}: give a folder as text, such as '2024'")
    folder = str(PurePosixPath(str(checked(under, "under"))))
    return "" if folder == "." else folder


def _ids(ids: object) -> frozenset[int] | None:
    if ids is None:
        return None
    if isinstance(ids, str | bytes) or not isinstance(ids, Collection):
        raise UsageError(f"ids={ids!r}: give a list of integers")
    return frozenset(number for number in map(_id, ids) if number in _IDS)


def _id(given: object) -> int:
    number = _whole(given)
    if number is None:
        raise UsageError(f"ids: {given!r} is not an integer")
    return number


# The text form

_CONDITION = re.compile(r"(?P<name>[^=<>!]+)(?P<operator>>=|<=|=)(?P<wanted>[^=<>].*)", re.DOTALL)
_ITEM = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^,"]*))\s*(?:,|$)', re.DOTALL)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_EXAMPLES = 'colour=red, colour=red,blue, price>=10, price<=20 or price=10..20 ("..." keeps a text together)'


def parse(conditions: Sequence[str]) -> Mapping[str, Allowed]:
    """Parses conditions in text form to the `attributes` of a Where.

    `colour=red` and `colour=red,blue` give values; 7 is both the number and the text. `price>=10`, `price<=20`,
    `price=10..20`, `price=10..` and `price=..20` give ranges, of numbers if the ends are numbers. Text in double quotes
    is taken literally, with "" for a quote.

    Raises:
        UsageError: a condition is of no such form, or contradicts another one.
    """
    found: dict[str, Allowed] = {}
    for condition in conditions:
        name, allowed = _parsed(condition)
        found[name] = _both(condition, name, found[name], allowed) if name in found else allowed
    return found


def _parsed(condition: str) -> tuple[str, Allowed]:
    parts = _CONDITION.fullmatch(condition)
    name, wanted = (parts["name"].strip(), parts["wanted"].strip()) if parts else ("", "")
    if not parts or not name or not wanted:
        raise UsageError(f"{condition}: not a condition; write {_EXAMPLES}")
    if parts["operator"] == ">=":
        return name, _range(condition, wanted, "")
    if parts["operator"] == "<=":
        return name, _range(condition, "", wanted)
    low, dots, high = wanted.partition("..")
    if dots and '"' not in wanted:
        return name, _range(condition, low, high)
    return name, frozenset(_values(condition, wanted))


def _both(condition: str, name: str, first: Allowed, second: Allowed) -> Between:
    """Combines two conditions on one name, one with the low end and one with the high end, to a range."""
    ends: list[tuple[Value | None, Value | None]] = [
        (each.low, each.high) for each in (first, second) if isinstance(each, Between)
    ]
    match sorted(ends, key=lambda pair: pair[0] is None):
        case [(low, None), (None, high)]:
            return _between(condition, low, high)
    raise UsageError(f"{condition}: {name} has two conditions; give one, such as {_EXAMPLES}")


def _range(condition: str, *ends: str) -> Between:
    forms = [tuple(_values(condition, end.strip())) for end in ends]
    if not any(forms) or any(isinstance(form, str) for each in forms for form in each[1:]):
        raise UsageError(f"{condition}: a range has one or two ends, and no other values beside it; write {_EXAMPLES}")
    # An end that can be a number is parsed as text and as a number; both ends have to be of the same type.
    both = min(len(each) for each in forms if each) > 1
    low, high = (each[both] if each else None for each in forms)
    return _between(condition, low, high)


def _between(condition: str, low: Value | None, high: Value | None) -> Between:
    try:
        return Between(low, high)
    except UsageError as error:
        raise UsageError(f"{condition}: {error}") from None


def _values(condition: str, wanted: str) -> Iterator[Value]:
    """Yields the values that commas separate: each as text and, if it can be a number, as that, too."""
    position = 0
    while position < len(wanted):
        item = _ITEM.match(wanted, position)
        if not item or wanted.endswith(",") or not item[0].strip(" ,"):
            raise UsageError(f"{condition}: a value is missing, or a quote is misplaced; write {_EXAMPLES}")
        position = item.end()
        if item["quoted"] is not None:
            yield item["quoted"].replace('""', '"')
            continue
        text = item["plain"].strip()
        yield text
        number = _number(text)
        if number is not None:
            yield number


def _number(text: str) -> int | float | None:
    if _WHOLE.fullmatch(text) and len(text) <= len(str(2**63)) + 1 and int(text) in _INT64:
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return None
