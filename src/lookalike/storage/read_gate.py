"""Lets the readers of a process pause together now and then, so that a writer in another process gets its turn.

SQLite grants a shared lock to a thread whose process holds one already, without regard to writers that wait for the
lock (os_unix.c, unixLock). Threads that read without a pause would therefore keep a writer out for ever.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from lookalike.system import forks

_LONGEST_S = 0.02  # after so long without a pause, new readers wait until the others are done
_PATIENCE_S = 1.0  # and so long at most: a reader that is within may itself be waiting for one that wants to enter


class ReadGate:
    """The readers of one file in this process."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._readers, self._since, self._is_draining = 0, 0.0, False
        self._local = threading.local()

    @contextmanager
    def reading(self, *, counts: bool = True) -> Iterator[None]:
        """Counts a reader, once there has been a pause if one is due.

        A thread that is within already does not wait again, nor does one that does not count.
        """
        if getattr(self._local, "is_within", False):
            yield
            return
        if counts:
            self._enter()
        self._local.is_within = True
        try:
            yield
        finally:
            self._local.is_within = False
            if counts:
                self._leave()

    def _enter(self) -> None:
        with self._condition:
            until = time.monotonic() + _PATIENCE_S
            while self._is_draining or (self._readers and time.monotonic() - self._since > _LONGEST_S):
                self._is_draining = True
                if not self._condition.wait(until - time.monotonic()):
                    self._open_again()
                    break
            if not self._readers:
                self._since = time.monotonic()
            self._readers += 1

    def _open_again(self) -> None:
        self._is_draining, self._since = False, time.monotonic()
        self._condition.notify_all()

    def _leave(self) -> None:
        with self._condition:
            self._readers -= 1
            if not self._readers and self._is_draining:
                self._open_again()


_gates: "WeakValueDictionary[tuple[int, Path], ReadGate]" = WeakValueDictionary()
_gates_lock = forks.lock()


def gate_of(path: Path) -> ReadGate:
    """The gate of a file, the same one for all that use it in this process."""
    with _gates_lock:
        return _gates.setdefault((os.getpid(), Path(os.path.realpath(path))), ReadGate())
