"""One running service: its settings, the collection, the lanes, the token, the thumbnails and the metrics."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Annotated, TypeVar, cast

from fastapi import Depends
from starlette.requests import Request

from lookalike.collection.collection import Collection
from lookalike.errors import LookalikeError
from lookalike.server.access import Token
from lookalike.server.keeping import CopiesCache, CopyGroupsCache, FacetCache, Files
from lookalike.server.lanes import Lane
from lookalike.server.live import LiveCollection
from lookalike.server.metrics import Metrics, Steps
from lookalike.server.settings import Settings
from lookalike.server.thumbnails import ThumbnailCache
from lookalike.server.upkeep import Upkeep

_Result = TypeVar("_Result")
_WRITES_WAITING = 16  # uploads and deletions that wait for the one that is under way


class Service:
    """What the routes work with.

    Attributes:
        settings: the settings.
        live: the collection.
        token: who may use it.
        encoding: the lane of images and texts that are encoded.
        searching: the lane of everything else that reads the collection.
        drawing: the lane of thumbnails and files.
        writing: the lane of uploads and deletions, one at a time.
        thumbnails: those that have been drawn.
        facets: those that have been counted.
        copies: those that are known.
        groups: of these, which answers to searches tell of.
        upkeep: what keeps the index current.
        files: those that are being sent.
        metrics: what is counted.
        is_warm: whether the collection and its model have been loaded.
    """

    def __init__(
        self, collection: Collection, settings: Settings, reopen: Callable[[], Collection] | None = None
    ) -> None:
        limits = settings.limits

        def lane(name: str, at_once: int, waiting: int = limits.waiting) -> Lane:
            return Lane(name, at_once=at_once, waiting=waiting, patience_s=limits.patience_s)

        self.settings, self.token = settings, Token(settings.token)
        self._reopen = reopen
        self.live = LiveCollection(collection, self._reopened)
        self.encoding, self.searching = lane("encoding", limits.encoding), lane("searching", limits.searching)
        self.drawing, self.writing = lane("drawing", limits.drawing), lane("writing", 1, _WRITES_WAITING)
        self.thumbnails, self.facets = ThumbnailCache(limits.thumbnail_bytes), FacetCache()
        self.copies, self.groups = CopiesCache(), CopyGroupsCache()
        self.files = Files(limits.all_bodies_bytes)
        self._building = lane("building", 1)
        self.upkeep = Upkeep(self.live, self._building, limits.quiet_s)
        self.metrics = Metrics(self._lanes())
        self.is_warm = False

    def steps(self) -> Steps:
        """Measures the steps of a request."""
        return Steps(self.metrics)

    async def read(self, work: Callable[[Collection], _Result]) -> _Result:
        """Reads from the collection on the lane of searches."""
        return await self.live.use(lambda collection: self.searching.run(lambda: work(collection)))

    async def warm_up(self) -> None:
        """Loads what the first request would have to wait for; whatever is wrong is told to whom it concerns."""
        await asyncio.to_thread(self._warm_up, self.live.collection)
        self.is_warm = True

    def close(self) -> None:
        """Stops the lanes."""
        self.upkeep.stop()
        for lane in self._lanes():
            lane.close()

    def _warm_up(self, collection: Collection) -> None:
        with suppress(LookalikeError):  # a request that needs it will have the error
            collection.warm_up(threads=self.settings.limits.encoding)
            self.groups.of(collection)

    def _reopened(self) -> Collection:
        opened = self._reopen() if self._reopen else self.live.collection.reopen()
        self._warm_up(opened)
        return opened

    def _lanes(self) -> Iterable[Lane]:
        return self.encoding, self.searching, self.drawing, self.writing, self._building


async def the_service(request: Request) -> Service:
    """The dependency of the routes that work with the service."""
    return cast("Service", request.app.state.service)


TheService = Annotated[Service, Depends(the_service)]
