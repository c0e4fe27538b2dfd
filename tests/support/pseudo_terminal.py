"""Runs a program in a pseudo-terminal, with a terminal emulator on the other side."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte

from tests.support.project import ROOT

_SECONDS = 120
_BYTES = 65_536


@dataclass(frozen=True)
class Session:
    """What a person saw.

    Attributes:
        code: the exit code of the program.
        lines: what is on the screen in the end, without blanks at the ends of the lines.
        scrolled: how many lines have left the screen at its top.
        frames: what was on the screen after each piece of output, likewise.
    """

    code: int
    lines: list[str]
    scrolled: int
    frames: list[list[str]]


def run_in_terminal(
    arguments: Sequence[str], cwd: Path, *, columns: int = 80, lines: int = 24, environ: Mapping[str, str] | None = None
) -> Session:
    """Runs Python with some arguments and its three streams in a terminal of this size; then there is a prompt."""
    screen = pyte.HistoryScreen(columns, lines, history=10_000)
    stream, frames = pyte.ByteStream(screen), []
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES", "TMUX")}
    own = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    environment = {**kept, **own, **(environ or {})}
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        for piece in _pieces(ours, time.monotonic() + _SECONDS):
            stream.feed(piece)
            frames.append(_shown(screen))
        code = process.wait(_SECONDS)
    os.close(ours)
    stream.feed(b"$ ")
    return Session(code, _shown(screen), len(screen.history.top), frames)


def _pieces(terminal: int, until: float) -> Iterator[bytes]:
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 1.0)[0]:
            continue
        try:
            piece = os.read(terminal, _BYTES)
        except OSError:  # Linux says so when the other side has been closed
            return
        if not piece:
            return
        yield piece


def _shown(screen: pyte.Screen) -> list[str]:
    return [line.rstrip() for line in screen.display]
