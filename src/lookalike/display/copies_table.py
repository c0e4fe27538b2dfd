"""Prints groups of copies: as a table in a terminal, else as plain lines for another program."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lookalike.display.copies_text import grade_text, reason_text, role_text
from lookalike.display.terminal import Cell, from_here, print_lines
from lookalike.display.text import counted, safe_text, score_text, shortened, shortened_path, size_text
from lookalike.duplicates.results import CopyGroup, Duplicates
from lookalike.results import IndexedImage
from lookalike.sources import places

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

_WIDE = 110  # columns from which on the reasons have a column of their own
_MOST_COPIES = 20  # of a group in a terminal
_KEPT, _NOTE = "bold green", "dim"


def print_duplicates(duplicates: Duplicates, console: "Console", *, limit: int) -> None:
    """Prints groups to a console: to a terminal a table of the first `limit`, else `lines`, uncut and without colour.

    Nothing is printed if there are none.
    """
    if not console.is_terminal:
        print_lines(lines(duplicates), console)
    elif duplicates.groups:
        console.print(table(duplicates, limit=limit, wide=console.width >= _WIDE))
        if (more := len(duplicates.groups) - limit) > 0:
            told = f"and {counted(more, 'more group')}; --limit shows more, --json, --csv and a pipe have all"
            console.print(told, style=_NOTE, markup=False, highlight=False)


def table(duplicates: Duplicates, *, limit: int, wide: bool) -> "Table":
    """Returns a table with a row for each image of the first `limit` groups, the one to keep first.

    Names are cut as in a table of matches. Why an image is kept, or is a copy, stands in a column of its own if it is
    to be `wide`, else below the name.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), expand=True)
    table.add_column("", justify="right", style=_NOTE, no_wrap=True)
    table.add_column("id", justify="right", style=_NOTE, no_wrap=True)
    table.add_column("grade", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("size", justify="right", style=_NOTE, no_wrap=True)
    table.add_column("path", no_wrap=True, ratio=3)
    if wide:
        table.add_column("why", no_wrap=True, ratio=2)
    for number, group in enumerate(duplicates.groups[:limit], 1):
        _add_group(table, number, group, role_text(duplicates), wide=wide)
    return table


def _add_group(table: "Table", number: int, group: CopyGroup, role: str, *, wide: bool) -> None:
    from rich.text import Text

    keep = Text(role, _KEPT)
    table.add_row(Text(str(number)), *_cells(group.keep, keep, "", safe_text(group.why), wide=wide))
    for copy in group.copies[:_MOST_COPIES]:
        why = reason_text(copy, group.keep)
        table.add_row("", *_cells(copy.image, Text(grade_text(copy)), score_text(copy.score), why, wide=wide))
    if (more := len(group.copies) - _MOST_COPIES) > 0:
        table.add_row("", "", "", "", "", Text(f"and {counted(more, 'more copy', 'more copies')}", _NOTE))
    table.add_section()


def _cells(image: IndexedImage, grade: "Text", score: str, why: str, *, wide: bool) -> "Iterator[RenderableType]":
    from rich.console import Group
    from rich.style import Style
    from rich.text import Text

    yield from (Text(str(image.id)), grade, Text(score), Text(size_text(image)))
    file = image.path and places.file_of(image.path)
    link = Style(link=file.absolute().as_uri()) if file else None
    path = Cell(safe_text(from_here(image.path) if image.path else image.key), shortened_path, "", link)
    told = Cell(why, shortened, style=Style(dim=True))
    if wide:
        yield from (path, told)
    else:
        yield Group(path, Text(), told) if why else path  # a cell ends no line by itself


def lines(duplicates: Duplicates) -> list[str]:
    """Returns a line for each image: group, grade, id, score, size, path and reason, separated by tabs.

    The grade of the image to keep is "keep", or "reference" if it is one of another collection, and its reason is why
    it is kept. No field contains a tab or a line break, since names are escaped (`safe_text`).
    """
    role = role_text(duplicates)
    return [
        "\t".join(row) for number, group in enumerate(duplicates.groups, 1) for row in _rows(str(number), group, role)
    ]


def _rows(number: str, group: CopyGroup, role: str) -> "Iterator[tuple[str, ...]]":
    yield number, role, *_facts(group.keep, ""), safe_text(group.why)
    for copy in group.copies:
        yield number, copy.grade, *_facts(copy.image, score_text(copy.score)), safe_text(copy.reason)


def _facts(image: IndexedImage, score: str) -> tuple[str, ...]:
    return str(image.id), score, size_text(image), safe_text(image.path or image.key)
