"""The application: its routes, what requests pass before them, and how errors are answered. Begin reading here."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import lookalike
from lookalike.collection.collection import Collection
from lookalike.errors import LookalikeError
from lookalike.server import about, copies, descriptions, embeddings, images, page, problems, searches, writing
from lookalike.server.access import Names, authorized
from lookalike.server.middleware import BoundedBodies, Counted, Guard, HeadAsGet, SafeHeaders
from lookalike.server.problems import ProblemError
from lookalike.server.service import Service
from lookalike.server.settings import Settings

_DESCRIPTION = """Finds the images of a collection that look like another one.

A score is the cosine similarity of two images' vectors, in [-1, 1]. Errors are problem details (RFC 9457), whose
`hints` say what to do. If the service has a token, send it as `Authorization: Bearer TOKEN`.
"""


_PROXY_HEADERS: Any = ProxyHeadersMiddleware  # which has its own name for the type of applications
_HERE = ("127.0.0.0/8", "::1")  # a proxy on this machine; nobody else connects from there
# Newer versions of FastAPI hand traces to exporters that the environment may set up; nothing is to leave unasked.
_NO_TELEMETRY: Any = dict.fromkeys(("tracing", "metrics", "logs", "operation_spans", "auto_configure"), False)


def create_app(
    collection: Collection, settings: Settings | None = None, *, reopen: Callable[[], Collection] | None = None
) -> FastAPI:
    """Makes the application that serves a collection, for any server that speaks ASGI.

    Args:
        collection: an open collection, which is closed when the application stops.
        settings: its settings; `host` and `port` count where another server runs it, too, as names of the service.
        reopen: opens the collection again after it has been indexed with another model; by default with the same
        options.
    """
    service = Service(collection, settings or Settings(), reopen)
    limits = service.settings.limits
    app = FastAPI(
        title="Lookalike",
        description=_DESCRIPTION,
        version=lookalike.__version__,
        docs_url=None,  # its page loads scripts from another host
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        lifespan=_lifespan,
        middleware=[
            Middleware(_PROXY_HEADERS, trusted_hosts=[*_HERE, *service.settings.proxies]),
            Middleware(HeadAsGet),
            Middleware(SafeHeaders),
            Middleware(Counted, metrics=service.metrics),
            Middleware(Guard, names=Names.of(service.settings), deadline_s=limits.deadline_s),
            Middleware(BoundedBodies, limits=limits),
        ],
        exception_handlers={
            ProblemError: problems.answer_problem,
            LookalikeError: problems.answer_error,
            RequestValidationError: _answer_invalid,
            HTTPException: _answer_http,
            MemoryError: problems.answer_memory,
            ClientDisconnect: problems.answer_disconnected,
        },
    )
    app.state.service = service
    app.include_router(about.public)
    app.include_router(page.router)
    for router in (about.router, searches.router, images.router, copies.router, embeddings.router):
        app.include_router(router, dependencies=[Depends(authorized)])
    if service.settings.writable:
        for router in (writing.router, copies.decisions):
            app.include_router(router, dependencies=[Depends(authorized)])
    _describe(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    tasks = [asyncio.create_task(service.warm_up())]
    if service.settings.writable:
        tasks.append(asyncio.create_task(service.upkeep.run()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        service.close()
        service.live.collection.close()


def _describe(app: FastAPI) -> None:
    """Has the description of the API name the bodies that routes read by themselves."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        return app.openapi_schema if app.openapi_schema else descriptions.with_schemas(make())

    app.openapi = openapi  # type: ignore[method-assign]


async def _answer_invalid(_: Request, error: Exception) -> Response:
    """Answers a request whose address has wrong parameters; nothing that was sent is repeated."""
    assert isinstance(error, RequestValidationError)
    told = [f"{'.'.join(map(str, each['loc'][1:]))[:200]}: {each['msg']}" for each in error.errors()[:5]]
    return problems.invalid("; ".join(told)).response()


async def _answer_http(request: Request, error: Exception) -> Response:
    """Answers what the framework refuses: an address that there is nothing at, or a method that it does not take."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problems.not_found().response()
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed(request))
    return ProblemError(
        error.status_code, error.detail, f"{request.method}: {error.detail}", headers=headers
    ).response()


def _allowed(request: Request) -> list[str]:
    """The methods that an address takes; the framework names those of one route only."""
    scopes = {method: {**request.scope, "method": method} for method in ("GET", "POST", "PUT", "DELETE")}
    routes = request.app.router.routes
    found = [name for name, scope in scopes.items() if any(each.matches(scope)[0] is Match.FULL for each in routes)]
    return [*found, "HEAD"] if "GET" in found else found
