"""Lets only a few threads of a process do something at once, the others in the order in which they came."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from lookalike.system import forks


class Turns:
    """A semaphore that is fair, and that nobody waits for longer than a given time. A forked child has its own.

    `threading.Semaphore` would let a thread that has just left enter again before those that wait.
    """

    def __init__(self, at_once: int, *, patience_s: float) -> None:
        """`at_once` threads are within at a time, and those that have waited for `patience_s` seconds."""
        self._at_once, self._patience_s = at_once, patience_s
        self._lock = forks.lock()
        self._start()
        forks.watch(self)

    def _start(self) -> None:
        self._inside = 0
        self._waiting: deque[threading.Lock] = deque()  # each is released when its thread's turn has come

    def after_fork(self) -> None:
        """Forgets the threads of the parent."""
        self._start()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Waits for this thread's turn, which lasts until the end of the block."""
        self._wait()
        try:
            yield
        finally:
            self._leave()

    def _wait(self) -> None:
        with self._lock:
            if self._inside < self._at_once:
                self._inside += 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if not turn.acquire(timeout=self._patience_s):
            with self._lock:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                    self._inside += 1

    def _leave(self) -> None:
        with self._lock:
            if self._waiting and self._inside <= self._at_once:
                self._waiting.popleft().release()  # whose thread takes this one's place
            else:
                self._inside -= 1
