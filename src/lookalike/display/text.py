"""Formats values as text: names without control characters, scores, sizes, shares and times."""

import math
import os
import re
import unicodedata
from typing import Any

from lookalike.results import Match

_SHORT = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
# The two zero-width joiners are invisible, but Persian, the Indic scripts and many emoji need them.
_JOINERS = "\u200c\u200d"
_SURROGATES = re.compile("[\ud800-\udfff]")


def safe_text(name: str | os.PathLike[str]) -> str:
    r"""Returns a name as one line of printable text.

    Control characters, line breaks, characters that change the reading direction, invisible and private-use
    characters, and bytes that are not UTF-8 are shown as escapes such as `\n`, `\x1b`, `\u202e` and `\xff`. A backslash
    is doubled, so that two different names never look the same.
    """
    return "".join(character if _harmless(character) else _escape(character) for character in os.fspath(name))


def is_plain(text: str) -> bool:
    """Whether a text is one line that looks like what it is: without what `safe_text` escapes, but for backslashes."""
    return all(character == "\\" or _harmless(character) for character in text)


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


def size_text(match: Match) -> str:
    """Formats width and height in pixels as `400x533`; "" if they are not known."""
    return f"{match.width}x{match.height}" if match.width and match.height else ""


def share_text(share: float) -> str:
    """Formats a share with three decimals, rounded down, so that 1.000 means all and a lower bound stays one."""
    return f"{math.floor(share * 1000 + 1e-6) / 1000:.3f}"


def time_text(milliseconds: float) -> str:
    """Formats a time with two significant digits, or all digits before the point: 0.084 ms, 8.4 ms, 1,240 ms."""
    if milliseconds <= 0:
        return "0 ms"
    decimals = min(max(1 - math.floor(math.log10(milliseconds)), 0), 6)
    return f"{milliseconds:,.{decimals}f} ms"


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
