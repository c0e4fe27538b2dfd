"""Progress bars, shown only if a person can see them."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import click

from lookalike.cli.output import counted, duration, note

if TYPE_CHECKING:
    from lookalike.collection.plan import PlanProgress
    from lookalike.index.build_progress import BuildProgress
    from lookalike.ingest.pipeline import Progress


@contextmanager
def indexing() -> Iterator[Callable[["Progress"], None]]:
    """A bar with rate and time left, if a person can see it; Ctrl-C stops the run between two images."""
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
def building() -> Iterator[Callable[["BuildProgress"], None]]:
    """Estimates before a build how long it will take, and shows how far it is; Ctrl-C changes nothing."""
    with bar("Building") as advance:
        begun = set[str]()

        def show(progress: "BuildProgress") -> None:
            if progress.spec not in begun:
                begun.add(progress.spec)
                note(f"Building {progress.spec}: about {duration(progress.seconds_left)}.")
            advance(progress.done, f"{progress.stage}, {duration(progress.seconds_left)} left")

        try:
            yield show
        except KeyboardInterrupt:
            note("Stopped. No index was built, and nothing was changed.")
            raise


@contextmanager
def steps(what: str) -> Iterator[Callable[[int, int], None]]:
    """Shows how many steps are done, and their total."""
    with bar(what) as advance:
        yield lambda done, total: advance(done / max(total, 1), f"{done:,} of {total:,}")


@contextmanager
def planning() -> Iterator[Callable[["PlanProgress"], None]]:
    """Shows the number of files counted so far, and the number of the sample that have been tried."""
    with bar("Counting") as advance:

        def show(progress: "PlanProgress") -> None:
            tried = f", {progress.tried:,} of {progress.total:,} tried" if progress.total else ""
            advance(progress.tried / (progress.total or 1), f"{counted(progress.files, 'file')}{tried}")

        yield show


@contextmanager
def bar(what: str) -> Iterator[Callable[[float, str], None]]:
    """A bar, if a person can see it; it is given the share that is done, and a short text."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = TextColumn(what), BarColumn(), TextColumn("{task.fields[text]}")
    with Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as shown:
        task = shown.add_task("", total=1.0, text="", visible=False)
        yield lambda share, text: shown.update(task, completed=share, text=text, visible=True)


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Gives a function that raises KeyboardInterrupt once Ctrl-C has been pressed; pressed again, it stops at once."""
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
        note("Stopped. What was done is kept: run the same command again to carry on.")
        raise click.exceptions.Exit(128 + signal.SIGINT) from None
    finally:
        signal.signal(signal.SIGINT, before)
