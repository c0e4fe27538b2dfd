"""The routes that tell what the service has, whether it works and what it has counted; and the session of a page."""

from fastapi import APIRouter, Request
from starlette.responses import Response

import lookalike
from lookalike.collection.collection import Collection
from lookalike.collection.info import Info
from lookalike.errors import LookalikeError
from lookalike.server import bodies, descriptions, metrics
from lookalike.server.access import COOKIE, SESSION_S
from lookalike.server.answers import answer
from lookalike.server.problems import ProblemError
from lookalike.server.requests import read_json
from lookalike.server.service import Service, TheService
from lookalike.server.thumbnails import SIDES

public = APIRouter(tags=["about"])
router = APIRouter(tags=["about"])


@public.get("/health", summary="Whether it runs", responses=descriptions.answers(None))
async def health() -> Response:
    """Answers as long as the service runs, whatever the state of the collection."""
    return answer({"status": "ok"})


@public.get("/ready", summary="Whether it can answer", responses=descriptions.answers(None, 503))
async def ready(service: TheService) -> Response:
    """Answers 200 as soon as the collection and its model are loaded, and as long as the collection can be read."""
    try:
        await service.read(lambda collection: collection.revision())
    except LookalikeError:
        return answer({"status": "the collection cannot be read"}, 503)
    if not service.is_warm:
        return answer({"status": "the model is being loaded"}, 503, {"Retry-After": "1"})
    return answer({"status": "ready"})


@public.post(
    "/v1/session",
    summary="Exchange the token for a cookie",
    status_code=204,
    response_class=Response,
    responses=descriptions.answers(None, 415, 422),
    openapi_extra=descriptions.json_body(bodies.Session),
)
async def begin_session(request: Request, service: TheService) -> Response:
    """Gives a page a cookie for the token, since images in a page send no header. Scripts cannot read the cookie."""
    given = await read_json(request, bodies.Session)
    response = Response(status_code=204, headers={"Cache-Control": "no-store"})
    if not service.token.is_needed:
        return response
    if not service.token.is_right(given.token):
        raise ProblemError(
            401, "The token is wrong", "the token is not this service's", kind="urn:lookalike:unauthorized"
        )
    secure = request.scope["scheme"] == "https"
    response.set_cookie(COOKIE, service.token.new_session(), SESSION_S, httponly=True, samesite="strict", secure=secure)
    return response


@public.delete(
    "/v1/session",
    summary="End the session",
    status_code=204,
    response_class=Response,
    responses=descriptions.answers(None),
)
async def end_session() -> Response:
    """Takes the cookie back."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@router.get("/v1/info", summary="What it serves", responses=descriptions.answers(None, 503))
async def info(service: TheService) -> Response:
    """What the collection is and holds, and what may be asked for."""

    def work(collection: Collection) -> tuple[Info, dict[str, object]]:
        names, takes_text = collection.attribute_names(), collection.takes_text
        return collection.info(), {"revision": collection.revision(), "attributes": names, "takes_text": takes_text}

    found, more = await service.read(work)
    return answer(_about(service, found) | more)


@router.get(
    "/metrics",
    summary="Metrics",
    response_class=Response,
    responses={**descriptions.answers(None), 200: {"content": {"text/plain": {}}}},
)
async def prometheus(service: TheService) -> Response:
    """What the service has counted, for Prometheus."""
    found = await service.read(lambda collection: collection.info())
    return Response(service.metrics.text(found), media_type=metrics.CONTENT_TYPE)


def _about(service: Service, found: Info) -> dict[str, object]:
    limits, made_by, index = service.settings.limits, found.made_by, found.index
    return {
        "name": found.folder.name,
        "version": lookalike.__version__,
        "images": found.images,
        "missing": found.missing,
        "skipped": found.skipped,
        "model": {
            "name": made_by.model,
            "precision": made_by.precision,
            "dim": made_by.dim,
            "fingerprint": made_by.fingerprint,
        },
        "index": None
        if index is None
        else {
            "generation": found.generation,
            "spec": index.spec,
            "vectors": index.rows,
            "younger": found.young,
            "recall": index.reached_recall,
        },
        "regions": found.regions.per_image if found.regions else 0,
        "damage": found.damage,
        "writable": service.settings.writable,
        "limits": {
            "body_bytes": limits.body_bytes,
            "k": limits.k,
            "page": limits.page,
            "batch": limits.batch,
            "thumbnail_sizes": list(SIDES),
        },
    }
