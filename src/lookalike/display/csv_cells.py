"""Cells of CSV files that spreadsheets open: no formulas, and names without what a terminal would act upon."""

import re

from lookalike.display.text import is_harmless, safe_text

BYTE_ORDER_MARK = "\ufeff"  # by which Excel knows that a table is UTF-8
_RISKY = re.compile(r"[=+\-@\t\r]")  # what a spreadsheet would take for a formula, at the beginning of a cell


def name(text: str) -> str:
    """A name as it is, unless it has control characters or the like, which are escaped (`safe_text`)."""
    return text if is_harmless(text) else safe_text(text)


def cell(value: str | int | None) -> str | int | None:
    """A value with an apostrophe before it if a spreadsheet would take it for a formula."""
    return f"'{value}" if isinstance(value, str) and _RISKY.match(value) else value
