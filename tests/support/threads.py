"""Threads that work beside a test."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def working(works: Sequence[Callable[[threading.Event], object]]) -> Iterator[None]:
    """Runs each function in a thread of its own, which has to end soon after the event is set."""
    ended = threading.Event()
    threads = [threading.Thread(target=work, args=[ended]) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
