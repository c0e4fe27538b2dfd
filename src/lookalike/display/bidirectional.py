"""The order in which the letters of a line are seen where scripts of both directions meet.

A simplification of the Unicode Bidirectional Algorithm (https://www.unicode.org/reports/tr9/) for one line of a name,
without explicit controls, which `safe_text` has escaped. It is needed only for a line that takes several fonts: a line
in one font is set by libraqm, which knows the whole algorithm.
"""

import unicodedata
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import TypeVar

_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_LETTERS = {"L": "L", "R": "R", "AL": "R"}

_Part = TypeVar("_Part", bound=tuple[object, int, str])


def levels(letters: Sequence[str]) -> list[int]:
    """The embedding level of each letter: even from left to right, odd from right to left.

    The first letter that has a direction decides that of the line (rules P2 and P3).
    """
    kinds = [unicodedata.bidirectional(letter[0]) for letter in letters]
    if not {"R", "AL"} & set(kinds):
        return [0] * len(kinds)
    base = next(_LETTERS[kind] for kind in kinds if kind in _LETTERS)
    kinds = _with_numbers(kinds, base)
    _join_brackets(letters, kinds, base)
    _join_others(kinds, base)
    of = {"L": 2, "R": 1, "N": 2} if base == "R" else {"L": 0, "R": 1, "N": 2}
    return [of[kind] for kind in kinds]


def from_left(parts: Sequence[_Part]) -> list[_Part]:
    """Parts of a line, each with its level in second place, from left to right (rule L2)."""
    ordered = list(parts)
    for level in range(max((part[1] for part in parts), default=0), 0, -1):
        stretches = [list(group) for _, group in groupby(ordered, key=partial(_reaches, level))]
        ordered = [part for stretch in stretches for part in stretch[:: -1 if _reaches(level, stretch[0]) else 1]]
    return ordered


def _reaches(level: int, part: tuple[object, int, str]) -> bool:
    return part[1] >= level


def _with_numbers(kinds: Sequence[str], base: str) -> list[str]:
    """The kinds as L, R, N for what is a part of a number, and O for what has no direction of its own.

    A number belongs to Latin letters before it (rule W7), and one separator within a number belongs to that (rule W4).
    """
    found, strong = list(kinds), base
    for place, kind in enumerate(kinds):
        if kind in _LETTERS:
            strong = kind
        elif kind == "EN" and strong == "AL":  # W2
            found[place] = "AN"
    for place in range(1, len(found) - 1):
        before, kind, after = found[place - 1 : place + 2]
        if before == after and ((kind == "CS" and before in ("EN", "AN")) or (kind == "ES" and before == "EN")):
            found[place] = before
    _join_signs(found)
    strong = base
    for place, kind in enumerate(found):
        if kind in _LETTERS:
            strong = found[place] = _LETTERS[kind]
        elif kind in ("EN", "AN"):
            found[place] = "L" if (kind, strong) == ("EN", "L") else "N"
        else:
            found[place] = "O"
    return found


def _join_signs(kinds: list[str]) -> None:
    """Signs such as # and % are a part of the number beside them (rule W5)."""
    for places in (range(len(kinds)), reversed(range(len(kinds)))):
        before = ""
        for place in places:
            if kinds[place] == "ET" and before == "EN":
                kinds[place] = "EN"
            before = kinds[place]


def _join_brackets(letters: Sequence[str], kinds: list[str], base: str) -> None:
    """A pair of brackets has the direction of the line if that is inside, else that of what is before it (rule N0)."""
    opened: list[int] = []
    for place, letter in enumerate(letters):
        if letter in _BRACKETS:
            opened.append(place)
        elif opened and letter == _BRACKETS[letters[opened[-1]]]:
            first = opened.pop()
            inside = {"R" if kind == "N" else kind for kind in kinds[first + 1 : place]} - {"O"}
            if base in inside:
                kinds[first] = kinds[place] = base
            elif inside:
                before = next((kind for kind in reversed(kinds[:first]) if kind != "O"), base).replace("N", "R")
                kinds[first] = kinds[place] = before if before in inside else base


def _join_others(kinds: list[str], base: str) -> None:
    """What has no direction has that of both neighbours, or that of the line (rules N1 and N2)."""
    given = list(kinds)
    for place, kind in enumerate(given):
        if kind == "O":
            before = next((k for k in reversed(given[:place]) if k != "O"), base).replace("N", "R")
            after = next((k for k in given[place + 1 :] if k != "O"), base).replace("N", "R")
            kinds[place] = before if before == after else base
