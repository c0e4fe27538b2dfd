"""Prints matches: as a table with thumbnails above it in a terminal, else as plain lines for another program."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.display.text import (
    attribute_text,
    chance_text,
    copies_text,
    copy_text,
    probability_text,
    region_text,
    safe_text,
    score_text,
    shortened,
    shortened_path,
    size_text,
)
from lookalike.results import Match, Matches
from lookalike.sources import places

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.measure import Measurement
    from rich.style import Style
    from rich.table import Table

_HEAD = 2  # lines of the table above the first match
_BESIDE = 2  # lines that stay free: a message, and the prompt of the shell
_LABEL_COLUMNS = 16
_ATTRIBUTES, _ATTRIBUTE_COLUMNS = 3, 12  # the attributes that are shown, and the columns of each
_QUERY_MARK = " (query)"
# Columns that there are only if they say something of a match.
_TOLD: dict[str, Callable[[Match], str]] = {"chance": chance_text, "a copy": copy_text}
_MIN_COLUMNS = 8  # of a name, however narrow the terminal


def print_matches(matches: Matches, console: "Console", *, thumbnails: bool = True) -> None:
    """Prints matches to a console.

    A terminal gets a table and, if it can show them, thumbnails; a pipe or a file gets `lines`, uncut and without
    colour.
    """
    if not console.is_terminal:
        print_lines(lines(matches), console)
        return
    if thumbnails:
        _print_thumbnails(matches, console)
    if matches:
        console.print(table(matches))


def print_lines(lines: Sequence[str], console: "Console") -> None:
    """Prints lines of text as they are, neither cut nor wrapped, without markup or colour."""
    from rich.segment import Segment, Segments

    console.print(Segments([Segment(f"{line}\n") for line in lines]), crop=False)


def table(matches: Matches) -> "Table":
    """Returns a table with a row for each match.

    A path below the current folder is relative to it. Each match takes one line: a label or a name that is too long for
    it ends in an ellipsis, and a path loses its first folders; the link of the path leads to the file all the same. If
    the search was filtered by attributes, the first few of these take the place of the size. Which matches are beyond
    chance or near it (`chance_text`) has a column of its own, if any of them is. After a
    label stands the probability that it is the query's, if that is known.
    """
    from rich.box import SIMPLE_HEAD
    from rich.style import Style
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), expand=True)
    table.add_column("", justify="right", style="dim", no_wrap=True)
    table.add_column("id", justify="right", style="dim", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    told = [(name, text) for name, text in _TOLD.items() if any(map(text, matches))]
    for column, _ in told:
        table.add_column(column, no_wrap=True)
    table.add_column("label", no_wrap=True)
    shown = matches.filtered_by[:_ATTRIBUTES]
    for name in shown:
        table.add_column(Text(shortened(safe_text(name), _ATTRIBUTE_COLUMNS)), no_wrap=True)
    if not shown:
        table.add_column("size", justify="right", style="dim", no_wrap=True)
    table.add_column("path", no_wrap=True, ratio=1)
    for rank, match in enumerate(matches, 1):
        number, id_, score, label, size, name = _cells(rank, match)
        facts = [shortened(attribute_text(match, each), _ATTRIBUTE_COLUMNS) for each in shown] or [size]
        link = None
        if match.path:
            name, file = safe_text(from_here(match.path)), places.file_of(match.path)
            link = Style(link=file.absolute().as_uri()) if file else None
        mark = (_QUERY_MARK if match.is_query else "") + region_text(match) + copies_text(match)
        likely = f" {found}" if (found := probability_text(match)) else ""
        cell = Cell(shortened(label, _LABEL_COLUMNS), shortened, likely), Cell(name, shortened_path, mark, link)
        # rich reads plain strings as markup, in which [red].jpg is a colour.
        near = [score, *(text(match) for _, text in told)]
        table.add_row(Text(number), Text(id_), *map(Text, near), cell[0], *map(Text, facts), cell[1])
    return table


@dataclass(frozen=True)
class Cell:
    """A text that is cut to the width of its column, and a mark after it that is not."""

    text: str
    cut: Callable[[str, int], str]
    mark: str = ""
    style: "Style | None" = None

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        shown = Text(self.cut(self.text, options.max_width - len(self.mark)), self.style or "", no_wrap=True, end="")
        yield shown.append(self.mark, "dim")

    def __rich_measure__(self, console: "Console", options: "ConsoleOptions") -> "Measurement":
        from rich.cells import cell_len
        from rich.measure import Measurement

        width = cell_len(self.text + self.mark)
        return Measurement(min(width, _MIN_COLUMNS), width)


def from_here(path: Path) -> Path:
    """Returns a path below the current folder relative to it, and any other path as it is."""
    try:
        here = Path.cwd()
    except OSError:  # the current folder has been deleted
        return path
    return path.relative_to(here) if path.is_relative_to(here) else path


def lines(matches: Matches) -> list[str]:
    """Returns a line for each match: rank, id, score, label, size and path, separated by tabs.

    No field contains a tab or a line break, since names are escaped (`safe_text`).
    """
    return ["\t".join(_cells(rank, match)) for rank, match in enumerate(matches, 1)]


def _cells(rank: int, match: Match) -> tuple[str, ...]:
    name = safe_text(match.path or match.key)
    return str(rank), str(match.id), score_text(match.score), safe_text(match.label or ""), size_text(match), name


def _print_thumbnails(matches: Matches, console: "Console") -> None:
    from lookalike.display.terminal_graphics import protocol
    from lookalike.display.terminal_strip import Strip  # these load Pillow, which plain lines do not need

    found = protocol(os.environ)
    coloured = console.color_system == "truecolor" and not console.no_color
    if found or (coloured and console.encoding.startswith("utf")):
        console.print(Strip(matches, found, lines=console.height - len(matches) - _HEAD - _BESIDE))
