"""The program on the page of the client works."""

import re
import shutil
from pathlib import Path

import pytest

from lookalike import Client
from tests.client.conftest import Both
from tests.support.project import ROOT

PAGE = ROOT / "docs" / "client.md"


def test_the_program_of_the_page_works(
    both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [program] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert "http://127.0.0.1:8765" in program
    shutil.copy(both.collection.folder / "cats" / "01.png", tmp_path / "query.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOKALIKE_TOKEN", "a-token-of-some-length")
    names: dict[str, object] = {}
    exec(program.replace("http://127.0.0.1:8765", both.client.address), names)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(" cats/01.png")
    assert lines[-1].startswith("10 (ValueCount(")
    assert names["file"] == (both.collection.folder / "cats" / "01.png").read_bytes()
    assert [match.score for match in names["alike"]] == sorted(  # type: ignore[attr-defined]
        (match.score for match in names["alike"]),  # type: ignore[attr-defined]
        reverse=True,
    )


def test_every_method_is_on_the_page() -> None:
    named = set(re.findall(r"`([a-z_]+)`", PAGE.read_text()))
    methods = {name for name in dir(Client) if not name.startswith("_") and callable(getattr(Client, name))}
    assert methods - {"close"} <= named
