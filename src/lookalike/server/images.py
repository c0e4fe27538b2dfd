"""The routes of the collection's images: page after page, one by its id, its thumbnail and its file.

An image has no other address than its id. So no path of a client's ever names a file.
"""

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from lookalike.collection.browsing import Facets, Original
from lookalike.collection.collection import Collection
from lookalike.display.text import without_surrogates
from lookalike.errors import ImageError
from lookalike.filters import Where, parse
from lookalike.images.media_types import media_type
from lookalike.results import IndexedImage
from lookalike.server import answer_bodies, descriptions, list_bodies, problems, ranges
from lookalike.server.answers import Groups, answer, facets_members, image_members, version_of
from lookalike.server.keeping import FACETS
from lookalike.server.requests import read_json
from lookalike.server.service import Service, TheService
from lookalike.server.thumbnails import SIDES, draw

router = APIRouter(prefix="/v1/images", tags=["images"])

_SIZES: dict[str, Any] = {"enum": list(SIDES)}
_LONGEST_ID = 19  # digits of a number of 64 bits
_YEAR_S = 365 * 24 * 3600
_FILE_POLICY = "default-src 'none'; sandbox"  # a file of the user's may hold anything behind its pixels


class Chosen(BaseModel):
    """Which images a request is about."""

    model_config = ConfigDict(extra="forbid")

    label: list[str] = Field([], max_length=1000, description="Only images with this label; repeatable.")
    under: str | None = Field(None, description="Only images in this folder of the collection.")
    where: list[str] = Field([], max_length=100, description="Only images with this attribute; repeatable.")

    def filter(self) -> Where | None:
        """The filter; raises UsageError for a condition that is none."""
        if self.label or self.under is not None or self.where:
            return Where(label=self.label or None, under=self.under, attributes=parse(self.where))
        return None


class ImagesQuery(Chosen):
    """Which images a page has."""

    after: int = Field(0, ge=0, lt=2**63, description="The id that the page begins after: `next` of the page before.")
    limit: int = Field(50, ge=1, description="The most images of the page.")
    facets: bool = Field(False, description="Also counts the images that match by label, folder and attribute.")


async def the_id(image_id: Annotated[str, Path(description="The id of the image.", examples=["42"])]) -> int:
    """The id in an address; anything else names nothing."""
    if not (image_id.isascii() and image_id.isdigit() and len(image_id) <= _LONGEST_ID):
        raise problems.not_found()
    return int(image_id)


TheId = Annotated[int, Depends(the_id)]


@router.get("", summary="List images", responses=descriptions.answers(answer_bodies.ImagePage, 422, 503))
async def images(service: TheService, query: Annotated[ImagesQuery, Query()]) -> Response:
    """Lists the images of the collection by id, a page at a time, perhaps with counts of what they have."""
    return await _page(service, query, query.filter(), FACETS if query.facets else None)


@router.post(
    "/list",
    summary="List images by a filter",
    responses=descriptions.answers(answer_bodies.ImagePage, 415, 422, 503),
    openapi_extra=descriptions.json_body(list_bodies.Listing),
)
async def list_images(request: Request, service: TheService) -> Response:
    """Lists images as `GET /v1/images` does, by a filter that may be longer than an address."""
    body = await read_json(request, list_bodies.Listing)
    return await _page(service, body, body.chosen(), body.facets)


async def _page(
    service: Service, wanted: ImagesQuery | list_bodies.Listing, where: Where | None, values: int | None
) -> Response:
    """A page of images, with the facets' most frequent values if so many of them are wanted."""
    most, limit = service.settings.limits.page, wanted.limit
    if limit > most:
        raise problems.invalid(f"limit: {limit} is more than {most}, the most images of a page")

    def page(collection: Collection) -> tuple[list[IndexedImage], Groups, Facets | None]:
        facets = None if values is None else service.facets.of(collection, where, most=values)
        images = collection.images(where=where, after=wanted.after, limit=limit + 1)
        return images, service.groups.of(collection), facets

    found, groups, facets = await service.read(page)
    shown = found[:limit]
    return answer(
        {
            "images": [image_members(image, groups) for image in shown],
            "next": shown[-1].id if shown and len(found) > len(shown) else None,
            "total": facets.images if facets else None,
            "facets": facets_members(facets) if facets else None,
        }
    )


@router.get("/random", summary="Any image", responses=descriptions.answers(answer_bodies.Image, 404, 422, 503))
async def any_image(service: TheService, query: Annotated[Chosen, Query()]) -> Response:
    """An image that chance picks, to begin somewhere."""
    where = query.filter()
    return await _one(service, lambda collection: collection.random_image(where))


