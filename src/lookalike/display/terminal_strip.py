"""Thumbnails in rows, as a terminal shows them: the query first, then the matches with their scores."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lookalike.display.terminal_graphics import Protocol, canvas, cell_size, escape_sequence, half_blocks
from lookalike.display.text import role_text, safe_text, score_text
from lookalike.display.thumbnail import Thumbnail, thumbnails
from lookalike.results import Matches

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.segment import Segment

_COLUMNS = 18  # of one picture: four side by side where a line has 80
_GAP = 2
_MOST_ROWS = 3  # more would push the table off the screen


@dataclass(frozen=True)
class Strip:
    """Something that rich can print: up to three rows of thumbnails.

    With a protocol the terminal draws the pictures, without one they are made of half blocks.
    """

    matches: Matches
    protocol: Protocol | None

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        columns = max(2, min(_COLUMNS, options.max_width))
        beside = max(1, (options.max_width + _GAP) // (columns + _GAP))
        cell = cell_size(console.file) if self.protocol else (1, 2)
        layout = _Layout(columns, columns // 2, columns * cell[0], columns // 2 * cell[1])
        captions = _captions(self.matches)[: beside * _MOST_ROWS]
        sources = [*self.matches.queries, *self.matches][: len(captions)]
        pictures = thumbnails(sources, max(layout.width, layout.height))
        for start in range(0, len(captions), beside):
            row = slice(start, start + beside)
            yield from _row(pictures[row], captions[row], layout, self.protocol)


@dataclass(frozen=True)
class _Layout:
    """The place of one picture, in characters and in pixels."""

    columns: int
    rows: int
    width: int
    height: int


def _captions(matches: Matches) -> list[str]:
    found = [
        f"{rank}  {score_text(match.score)}  {safe_text(match.label or '')}" for rank, match in enumerate(matches, 1)
    ]
    return [role_text(query) for query in matches.queries] + found


def _row(
    pictures: list[Thumbnail], captions: list[str], layout: _Layout, protocol: Protocol | None
) -> Iterator["Segment"]:
    from rich.cells import set_cell_size
    from rich.segment import Segment

    cells = [_lines(picture, layout, drawn=protocol is not None) for picture in pictures]
    for cell, caption in zip(cells, captions, strict=True):
        cell.append([Segment(set_cell_size(caption, layout.columns))])
    for line in range(layout.rows + 1):
        for position, cell in enumerate(cells):
            yield Segment(" " * _GAP if position else "")
            yield from cell[line]
        yield Segment.line()
    yield Segment.line()
    if protocol:
        yield _drawing(pictures, layout, protocol)


def _lines(picture: Thumbnail, layout: _Layout, *, drawn: bool) -> list[list["Segment"]]:
    """What stands in a picture's place: the picture itself, or room for the terminal to draw it in."""
    from rich.cells import set_cell_size
    from rich.segment import Segment

    if picture.image and not drawn:
        return list(half_blocks(canvas(picture.image, layout.width, layout.height)))
    lines = [""] * layout.rows
    if picture.words:
        lines = [*lines, *textwrap.wrap(f'"{picture.words}"', layout.columns, max_lines=layout.rows)][-layout.rows :]
    elif not picture.image:
        lines = [*lines, "no picture:", picture.reason][-layout.rows :]
    return [[Segment(set_cell_size(line, layout.columns))] for line in lines]


def _drawing(pictures: list[Thumbnail], layout: _Layout, protocol: Protocol) -> "Segment":
    """Goes back up over the room that was made, draws each picture in its place, and comes down again."""
    from rich.segment import ControlType, Segment

    height = layout.rows + 2
    parts = [f"\x1b[{height}A"]
    for position, picture in enumerate(pictures):
        if picture.image:
            image = canvas(picture.image, layout.width, layout.height)
            sequence = escape_sequence(image, layout.columns, layout.rows, protocol=protocol)
            column = 1 + position * (layout.columns + _GAP)
            parts.append(f"\x1b7\x1b[{column}G{sequence}\x1b8")  # the cursor is saved, moved, and restored
    parts.append(f"\x1b[{height}B")
    return Segment("".join(parts), None, [(ControlType.CURSOR_UP, height)])
