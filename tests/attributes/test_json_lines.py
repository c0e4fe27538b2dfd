"""Attributes in JSON lines, and what is wrong with bad ones."""

import json
from pathlib import Path

import pytest

from lookalike.attributes import json_lines
from lookalike.attributes.table import read_table
from lookalike.errors import UsageError


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def test_members_are_attributes(tmp_path: Path) -> None:
    rows = [
        {"file_name": "a.png", "n": 1, "share": 0.5, "ok": True, "note": "x", "objects": {"bbox": [1]}},
        {"file_name": "b.png", "n": None, "share": float("nan"), "new": "y"},
        {"n": 3},
    ]
    table = read_table(write(tmp_path / "x.jsonl", *rows))
    assert (table.column, table.names) == ("file_name", ("n", "share", "ok", "note", "new"))
    nothing = dict.fromkeys(table.names)
    assert list(table.rows()) == [
        ("a.png", nothing | {"n": 1, "share": 0.5, "ok": "true", "note": "x"}),
        ("b.png", nothing | {"new": "y"}),
        ("", nothing | {"n": 3}),
    ]


def test_empty_lines_and_a_mark_at_the_beginning_are_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(b'\xef\xbb\xbf{"path": "a", "n": 1}\r\n\r\n  \n{"path": "b", "n": 2}')
    assert [name for name, _ in read_table(path).rows()] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"path": "a", "n": 1}\n{', "line 2 is no JSON;"),
        ('{"path": "a", "n": 1}\n[1]', "line 2 is no JSON object"),
        ("[" * 100_000, "line 1 is no JSON"),
        ('{"path": "a"}', "it needs a column of paths and one of attributes"),
        ("", "it needs a column"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        list(read_table(path, lambda name: name == "a").rows())


def test_a_line_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_LONGEST", 1000)
    path = write(tmp_path / "x.jsonl", {"path": "a", "n": "x" * 2000})
    with pytest.raises(UsageError, match="line 1 has more than 1,000 bytes"):
        read_table(path)


def test_too_many_names_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_MOST_COLUMNS", 10)
    path = write(tmp_path / "x.jsonl", {f"n{number}": 1 for number in range(20)})
    with pytest.raises(UsageError, match="line 1: more than 10 different names"):
        read_table(path)