@router.post(
    "/random",
    summary="Any image of a filter",
    responses=descriptions.answers(answer_bodies.Image, 404, 415, 422, 503),
    openapi_extra=descriptions.json_body(list_bodies.AnyImage),
)
async def any_image_of(request: Request, service: TheService) -> Response:
    """An image that chance picks, by a filter that may be longer than an address."""
    body = await read_json(request, list_bodies.AnyImage)
    where = body.chosen()
    return await _one(service, lambda collection: collection.random_image(where))


@router.get("/{image_id}", summary="One image", responses=descriptions.answers(answer_bodies.Image, 404, 503))
async def image(service: TheService, number: TheId) -> Response:
    """What is known of one image."""
    return await _one(service, lambda collection: collection.image(number))


@router.get(
    "/{image_id}/thumbnail",
    summary="A thumbnail",
    response_class=Response,
    responses=descriptions.image_answer("image/jpeg", "A JPEG.") | descriptions.answers(None, 404, 422, 503),
)
async def thumbnail(
    request: Request,
    service: TheService,
    number: TheId,
    size: Annotated[int, Query(description="Of its longer side, in pixels.", json_schema_extra=_SIZES)] = SIDES[1],
    v: Annotated[str | None, Query(description="The version of the contents, with which it may be kept.")] = None,
) -> Response:
    """The image, upright, small, and drawn anew, so that it has nothing but pixels."""
    if size not in SIDES:
        raise problems.invalid(f"size: give one of {', '.join(map(str, SIDES))}")
    found = await service.read(lambda collection: collection.image(number))
    version = version_of(found)
    headers = _headers(f'"{version}-{size}"', keep=v == version)
    if _is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    drawn = service.thumbnails.get(found.sha256, size)
    if drawn is None:
        drawn = await _drawn(service, number, size)
    return Response(drawn, headers=headers, media_type="image/jpeg")


@router.get(
    "/{image_id}/original",
    summary="The file",
    response_class=Response,
    responses=descriptions.file_answer() | descriptions.answers(None, 404, 416, 503),
)
async def original(request: Request, service: TheService, number: TheId) -> Response:
    """The file of an image, if it is the one that was indexed and no symlink leads out of the folder.

    With the header `Range`, a part of it: a download that broke off can be carried on.
    """
    found = await service.read(lambda collection: collection.image(number))
    headers = _headers(f'"{found.sha256.hex()}"', keep=False)
    if _is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    kept = await _file(service, number)
    kind = media_type(kept.data)
    place = "inline" if kind else "attachment"
    name = quote(without_surrogates(kept.image.key.rpartition("/")[2]), safe="")
    headers |= {
        "Content-Disposition": f"{place}; filename*=UTF-8''{name}",
        "Content-Security-Policy": _FILE_POLICY,
        "Accept-Ranges": "bytes",
    }
    part = ranges.wanted(request.headers, headers["ETag"], len(kept.data))
    return service.files.response(kept.data, part, headers, kind or "application/octet-stream")


async def _one(service: Service, look: Callable[[Collection], IndexedImage]) -> Response:
    """What is known of one image."""
    image, groups = await service.read(lambda collection: (look(collection), service.groups.of(collection)))
    return answer(image_members(image, groups))


async def _drawn(service: Service, number: int, side: int) -> bytes:
    def work(collection: Collection) -> bytes:
        kept = collection.original(number)
        made = draw(kept.data, side, collection.max_pixels)
        service.thumbnails.put(kept.image.sha256, side, made)
        return made

    with service.steps().timed("draw"):
        try:
            return await service.live.use(lambda collection: service.drawing.run(lambda: work(collection)))
        except ImageError as error:
            raise _not_shown(error) from error


async def _file(service: Service, number: int) -> Original:
    try:
        return await service.live.use(
            lambda collection: service.drawing.run(lambda: collection.original(number)),
        )
    except ImageError as error:
        raise _not_shown(error) from error


def _not_shown(error: ImageError) -> problems.ProblemError:
    """The problem of an image that is in the catalog, but whose file is not, or not as it was."""
    members = {"reason": error.reason}
    title = "The file is not shown"
    return problems.ProblemError(404, title, f"its file is not shown: {error.reason}", members=members)


def _headers(etag: str, *, keep: bool) -> dict[str, str]:
    """A browser may keep what an address with its version has; anything else it has to ask for again."""
    cache = f"private, max-age={_YEAR_S}, immutable" if keep else "private, no-cache"
    return {"ETag": etag, "Cache-Control": cache}


def _is_known(request: Request, etag: str) -> bool:
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in given.split(",")]
