"""The collection that the service has open, which is replaced when its images are indexed again with another model.

New images, removed ones and a new index need nothing: an open collection always answers by the newest commit. Another
model means another encoder and other vectors, so the collection is opened again, and the request that noticed is done
again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from lookalike.collection.collection import Collection
from lookalike.errors import IncompatibleError, LookalikeError

_Result = TypeVar("_Result")
_ATTEMPTS = 5  # of one request, each with a collection that was opened again meanwhile


class LiveCollection:
    """A collection that stays current."""

    def __init__(self, collection: Collection, reopen: Callable[[], Collection]) -> None:
        """`reopen` opens the collection again as it is then."""
        self._collection, self._lock = collection, asyncio.Lock()
        self._reopen = reopen

    @property
    def collection(self) -> Collection:
        """The collection as it was opened last."""
        return self._collection

    async def use(self, work: Callable[[Collection], Awaitable[_Result]]) -> _Result:
        """Awaits a piece of work with the collection, again if that has been replaced meanwhile.

        Raises:
            LookalikeError: as the work does.
        """
        for _ in range(_ATTEMPTS - 1):
            collection = self._collection
            try:
                return await work(collection)
            except LookalikeError as error:
                if not await self._is_replaced(collection, error):
                    raise
        return await work(self._collection)

    async def _is_replaced(self, collection: Collection, error: LookalikeError) -> bool:
        """Whether an error came of a collection that is not current any more; then the current one is open now."""
        async with self._lock:
            if self._collection is not collection:
                return True
            if await asyncio.to_thread(collection.is_current):
                return False
            try:
                # The old one is not closed: other requests may be using it. It is when the last of them has ended.
                self._collection = await asyncio.to_thread(self._reopen)
            except LookalikeError as reason:
                raise reason from error
            return True


def check_current(collection: Collection) -> None:
    """Makes sure that what an encoder has just made belongs to the collection as it is now.

    Raises:
        IncompatibleError: the collection has been indexed again with another model.
    """
    if not collection.is_current():
        raise IncompatibleError(f"{collection.directory}: it has been indexed again; open it again")
