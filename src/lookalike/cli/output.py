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

from lookalike.cli.hints import as_command
from lookalike.display.json import as_dict, skip_as_dict
from lookalike.display.text import safe_text, without_surrogates
from lookalike.errors import DamagedIndexWarning, UsageError, with_hints

if TYPE_CHECKING:
    from lookalike.collection.collection import Collection
    from lookalike.collection.plan import Plan, PlanProgress
    from lookalike.evaluation.results import Evaluation
    from lookalike.filters import Where
    from lookalike.index.build_progress import BuildProgress
    from lookalike.index.generation import Generation
    from lookalike.index.maintenance import Maintenance
    from lookalike.ingest.pipeline import Progress, Report
    from lookalike.results import Matches, Skipped

_SHOWN_SKIPS = 20
_SHOWN_LABELS = 40


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
def build_progress() -> Iterator[Callable[["BuildProgress"], None]]:
    """Says before the work how long it will take, and shows how far it is. Ctrl-C leaves all as it was."""
    with bar("Building") as advance:
        begun = set[str]()

        def show(progress: "BuildProgress") -> None:
            if progress.spec not in begun:
                begun.add(progress.spec)
                warn(f"Building {progress.spec}: about {duration(progress.seconds_left)}.")
            advance(progress.done, f"{progress.stage}, {duration(progress.seconds_left)} left")

        try:
            yield show
        except KeyboardInterrupt:
            warn("Stopped. No index was built; everything else is as it was.")
            raise


@contextmanager
def steps(what: str) -> Iterator[Callable[[int, int], None]]:
    """Shows how much of how much is done."""
    with bar(what) as advance:
        yield lambda done, total: advance(done / max(total, 1), f"{done:,} of {total:,}")


@contextmanager
def plan_progress() -> Iterator[Callable[["PlanProgress"], None]]:
    """Shows how many files there are so far, and how many of the sample have been tried."""
    with bar("Looking") as advance:

        def show(progress: "PlanProgress") -> None:
            tried = f", {progress.tried:,} of {progress.total:,} tried" if progress.total else ""
            advance(progress.tried / (progress.total or 1), f"{counted(progress.files, 'file')}{tried}")

        yield show


