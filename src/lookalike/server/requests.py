"""Reads the bodies of requests: an image as it is, a form with an image, or JSON; each counted as it arrives."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from lookalike.server.problems import ProblemError, invalid

_Body = TypeVar("_Body", bound=BaseModel)
_MOST_FIELDS, _FIELD_BYTES = 20, 10_000  # of a form, besides its image
_MOST_VALUES = 500_000  # of JSON, each of which takes far more memory than its text; base64 has no commas
_MOST_TOLD = 5  # mistakes that one answer tells
_RAW = "application/octet-stream"


@dataclass(frozen=True)
class Form:
    """A form with an image, and its other fields by name, each with its values in order."""

    image: bytes
    fields: Mapping[str, list[str]]


class _InMemory(MultiPartParser):
    """A parser of forms that writes no file: there may be no place for one, and the body is in memory anyway."""

    spool_max_size = 0  # without a limit


def media_type(request: Request) -> str:
    """The type of a body, in lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_raw_image(request: Request) -> bool:
    """Whether the body is the bytes of an image file."""
    kind = media_type(request)
    return kind.startswith("image/") or kind == _RAW


def unsupported(wanted: str) -> ProblemError:
    """The problem of a body of another type."""
    return ProblemError(415, "The body is of another type", f"set the header Content-Type to {wanted}")


async def read_bytes(request: Request) -> bytes:
    """The body of a request.

    Raises:
        ProblemError: 413, it is too large; 415, it is compressed; or 422, it is empty.
    """
    if request.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        detail = "send the body as it is, without the header Content-Encoding"
        raise ProblemError(415, "The body is compressed", detail, headers={"Accept-Encoding": "identity"})
    parts = [part async for part in request.stream()]
    if not (data := b"".join(parts)):
        raise invalid("the body is empty; send the bytes of an image file")
    return data


async def read_json(request: Request, kind: type[_Body]) -> _Body:
    """The body of a request as JSON of some kind.

    Raises:
        ProblemError: it is of another type, too large, or not of that kind.
    """
    if media_type(request) != "application/json":
        raise unsupported("application/json")
    data = await read_bytes(request)
    if data.count(b",") > _MOST_VALUES:
        raise invalid(f"the body has more than {_MOST_VALUES:,} values; send several requests")
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise _mistakes(error) from None
    except (ValueError, RecursionError):
        raise invalid("the body is not JSON") from None


def from_texts(kind: type[_Body], given: Mapping[str, Any]) -> _Body:
    """A body of some kind from the texts of a query or form, which stand for numbers and flags.

    Raises:
        ProblemError: it is not of that kind.
    """
    try:
        return kind.model_validate(given, strict=False)
    except ValidationError as error:
        raise _mistakes(error) from None


async def read_form(request: Request) -> Form:
    """The form in the body of a request, which has one file, in the field `image`.

    Raises:
        ProblemError: it is too large, or no such form.
    """
    data = await read_bytes(request)  # first, so that the parser never stops halfway with files open

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield data
        yield b""  # its end

    parser = _InMemory(request.headers, pieces(), max_files=1, max_fields=_MOST_FIELDS, max_part_size=_FIELD_BYTES)
    try:
        async with AsyncExitStack() as stack:
            form = await parser.parse()
            stack.push_async_callback(form.close)
            image = form.get("image")
            if not isinstance(image, UploadFile):
                raise invalid("the form has no file in the field image")
            others = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
            fields = {name: [value for other, value in others if other == name] for name, _ in others}
            return Form(await image.read(), fields)
    except MultiPartException as error:  # what the parser says of a form that is damaged
        raise invalid(f"the form cannot be read: {error.message}") from None


def _mistakes(error: ValidationError) -> ProblemError:
    """The first mistakes in a body, each with where it is; nothing that was sent is repeated."""
    told = []
    for mistake in error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_TOLD]:
        where = ".".join(map(str, mistake["loc"]))
        told.append(f"{where[:200]}: {mistake['msg']}" if where else mistake["msg"])
    return invalid("; ".join(told))
