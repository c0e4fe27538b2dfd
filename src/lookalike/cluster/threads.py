"""Does the work of all shards on the cores of this machine: one pool of threads for the whole process."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TypeVar

from lookalike.storage.vectors import faiss_threads, use_one_faiss_thread
from lookalike.system import forks
from lookalike.system.resources import cores

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class _Pool:
    """The threads beside the calling ones; a forked child has its own."""

    def __init__(self) -> None:
        self._lock = forks.lock()
        self._threads: ThreadPoolExecutor | None = None
        forks.watch(self)

    def after_fork(self) -> None:
        """Forgets the threads of the parent."""
        self._threads = None

    def threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._threads is None:
                name = "lookalike-shards"
                self._threads = ThreadPoolExecutor(max(cores() - 1, 1), name, initializer=use_one_faiss_thread)
            return self._threads


_pool = _Pool()


def each(work: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """The results of a piece of work for each item, in their order, on no more threads than there are cores.

    The calling thread works, too. What is raised first is raised here, when all threads have ended.
    """
    helpers = min(cores(), len(items)) - 1
    if helpers <= 0:
        return [work(item) for item in items]
    results: dict[int, _Result] = {}
    numbers, failed = count(), list[BaseException]()

    def take_turns() -> None:
        while not failed and (number := next(numbers)) < len(items):
            try:
                results[number] = work(items[number])
            except BaseException as error:
                failed.append(error)

    futures = [_pool.threads().submit(take_turns) for _ in range(helpers)]
    with faiss_threads(1):
        take_turns()
    for future in futures:
        if not future.cancel():  # it may not have begun, since others keep the threads
            future.result()
    if failed:
        raise failed[0]
    return [results[number] for number in range(len(items))]
