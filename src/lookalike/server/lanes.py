"""Lanes: pools of threads, each for one kind of work, that refuse what they could not begin soon.

Encoding an image takes a core for tens of milliseconds, a search by id a few; each has a lane of its own, so that
uploads never keep the others waiting. In a lane, a few requests work and a bounded number wait for a bounded time;
whoever comes beyond that is told to come back, which costs next to nothing.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from lookalike.server.problems import busy

_Result = TypeVar("_Result")


class Lane:
    """Runs functions on threads, some at once.

    Attributes:
        name: what it is for, as the metrics call it.
        running: the number of functions that run.
        waiting: the number of requests that wait.
        refused: the number of requests that were refused since the start.
    """

    def __init__(self, name: str, *, at_once: int, waiting: int, patience_s: float) -> None:
        """`at_once` functions run at a time, and at most `waiting` requests wait, none longer than `patience_s`."""
        self.name, self.running, self.waiting, self.refused = name, 0, 0, 0
        self._most_waiting, self._patience_s = waiting, patience_s
        self._places = asyncio.Semaphore(at_once)  # which lets those in first who came first
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=f"lookalike-{name}")

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Waits for a place and runs a function on a thread.

        A request that is given up keeps its place until its function has returned, which nothing can stop.

        Raises:
            ProblemError: 503, there is too much to do.
        """
        await self._take_place()
        loop = asyncio.get_running_loop()
        self.running += 1
        answer: asyncio.Future[_Result] = loop.create_future()

        def tell(done: Future[_Result]) -> None:
            with suppress(RuntimeError):  # the loop is closed: the service has stopped
                loop.call_soon_threadsafe(self._leave, done, answer)

        self._threads.submit(work).add_done_callback(tell)
        return await answer

    def refuse_if_full(self) -> None:
        """Refuses a request that would have to wait behind too many others, before its body is read.

        Raises:
            ProblemError: 503, there is too much to do.
        """
        if self._places.locked() and self.waiting >= self._most_waiting:
            self.refused += 1
            raise busy(f"{self.waiting} requests wait for {self.name} already; try again in a moment")

    def close(self) -> None:
        """Runs nothing more; what has begun is finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _take_place(self) -> None:
        self.refuse_if_full()
        self.waiting += 1
        try:
            async with asyncio.timeout(self._patience_s):
                await self._places.acquire()
        except TimeoutError:
            self.refused += 1
            raise busy(f"{self.name} did not begin within {self._patience_s:g} s; try again in a moment") from None
        finally:
            self.waiting -= 1

    def _leave(self, done: Future[_Result], answer: "asyncio.Future[_Result]") -> None:
        """Frees the place, and answers, both at once: to wake the loop takes as long as many a search."""
        self.running -= 1
        self._places.release()
        if answer.cancelled():
            return
        if done.cancelled():
            answer.cancel()
        elif error := done.exception():
            answer.set_exception(error)
        else:
            answer.set_result(done.result())
