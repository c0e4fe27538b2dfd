"""Matches as words, as records and as files."""

import base64
import errno
import json
import math
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.display import write_file
from lookalike.display.json import as_dict
from lookalike.display.text import safe_text, score_text, size_text
from lookalike.errors import StorageError, UsageError
from lookalike.results import Match

SHORT = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t"}
ANY_TEXT = st.text(st.characters() | st.sampled_from("\\\n\x1b\u202e\udcff\ud800\U000e0001nx8"))


def original(shown: str) -> str:
    """The name behind a safe text, read back by the rules that its description gives."""

    def replaced(found: re.Match[str]) -> str:
        word = found[1]
        if word in SHORT:
            return SHORT[word]
        code = int(word[1:], 16)
        return chr(code + 0xDC00) if word[0] == "x" and code >= 0x80 else chr(code)

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
def test_a_name_is_shown_on_one_line_without_anything_that_moves_or_hides(name: str, shown: str) -> None:
    assert safe_text(name) == shown
    assert safe_text(Path(name)) == shown


@given(ANY_TEXT)
def test_any_text_becomes_harmless_and_can_be_read_back(name: str) -> None:
    shown = safe_text(name)
    assert original(shown) == name
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")
    bad = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert not [c for c in shown if unicodedata.category(c) in bad and c not in "\u200c\u200d"]


def test_scores_have_three_decimals_and_no_negative_zero() -> None:
    shown = [score_text(score) for score in (1.0, 0.98765, 0.5, -0.00049, -0.25)]
    assert shown == ["1.000", "0.988", "0.500", "0.000", "-0.250"]


def test_a_size_that_is_not_known_is_not_shown() -> None:
    assert size_text(Match(1, "a", None, 1.0, width=40, height=30)) == "40x30"
    assert size_text(Match(1, "a", None, 1.0)) == ""


def test_a_record_holds_everything_that_is_known_of_a_match() -> None:
    match = Match(7, "2024/cat.jpg", Path("/photos/2024/cat.jpg"), 0.25, "2024", 40, 30, {"stars": 5})
    assert as_dict(match) == {
        "id": 7,
        "key": "2024/cat.jpg",
        "path": "/photos/2024/cat.jpg",
        "score": 0.25,
        "label": "2024",
        "width": 40,
        "height": 30,
        "attributes": {"stars": 5},
    }


def test_a_name_that_is_not_utf8_is_given_as_escapes_and_as_its_bytes() -> None:
    name = b"caf\xe9/a\nb.jpg"
    match = Match(1, os.fsdecode(name), Path("/p", os.fsdecode(name)), 1.0, os.fsdecode(b"caf\xe9"))
    record = json.loads(json.dumps(as_dict(match), ensure_ascii=False).encode("utf-8"))
    assert record["path"] == "/p/caf\\xe9/a\nb.jpg"
    assert base64.b64decode(record["path_bytes"]) == b"/p/" + name
    assert base64.b64decode(record["key_bytes"]) == name
    assert (record["label"], base64.b64decode(record["label_bytes"])) == ("caf\\xe9", b"caf\xe9")


def test_what_json_has_no_word_for_becomes_null_or_text() -> None:
    attributes = {
        "nothing": math.nan,
        "endless": [math.inf, np.float32(0.5), np.int64(3), True, None],
        "where": Path("/p"),
        "bad\udcff": "\udcff",
    }
    record = as_dict(Match(1, "shard.tar#a.jpg", None, math.nan, attributes=attributes))
    assert (record["path"], record["score"]) == (None, None)
    assert record["attributes"] == {
        "nothing": None,
        "endless": [None, 0.5, 3, True, None],
        "where": "/p",
        "bad\\xff": "\\xff",
    }


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name), st.floats(), VALUES)
def test_every_record_is_strict_json_in_utf8(name: bytes, score: float, value: Any) -> None:
    text = os.fsdecode(name)
    record = as_dict(Match(1, text, Path("/", text), score, text, attributes={"value": value}))
    again = json.loads(json.dumps(record, allow_nan=False, ensure_ascii=False).encode("utf-8"))
    assert again == record
    assert base64.b64decode(again.get("key_bytes", base64.b64encode(again["key"].encode()))) == name


def test_a_file_is_replaced_and_a_link_goes_on_pointing_to_it(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("old")
    (tmp_path / "link.html").symlink_to("page.html")
    write_file.write(tmp_path / "link.html", b"new")
    assert (tmp_path / "page.html").read_text() == "new"
    assert (tmp_path / "link.html").is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "page.html").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"page\.html.*No space left"):
        write_file.write(tmp_path / "page.html", b"new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", tmp_path / "no" / "page.html", tmp_path / "file" / "page.html"):
        with pytest.raises(UsageError, match="name another"):
            write_file.write(place, b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pipe"]


def test_names_and_plain_lines_need_no_heavy_module() -> None:
    """Beyond those that Lookalike itself has."""
    code = """
import sys, lookalike
before = set(sys.modules)
import lookalike.display.json, lookalike.display.terminal
print(*(sys.modules.keys() - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    added = set(done.stdout.split())
    assert "lookalike.display.terminal" in added
    assert not {"rich", "PIL", "numpy", "jinja2"} & added
