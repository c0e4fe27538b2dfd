"""The text form of conditions on attributes: `colour=red`, `price>=10`, `price<20`, `colour!=red`."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from lookalike.errors import UsageError
from lookalike.filters.where import INT64, Allowed, Between, Not, Value

_CONDITION = re.compile(r"(?P<name>[^=<>!]+)(?P<operator>[<>!=]=|[<>=])(?P<wanted>[^=<>].*)", re.DOTALL)
_ITEM = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^,"]*))\s*(?:,|$)', re.DOTALL)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_EXAMPLES = 'colour=red, colour=red,blue, colour!=red, price>=10, price<9 or price=10..20 ("..." keeps a text together)'


def parse(conditions: Sequence[str]) -> Mapping[str, Allowed]:
    """Parses conditions in text form to the `attributes` of a Where.

    `colour=red` (or `==`) and `colour=red,blue` give values, and `colour!=red` all others; 7 is both the number and the
    text. `price>=10`, `price>10`, `price<=20`, `price<20`, `price=10..20`, `price=10..` and `price=..20` give ranges,
    of numbers if the ends are numbers. Text in double quotes is taken literally, with "" for a quote.

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
    match parts["operator"]:
        case ">=" | ">" as sign:
            return name, _range(condition, wanted, "", strictly=sign == ">")
        case "<=" | "<" as sign:
            return name, _range(condition, "", wanted, strictly=sign == "<")
    low, dots, high = wanted.partition("..")
    is_range = dots and '"' not in wanted
    if parts["operator"] == "!=":
        if is_range:
            raise UsageError(f"{condition}: != takes values and no range; write {_EXAMPLES}")
        return name, Not(frozenset(_values(condition, wanted)))
    return name, _range(condition, low, high) if is_range else frozenset(_values(condition, wanted))


def _both(condition: str, name: str, first: Allowed, second: Allowed) -> Allowed:
    """Combines two conditions on one name: one with the low end and one with the high end, or two exclusions."""
    if isinstance(first, Not) and isinstance(second, Not):
        return Not(first.excluded | second.excluded)
    if isinstance(first, Between) and isinstance(second, Between):
        above, below = (first, second) if second.low is None else (second, first)
        if above.high is None and below.low is None and above.low is not None and below.high is not None:
            return _between(condition, above, below)
    raise UsageError(f"{condition}: {name} has two conditions; give one, such as {_EXAMPLES}")


def _range(condition: str, *ends: str, strictly: bool = False) -> Between:
    forms = [tuple(_values(condition, end.strip())) for end in ends]
    if not any(forms) or any(isinstance(form, str) for each in forms for form in each[1:]):
        raise UsageError(f"{condition}: a range has one or two ends, and no other values beside it; write {_EXAMPLES}")
    # An end that can be a number is parsed as text and as a number; both ends have to be of the same type.
    both = min(len(each) for each in forms if each) > 1
    low, high = (each[both] if each else None for each in forms)
    above, below = Between(low, None, without_low=strictly), Between(None, high, without_high=strictly)
    return _between(condition, above, below)


def _between(condition: str, above: Between, below: Between) -> Between:
    """What is in two ranges, the first of which has the low end."""
    try:
        return Between(above.low, below.high, without_low=above.without_low, without_high=below.without_high)
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
    if _WHOLE.fullmatch(text) and len(text) <= len(str(2**63)) + 1 and int(text) in INT64:
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return None
