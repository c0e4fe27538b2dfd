"""Prints a comparison of models: as a table in a terminal, else as plain lines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lookalike.display.terminal import print_lines
from lookalike.display.text import safe_text, score_text
from lookalike.evaluation.comparison_results import Comparison

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_BEST, _STYLE = "*", "bold green"
_ANY_WIDTH = 10_000  # characters: wide enough to measure a table in


@dataclass(frozen=True)
class _Column:
    """A column of the table.

    Attributes:
        head: its title, in two lines.
        cells: its text for each model.
        best: the offsets of the best of these.
    """

    head: tuple[str, str]
    cells: tuple[str, ...]
    best: frozenset[int] = frozenset()

    @property
    def marked(self) -> tuple[str, ...]:
        """The cells with an asterisk after the best; if there is one, the others are padded to align."""
        padding = " " if self.best else ""
        return tuple(cell + (_BEST if row in self.best else padding) for row, cell in enumerate(self.cells))


def print_comparison(comparison: Comparison, console: "Console") -> None:
    """Prints a comparison: a table with notes in a terminal, else `lines`, uncut and without colour."""
    from rich.measure import Measurement

    if not console.is_terminal:
        print_lines(lines(comparison), console)
        return
    rows = table(comparison)
    width = Measurement.get(console, console.options.update(max_width=_ANY_WIDTH), rows).maximum
    console.print(rows if width <= console.width else table(comparison, turned=True))
    console.print("\n".join(("", *notes(comparison))), style="dim", markup=False, highlight=False)


def table(comparison: Comparison, *, turned: bool = False) -> "Table":
    """Returns a table with a row for each model, or with a column if `turned`; the best numbers are marked."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    between = " " if turned else "\n"
    columns = [
        [
            Text(between.join(column.head).strip()),
            *(Text(cell, _STYLE if row in column.best else "") for row, cell in enumerate(column.marked)),
        ]
        for column in _columns(comparison)
    ]
    titles, *rows = columns if turned else map(list, zip(*columns, strict=True))
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, title in enumerate(titles):
        table.add_column(title, justify="right" if number else "left", overflow="fold", vertical="bottom")
    for row in rows:
        table.add_row(*row)
    return table


def lines(comparison: Comparison) -> list[str]:
    """Returns the same table as lines of text, followed by the notes."""
    columns = []
    for number, column in enumerate(_columns(comparison)):
        texts = (*column.head, *column.marked)
        width = max(map(len, texts))
        columns.append([text.rjust(width) if number else text.ljust(width) for text in texts])
    rows = zip(*columns, strict=True)
    return [*("  ".join(row).rstrip() for row in rows), "", *notes(comparison)]


def notes(comparison: Comparison) -> list[str]:
    """Returns sentences on what was measured and what the numbers mean."""
    left_out = [
        f"{count:,} {reason}"
        for count, reason in ((comparison.duplicates, "that look the same"), (len(comparison.skipped), "unusable"))
        if count
    ]
    without = f", without {' and '.join(left_out)}" if left_out else ""
    sentences = [
        f"On {comparison.images:,} of {comparison.files:,} images{without}.",
        "recall: how often the original of a distorted copy is the first answer (@1), or one of the first ten (@10).",
    ]
    if any(model.beyond_chance is not None for model in comparison.models):
        sentences.append("beyond chance: how often a copy is nearer to its original than an image is by chance.")
    if any(model.precision_at_1 is not None for model in comparison.models):
        sentences.append(
            f"precision: the share of answers that have the image's label, one of {comparison.labels:,};"
            " mAP: over whole rankings."
        )
    if any(column.best for column in _columns(comparison)):
        one = score_text(1 / comparison.images)
        sentences.append(f"{_BEST} the best, if by little: one image of {comparison.images:,} is {one}.")
    return sentences


def _columns(comparison: Comparison) -> list[_Column]:
    """Returns the columns of a comparison, without the precision if the images have no labels."""
    models = comparison.models
    columns = [
        _Column(("", "model"), tuple(f"{safe_text(model.model)} {model.precision}" for model in models)),
        _Column(("", "dim"), tuple(str(model.dim) for model in models)),
        _column(("recall", "@1"), [model.recall_at_1 for model in models]),
        _column(("recall", "@10"), [model.recall_at_10 for model in models]),
    ]
    beyond = [model.beyond_chance for model in models if model.beyond_chance is not None]
    columns += [_column(("beyond", "chance"), beyond)] if len(beyond) == len(models) else []
    columns += [
        _column((alike[0].distortion, "@1"), [copy.recall_at_1 for copy in alike])
        for alike in zip(*(model.copies for model in models), strict=True)
    ]
    for head, numbers in (
        (("precision", "@1"), [model.precision_at_1 for model in models]),
        (("precision", "@10"), [model.precision_at_10 for model in models]),
        (("", "mAP"), [model.mean_average_precision for model in models]),
    ):
        known = [number for number in numbers if number is not None]
        columns += [_column(head, known)] if len(known) == len(models) else []
    columns.append(_column(("images", "per s"), [model.images_per_second for model in models], text="{:,.0f}".format))
    megabytes = [model.memory_bytes / 1e6 for model in models]
    return [*columns, _column(("memory", "in MB"), megabytes, text="{:,.0f}".format, best=min)]


def _column(
    head: tuple[str, str],
    numbers: Sequence[float],
    *,
    text: Callable[[float], str] = score_text,
    best: Callable[[Sequence[float]], float] = max,
) -> _Column:
    """Returns a column of numbers; those that look like the best one are marked, unless all of them do."""
    cells = tuple(map(text, numbers))
    marked = frozenset(row for row, cell in enumerate(cells) if cell == text(best(numbers)))
    return _Column(head, cells, marked if len(marked) < len(cells) else frozenset())
