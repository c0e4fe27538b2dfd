"""What the command line says: progress, reports, matches. Results on standard output, the rest on standard error."""

import json
import os
import signal
import tempfile
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from lookalike.errors import UsageError
from lookalike.show.record import as_dict, skip_as_dict
from lookalike.show.text import safe_text, without_surrogates

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.ingest import Progress, Report
    from lookalike.match import Matches, Skipped

_SHOWN_SKIPS = 20


@contextmanager
def progress_bar() -> Iterator[Callable[["Progress"], None]]:
    """A bar with rate and time left where there is a person to see it; Ctrl-C stops the run between two images."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = TextColumn("Indexing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}")
    bar = Bar(
        *columns,
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        refresh_per_second=4,
        transient=True,
    )
    task = bar.add_task("", total=None, rate="")

    with _interruptible() as stop_if_asked, bar:

        def show(progress: "Progress") -> None:
            stop_if_asked()
            speed = bar.tasks[0].speed
            rate = f"{speed:,.0f} images/s" if speed else ""
            bar.update(task, completed=progress.done, total=progress.total, rate=rate)

        yield show


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """What comes out raises KeyboardInterrupt once Ctrl-C has been pressed; pressed again, it stops at once."""
    stopped = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        signal.signal(signal.SIGINT, before)

    def stop_if_asked() -> None:
        if stopped:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as a script may have it
        signal.signal(signal.SIGINT, stop)
    try:
        yield stop_if_asked
    except KeyboardInterrupt:
        warn("Stopped. What was done is kept: run the same command again to carry on.")
        raise click.exceptions.Exit(128 + signal.SIGINT) from None
    finally:
        signal.signal(signal.SIGINT, before)


def print_report(report: "Report", collection: "Collection", *, as_json: bool) -> None:
    if as_json:
        counts = {name: value for name, value in asdict(report).items() if name != "skipped"}
        skipped = [skip_as_dict(skip) for skip in report.skipped]
        print_json({**counts, "skipped": skipped, "images": len(collection), "collection": str(collection.directory)})
        return
    _warn_of(report.skipped)
    names = ("added", "updated", "renamed", "removed", "unchanged")
    told = [f"{getattr(report, name):,} {name}" for name in names if getattr(report, name)]
    if report.skipped:
        told.append(f"{len(report.skipped):,} skipped")
    if report.skipped_before:
        told.append(f"{report.skipped_before:,} skipped before and not changed since")
    worked = report.added + report.updated
    rate = f" ({worked / report.seconds:,.0f} images/s)" if worked and report.seconds > 0.1 else ""
    click.echo(f"{', '.join(told) or 'No images there'} in {report.seconds:.1f} s{rate}.")
    click.echo(f"{counted(len(collection), 'image')} in {safe_text(collection.directory)}")


def print_skipped(skipped: Sequence["Skipped"], *, as_json: bool) -> None:
    """All files that were left out, with the reasons."""
    for skip in skipped:
        if as_json:
            print_json(skip_as_dict(skip))
        else:
            click.echo(f"{safe_text(skip.path)}: {safe_text(skip.reason)}")


def show(
    matches: "Matches",
    *,
    as_json: bool = False,
    thumbnails: bool = True,
    html: Path | None = None,
    open_page: bool = False,
    sheet: Path | None = None,
) -> None:
    """Matches in every way that was asked for."""
    if as_json:
        for match in matches:
            print_json(as_dict(match))
    else:
        from rich.console import Console

        from lookalike.show.terminal import print_matches

        print_matches(matches, Console(), thumbnails=thumbnails)
    if sheet:
        from lookalike.show.sheet import write_sheet

        write_sheet(matches, sheet)
        warn(f"Wrote {safe_text(sheet)}")
    if html or open_page:
        _write_page(matches, html, open_page=open_page)


def check_outputs(html: Path | None, sheet: Path | None) -> None:
    """Finds out before the work what would keep its result from being written."""
    for path in filter(None, (html, sheet)):
        if not os.path.isdir(path.parent):
            raise UsageError(f"{path}: there is no folder {path.parent}")
    if sheet and sheet.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
        raise UsageError(f"{sheet}: a contact sheet is written as .jpg or .png")


def _write_page(matches: "Matches", path: Path | None, *, open_page: bool) -> None:
    from lookalike.show.page import write_page

    if path is None:
        path = Path(tempfile.mkdtemp(prefix="lookalike-")) / "matches.html"
    write_page(matches, path)
    warn(f"Wrote {safe_text(path)}")
    if open_page and not webbrowser.open(path.resolve().as_uri()):
        warn("There is no browser to open it with.")


def print_json(record: Mapping[str, Any]) -> None:
    """One object on a line of its own, strict JSON."""
    click.echo(without_surrogates(json.dumps(record, ensure_ascii=False, allow_nan=False, default=str)))


def warn(text: str) -> None:
    """A line on standard error."""
    click.echo(text, err=True)


def counted(number: int, noun: str) -> str:
    """A number of things: "1 image", "2,000 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _warn_of(skipped: Sequence["Skipped"]) -> None:
    for skip in skipped[:_SHOWN_SKIPS]:
        warn(f"skipped {safe_text(skip.path)}: {safe_text(skip.reason)}")
    if len(skipped) > _SHOWN_SKIPS:
        warn(f"skipped {len(skipped) - _SHOWN_SKIPS:,} more, see: lookalike info --skipped")
