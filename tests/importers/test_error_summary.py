"""One-line summaries of exceptions from third-party libraries."""

import pytest

from lookalike.importers.error_summary import one_line

CHAINED = RuntimeError("outer")
CHAINED.__cause__ = ValueError("inner")


@pytest.mark.parametrize(
    ("error", "summary"),
    [
        (ValueError("too small\nand more lines"), "too small"),
        (RuntimeError("Exception from core.cpp:12:\nCheck 'a == b' failed at x.cpp:3:\nsizes differ"), "sizes differ"),
        (RuntimeError("first\nNo conversion rule found for: aten::x"), "No conversion rule found for: aten::x"),
        (RuntimeError("Missing key(s):\n\t- fc.weight\n"), "Missing key(s): fc.weight"),
        (KeyError("size"), "'size' is missing"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (ValueError("x" * 300), "x" * 200 + " ..."),
        (CHAINED, "inner"),
    ],
    ids=["first line", "noise", "conversion", "colon", "key", "empty", "long", "cause"],
)
def test_the_most_informative_line_is_returned(error: Exception, summary: str) -> None:
    assert one_line(error) == summary
