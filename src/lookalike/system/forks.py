"""What has to be done about forks: a child has the memory of its parent, but none of its other threads.

A lock that another thread held stays locked there, and an object with threads of its own can neither be used nor be
destroyed. `lock` and `watch` make anew what is ours, and `prepare` is for what has to be done before. `held_off` is for
the locks inside of libraries: no process is forked while another thread is within.
"""

import ctypes
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from lookalike.errors import UsageError

_LONGEST_WAIT_S = 3.0  # a fork does not wait longer; the child then refuses what the other thread was within


class Forked(Protocol):
    """An object that forked children inherit."""

    def after_fork(self) -> None:
        """Is called in a forked child before anything else runs there."""


class Prepared(Protocol):
    """An object that has something to do before each fork."""

    def before_fork(self) -> None:
        """Is called in the thread that forks, when no other one is within `held_off`."""


_watched: "weakref.WeakSet[Forked]" = weakref.WeakSet()
_prepared: "weakref.WeakSet[Prepared]" = weakref.WeakSet()
_locks: "weakref.WeakSet[threading.Lock]" = weakref.WeakSet()


def watch(inherited: Forked) -> None:
    """Calls `after_fork` of an object in forked children, as long as the object exists."""
    _watched.add(inherited)


def prepare(forking: Prepared) -> None:
    """Calls `before_fork` of an object before each fork of this process, as long as the object exists."""
    _prepared.add(forking)


def keep_forever(inherited: object) -> None:
    """Keeps an object from being destroyed, even when the process ends."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))


def lock() -> threading.Lock:
    """Makes a lock that is free in a forked child, even if another thread of the parent holds it."""
    made = threading.Lock()
    _locks.add(made)
    return made


class _Libraries:
    """Counts the threads that are within `held_off`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = self._forks = 0
        self._is_broken = False
        self._own = threading.local()  # `depth` of this thread, and whether its fork has `waited` long enough

    @contextmanager
    def used(self) -> Iterator[None]:
        """Has forks in other threads wait until this thread has left a library that has locks of its own.

        Raises:
            UsageError: this process was forked although another thread was within for seconds.
        """
        depth = self._depth()
        if not depth:
            self._enter()
        self._own.depth = depth + 1
        try:
            yield
        finally:
            self._own.depth = depth
            if not depth:
                self._leave()

    def before_fork(self) -> None:
        with self._changed:
            self._forks += 1
            own = min(self._depth(), 1)
            self._own.waited = self._changed.wait_for(lambda: self._inside == own, _LONGEST_WAIT_S)

    def after_fork_in_parent(self) -> None:
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()

    def after_fork_in_child(self) -> None:
        self._changed = threading.Condition()
        self._inside, self._forks = min(self._depth(), 1), 0
        self._is_broken = self._is_broken or not self._own.waited

    def _enter(self) -> None:
        with self._changed:
            if self._is_broken:
                raise UsageError(
                    "this process was forked while another thread was using a collection; start processes by"
                    " multiprocessing's method `spawn`, or before the threads"
                )
            self._changed.wait_for(lambda: not self._forks)
            self._inside += 1

    def _leave(self) -> None:
        with self._changed:
            self._inside -= 1
            if self._forks:
                self._changed.notify_all()

    def _depth(self) -> int:
        return getattr(self._own, "depth", 0)


_libraries = _Libraries()


held_off = _libraries.used


def _before_fork() -> None:
    _libraries.before_fork()
    for forking in list(_prepared):
        forking.before_fork()


def _after_fork_in_child() -> None:
    _libraries.after_fork_in_child()
    for made in list(_locks):
        made._at_fork_reinit()  # type: ignore[attr-defined]  # as the standard library does
    for inherited in list(_watched):
        inherited.after_fork()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_libraries.after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
