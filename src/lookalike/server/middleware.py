"""What every request passes before and after its route: names, the length of its body, its deadline, headers, counting.

These are plain ASGI applications around one another, so that they see a body as it arrives and cost little.
"""

import asyncio
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.server.access import Names
from lookalike.server.metrics import Metrics
from lookalike.server.problems import ProblemError, bad_head, busy, too_large, unexpected
from lookalike.server.settings import HEAD_BYTES, Limits

# https://www.w3.org/TR/CSP3/: nothing but the page's own modules, styles and images runs or is shown.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class HeadAsGet:
    """Answers HEAD as GET without the body, for every route (RFC 9110, section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, send_head)


class SafeHeaders:
    """Adds the headers that keep browsers from doing more with an answer than showing it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_safely)


class Counted:
    """Counts requests and their times by route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, begun = 499, time.perf_counter()

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if route != "none" else "any"
            self._metrics.count_request(route, method, status, time.perf_counter() - begun)


class Guard:
    """Refuses what is not plain HTTP, comes under a foreign name or from a foreign page, or takes longer than it may.

    Errors that nobody expects end here, too: they are logged, and the connection goes on.
    """

    def __init__(self, app: ASGIApp, names: Names, deadline_s: float) -> None:
        self._app, self._names, self._deadline_s = app, names, deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def note_begin(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            _check_head(scope)
            self._names.check(scope["method"], Headers(scope=scope))
            async with asyncio.timeout(self._deadline_s) as deadline:
                await self._app(scope, receive, note_begin)
        except ProblemError as refused:
            problem = refused
        except Exception as error:
            if has_begun:
                raise  # the connection is closed, so that nobody takes the answer for whole
            is_late = isinstance(error, TimeoutError) and deadline.expired()
            problem = busy(f"it took longer than {self._deadline_s:g} s; try again") if is_late else unexpected(error)
        else:
            return
        await problem.response()(scope, receive, send)


def _check_head(scope: Scope) -> None:
    """Refuses a head that is too long, or that two servers may understand in two ways.

    The parser limits only a head that arrives in parts. A proxy before this service may have gone by the other length,
    so that the rest of the body would be a request of the client's own making (RFC 9112, section 6.3).

    Raises:
        ProblemError: 431, or 400.
    """
    sizes = [len(name) + len(value) + 4 for name, value in scope["headers"]]
    if sum(sizes) + len(scope["raw_path"]) + len(scope["query_string"]) > HEAD_BYTES:
        raise bad_head(431, f"the address and the headers have more than {HEAD_BYTES // 2**10} kB; send fewer")
    names = {name for name, _ in scope["headers"]}
    if {b"content-length", b"transfer-encoding"} <= names:
        raise bad_head(400, "Content-Length and Transfer-Encoding: give one of the two")


class BoundedBodies:
    """Counts the bytes of bodies as they arrive, of one request and of all that are under way."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app, self._limits, self._held = app, limits, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size = 0

        async def receive_counted() -> Message:
            nonlocal size
            message = await receive()
            if message["type"] == "http.request":
                length = len(message.get("body", b""))
                size, self._held = size + length, self._held + length
                self._check(size)
            return message

        try:
            await self._app(scope, _checked_first(receive_counted, scope, self._check), send)
        finally:
            self._held -= size

    def _check(self, size: int) -> None:
        """Raises a ProblemError if the body of a request, or all of them, are too large."""
        if size > self._limits.body_bytes:
            raise too_large(self._limits.body_bytes)
        if self._held > self._limits.all_bodies_bytes:
            raise busy("the images of other requests take all memory that there is for them; try again in a moment")


def _checked_first(receive: Receive, scope: Scope, check: Callable[[int], None]) -> Receive:
    """Receives a body after its announced length has been checked, before a byte of it is asked for."""
    announced = Headers(scope=scope).get("content-length", "0")

    async def receive_checked() -> Message:
        check(int(announced) if announced.isascii() and announced.isdigit() else 0)
        return await receive()

    return receive_checked
