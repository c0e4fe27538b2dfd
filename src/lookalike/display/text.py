"""Formats values as text: names without control characters, scores, sizes, shares and times."""

import math
import os
import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lookalike.results import BEYOND_CHANCE, NEAR_CHANCE, IndexedImage, Match, Region

_SHORT = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
# The two zero-width joiners are invisible, but Persian, the Indic scripts and many emoji need them.
_RATHER = 0.5  # the probability from which on it is told that a match is a copy
_JOINERS = "\u200c\u200d"
_SURROGATES = re.compile("[\ud800-\udfff]")
_MIDDLE = (0.4, 0.6)  # of a side: what lies between is neither left nor right


def safe_text(name: str | os.PathLike[str]) -> str:
    r"""Returns a name as one line of printable text.

    Control characters, line breaks, characters that change the reading direction, invisible and private-use
    characters, and bytes that are not UTF-8 are shown as escapes such as `\n`, `\x1b`, `\u202e` and `\xff`. A backslash
    is doubled, so that two different names never look the same.
    """
    return "".join(character if _harmless(character) else _escape(character) for character in os.fspath(name))


def printable(message: str) -> str:
    """Returns a message with the characters that a terminal would act upon shown as escapes, as `safe_text` does.

    Line breaks and backslashes stay: names in it that have been escaped already are not escaped twice.
    """
    return "".join(
        character if character in "\\\n" or _harmless(character) else _escape(character) for character in message
    )


def escaped(text: str) -> str:
    r"""Returns the escapes of all characters of a text, such as `\u732b`, for what cannot show them."""
    return "".join(map(_escape, text))


def is_harmless(text: str) -> bool:
    """Whether a text can be shown, and pasted, as it is."""
    return all(character == "\\" or _harmless(character) for character in text)


def shortened(text: str, columns: int) -> str:
    """Returns a text as it is if it fits into so many columns of a terminal, else its beginning and an ellipsis.

    East Asian characters and emoji take two columns, and what belongs to one character is not torn apart.
    """
    from rich.cells import cell_len, set_cell_size  # plain lines do not need it

    if cell_len(text) <= columns:
        return text
    return set_cell_size(text, columns - 1).rstrip() + "…" if columns > 0 else ""


def shortened_path(path: str, columns: int) -> str:
    """Returns a path, its end, or the beginning of its name, whichever is the first that fits into so many columns.

    What is left out is shown as an ellipsis: "…/2024/cat.jpg", or "Screenshot of a ver…". The end of a path tells files
    apart, since those of one answer often have the same folders above them.
    """
    from rich.cells import cell_len

    if cell_len(path) <= columns:
        return path
    folders, name = path.split("/")[:-1], path.rpartition("/")[2]
    for start in range(1, len(folders) + 1):
        if cell_len(end := "/".join(["…", *folders[start:], name])) <= columns:
            return end
    return shortened(name, columns)


def without_surrogates(text: str) -> str:
    r"""Returns a text with each byte that is not UTF-8 shown as `\xff`, so that it can be encoded."""
    return _SURROGATES.sub(lambda found: _escape(found[0]), text)


def role_text(query: Any) -> str:
    """Returns the sign and weight of a part of a query: "query", "query x 0.5", "minus", "minus x 2"."""
    weight = getattr(query, "weight", 1.0)  # a query that is not a Term has none
    times = "" if abs(weight) == 1 else f" x {abs(weight):g}"
    return f"{'minus' if weight < 0 else 'query'}{times}"


def score_text(score: float) -> str:
    """Formats a cosine with three decimals, never as a negative zero."""
    return f"{round(score, 3) + 0.0:.3f}"


def chance_text(match: Match) -> str:
    """Whether a match is "beyond" chance or "near" it; "" if as many are near by chance, or nobody can tell."""
    if match.expected is None or match.expected > NEAR_CHANCE:
        return ""
    return "beyond" if match.expected <= BEYOND_CHANCE else "near"


def chance_words(match: Match) -> str:
    """Whether a match is "beyond chance" or "near chance"; "" as for `chance_text`."""
    word = chance_text(match)
    return word and f"{word} chance"


