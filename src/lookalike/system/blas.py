"""Keeps NumPy's matrix products on the thread that asks for them.

OpenBLAS shares each product among threads of its own, which wait for each other by spinning. Beside other work, such as
another search, a product of a fraction of a millisecond then takes ten and more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import OpenBLASController, ThreadpoolController

from lookalike.system import forks


class _OneThread:
    """Limits the pools of this process while any of its threads is within; a forked child begins anew."""

    def __init__(self) -> None:
        self._lock = forks.lock()
        self._inside = 0
        self._limits: Any = None
        forks.watch(self)

    def after_fork(self) -> None:
        """Forgets the threads of the parent, and gives the pools back."""
        self._inside = 0
        self._give_back()

    def enter(self) -> None:
        with forks.held_off(), self._lock:  # threadpoolctl has a lock of its own
            if not self._inside:
                self._limits = _pools().limit(limits=1)
            self._inside += 1

    def leave(self) -> None:
        with forks.held_off(), self._lock:
            self._inside -= 1
            if not self._inside:
                self._give_back()

    def _give_back(self) -> None:
        if self._limits:
            # Otherwise only the thread that has set the limit could, and it may have left before the others.
            OpenBLASController.clear_controlling_thread(force=True)
            self._limits.restore_original_limits()
            OpenBLASController.clear_controlling_thread()
        self._limits = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Within, products run on the calling thread. Those of other threads do so, too, in the meantime."""
    _one_thread.enter()
    try:
        yield
    finally:
        _one_thread.leave()


@cache
def _pools() -> Any:
    """NumPy's pools; FAISS has OpenMP's, which are each thread's own. To look for them takes a millisecond."""
    return ThreadpoolController().select(threading_layer="pthreads")


_one_thread = _OneThread()
