"""Progress bars, shown only if a person can see them.

What is printed while a bar is shown comes above it, on lines of its own. A rate is shown only after a second.
"""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import click

from lookalike.cli import exit_codes
from lookalike.cli.output import UNTIL_RATE_S, counted, duration, note

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn, Task

    from lookalike.collection.plan import PlanProgress
    from lookalike.index.build_progress import BuildProgress
    from lookalike.ingest.pipeline import Progress

_BAR_COLUMNS = 8, 40  # the shortest and the longest bar
_BESIDE_COLUMNS = 56  # for what stands beside it


@contextmanager
def indexing() -> Iterator[Callable[["Progress"], None]]:
    """A bar with rate and time left, if a person can see it; Ctrl-C stops the run between two images."""
    from rich.progress import MofNCompleteColumn, TextColumn

    columns = MofNCompleteColumn(), TextColumn("{task.fields[rate]}")
    with _interruptible() as stop_if_asked, _shown("Indexing", *columns) as shown:
        tasks = {False: shown.add_task("", total=None, rate="")}  # by whether the parts of images are encoded

        def show(progress: "Progress") -> None:
            stop_if_asked()
            if progress.of_regions not in tasks:
                shown.update(tasks[False], visible=False)
                tasks[True] = shown.add_task("", total=None, rate="")
            rate = _rate(shown.tasks[-1])
            shown.update(tasks[progress.of_regions], completed=progress.done, total=progress.total, rate=rate)

        yield show


def _rate(task: "Task") -> str:
    """The rate of a task and the time that it still takes; "" before the first second is over."""
    if (task.elapsed or 0) < UNTIL_RATE_S or not task.speed:
        return ""
    left = "" if task.time_remaining is None else f", {duration(task.time_remaining)} left"
    return f"{task.speed:,.0f} images/s{left}"


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
def comparing() -> Iterator[Callable[[int, int], None]]:
    """Shows the share of the steps that is done and the time left; Ctrl-C stops the run between two of them."""
    begun = time.monotonic()
    with _interruptible() as stop_if_asked, bar("Comparing") as advance:

        def show(done: int, total: int) -> None:
            stop_if_asked()
            share, seconds = done / max(total, 1), time.monotonic() - begun
            left = f", {duration(seconds / share - seconds)} left" if share and seconds >= UNTIL_RATE_S else ""
            advance(share, f"{share:.0%}{left}")

        yield show


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
    from rich.progress import TextColumn

    with _shown(what, TextColumn("{task.fields[text]}")) as shown:
        task = shown.add_task("", total=1.0, text="", visible=False)
        yield lambda share, text: shown.update(task, completed=share, text=text, visible=True)


def _shown(what: str, *columns: "ProgressColumn") -> "Bar":
    """A bar with columns beside it, for standard error; not shown if that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    return Bar(
        TextColumn(what),
        BarColumn(max(_BAR_COLUMNS[0], min(_BAR_COLUMNS[1], console.width - _BESIDE_COLUMNS))),
        *columns,
        console=console,
        disable=not console.is_terminal,
        refresh_per_second=4,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # otherwise results, which another program reads, would go to the terminal
    )


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
        raise click.exceptions.Exit(exit_codes.STOPPED) from None
    finally:
        signal.signal(signal.SIGINT, before)
