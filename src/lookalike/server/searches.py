"""The routes of searches: by an uploaded image, or by images, texts, ids and vectors that add up."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from lookalike.collection.collection import Collection
from lookalike.display.text import without_surrogates
from lookalike.errors import LookalikeError, NoImageError
from lookalike.filters import Where, parse
from lookalike.images.region import cut
from lookalike.results import Matches, Region
from lookalike.search.options import SearchKeywords
from lookalike.search.terms import Term
from lookalike.server import answer_bodies, bodies, descriptions, problems
from lookalike.server.answers import Groups, answer, match_members
from lookalike.server.metrics import Steps
from lookalike.server.requests import (
    from_texts,
    is_raw_image,
    media_type,
    read_bytes,
    read_form,
    read_json,
    unsupported,
)
from lookalike.server.service import Service, TheService

router = APIRouter(prefix="/v1", tags=["search"])


class ImageQuery(BaseModel):
    """The options of a search by an uploaded image, as parameters of the address or fields of the form."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    k: int = Field(10, ge=1, description="The number of matches.")
    min_score: float | None = Field(None, ge=-1, le=1, description="Leaves out images with a lower score.")
    label: list[str] = Field([], max_length=1000, description="Only images with this label; repeatable.")
    under: str | None = Field(None, description="Only images in this folder of the collection.")
    where: list[str] = Field(
        [],
        max_length=100,
        description="Only images with this attribute: `colour=red,blue`, `price=10..20`; repeatable.",
    )
    exact: bool = Field(False, description="Compares with every image, even if there is an index.")
    recall: float | None = Field(None, gt=0, le=1, description="The target recall.")
    refine: bool = Field(False, description="Orders by what the nearest have in common, which finds more of a kind.")
    confident: bool = Field(False, description="Leaves out images that may be as near by chance: `expected` over 0.1.")
    fold: bool = Field(False, description="Folds copies behind the first of them, as its `copies`.")
    regions: bool = Field(False, description="Compares with parts of the images, too, if the collection has them.")
    crops: bool = Field(False, description="Cuts the query, which is one image, into parts, and searches for each.")
    region: str | None = Field(None, description="A part of the image: `x,y,width,height` in shares of its sides.")


@dataclass(frozen=True)
class Wanted:
    """A search: what for, and how; of each term, `regions` has the part of its image that counts, or None."""

    terms: Sequence[Term]
    options: SearchKeywords
    regions: Sequence[Region | None]

    @property
    def needs_encoder(self) -> bool:
        """Whether there is an image or a text in it."""
        return (
            bool(self.options.get("crops"))
            or any(self.regions)
            or any(not (term.image is term.text is None) for term in self.terms)
        )


@router.post(
    "/search",
    summary="Find the images that look like this one",
    responses=descriptions.answers(answer_bodies.SearchAnswer, 413, 415, 422, 503),
    openapi_extra={**descriptions.SEARCH_BODY, "parameters": descriptions.parameters(ImageQuery)},
)
async def search(request: Request, service: TheService) -> Response:
    """Finds the most similar images, best first.

    The body is the image itself (`Content-Type: image/jpeg` or any other `image/…`), with the options in the address;
    or a form with the field `image`, and the options as fields; or JSON with positive and negative examples. The
    score is the cosine similarity, at most 1. Images that the query names by their ids are left out.
    """
    steps = service.steps()
    if media_type(request) == "application/json":
        if request.query_params:
            raise problems.invalid("with JSON, the options are members of the body, not of the address")
        wanted = _of_json(service, await read_json(request, bodies.Search))
    else:
        service.encoding.refuse_if_full()
        with steps.timed("receive"):
            wanted = await _of_image(request, service)
    return answer({**await found(service, wanted, steps), "took_ms": steps.total()})


@router.post(
    "/search/batch",
    summary="Answer several searches",
    responses=descriptions.answers(answer_bodies.BatchAnswer, 413, 415, 422, 503),
    openapi_extra=descriptions.json_body(bodies.Batch),
)
async def search_batch(request: Request, service: TheService) -> Response:
    """Answers several searches in their order.

    A query that cannot be answered, such as one with an image that is damaged, has a `problem` in its answer; the
    others have their matches.
    """
    steps, batch = service.steps(), await read_json(request, bodies.Batch)
    if len(batch.queries) > service.settings.limits.batch:
        raise problems.invalid(f"queries: more than {service.settings.limits.batch}, the most of one request")
    answers = [await _answered(service, query, steps) for query in batch.queries]
    return answer({"answers": answers, "took_ms": steps.total()})


async def found(service: Service, wanted: Wanted, steps: Steps) -> dict[str, Any]:
    """The matches of a search, as the API shows them, and the shards that could not be asked, if there are any.

    What has to be encoded is searched for at once on the same thread: to hand it to another one takes as long as many a
    search.
    """
    lane = service.encoding if wanted.needs_encoder else service.searching

    async def with_collection(collection: Collection) -> tuple[Matches, Groups]:
        begun = time.perf_counter()

        def work() -> tuple[Matches, Groups]:
            return _encoded_and_searched(collection, wanted, steps, begun), service.groups.of(collection)

        return await lane.run(work)

    try:
        matches, groups = await service.live.use(with_collection)
    except NoImageError as error:
        raise problems.of_example(error) from error
    members = {"matches": [match_members(match, groups) for match in matches]}
    missing = [without_surrogates(name) for name in matches.missing_shards]
    return {**members, "missing_shards": missing} if missing else members


