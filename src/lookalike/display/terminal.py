"""Matches in a terminal: a table with thumbnails above it, or plain lines for another program to read."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.display.text import safe_text, score_text, size_text
from lookalike.results import Match, Matches

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_matches(matches: Matches, console: "Console", *, thumbnails: bool = True) -> None:
    """Prints the matches for whoever reads them.

    A person at a terminal gets a table and, where the terminal can show them, thumbnails. Anything
    else gets `lines`, uncut and without colour.
    """
    from rich.segment import Segment, Segments

    if not console.is_terminal:
        console.print(Segments([Segment(f"{line}\n") for line in lines(matches)]), crop=False)
        return
    if thumbnails:
        _print_thumbnails(matches, console)
    console.print(table(matches) if matches else "Nothing was found.")


def table(matches: Matches) -> "Table":
    """A table with a row for each match; a path below the current folder is told from there, and never cut."""
    from rich.box import SIMPLE_HEAD
    from rich.style import Style
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("", justify="right", style="dim", no_wrap=True)
    table.add_column("id", justify="right", style="dim", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("label", overflow="fold")
    table.add_column("size", justify="right", style="dim", no_wrap=True)
    table.add_column("path", overflow="fold", ratio=1)
    for rank, match in enumerate(matches, 1):
        # Plain strings would be read as rich's markup, in which [red].jpg is a colour.
        words = [Text(word) for word in _words(rank, match)]
        if match.path:
            words[-1] = Text(safe_text(_from_here(match.path)))
            words[-1].stylize(Style(link=match.path.absolute().as_uri()))
        table.add_row(*words)
    return table


def _from_here(path: Path) -> Path:
    """The path as one would type it: whole, unless it lies below the current folder."""
    try:
        here = Path.cwd()
    except OSError:  # it has been deleted
        return path
    return path.relative_to(here) if path.is_relative_to(here) else path


def lines(matches: Matches) -> list[str]:
    """One line for each match: rank, id, score, label, size and path with tabs between them.

    A name holds neither a tab nor a line end, because those are shown as escapes.
    """
    return ["\t".join(_words(rank, match)) for rank, match in enumerate(matches, 1)]


def _words(rank: int, match: Match) -> tuple[str, ...]:
    name = safe_text(match.path or match.key)
    return str(rank), str(match.id), score_text(match.score), safe_text(match.label or ""), size_text(match), name


def _print_thumbnails(matches: Matches, console: "Console") -> None:
    from lookalike.display.terminal_graphics import protocol
    from lookalike.display.terminal_strip import Strip  # these open images, which plain lines have no need of

    drawn_by = protocol(os.environ)
    coloured = console.color_system == "truecolor" and not console.no_color
    if drawn_by or (coloured and console.encoding.startswith("utf")):
        console.print(Strip(matches, drawn_by))
