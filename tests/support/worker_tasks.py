"""What the tests of own_process.py have done in another process."""

import os
import time
from collections.abc import Callable

from lookalike.errors import ImageError, MissingExtraError, UsageError

OnProgress = Callable[[int], None]

ERRORS = {
    "usage": UsageError("a wrong word"),
    "extra": MissingExtraError("Importing from timm", "torch"),
    "image": ImageError("truncated", "cat.jpg", lasting=False),
    "memory": MemoryError(),
}


def count(upto: int, progress: OnProgress) -> tuple[int, int, list[int]]:
    """The process that this runs in, that which has started it, and the numbers up to the given one."""
    print("what a library may say")
    numbers = list(range(upto))
    for number in numbers:
        progress(number)
    return os.getpid(), os.getppid(), numbers


def fail(error: str, progress: OnProgress) -> None:
    raise ERRORS[error]


def stumble(_task: None, progress: OnProgress) -> None:
    raise ZeroDivisionError("a mistake")


def die(signal: int, progress: OnProgress) -> None:
    os.kill(os.getpid(), signal)
    time.sleep(60)


def sleep(_task: None, progress: OnProgress) -> None:
    """Says so first, with its process's number."""
    progress(os.getpid())
    while True:
        time.sleep(0.1)
        progress(0)
