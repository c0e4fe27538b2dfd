"""Shares work among threads: the calling one and some beside it, no more than there are cores."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from lookalike.system import forks
from lookalike.system.resources import cores

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Threads:
    """The threads beside the calling ones, which are kept for the next work; a forked child has its own."""

    def __init__(self, name: str, *, begin: Callable[[], None] = lambda: None) -> None:
        """`begin` is called in each thread before anything else."""
        self._name, self._begin = name, begin
        self._lock = forks.lock()
        self._pool: ThreadPoolExecutor | None = None
        forks.watch(self)

    def after_fork(self) -> None:
        """Forgets the threads of the parent."""
        self._pool = None

    def each(self, work: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """The results of a piece of work for each item, in their order.

        What is raised is raised here, when all threads have ended, and for the first of the items that raise anything.
        """
        helpers = min(cores(), len(items)) - 1
        if helpers <= 0:
            return [work(item) for item in items]
        results: dict[int, _Result] = {}
        numbers, failed = count(), dict[int, BaseException]()

        def take_turns() -> None:
            while not failed and (number := next(numbers)) < len(items):
                try:
                    results[number] = work(items[number])
                except BaseException as error:
                    failed[number] = error

        futures = [self._threads().submit(take_turns) for _ in range(helpers)]
        take_turns()
        for future in futures:
            if not future.cancel():  # it may not have begun, since others keep the threads
                future.result()
        if failed:
            stops = (error for error in failed.values() if not isinstance(error, Exception))  # such as Ctrl-C
            raise next(stops, failed[min(failed)])
        return [results[number] for number in range(len(items))]

    def _threads(self) -> "ThreadPoolExecutor":
        from concurrent.futures import ThreadPoolExecutor  # most commands need none

        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(max(cores() - 1, 1), self._name, initializer=self._begin)
            return self._pool
