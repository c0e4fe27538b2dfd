"""Functions that the tests of system/worker.py run in another process."""

import os
import time
from collections.abc import Callable

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


def wait(_task: None, progress: OnProgress) -> None:
    """Reports its process id, and then says nothing until it is stopped."""
    progress(os.getpid())
    time.sleep(60)
