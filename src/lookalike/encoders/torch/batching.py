"""Gathers the images of several threads into batches for one device.

Each thread passes a few images and waits for their embeddings. A worker thread, the only one to use the device, takes
what has arrived meanwhile. While the device computes one batch, the next one is prepared.
"""

import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.system import forks

Pixels = NDArray[np.uint8]
Embeddings = NDArray[np.float32]

Finish = Callable[[], Embeddings]
"""Waits until the device has computed a batch, and returns its embeddings."""

Start = Callable[[Sequence[Pixels]], Finish]
"""Starts to compute a batch, given as arrays of images. It, or the Finish, raises MemoryError if they are too many."""

_BATCHES_IN_FLIGHT = 2  # one that is computed, and one that is prepared
_SHUTDOWN_SECONDS = 5.0  # the longest time that the end of the program waits for the last batches


class Batcher:
    """Computes embeddings in a worker thread, which ends when the batcher is garbage-collected."""

    def __init__(self, start: Start, *, limit: int) -> None:
        """Starts the worker thread.

        Args:
            start: computes a batch. It must not refer to this batcher, which would then never be collected.
            limit: the largest number of images in a batch.
        """
        self._queue = _Queue(limit)
        worker = threading.Thread(target=_Worker(self._queue, start).run, name="lookalike-encode", daemon=True)
        worker.start()
        self._end = weakref.finalize(self, _stop, self._queue, worker)
        forks.watch(self)

    def after_fork(self) -> None:
        """Gives up in a forked child: the worker thread is in the parent only, and so is the use of a GPU."""
        forks.keep_forever(self._end.detach())

    @property
    def limit(self) -> int:
        """The largest number of images in a batch; it is lowered if the device's memory is too small."""
        return self._queue.limit

    def encode(self, pixels: Pixels) -> Embeddings:
        """Returns embeddings, float32 (n, dim), of one or more images. Any number of threads may call it at once.

        Raises:
            UsageError: this process was forked from the one that made the batcher.
            MemoryError: the device's memory is too small even for one image.
            Exception: whatever else was raised while computing them.
        """
        if not self._end.alive:
            raise UsageError("this encoder was loaded in another process; load it, or open the collection, in each one")
        limit = self.limit
        parts = [_Part(pixels[first : first + limit]) for first in range(0, len(pixels), limit)]
        self._queue.put(parts)
        return np.concatenate([part.embeddings.result() for part in parts])


@dataclass(frozen=True)
class _Part:
    """Images of one thread, which are never split over batches."""

    pixels: Pixels
    embeddings: Future[Embeddings] = field(default_factory=Future)


@dataclass
class _Queue:
    """The images that wait for the device. Only the worker lowers `limit`, the largest number in a batch."""

    limit: int
    _parts: deque[_Part] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stopped: bool = False

    def put(self, parts: Sequence[_Part]) -> None:
        with self._changed:
            self._parts.extend(parts)
            self._changed.notify()

    def stop(self) -> None:
        """Makes `take` return None as soon as the queue is empty."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def take(self, *, wait: bool) -> list[_Part] | None:
        """Returns the next batch. If the queue is empty, it waits for one, or returns an empty one unless `wait`."""
        with self._changed:
            while wait and not self._parts and not self._stopped:
                self._changed.wait()
            if not self._parts:
                return None if self._stopped else []
            batch = [self._parts.popleft()]
            count = len(batch[0].pixels)
            while self._parts and count + len(self._parts[0].pixels) <= self.limit:
                batch.append(self._parts.popleft())
                count += len(batch[-1].pixels)
            return batch


def _stop(queue: _Queue, worker: threading.Thread) -> None:
    queue.stop()
    if worker is not threading.current_thread():  # garbage collection may run in the worker
        worker.join(_SHUTDOWN_SECONDS)


class _Worker:
    """Takes batches from the queue, starts them, and delivers their embeddings."""

    def __init__(self, queue: _Queue, start: Start) -> None:
        self._queue, self._start = queue, start
        self._started: deque[tuple[list[_Part], Finish]] = deque()

    def run(self) -> None:
        while (batch := self._queue.take(wait=not self._started)) is not None or self._started:
            if batch:
                self._begin(batch)
            if self._started and (not batch or len(self._started) == _BATCHES_IN_FLIGHT):
                self._finish(*self._started.popleft())
            batch = None  # otherwise its images stay in memory until the next batch

    def _begin(self, batch: list[_Part]) -> None:
        if _count(batch) > self._queue.limit:  # the limit was lowered after this batch was taken
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
        """Halves the limit, and computes the batch within it."""
        self._queue.limit = max(1, min(self._queue.limit, _count(batch) // 2))
        self._in_pieces(batch)

    def _in_pieces(self, batch: list[_Part]) -> None:
        """Computes a batch on its own, in pieces within the limit, which is halved until a piece fits into memory."""
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
