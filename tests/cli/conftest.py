"""What tests of the command line share."""

import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from lookalike.cli.main import main

Run: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Takes back what `main` sets for its process: that a pipe without a reader ends it, and how warnings look."""
    before = signal.getsignal(signal.SIGPIPE)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    yield
    signal.signal(signal.SIGPIPE, before)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process, in a folder if `cwd` names one: exit code, standard output and error."""

    def call(*arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
        if cwd is not None:
            monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["lookalike", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call
