"""Gathers what several threads ask of one processor into batches.

Each thread asks for a few pictures and waits. One thread, which nobody else shares the processor with, takes whatever
has come together meanwhile. While the processor works on one batch, the next is made ready for it.
"""

import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Embeddings = NDArray[np.float32]

Finish = Callable[[], Embeddings]
"""Waits until the processor is through with a batch, and gives its embeddings."""

Start = Callable[[Sequence[Pixels]], Finish]
"""Hands a batch, some arrays of pictures, to the processor. Either raises MemoryError where these are too many."""

_AT_ONCE = 2  # batches: one that is computed, one that is made ready
_LAST_SECONDS = 5.0  # that the end of the program waits for a batch that is still computed


class Batcher:
    """Computes embeddings in one thread, which ends when this is no longer used."""

    def __init__(self, start: Start, *, limit: int) -> None:
        """`limit` is how many pictures make a batch at most. `start` must not refer to this batcher."""
        self._queue = _Queue(limit)
        worker = threading.Thread(target=_Worker(self._queue, start).run, name="lookalike-encode", daemon=True)
        worker.start()
        weakref.finalize(self, _stop, self._queue, worker)

    @property
    def limit(self) -> int:
        """How many pictures make a batch at most; it falls where the processor's memory is too small for that."""
        return self._queue.limit

    def encode(self, pixels: Pixels) -> Embeddings:
        """Embeddings, float32 (n, dim), of one or more pictures, in order. Any number of threads may ask at once.

        Raises:
            MemoryError: the processor cannot compute even one picture.
            Exception: whatever else comes of computing them.
        """
        limit = self.limit
        parts = [_Part(pixels[first : first + limit]) for first in range(0, len(pixels), limit)]
        self._queue.put(parts)
        return np.concatenate([part.embeddings.result() for part in parts])


@dataclass(frozen=True)
class _Part:
    """Pictures of one thread, which stay together in a batch."""

    pixels: Pixels
    embeddings: Future[Embeddings] = field(default_factory=Future)


@dataclass
class _Queue:
    """What waits for the processor. `limit` is lowered by the worker alone."""

    limit: int
    _parts: deque[_Part] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stopped: bool = False

    def put(self, parts: Sequence[_Part]) -> None:
        with self._changed:
            self._parts.extend(parts)
            self._changed.notify()

    def stop(self) -> None:
        """Has `take` give None once nothing waits any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def take(self, *, wait: bool) -> list[_Part] | None:
        """What makes up the next batch; nothing if nothing is there, unless it should wait for something."""
        with self._changed:
            while wait and not self._parts and not self._stopped:
                self._changed.wait()
            if not self._parts:
                return None if self._stopped else []
            batch, count = [self._parts.popleft()], 0
            count = len(batch[0].pixels)
            while self._parts and count + len(self._parts[0].pixels) <= self.limit:
                batch.append(self._parts.popleft())
                count += len(batch[-1].pixels)
            return batch


def _stop(queue: _Queue, worker: threading.Thread) -> None:
    queue.stop()
    if worker is not threading.current_thread():  # which may be the one that collects garbage
        worker.join(_LAST_SECONDS)


class _Worker:
    """What the thread does."""

    def __init__(self, queue: _Queue, start: Start) -> None:
        self._queue, self._start = queue, start
        self._started: deque[tuple[list[_Part], Finish]] = deque()

    def run(self) -> None:
        while (batch := self._queue.take(wait=not self._started)) is not None or self._started:
            if batch:
                self._begin(batch)
            if self._started and (not batch or len(self._started) == _AT_ONCE):
                self._finish(*self._started.popleft())
            batch = None  # or its pictures stay in memory until the next ones come

    def _begin(self, batch: list[_Part]) -> None:
        if _count(batch) > self._queue.limit:  # which was lowered after it had been put together
            self._in_pieces(batch)
            return
        try:
            finish = self._start([part.pixels for part in batch])
        except MemoryError:
            self._too_large(batch)
        except BaseException as error:
            _fail(batch, error)
        else:
            self._started.append((batch, finish))

    def _finish(self, batch: list[_Part], finish: Finish) -> None:
        try:
            embeddings = finish()
        except MemoryError:
            self._too_large(batch)
        except BaseException as error:
            _fail(batch, error)
        else:
            _deliver(batch, embeddings)

    def _too_large(self, batch: list[_Part]) -> None:
        """Takes half as many from now on."""
        self._queue.limit = max(1, min(self._queue.limit, _count(batch) // 2))
        self._in_pieces(batch)

    def _in_pieces(self, batch: list[_Part]) -> None:
        """Computes a batch alone, and no more at once than there may be, which is halved until it can be done."""
        while self._started:
            self._finish(*self._started.popleft())
        try:
            _deliver(batch, self._embeddings(np.concatenate([part.pixels for part in batch])))
        except BaseException as error:
            _fail(batch, error)

    def _embeddings(self, pixels: Pixels) -> Embeddings:
        done: list[Embeddings] = []
        while (first := sum(map(len, done))) < len(pixels):
            limit = self._queue.limit
            try:
                done.append(self._start([pixels[first : first + limit]])())
            except MemoryError:
                if limit == 1:
                    raise
                self._queue.limit = limit // 2
        return np.concatenate(done)


def _count(batch: Sequence[_Part]) -> int:
    return sum(len(part.pixels) for part in batch)


def _deliver(batch: Sequence[_Part], embeddings: Embeddings) -> None:
    first = 0
    for part in batch:
        part.embeddings.set_result(embeddings[first : first + len(part.pixels)])
        first += len(part.pixels)


def _fail(batch: Sequence[_Part], error: BaseException) -> None:
    for part in batch:
        part.embeddings.set_exception(error)
