"""Writes an evaluation as one HTML file: the numbers, recall against time, and the worst queries."""

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lookalike import arguments
from lookalike.display import write_file
from lookalike.display.advice import order_advice
from lookalike.display.html import Tile, origin_text, render, tile
from lookalike.display.plot import plot
from lookalike.display.reliability import reliability
from lookalike.display.text import safe_text
from lookalike.display.thumbnail import Thumbnail, thumbnails
from lookalike.evaluation.results import Evaluation, WorstQuery
from lookalike.results import Match

_LABELLED, _COPIED = "has the query\N{RIGHT SINGLE QUOTATION MARK}s label", "is the original"  # a right match
_SIDE = 200  # pixels: sharp with eleven images in a row, about 7 kB each as a JPEG


def report(evaluation: Evaluation, *, title: str | None = None, path: str | os.PathLike[str] | None = None) -> str:
    """Returns a complete HTML page: the numbers, recall against time, the precision of each label, the worst queries.

    Thumbnails and the plots are embedded; the page runs no script and loads nothing. Precision and probabilities of
    labels are left out if there are no labels, and the plot of recall if every search is exact. Links are relative to
    the page if `path` says where it will be written and that is near the images (`html.address`).
    """
    return render(
        "report.html",
        title="Search quality" if title is None else safe_text(title),
        evaluation=evaluation,
        plot=plot(evaluation) if evaluation.points else None,
        advice=order_advice(evaluation.orders),
        told=reliability(evaluation.calibration, _LABELLED) if evaluation.calibration else None,
        copies=reliability(evaluation.copy_calibration, _COPIED) if evaluation.copy_calibration else None,
        worst=list(_worst(evaluation.worst, path)),
        origin=origin_text(evaluation.origin),
    )


def write_report(
    evaluation: Evaluation, path: str | os.PathLike[str], *, title: str | None = None, overwrite: bool = False
) -> None:
    """Writes `report(evaluation)` to a file, whole or not at all.

    Raises:
        UsageError: no file can be written at that path, or one that Lookalike has not written would be replaced
            without `overwrite`.
        StorageError: the disk is full or failing.
    """
    checked = write_file.checked_arguments(path, title=title, overwrite=overwrite)
    arguments.instance(evaluation, Evaluation, "evaluation", "what Collection.evaluate returns")
    write_file.write(checked, report(evaluation, title=title, path=checked).encode("utf-8"), overwrite=overwrite)


@dataclass(frozen=True)
class _Answer:
    """An answer to a query, and whether it has the query's label."""

    match: Match
    tile: Tile
    right: bool


@dataclass(frozen=True)
class _Row:
    """A query and its answers."""

    query: Match
    tile: Tile
    answers: list[_Answer]


def _worst(queries: Sequence[WorstQuery], page: str | os.PathLike[str] | None) -> Iterator[_Row]:
    shown = iter(thumbnails(itertools.chain.from_iterable([one.query, *one.found] for one in queries), _SIDE))
    for one in queries:
        query = tile(next(shown), page)
        answers = [_answer(one.query, *pair, page) for pair in zip(one.found, shown, strict=False)]
        yield _Row(one.query, query, answers)


def _answer(query: Match, match: Match, thumbnail: Thumbnail, page: str | os.PathLike[str] | None) -> _Answer:
    return _Answer(match, tile(thumbnail, page), match.label is not None and match.label == query.label)
