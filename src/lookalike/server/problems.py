"""Turns everything that goes wrong into a problem detail, the JSON that RFC 9457 describes.

The member `type` names the kind of error for programs, `detail` says what is wrong in a sentence, and `hints` says
what to do about it: an action and its arguments, as `lookalike.Hint` has them.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from lookalike import errors
from lookalike.display.json import plain
from lookalike.errors import Hint, LookalikeError
from lookalike.server.answers import json_bytes

_log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_RETRY_S = 1  # when a request that was refused may be tried again
# The first that fits decides.
_STATUSES: tuple[tuple[type[LookalikeError], int, str], ...] = (
    (errors.NoImageError, 404, "There is no such image"),
    (errors.NameTakenError, 409, "The name is taken"),
    (errors.UsageError, 422, "The request cannot be right"),
    (errors.ImageError, 422, "The image cannot be used"),
    (errors.LockedError, 503, "Another process is writing to the collection"),
    (errors.IncompatibleError, 503, "The collection cannot be used with its model"),
    (errors.CollectionError, 500, "The collection is damaged"),
    (errors.StorageError, 507, "The disk is full or failing"),
    (errors.ModelError, 503, "The model cannot be used"),
)


class ProblemError(Exception):
    """What is wrong with a request, and the answer that says so."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        kind: str = "about:blank",
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        """`kind` is the member `type`; `members` are more members of the answer, such as the number of a query."""
        super().__init__(detail)
        self.status, self.title, self.detail, self.kind = status, title, detail, kind
        self.headers, self.members = dict(headers or {}), dict(members or {})

    def as_dict(self) -> dict[str, Any]:
        """The members of the problem detail."""
        return {
            "type": self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "hints": [],
            **self.members,
        }

    def response(self) -> Response:
        """The answer."""
        headers = {**self.headers, "Cache-Control": "no-store"}
        return Response(json_bytes(plain(self.as_dict())), self.status, headers, MEDIA_TYPE)


def busy(detail: str) -> ProblemError:
    """The problem of a request that may be tried again soon: 503 with Retry-After."""
    headers = {"Retry-After": str(_RETRY_S)}
    return ProblemError(503, "There is too much to do", detail, kind="urn:lookalike:busy", headers=headers)


def too_large(most: int) -> ProblemError:
    """The problem of a body that is too long."""
    detail = f"the body has more than {most / 2**20:g} MB, the limit for a request; send a smaller image"
    return ProblemError(
        413, "The body is too large", detail, kind="urn:lookalike:too-large", members={"limit_bytes": most}
    )


def bad_head(status: int, detail: str) -> ProblemError:
    """The problem of a request whose head is not taken; the connection is closed."""
    return ProblemError(status, "The head of the request is not taken", detail, headers={"Connection": "close"})


def not_found() -> ProblemError:
    """The problem of an address that there is nothing at."""
    return ProblemError(404, "There is nothing here", "there is nothing at this address; /openapi.json describes all")


def invalid(detail: str) -> ProblemError:
    """The problem of a request that is not as the API describes it."""
    return ProblemError(422, "The request cannot be right", detail, kind="urn:lookalike:usage-error")


def of_error(error: LookalikeError) -> ProblemError:
    """The problem that an error of Lookalike's is to a client."""
    status, title = next(
        ((status, title) for kind, status, title in _STATUSES if isinstance(error, kind)), (500, "Something is wrong")
    )
    headers = {"Retry-After": str(_RETRY_S)} if isinstance(error, errors.LockedError) else {}
    reason = {"reason": error.reason} if isinstance(error, errors.ImageError) else {}
    kind = f"urn:lookalike:{_dashed(type(error).__name__)}"
    members = {"hints": [_hint(hint) for hint in error.hints], **reason}
    return ProblemError(status, title, error.message, kind=kind, headers=headers, members=members)


def of_example(error: errors.NoImageError) -> ProblemError:
    """The problem of a body that names an image that is not there: 404 would say that of the address."""
    problem = of_error(error)
    problem.status = 422
    return problem


def unexpected(error: Exception) -> ProblemError:
    """The problem of an error that nobody expects; what it is stands in the log only."""
    _log.error("an unexpected error", exc_info=error)
    detail = "an error that nobody expected; the log of the service has it"
    return ProblemError(500, "Something is wrong", detail)


async def answer_problem(_: Request, problem: Exception) -> Response:
    """Answers a `ProblemError`."""
    assert isinstance(problem, ProblemError)
    return problem.response()


async def answer_error(_: Request, error: Exception) -> Response:
    """Answers an error of Lookalike's."""
    assert isinstance(error, LookalikeError)
    return of_error(error).response()


async def answer_memory(_: Request, __: Exception) -> Response:
    """Answers when there is not enough memory for a request."""
    return busy("there is not enough memory for this request at the moment").response()


async def answer_disconnected(_: Request, error: Exception) -> Response:
    """Ends a request whose client has gone; nobody reads the answer."""
    assert isinstance(error, ClientDisconnect)
    return Response(status_code=499)


def _hint(hint: Hint) -> dict[str, Any]:
    arguments = {name: None if value is ... else value for name, value in hint.arguments.items()}
    return {"action": hint.action, "arguments": arguments, "purpose": hint.purpose}


def _dashed(name: str) -> str:
    """The name of a class with dashes: "ImageError" is "image-error"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
