"""Names, scores, sizes, shares and times as text."""

import os
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.display.text import (
    bytes_text,
    chance_words,
    copy_text,
    copy_words,
    counted,
    is_all_chance,
    label_text,
    probability_text,
    safe_text,
    score_text,
    share_text,
    size_text,
    time_text,
)
from lookalike.results import Match

SHORT = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t"}
ANY_TEXT = st.text(st.characters() | st.sampled_from("\\\n\x1b\u202e\udcff\ud800\U000e0001nx8"))


def original(shown: str) -> str:
    """Decodes the escapes of `safe_text` by the rules of its docstring."""

    def replaced(found: re.Match[str]) -> str:
        escape = found[1]
        if escape in SHORT:
            return SHORT[escape]
        code = int(escape[1:], 16)
        return chr(code + 0xDC00) if escape[0] == "x" and code >= 0x80 else chr(code)

    return re.sub(r"\\([\\nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})", replaced, shown)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat.jpg", "cat.jpg"),
        ("Grüße 猫 \u0645\u06cc\u200c\u062e.jpg", "Grüße 猫 \u0645\u06cc\u200c\u062e.jpg"),
        ("👩‍🌾.jpg", "👩‍🌾.jpg"),
        ("two words\u3000\u202fapart", "two words\u3000\u202fapart"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x1b[31mred\x07\x7f", r"\x1b[31mred\x07\x7f"),
        ("\x9b31m", r"\u009b31m"),
        (os.fsdecode(b"caf\xe9 \x85"), r"caf\xe9 \x85"),
        ("exe.\u202egpj\u2069", r"exe.\u202egpj\u2069"),
        ("\ud800", r"\ud800"),
        ("\u2028\ufeff\U0010eeee", r"\u2028\ufeff\U0010eeee"),
        (r"back\nslash", r"back\\nslash"),
    ],
)
def test_a_name_is_one_line_without_control_or_hidden_characters(name: str, shown: str) -> None:
    assert safe_text(name) == shown
    assert safe_text(Path(name)) == shown


@given(ANY_TEXT)
def test_safe_text_is_printable_and_reversible(name: str) -> None:
    shown = safe_text(name)
    assert original(shown) == name
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")
    bad = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert not [c for c in shown if unicodedata.category(c) in bad and c not in "\u200c\u200d"]


def test_scores_have_three_decimals_and_no_negative_zero() -> None:
    shown = [score_text(score) for score in (1.0, 0.98765, 0.5, -0.00049, -0.25)]
    assert shown == ["1.000", "0.988", "0.500", "0.000", "-0.250"]


def test_an_unknown_size_is_empty_text() -> None:
    assert size_text(Match(1, "a", None, 1.0, width=40, height=30)) == "40x30"
    assert size_text(Match(1, "a", None, 1.0)) == ""


@pytest.mark.parametrize(
    ("share", "expected"), [(1.0, "1.000"), (0.9999, "0.999"), (0.983, "0.983"), (0.29, "0.290"), (0.0, "0.000")]
)
def test_a_share_is_rounded_down(share: float, expected: str) -> None:
    assert share_text(share) == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(0.0, "0 ms"), (0.0843, "0.084 ms"), (0.55, "0.55 ms"), (8.36, "8.4 ms"), (83.4, "83 ms"), (1240.4, "1,240 ms")],
)
def test_a_time_has_two_significant_digits(milliseconds: float, expected: str) -> None:
    assert time_text(milliseconds) == expected


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([], False), ([1.01, 30.0], True), ([1.0, 30.0], False), ([0.05], False), ([None, 2.0], False), ([None], False)],
)
def test_all_is_chance_if_every_match_is_expected_more_than_once(numbers: list[float | None], expected: bool) -> None:
    found = [Match(1, "a", None, 0.5, expected=number) for number in numbers]
    assert is_all_chance(found) is expected
    assert is_all_chance([Match(2, "q", None, 1.0, is_query=True, expected=0.0), *found]) is expected


def test_what_chance_says_is_in_words() -> None:
    found = [chance_words(Match(1, "a", None, 0.5, expected=each)) for each in (0.0, 0.1, 0.11, 1.0, 1.1, None)]
    assert found == ["beyond chance", "beyond chance", "near chance", "near chance", "", ""]


def test_a_probability_is_a_percentage_and_never_certain() -> None:
    found = [Match(1, "a", None, 0.5, "dress", probability=each) for each in (0.8349, 0.9999, 0.0001, None)]
    assert [probability_text(match) for match in found] == ["83%", "99%", "1%", ""]
    assert [label_text(match) for match in found] == ["dress 83%", "dress 99%", "dress 1%", "dress"]
    assert label_text(Match(1, "a", None, 0.5)) == ""


def test_the_probability_of_a_copy_is_told_where_it_is_rather_one() -> None:
    told = [(0.9996, "99%"), (0.834, "83%"), (0.5, "50%"), (0.4999, ""), (None, "")]
    for share, expected in told:
        match = Match(1, "a", None, 0.5, copy_probability=share)
        assert copy_text(match) == expected
        assert copy_words(match) == (expected and f"a copy {expected}")
    assert copy_text(Match(1, "a", None, 1.0, is_query=True, copy_probability=0.9)) == ""


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0.0 kB"), (850, "0.8 kB"), (45_600, "46 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (12.4e9, "12 GB")],
)
def test_bytes_are_told_in_two_digits_or_all_before_the_point(number: float, expected: str) -> None:
    assert bytes_text(number) == expected


def test_a_number_has_its_noun_in_the_right_number() -> None:
    assert [counted(number, "image") for number in (0, 1, 2000)] == ["0 images", "1 image", "2,000 images"]
    assert [counted(number, "copy", "copies") for number in (1, 2)] == ["1 copy", "2 copies"]
