"""The routes that change the collection, which are there only if the service was started with `--writable`."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from lookalike.collection.collection import Collection
from lookalike.errors import ImageError
from lookalike.results import IndexedImage
from lookalike.server import answer_bodies, descriptions, problems
from lookalike.server.answers import Groups, answer, image_members
from lookalike.server.images import TheId
from lookalike.server.requests import is_raw_image, read_bytes, unsupported
from lookalike.server.service import TheService

router = APIRouter(prefix="/v1/images", tags=["writing"])


@router.put(
    "/{key:path}",
    summary="Add an image",
    status_code=201,
    responses=descriptions.answers(answer_bodies.Image, 409, 413, 415, 422, 503, status=201),
    openapi_extra=descriptions.IMAGE_BODY,
)
async def put(
    request: Request,
    service: TheService,
    key: Annotated[str, Path(description="The name, perhaps with folders.", examples=["2024/cat.jpg"])],
) -> Response:
    """Writes an image into the collection's folder and indexes it; searches find it as soon as the answer is there.

    Folders are made; the last one becomes the image's label. No file is ever replaced: another one of that name is a
    conflict, and the same bytes once more change nothing.
    """
    if not is_raw_image(request):
        raise unsupported("that of the image, such as image/jpeg")
    service.writing.refuse_if_full()
    data = await read_bytes(request)

    def work(collection: Collection) -> tuple[IndexedImage, Groups]:
        return collection.put(key, data), service.groups.of(collection)

    with service.steps().timed("write"):
        image, groups = await service.live.use(lambda collection: service.writing.run(lambda: work(collection)))
    service.upkeep.note_write()
    return answer(image_members(image, groups), 201, {"Location": f"/v1/images/{image.id}"})


@router.delete(
    "/{image_id}",
    summary="Delete an image",
    status_code=204,
    response_class=Response,
    responses=descriptions.answers(None, 404, 409, 422, 503),
)
async def delete(
    service: TheService,
    number: TheId,
    file: Annotated[bool, Query(description="Whether its file is deleted as well.")] = False,
) -> Response:
    """Forgets an image. Without `file=true` its file stays, and brings it back when the folder is indexed again.

    A file is deleted only if it is in the collection's folder and is the one that was indexed.
    """

    def work(collection: Collection) -> IndexedImage:
        return collection.delete(number, file=file)

    with service.steps().timed("write"):
        try:
            await service.live.use(lambda collection: service.writing.run(lambda: work(collection)))
        except ImageError as error:
            detail = f"its file is not deleted: {error.reason}"
            raise problems.ProblemError(
                409, "The file is not deleted", detail, members={"reason": error.reason}
            ) from error
    service.upkeep.note_write()
    return Response(status_code=204)
