"""Draws rows of thumbnails in a terminal: the queries first, then the matches with their scores."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lookalike.display.terminal_graphics import Protocol, canvas, cell_size, escape_sequence, half_blocks
from lookalike.display.text import role_text, safe_text, score_text, shortened
from lookalike.display.thumbnail import Thumbnail, thumbnails
from lookalike.results import Match, Matches

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.segment import Segment

_LINES, _MIN_LINES = 9, 4  # of one image, which is twice as many characters wide: four images in a line of 80
_BELOW = 2  # lines below an image: its caption, and an empty one
_MIN_LABEL = 4  # columns of a label
_GAP = 2  # characters between two images
_MAX_ROWS = 3  # of images


@dataclass(frozen=True)
class Strip:
    """Up to three rows of thumbnails, as a rich renderable: the queries, and the matches that are not among them.

    Attributes:
        matches: what is shown.
        protocol: by which the terminal draws the images; without one they consist of half blocks.
        lines: of the screen, that the thumbnails may take. One row is shown in any case; if it cannot be made to fit,
            it has its full height, since the screen has to be scrolled anyway.
    """

    matches: Matches
    protocol: Protocol | None
    lines: int

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        lines = min(_LINES, self.lines - _BELOW)
        if lines < _MIN_LINES:
            lines = _LINES
        rows = min(max(1, self.lines // (lines + _BELOW)), _MAX_ROWS)
        columns = max(2, min(2 * lines, options.max_width))
        per_row = max(1, (options.max_width + _GAP) // (columns + _GAP))
        cell = cell_size(console.file) if self.protocol else (1, 2)
        layout = _Layout(columns, columns // 2, columns * cell[0], columns // 2 * cell[1])
        ranked = [(rank, match) for rank, match in enumerate(self.matches, 1) if not match.is_query]
        captions = _captions(self.matches.queries, ranked, columns)[: per_row * rows]
        sources = [*self.matches.queries, *(match for _, match in ranked)][: len(captions)]
        shown = thumbnails(sources, max(layout.width, layout.height), self.matches.max_pixels)
        for start in range(0, len(captions), per_row):
            row = slice(start, start + per_row)
            yield from _row(shown[row], captions[row], layout, self.protocol)


@dataclass(frozen=True)
class _Layout:
    """The size of one image, in characters (`columns`, `rows`) and in pixels (`width`, `height`)."""

    columns: int
    rows: int
    width: int
    height: int


def _captions(queries: Sequence[Any], ranked: Sequence[tuple[int, Match]], columns: int) -> list[str]:
    found = [_caption(rank, match, columns) for rank, match in ranked]
    return [shortened(role_text(query), columns) for query in queries] + found


def _caption(rank: int, match: Match, columns: int) -> str:
    """Rank, score and label; without the label if there is no room for a part of it that says anything."""
    place = f"{rank}  {score_text(match.score)}"
    room = columns - len(place) - 2
    label = safe_text(match.label or "")
    return f"{place}  {shortened(label, room)}" if room >= min(len(label), _MIN_LABEL) else place


def _row(
    shown: list[Thumbnail], captions: list[str], layout: _Layout, protocol: Protocol | None
) -> Iterator["Segment"]:
    from rich.cells import set_cell_size
    from rich.segment import Segment

    cells = [_lines(thumbnail, layout, drawn=protocol is not None) for thumbnail in shown]
    for cell, caption in zip(cells, captions, strict=True):
        cell.append([Segment(set_cell_size(caption, layout.columns))])
    for line in range(layout.rows + 1):
        for position, cell in enumerate(cells):
            yield Segment(" " * _GAP if position else "")
            yield from cell[line]
        yield Segment.line()
    yield Segment.line()
    if protocol:
        yield _drawing(shown, layout, protocol)


def _lines(thumbnail: Thumbnail, layout: _Layout, *, drawn: bool) -> list[list["Segment"]]:
    """Returns the lines of one image: half blocks, text, or empty lines over which the terminal draws the image."""
    from rich.cells import set_cell_size
    from rich.segment import Segment

    if thumbnail.image and not drawn:
        return list(half_blocks(canvas(thumbnail.image, layout.width, layout.height)))
    lines = [""] * layout.rows
    if thumbnail.text:
        lines = [*lines, *_wrapped(f'"{thumbnail.text}"', layout.columns, layout.rows)][-layout.rows :]
    elif not thumbnail.image:
        reason = _wrapped(thumbnail.reason, layout.columns, layout.rows - 1)
        lines = [*lines, "not shown:", *reason][-layout.rows :]
    return [[Segment(set_cell_size(line, layout.columns))] for line in lines]


def _wrapped(text: str, columns: int, lines: int) -> list[str]:
    """Returns a text in lines of so many columns of a terminal; what is too long for them ends in an ellipsis."""
    from rich.console import Console
    from rich.text import Text

    wrapped = [line.plain.rstrip() for line in Text(text).wrap(Console(file=io.StringIO(), width=columns), columns)]
    if len(wrapped) <= lines:
        return wrapped
    return [*wrapped[: lines - 1], shortened(" ".join(wrapped[lines - 1 :]), columns)] if lines > 0 else []


def _drawing(shown: list[Thumbnail], layout: _Layout, protocol: Protocol) -> "Segment":
    """Returns the control segment that moves up over the empty lines, draws each image there, and moves down again."""
    from rich.segment import ControlType, Segment

    height = layout.rows + 2
    parts = [f"\x1b[{height}A"]
    for position, thumbnail in enumerate(shown):
        if thumbnail.image:
            image = canvas(thumbnail.image, layout.width, layout.height)
            sequence = escape_sequence(image, layout.columns, layout.rows, protocol=protocol)
            column = 1 + position * (layout.columns + _GAP)
            parts.append(f"\x1b7\x1b[{column}G{sequence}\x1b8")  # the cursor is saved, moved, and restored
    parts.append(f"\x1b[{height}B")
    return Segment("".join(parts), None, [(ControlType.CURSOR_UP, height)])
