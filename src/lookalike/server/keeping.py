"""What the service keeps in memory for a while: counts of facets, copies, and files that are being sent."""

import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from lookalike.collection.browsing import Facets
from lookalike.collection.collection import Collection
from lookalike.duplicates.names import GRADES, Grade
from lookalike.duplicates.results import Duplicates
from lookalike.filters import Where
from lookalike.server.problems import busy

FACETS = 20  # the most frequent values of each facet, if no other number is asked for
_KEPT = 64  # filters whose counts are kept
_REST = 20  # times as long as reading the groups of copies took, they are not read again
_PIECE = 2**18  # bytes that are sent at once


class FacetCache:
    """The facets of filters, as long as the collection does not change. Threads may share it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, Where | None, int], Facets] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, collection: Collection, where: Where | None, *, most: int = FACETS) -> Facets:
        """The facets of a filter; raises UsageError for an attribute that no image has."""
        key = (f"{collection.made_by.fingerprint} {collection.revision()}", where, most)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = collection.facets(where, most=most)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made


class CopiesCache:
    """The copies that are known, as long as neither the collection nor what was compared changes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, Grade], Duplicates] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, collection: Collection, grade: Grade) -> Duplicates:
        """The copies of at least a grade; whoever asks first waits until they are grouped."""
        key = f"{collection.made_by.fingerprint} {collection.revision()} {collection.copies_revision()}", grade
        with self._lock:
            if key not in self._kept:
                self._kept[key] = collection.duplicates(grade=grade, processes=0)
                while len(self._kept) > len(GRADES):
                    self._kept.popitem(last=False)
            return self._kept[key]


class CopyGroupsCache:
    """The groups of copies that searches are told of. Threads may share it.

    While another process looks for copies, what is known of them changes many times a second. Then the groups are those
    of some moments ago, so that reading them takes a twentieth of the time at most.
    """

    def __init__(self) -> None:
        self._groups: Mapping[bytes, bytes] = {}
        self._revision, self._due_s = "", 0.0
        self._lock = threading.Lock()

    def of(self, collection: Collection) -> Mapping[bytes, bytes]:
        """The centre of the group of each image that is in one, both by the SHA-256s of their files."""
        revision = collection.copies_revision()
        if revision == self._revision or time.monotonic() < self._due_s:
            return self._groups
        if self._lock.acquire(blocking=not self._revision):
            try:
                begun = time.monotonic()
                self._groups, self._revision = collection.copy_groups(), revision
                self._due_s = time.monotonic() + _REST * (time.monotonic() - begun)
            finally:
                self._lock.release()
        return self._groups


class Files:
    """The files that are being sent, whose bytes stay in memory until the client has taken them."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self.held = most_bytes, 0

    def response(self, data: bytes, part: range | None, headers: dict[str, str], media_type: str) -> "FileResponse":
        """The answer that sends a file, or a part of it, a piece at a time, as fast as the client takes it.

        Raises:
            ProblemError: 503, other files take all memory that there is for them.
        """
        if self.held and self.held + len(data) > self._most_bytes:
            raise busy(
                "the files that others are getting take all memory that there is for them; try again in a moment"
            )
        return FileResponse(self, data, part, headers, media_type)


class FileResponse(StreamingResponse):
    """Sends the bytes of a file, or a part of them."""

    def __init__(self, files: Files, data: bytes, part: range | None, headers: dict[str, str], media_type: str) -> None:
        self._files, self._size = files, len(data)
        sent = range(len(data)) if part is None else part
        headers = {**headers, "Content-Length": str(len(sent))}
        if part is not None:
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(data)}"
        super().__init__(_pieces(data, sent), 200 if part is None else 206, headers, media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._files.held += self._size
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._files.held -= self._size


async def _pieces(data: bytes, part: range) -> AsyncIterator[bytes]:
    for start in range(part.start, part.stop, _PIECE):
        yield data[start : min(start + _PIECE, part.stop)]
