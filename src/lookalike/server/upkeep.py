"""Keeps the index current after uploads and deletions, as `lookalike index` does by itself.

New images are found without it: they are compared one by one. When there are many of them, an index that has taken them
in is faster. It is built in a process of its own, with the lowest priority, once no client has written for a while.
Searches go on meanwhile, by the index that there was; whoever wants to write is told to come back.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from lookalike.collection.collection import Collection
from lookalike.errors import LockedError, LookalikeError
from lookalike.server.lanes import Lane
from lookalike.server.live import LiveCollection

_log = logging.getLogger(__name__)

_LATEST_S = 600  # after the first write, even if clients never pause


class Upkeep:
    """Waits for a pause after writes, and then does what is due."""

    def __init__(self, live: LiveCollection, lane: Lane, quiet_s: float) -> None:
        """`quiet_s` is the length of the pause in seconds."""
        self._live, self._lane, self._quiet_s = live, lane, quiet_s
        self._stopped = threading.Event()
        self._written = asyncio.Event()
        self._first_s = self._last_s = 0.0

    def note_write(self) -> None:
        """Notes that a client has added or deleted an image."""
        self._last_s = time.monotonic()
        if not self._written.is_set():
            self._first_s = self._last_s
            self._written.set()

    async def run(self) -> None:
        """Does what is due now, and after writes, until it is cancelled."""
        while True:
            if await self._do_what_is_due():
                await self._written.wait()
            else:
                self.note_write()  # another process is writing: it is tried again
            await self._pause()
            self._written.clear()

    def stop(self) -> None:
        """Ends a build that is under way: nothing of it is left."""
        self._stopped.set()

    async def _pause(self) -> None:
        while (left_s := min(self._last_s + self._quiet_s, self._first_s + _LATEST_S) - time.monotonic()) > 0:
            await asyncio.sleep(left_s)

    async def _do_what_is_due(self) -> bool:
        """Whether nothing is left to do."""
        try:
            await self._live.use(lambda collection: self._lane.run(self._work(collection)))
        except LockedError:
            return False
        except LookalikeError as error:  # it is not tried again before something is written
            if not self._stopped.is_set():
                _log.error("the index cannot be kept current: %s", error)
        return True

    def _work(self, collection: Collection) -> Callable[[], None]:
        def work() -> None:
            if collection.needs_maintenance():
                collection.maintain_apart(self._stopped)

        return work
