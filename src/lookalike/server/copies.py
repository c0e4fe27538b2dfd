"""The routes for copies: which images are copies of one another, as it is known, and what a person decides on them."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from lookalike.collection.collection import Collection
from lookalike.display.text import without_surrogates
from lookalike.duplicates.marks import Decision
from lookalike.duplicates.names import Grade
from lookalike.duplicates.results import CopyGroup, Duplicates
from lookalike.server import copy_bodies, descriptions
from lookalike.server.answers import Groups, answer, image_members
from lookalike.server.requests import read_json
from lookalike.server.service import TheService

router = APIRouter(prefix="/v1/duplicates", tags=["copies"])
decisions = APIRouter(prefix="/v1/duplicates", tags=["copies"])

_Decisions = dict[int, Decision]


@router.get("", summary="List copies", responses=descriptions.answers(copy_bodies.GroupPage, 422, 503))
async def groups(
    service: TheService,
    grade: Annotated[Grade, Query(description="The loosest grade that counts.")] = "edited copy",
    offset: Annotated[int, Query(ge=0, description="The number of groups that are left out at the beginning.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500, description="The most groups of the page.")] = 50,
) -> Response:
    """Lists groups of images that are copies of one another, the largest first, with the one to keep in each.

    Nothing is compared: it is what `lookalike duplicates` has found. `pending` images have come since.
    """

    def known(collection: Collection) -> tuple[Duplicates, _Decisions, Groups]:
        return service.copies.of(collection, grade), collection.copy_marks(), service.groups.of(collection)

    found, decided, folds = await service.read(known)
    shown = found.groups[offset : offset + limit]
    return answer(
        {
            "groups": [_group(each, decided, folds) for each in shown],
            "total": len(found.groups),
            "copies": found.copies,
            "images": found.images,
            "pending": found.pending,
            "marked": sum(decision == "marked" for decision in decided.values()),
            "writable": service.settings.writable,
        }
    )


@decisions.post(
    "/decisions",
    summary="Decide on copies",
    status_code=204,
    response_class=Response,
    responses=descriptions.answers(None, 404, 415, 422, 503),
    openapi_extra=descriptions.json_body(copy_bodies.Deciding),
)
async def decide(request: Request, service: TheService) -> Response:
    """Marks images as copies to be acted upon, or to be kept, or takes that back. No file is touched.

    `lookalike duplicates --apply` then acts on those that are marked.
    """
    given = await read_json(request, copy_bodies.Deciding)

    def work(collection: Collection) -> None:
        if given.decision == "marked":
            collection.mark_copies(given.ids)
        elif given.decision == "kept":
            collection.keep_copies(given.ids)
        else:
            collection.unmark_copies(given.ids)

    await service.live.use(lambda collection: service.writing.run(lambda: work(collection)))
    return Response(status_code=204)


def _group(group: CopyGroup, decided: _Decisions, folds: Groups) -> dict[str, Any]:
    def members(image: Any) -> dict[str, Any]:
        return {**image_members(image, folds), "decision": decided.get(image.id)}

    return {
        "keep": members(group.keep),
        "why": group.why,
        "copies": [
            {
                **members(copy.image),
                "grade": copy.grade,
                "agreement": copy.score,
                "probability": copy.probability,
                "reason": without_surrogates(copy.reason),
            }
            for copy in group.copies
        ],
    }
