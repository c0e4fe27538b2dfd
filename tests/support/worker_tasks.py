"""Functions that the tests of system/worker.py run in another process."""

import os
import signal as signals
import time
from collections.abc import Callable
from pathlib import Path

from lookalike.errors import ImageError, MissingExtraError, UsageError

OnProgress = Callable[[int], None]

ERRORS = {
    "usage": UsageError("a wrong argument"),
    "extra": MissingExtraError("Importing from timm", "torch"),
    "image": ImageError("truncated", "cat.jpg", lasting=False),
    "memory": MemoryError(),
}


def count(upto: int, progress: OnProgress) -> tuple[int, int, list[int]]:
    """Reports the numbers below `upto`; returns its process id, its parent's, and the numbers."""
    print("what a library may print")
    numbers = list(range(upto))
    for number in numbers:
        progress(number)
    return os.getpid(), os.getppid(), numbers


def fail(error: str, progress: OnProgress) -> None:
    """Raises one of the errors that are passed on."""
    raise ERRORS[error]


def stumble(_task: None, progress: OnProgress) -> None:
    """Raises an error that is not passed on."""
    raise ZeroDivisionError("a mistake")


def die(signal: int, progress: OnProgress) -> None:
    """Kills its own process."""
    os.kill(os.getpid(), signal)
    time.sleep(60)


def sleep(_task: None, progress: OnProgress) -> None:
    """Reports its process id, and then runs until it is stopped."""
    progress(os.getpid())
    while True:
        time.sleep(0.1)
        progress(0)


def sleep_noted(note: Path, progress: OnProgress) -> None:
    """Writes its process id into a file, and then says nothing until it is stopped."""
    note.write_text(str(os.getpid()))
    time.sleep(60)


def wait(_task: None, progress: OnProgress) -> None:
    """Reports its process id, and then says nothing until it is stopped."""
    progress(os.getpid())
    time.sleep(60)


def crash(_task: object, progress: OnProgress) -> None:
    """Ends its own process as a library with an error in it does."""
    os.kill(os.getpid(), signals.SIGSEGV)
    time.sleep(60)


def run_out_of_memory(_task: object, progress: OnProgress) -> None:
    """Allocates more than the limit."""
    bytearray(8 * 2**30)


def allocate(megabytes: int, progress: OnProgress) -> int:
    """Allocates so many megabytes; returns their number."""
    return len(bytearray(megabytes * 2**20)) // 2**20