@contextmanager
def bar(what: str) -> Iterator[Callable[[float, str], None]]:
    """A bar where there is a person to see it; it is told the share that is done, and a few words."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = TextColumn(what), BarColumn(), TextColumn("{task.fields[words]}")
    with Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as shown:
        task = shown.add_task("", total=1.0, words="", visible=False)
        yield lambda share, words: shown.update(task, completed=share, words=words, visible=True)


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


def print_plan(plan: "Plan", *, as_json: bool) -> None:
    """What indexing would take."""
    census, trial, searching = plan.census, plan.trial, plan.searching
    if as_json:
        print_json({**_plain(plan), "seconds": plan.seconds, "bytes": plan.bytes, "memory_bytes": plan.memory_bytes})
        return
    for folder in census.unlisted:
        warn(f"{safe_text(folder.path)}: {safe_text(folder.reason)}")
    for skip in trial.skipped:
        warn(f"cannot be used: {safe_text(skip.path)}: {safe_text(skip.reason)}")
    known = f", of which {census.changed:,} new or changed" if plan.directory else ""
    unusable = f"; {trial.unusable:,} of {trial.tried:,} tried cannot be used" if trial.tried else ""
    time = f"about {duration(plan.seconds)}, at {trial.files_per_second:,.0f} files/s"
    rows = {
        "files": f"{census.files:,}, {size_text(census.bytes)}{known}{unusable}",
        "time": time if trial.tried else "none: there is nothing to look at",
        "disk": f"about {size_text(plan.bytes)}, of which {size_text(plan.vector_bytes)} are vectors",
        "memory": f"about {size_text(plan.memory_bytes)} to index, {size_text(searching.memory_bytes)} to search",
        "index": f"none: a search compares with all {plan.vectors:,} vectors, in about {searching.milliseconds:.1f} ms",
    }
    if searching.spec:
        built = f", built in about {duration(searching.build_seconds)}" if searching.build_seconds else ""
        size = size_text(searching.index_bytes)
        rows["index"] = f"{searching.spec}, {size}{built}; a search takes about {searching.milliseconds:.1f} ms"
    for name, value in rows.items():
        click.echo(f"{name:<12}{value}")


def size_text(number: float) -> str:
    """Bytes for people: "850 kB", "2.1 MB", "12 GB"."""
    units = ["kB", "MB", "GB", "TB"]
    number /= 1000
    while number >= 999.5 and len(units) > 1:
        number /= 1000
        del units[0]
    unit = units[0]
    return f"{number:.1f} {unit}" if number < 10 else f"{number:,.0f} {unit}"


def print_maintenance(done: "Maintenance", collection: "Collection", *, as_json: bool) -> None:
    """What keeping the index current has come to, if anything."""
    if as_json:
        return  # `info --json` has it
    if done.removed:
        click.echo(f"Took {counted(done.removed, 'vector')} of deleted images out.")
    if done.joined:
        click.echo(f"The index has taken in {counted(done.joined, 'new vector')}.")
    if done.built:
        print_index(done.built, collection, as_json=False)


def print_index(index: "Generation | None", collection: "Collection", *, as_json: bool) -> None:
    """What an index is worth, and whether that is what was asked for."""
    if as_json:
        print_json({"index": None if index is None else asdict(index)})
    elif index is None:
        click.echo(f"{counted(len(collection), 'image')} need no index: comparing with all of them takes milliseconds.")
    else:
        chosen = index.chosen
        click.echo(f"{index.spec}: {index.bytes / 1e6:,.1f} MB for {counted(index.rows, 'vector')}")
        if chosen:
            click.echo(
                f"A search finds {chosen.recall:.1%} of the {chosen.depth} nearest in {chosen.milliseconds:.2f} ms;"
                f" looking at everything takes {index.exact_milliseconds:.2f} ms."
            )
        if index.reached < index.promise:
            warn(
                f"That is less than the recall of {index.promise:g} that was asked for: {index.reached:.3f} is what"
                f" can be promised. {_instead(index)}"
            )


def _instead(index: "Generation") -> str:
    """What there is where an index does not reach the recall that was asked for."""
    if index.promise == 1:
        return "Only an exact search finds all for certain: search --exact."
    if index.chosen and index.chosen.milliseconds >= index.exact_milliseconds:
        return "Looking at everything takes no longer, so that is what searches do."
    return "A finer --spec may reach it, and search --exact always does."


def warn_of_filters(collection: "Collection", where: "Where | None") -> None:
    """Names the labels and the folder that no image has, where nothing was found."""
    from lookalike.filters import Where

    if where is None:
        return
    for label in sorted(where.labels or ()):
        if not collection.count(Where(label=label)):
            warn(f"No image has the label {safe_text(label)!r}.")
    if where.under is not None and not collection.count(Where(under=where.under)):
        warn(f"No image is in a folder {safe_text(where.under)!r} of the collection.")


def print_curve(index: "Generation", young: int) -> None:
    """The operating points of an index: what looking harder finds, and costs."""
    from lookalike.index.spec import IndexSpec

    chosen, kind = index.chosen, IndexSpec(index.spec, index.dim).kind
    click.echo(f"{'':<12}{index.bytes / 1e6:,.1f} MB, {index.rows:,} vectors, and {young:,} younger ones beside it")
    click.echo(f"{'':<12}recall of the 10 nearest: {index.promise:g} asked for, {index.reached:.3f} promised")
    for point in index.points:
        mark = "*" if point == chosen else " "
        effort = point.effort.named(kind)
        click.echo(
            f"{'':<10}{mark} k={point.depth:<5} recall {point.recall:.3f} ({point.recall_low:.3f} at least)"
            f"  {point.milliseconds:8.2f} ms  {effort}"
        )
    click.echo(f"{'':<12}{'k any':<7} recall 1.000 {'exact':<17}  {index.exact_milliseconds:8.2f} ms")


def print_evaluation(evaluation: "Evaluation", *, as_json: bool, html: Path | None) -> None:
    """How good the answers are: as JSON or as a table, and as a page if one is wanted."""
    if as_json:
        from lookalike.display.json import evaluation_as_dict

        print_json(evaluation_as_dict(evaluation))
    else:
        _print_quality(evaluation)
    if html:
        from lookalike.display.report import write_report

        write_report(evaluation, html)
        warn(f"Wrote {safe_text(html)}")


def _print_quality(evaluation: "Evaluation") -> None:
    asked = counted(evaluation.queries, "query").replace("querys", "queries")
    click.echo(
        f"recall@{evaluation.k}      {evaluation.recall:.3f} ({evaluation.recall_low:.3f} at least), {asked},"
        f" {evaluation.milliseconds:.2f} ms each; exact {evaluation.exact_milliseconds:.2f} ms"
    )
    if evaluation.precision_at_1 is None:
        click.echo("No precision: that takes two labels or more, and two images of one of them.")
        return
    click.echo(f"precision@1    {evaluation.precision_at_1:.3f}")
    click.echo(f"precision@10   {evaluation.precision_at_10:.3f}")
    click.echo(f"mAP            {evaluation.mean_average_precision:.3f}")
    width = max(len(safe_text(label.label)) for label in evaluation.labels)
    click.echo(f"\n{'label':<{width}}  images  precision@1  precision@10    mAP")
    for label in evaluation.labels[:_SHOWN_LABELS]:
        click.echo(
            f"{safe_text(label.label):<{width}}  {label.images:>6,}  {label.precision_at_1:>11.3f}"
            f"  {label.precision_at_10:>12.3f}  {label.mean_average_precision:>5.3f}"
        )
    if len(evaluation.labels) > _SHOWN_LABELS:
        click.echo(f"and {len(evaluation.labels) - _SHOWN_LABELS:,} more, which find more of their own; see --json")


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

        from lookalike.display.terminal import print_matches

        print_matches(matches, Console(), thumbnails=thumbnails)
    if sheet:
        from lookalike.display.sheet import write_sheet

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
    from lookalike.display.page import write_page

    if path is None:
        path = Path(tempfile.mkdtemp(prefix="lookalike-")) / "matches.html"
    write_page(matches, path)
    warn(f"Wrote {safe_text(path)}")
    if open_page and not webbrowser.open(path.resolve().as_uri()):
        warn("There is no browser to open it with.")


def print_json(record: Mapping[str, Any]) -> None:
    """One object on a line of its own, strict JSON."""
    click.echo(without_surrogates(json.dumps(record, ensure_ascii=False, allow_nan=False, default=str)))


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """What Python calls for a warning: a line, without the place in the code that it came from."""
    if isinstance(message, DamagedIndexWarning):
        message = with_hints(message.message, message.hints, as_command)
    warn(f"Warning: {safe_text(str(message))}")


def warn(text: str) -> None:
    """A line on standard error."""
    click.echo(text, err=True)


def counted(number: int, noun: str) -> str:
    """A number of things: "1 image", "2,000 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """For people: "8 s", "3 min", "1.5 h"."""
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _plain(plan: "Plan") -> dict[str, Any]:
    """A plan's facts, with files that were left out as they are told elsewhere."""
    facts = asdict(plan)
    facts["census"]["unlisted"] = [skip_as_dict(folder) for folder in plan.census.unlisted]
    facts["trial"]["skipped"] = [skip_as_dict(skip) for skip in plan.trial.skipped]
    return facts


def _warn_of(skipped: Sequence["Skipped"]) -> None:
    for skip in skipped[:_SHOWN_SKIPS]:
        warn(f"skipped {safe_text(skip.path)}: {safe_text(skip.reason)}")
    if len(skipped) > _SHOWN_SKIPS:
        warn(f"skipped {len(skipped) - _SHOWN_SKIPS:,} more, see: lookalike info --skipped")
