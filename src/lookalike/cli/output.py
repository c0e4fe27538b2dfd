"""What every command needs for its output: results go to standard output, the rest to standard error."""

import itertools
import json
import os
import re
import sys
import tempfile
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lookalike.cli.hints import as_command
from lookalike.display.text import bytes_text as bytes_text  # the commands take these from here
from lookalike.display.text import counted as counted
from lookalike.display.text import printable, without_surrogates
from lookalike.errors import DamagedIndexWarning, FontWarning, IncompatibleError, UsageError, with_hints

UNTIL_RATE_S = 1.0  # before, the rate of a run is mostly that of loading the model

# JSON escapes the control characters of ASCII by itself, but not these, which a terminal may act upon.
_UNSEEN = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def print_json(record: Mapping[str, Any]) -> None:
    """One object on a line of its own, strict JSON."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, default=str)
    click.echo(_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", without_surrogates(text)))


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Prints a warning of Python's as a line, without the line of code that it came from."""
    if isinstance(message, DamagedIndexWarning | FontWarning):
        message = one_line(with_hints(message.message, message.hints, as_command))
    note(f"Warning: {message}")


class ExplainedError(IncompatibleError):
    """An error whose message has several lines on purpose."""


def one_line(message: str) -> str:
    r"""A message without line breaks: one in a stranger's name would make a line that looks like Lookalike's own."""
    return message.replace("\n", "\\n")


def say(text: str) -> None:
    """A line on standard output, without what a terminal would act upon."""
    click.echo(printable(text), file=sys.stdout)  # a progress bar replaces the streams, which click does not see


def note(text: str) -> None:
    """A line on standard error, likewise."""
    click.echo(printable(text), file=sys.stderr)


def print_script(text: str) -> None:
    """A program of Lookalike's own for a shell, as it is."""
    click.echo(text)


def is_with_a_person() -> bool:
    """Whether a person can be asked: what they type is read, and what is asked is seen."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def duration(seconds: float) -> str:
    """A time for people: "8 s", "3 min", "1.5 h"."""
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@dataclass(frozen=True)
class OutputFiles:
    """The files that a command writes.

    Attributes:
        html: the page or report, if one is wanted.
        sheet: the contact sheet, if one is wanted.
        csv: the table, if one is wanted.
        overwrite: replace files that Lookalike has not written.
    """

    html: Path | None = None
    sheet: Path | None = None
    csv: Path | None = None
    overwrite: bool = False


def check_files(files: OutputFiles) -> None:
    """Raises UsageError, before the work, if its result could not be written or would replace a file of the user's."""
    from lookalike.display import write_file

    named = {"page": files.html, "contact sheet": files.sheet, "table": files.csv}
    wanted = {what: path for what, path in named.items() if path}
    if files.sheet and files.sheet.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
        raise UsageError(f"{files.sheet}: a contact sheet is written as .jpg or .png")
    for path in wanted.values():
        if not os.path.isdir(path.parent):
            raise UsageError(f"{path}: there is no folder {path.parent}")
        write_file.check(path, overwrite=files.overwrite)
    for (what, path), (other, second) in itertools.combinations(wanted.items(), 2):
        if os.path.realpath(path) == os.path.realpath(second):
            raise UsageError(f"{path}: is to be both the {what} and the {other}; give two paths")


def temporary_file(name: str) -> Path:
    """A path of that name in a new folder of its own, for a file that is only looked at."""
    return Path(tempfile.mkdtemp(prefix="lookalike-")) / name


def open_in_browser(page: Path) -> None:
    """Opens a page in the browser, or says that there is none."""
    if not webbrowser.open(page.resolve().as_uri()):
        note("There is no browser to open it with.")
