"""What OpenAPI's description says of bodies that are read as they arrive, and of answers."""

from typing import Any

from pydantic import BaseModel

from lookalike.server import answer_bodies, bodies, copy_bodies, list_bodies

_PROBLEMS = {
    400: "It is not plain HTTP.",
    401: "The token is missing or wrong.",
    403: "It comes from another site's page.",
    404: "There is no such image, or its file is not the one that was indexed.",
    409: "There is another file of that name.",
    413: "The body is larger than it may be.",
    415: "The body is of a type that the route does not take.",
    416: "The file has no such bytes.",
    421: "The name of the service in `Host` is not one of its names.",
    422: "The request or the image cannot be right; `detail` says why.",
    431: "The address and the headers are too long.",
    503: "There is too much to do; `Retry-After` says when to try again.",
}
_OF_ALL = (400, 401, 403, 421, 431, 503)


def answers(kind: type[BaseModel] | None, *statuses: int, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """The answers of a route: one of some kind, and the problems of these statuses, and those that any may have."""
    described: dict[int | str, dict[str, Any]] = {} if kind is None else {status: {"model": kind}}
    for each in sorted({*_OF_ALL, *statuses}):
        content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetail"}}}
        described[each] = {"description": _PROBLEMS[each], "content": content}
    return described


def image_answer(kinds: str, description: str) -> dict[int | str, dict[str, Any]]:
    """The answer of a route that sends an image."""
    content = {kinds: {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"description": description, "content": content}, 304: {"description": "It is the one of `ETag`."}}


def file_answer() -> dict[int | str, dict[str, Any]]:
    """The answer of the route that sends a file, or a part of it."""
    whole = image_answer("image/*", "The file.")
    return {**whole, 206: {**whole[200], "description": "The part of the file that `Range` asks for."}}


def json_body(kind: type[BaseModel]) -> dict[str, Any]:
    """The body of a route that takes JSON."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _reference(kind)}}}}


def parameters(kind: type[BaseModel]) -> list[dict[str, Any]]:
    """The members of a kind as parameters of an address."""
    members = kind.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "description": schema.pop("description", ""), "schema": schema}
        for name, schema in members.items()
    ]


def _reference(kind: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


_BINARY = {"type": "string", "format": "binary"}
_FORM = {"type": "object", "required": ["image"], "properties": {"image": _BINARY}}
SEARCH_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": _BINARY},
            "multipart/form-data": {"schema": _FORM},
            "application/json": {"schema": _reference(bodies.Search)},
        },
    }
}
IMAGE_BODY = {"requestBody": {"required": True, "content": {"image/*": {"schema": _BINARY}}}}


def with_schemas(description: dict[str, Any]) -> dict[str, Any]:
    """Adds the schemas of bodies that only the descriptions here name."""
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    for kind in (
        *(
            bodies.Search,
            bodies.Batch,
            list_bodies.Listing,
            list_bodies.AnyImage,
            bodies.Session,
            bodies.Embeddings,
            copy_bodies.Deciding,
            answer_bodies.ProblemDetail,
        ),
    ):
        made = kind.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= made.pop("$defs", {})
        schemas[kind.__name__] = made
    return description
