"""Compares pairs of kept pictures, in several processes if there are many.

NumPy's many small steps hold Python's lock, so that threads hardly help: two take as long as one.
"""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from lookalike.copies import thumbnails
from lookalike.copies.changes import Changes
from lookalike.copies.verification import Comparison, PreparedPicture, compare, prepare
from lookalike.duplicates.ordering import Pair
from lookalike.errors import ImageError
from lookalike.images import revisions
from lookalike.storage.kept_pictures import KeptPictures
from lookalike.system import resources, worker
from lookalike.system.blas import one_thread

# Of pictures and comparisons: another one makes what is kept worthless, and so do other decoders.
REVISION = 1000 * 3 + revisions.CURRENT
_LEAST_AREA = 1e-4  # of a picture in another one
_CHANGES = 50_000  # that are kept read, some 0.4 kB each
_PREPARED = 1000  # pictures that are kept ready for comparison in each process, some 0.3 MB each
_AT_ONCE = 8000  # pairs that a process gets at a time, which take half a minute; with 4000, more is prepared again
_FEW = 300  # pairs for which no process is started
_LOOK_S = 0.2  # between two looks at how far the processes are

Scored: TypeAlias = tuple[int, int, float, str | None]
"""The numbers of two pictures, their score, and what was done to the second to make the first."""


@dataclass(frozen=True)
class _Task:
    path: Path
    pairs: Sequence[Pair]


def compare_pairs(
    kept: KeptPictures, pairs: Sequence[Pair], *, processes: int, progress: Callable[[int], None]
) -> None:
    """Compares pairs of pictures and keeps what is found, part by part.

    Args:
        kept: the pictures; those that could not be made are different from all others.
        pairs: their numbers; pairs of the same pictures are best close to one another.
        processes: how many compare at the same time.
        progress: is called with the number of pairs that are done.
    """
    if len(pairs) <= _FEW:
        kept.keep_scores(_compared(kept, pairs, progress))
        return
    size = min(_AT_ONCE, -(-len(pairs) // processes))
    tasks = [_Task(kept.path, pairs[start : start + size]) for start in range(0, len(pairs), size)]
    for scored in _in_processes(tasks, processes, progress):
        kept.keep_scores(scored)


@lru_cache(_CHANGES)
def changes_of(text: str) -> Changes | None:
    """What was found, from its kept form; None if it is not what Lookalike writes."""
    try:
        found = Changes(**json.loads(text))
        found.in_words()
        is_size = isinstance(found.area, float) and _LEAST_AREA < found.area < 1 / _LEAST_AREA
    except (ValueError, TypeError, KeyError):
        return None
    return found if is_size and isinstance(found.only_margin, bool) else None


def scored(first: int, second: int, found: Comparison | None) -> Scored:
    """What is kept of a comparison: the smaller number first."""
    changes = found and found.changes
    if first > second:
        first, second, changes = second, first, changes and changes.swapped()
    return first, second, found.score if found else 0.0, json.dumps(asdict(changes)) if changes else None


def _in_processes(tasks: list[_Task], processes: int, progress: Callable[[int], None]) -> Iterator[list[Scored]]:
    """The results of the tasks as they come; if something is raised, no process is left behind."""
    counts, stopped = [0] * len(tasks), threading.Event()

    def run(number: int, task: _Task) -> list[Scored]:
        def done(count: int) -> None:
            if stopped.is_set():
                raise _StoppedError
            counts[number] = count

        return worker.run(_work, task, name="comparing pictures", progress=done)

    with ThreadPoolExecutor(processes, "lookalike-comparing") as pool:
        waiting: set[Future[list[Scored]]] = {pool.submit(run, *each) for each in enumerate(tasks)}
        try:
            while waiting:
                finished, waiting = wait(waiting, _LOOK_S, FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
                progress(sum(counts))
        finally:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)


class _StoppedError(Exception):
    """Ends a process that is no longer waited for."""


def _work(task: _Task, progress: Callable[[int], None]) -> list[Scored]:
    """What a process does."""
    resources.keep_freed_memory()
    with closing(KeptPictures(task.path, REVISION)) as kept:
        return list(_compared(kept, task.pairs, progress))


def _compared(kept: KeptPictures, pairs: Sequence[Pair], progress: Callable[[int], None]) -> Iterator[Scored]:
    picture = lru_cache(_PREPARED)(lambda number: _prepared(kept, number))
    with one_thread():
        for done, (first, second) in enumerate(pairs, 1):
            one, other = picture(first), picture(second)
            yield scored(first, second, compare(one, other) if one and other else None)
            if done % 50 == 0 or done == len(pairs):
                progress(done)


def _prepared(kept: KeptPictures, number: int) -> PreparedPicture | None:
    packed = kept.packed(number)
    try:
        return None if packed is None else prepare(thumbnails.unpack(packed))
    except ImageError:  # damaged since it was made
        return None