def copies_text(match: Match) -> str:
    """How many copies are folded behind a match, as " +2 copies"; "" if there are none."""
    return f" +{counted(len(match.copies), 'copy', 'copies')}" if match.copies else ""


def region_text(match: Match) -> str:
    """Which part of a match is like the query, and which part of the query, as " upper left"; "" if all of both."""
    own = match.region and region_words(match.region)
    asked = match.query_region and f"query's {region_words(match.query_region)}"
    return "".join(f" ({words})" for words in (own, asked) if words)


def region_words(region: Region) -> str:
    """Where a part of an image is: "upper left", "right", "middle" and the like."""
    down = _third(region.y + region.height / 2, ("upper", "", "lower"))
    across = _third(region.x + region.width / 2, ("left", "", "right"))
    return " ".join(filter(None, (down, across))) or "middle"


def _third(place: float, words: tuple[str, str, str]) -> str:
    return words[0] if place < _MIDDLE[0] else words[2] if place > _MIDDLE[1] else words[1]


def probability_text(match: Match) -> str:
    """Formats the probability that a match has the query's label as "83%", from 1% to 99%; "" if it is not known."""
    if match.probability is None:
        return ""
    return f"{min(max(round(100 * match.probability), 1), 99)}%"


def label_text(match: Match) -> str:
    """Formats the label of a match, with its probability if that is known: "dress 83%"; "" if it has none."""
    return " ".join(filter(None, (safe_text(match.label or ""), probability_text(match))))


def copy_text(match: Match) -> str:
    """Formats the probability that a match is an edited copy, if it is rather one than not, as "97%"; else ""."""
    if match.copy_probability is None or match.copy_probability < _RATHER or match.is_query:
        return ""
    return f"{min(round(100 * match.copy_probability), 99)}%"


def copy_words(match: Match) -> str:
    """Says of a match that is rather an edited copy than not how probable that is: "a copy 97%"; "" of others."""
    share = copy_text(match)
    return share and f"a copy {share}"


def is_all_chance(matches: Iterable[Match]) -> bool:
    """Whether there are matches, besides the query itself, and chance finds as near ones as each of them."""
    expected = [match.expected for match in matches if not match.is_query]
    return bool(expected) and all(each is not None and each > NEAR_CHANCE for each in expected)


def size_text(image: Match | IndexedImage) -> str:
    """Formats width and height in pixels as `400x533`; "" if they are not known."""
    return f"{image.width}x{image.height}" if image.width and image.height else ""


def attribute_text(match: Match, name: str) -> str:
    """Formats the value of an attribute of a match; "" if it has none. Accents in the name may be composed or not."""
    form = unicodedata.normalize("NFC", name)
    values = (value for known, value in match.attributes.items() if unicodedata.normalize("NFC", known) == form)
    return safe_text(str(next(values, "")))


def share_text(share: float) -> str:
    """Formats a share with three decimals, rounded down, so that 1.000 means all and a lower bound stays one."""
    return f"{math.floor(share * 1000 + 1e-6) / 1000:.3f}"


def time_text(milliseconds: float) -> str:
    """Formats a time with two significant digits, or all digits before the point: 0.084 ms, 8.4 ms, 1,240 ms."""
    if milliseconds <= 0:
        return "0 ms"
    decimals = min(max(1 - math.floor(math.log10(milliseconds)), 0), 6)
    return f"{milliseconds:,.{decimals}f} ms"


def bytes_text(number: float) -> str:
    """A size in bytes for people: "850 kB", "2.1 MB", "12 GB"."""
    units = ["kB", "MB", "GB", "TB"]
    number /= 1000
    while number >= 999.5 and len(units) > 1:
        number /= 1000
        del units[0]
    unit = units[0]
    return f"{number:.1f} {unit}" if number < 10 else f"{number:,.0f} {unit}"


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """A number with its noun, whose plural may be given: "1 image", "2,000 images"."""
    return f"{number:,} {noun if number == 1 else nouns or f'{noun}s'}"


def date_text(date: datetime) -> str:
    """Formats a date and time to the minute, with the time zone if it has one: "2026-11-26 22:15 UTC"."""
    return f"{date:%Y-%m-%d %H:%M %Z}".strip()


def _harmless(character: str) -> bool:
    if character == "\\":
        return False
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"


def _escape(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
