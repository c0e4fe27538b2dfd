"""Does the work of all shards on the cores of this machine: one pool of threads for the whole process."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TypeVar

from lookalike.storage.vectors import faiss_threads, use_one_faiss_thread
from lookalike.system.threads import Threads

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_threads = Threads("lookalike-shards", begin=use_one_faiss_thread)


def each(work: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """The results of a piece of work for each item; see `Threads.each`. FAISS uses one thread for each of several."""
    with faiss_threads(1) if len(items) > 1 else nullcontext():
        return _threads.each(work, items)