async def _answered(service: Service, query: bodies.Search, steps: Steps) -> dict[str, Any]:
    try:
        return {**await found(service, _of_json(service, query), steps), "problem": None}
    except LookalikeError as error:
        problem = problems.of_error(error)
    except problems.ProblemError as refused:
        problem = refused
    if problem.status >= 500:
        raise problem  # it is no query's fault
    return {"matches": [], "problem": problem.as_dict()}


def _encoded_and_searched(collection: Collection, wanted: Wanted, steps: Steps, begun: float) -> Matches:
    if not wanted.needs_encoder:
        with steps.timed("search", since_s=begun):
            return _searched(collection, wanted.terms, wanted.options)
    with steps.timed("encode", since_s=begun):
        terms = _encoded(collection, wanted)
    with steps.timed("search"):
        return _searched(collection, terms, wanted.options)


def _searched(collection: Collection, terms: Sequence[Term], options: SearchKeywords) -> Matches:
    if len(terms) == 1 and terms[0].id is not None and terms[0].weight > 0:
        return collection.search_id(terms[0].id, **options)  # finds the same in one look at the catalog instead of two
    return collection.search_terms(terms, **options)


def _encoded(collection: Collection, wanted: Wanted) -> list[Term]:
    """The terms with vectors in place of images and texts; an image that is to be cut into parts stays one."""
    if wanted.options.get("crops"):
        return [_as_image(collection, term, part) for term, part in zip(wanted.terms, wanted.regions, strict=True)]
    return [_with_vector(collection, term, part) for term, part in zip(wanted.terms, wanted.regions, strict=True)]


def _as_image(collection: Collection, term: Term, region: Region | None) -> Term:
    """A term of an image of the collection, or a part of any image, as a term of that image; any other as it is."""
    source = collection.original(term.id).data if term.id is not None else term.image
    return term if source is None else Term(source, weight=term.weight, region=region)


def _with_vector(collection: Collection, term: Term, region: Region | None) -> Term:
    image = term.image
    if region:
        source = collection.original(term.id).data if term.id is not None else term.image
        assert source is not None
        image = cut(source, region, max_pixels=collection.max_pixels)
    elif term.id is not None or term.vector is not None:
        return term
    if term.text is not None:
        return Term(vector=collection.embed_text(term.text), weight=term.weight)
    assert image is not None
    return Term(vector=collection.embed(image), weight=term.weight)


def _of_json(service: Service, body: bodies.Search) -> Wanted:
    positive = [_term(example, 1) for example in body.positive]
    negative = [_term(example, -1) for example in body.negative]
    where = body.where.where() if body.where else None
    options = _options(body, where)
    return _with_k(service, Wanted([*positive, *negative], options, _regions(body)), body.k)


def _regions(body: bodies.Search) -> list[Region | None]:
    """The part of each example that counts; `region` beside the examples is that of the only positive one."""
    regions = [example.cut() for example in (*body.positive, *body.negative)]
    if (region := body.cut()) is None:
        return regions
    first = body.positive[0] if body.positive else None
    if first is None or len(body.positive) > 1 or regions[0] or (first.image is None and first.id is None):
        raise problems.invalid("region: give one positive example that is an image or an id, or each its own region")
    return [region, *regions[1:]]


def _term(example: bodies.Example, sign: int) -> Term:
    image = None if example.image is None else bodies.image_bytes(example.image)
    weight = sign * example.weight
    return Term(image, example.text, weight, id=example.id, vector=example.vector)


async def _of_image(request: Request, service: Service) -> Wanted:
    query = _of_address(request.query_params)
    if is_raw_image(request):
        image = await read_bytes(request)
    elif media_type(request) == "multipart/form-data":
        form = await read_form(request)
        image, query = form.image, _with_fields(query, form.fields)
    else:
        raise unsupported("that of the image, such as image/jpeg, to multipart/form-data, or to application/json")
    where = None
    if query.label or query.under is not None or query.where:
        where = Where(label=query.label or None, under=query.under, attributes=parse(query.where))
    options = _options(query, where)
    return _with_k(service, Wanted([Term(image)], options, [_region(query.region)]), query.k)


def _of_address(query: QueryParams) -> ImageQuery:
    """The options in an address. They are read here since the framework takes as long for it as for all the rest."""
    return _with_fields(ImageQuery.model_validate({}), {name: query.getlist(name) for name in query})


def _with_fields(query: ImageQuery, fields: Mapping[str, list[str]]) -> ImageQuery:
    lists = ("label", "where")
    given = {name: values if name in lists else values[-1] for name, values in fields.items()}
    return from_texts(ImageQuery, {**query.model_dump(exclude_unset=True), **given})


def _options(given: bodies.SearchOptions | ImageQuery, where: Where | None) -> SearchKeywords:
    return {
        "min_score": given.min_score,
        "where": where,
        "exact": given.exact,
        "recall": given.recall,
        "refine": given.refine,
        "confident": given.confident,
        "fold": given.fold,
        "regions": given.regions,
        "crops": given.crops,
    }


def _with_k(service: Service, wanted: Wanted, k: int) -> Wanted:
    if k > service.settings.limits.k:
        raise problems.invalid(f"k: {k} is more than {service.settings.limits.k}, the most matches of a search")
    return replace(wanted, options={**wanted.options, "k": k})


def _region(text: str | None) -> Region | None:
    if text is None:
        return None
    try:
        x, y, width, height = map(float, text.split(","))
    except ValueError:
        raise problems.invalid("region: give four numbers, x,y,width,height, such as 0.25,0,0.5,1") from None
    return Region(x, y, width, height)
