"""Makes Lookalike's own errors of the problem details (RFC 9457) that a service answers with.

What a service says is shown without control characters and shortened. Its hints are about the service's machine; those
that delete or trust something are left out, since the service may be a stranger's.
"""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, get_args

from lookalike import errors
from lookalike.client.connections import Answer
from lookalike.display.text import printable
from lookalike.errors import Action, Hint, ImageError, LookalikeError, ServiceError, UsageError

_LONGEST, _LONGEST_ARGUMENT = 1000, 300  # characters
_MOST_HINTS, _MOST_ARGUMENTS = 5, 10
_KIND = "urn:lookalike:"
_KINDS: tuple[type[LookalikeError], ...] = (
    *(errors.UsageError, errors.NoImageError, errors.NameTakenError, errors.ModelError, errors.CollectionError),
    *(errors.NoCollectionError, errors.CorruptError, errors.IncompatibleError, errors.LockedError, errors.StorageError),
)
_BY_NAME = {re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower(): kind for kind in _KINDS}
_USAGE = (413, 415, 422)  # what the service says of a request that cannot be right, if it names no kind
_TOO_LARGE = 413
_DANGEROUS: frozenset[Action] = frozenset(
    ("trust", "forget_sources", "remove_images", "import_model_again", "remove_model", "overwrite")
)
_KNOWN: tuple[Action, ...] = tuple(action for action in get_args(Action) if action not in _DANGEROUS)
_EXTRA = re.compile(r"[a-z]{1,20}")


def error_of(answer: Answer, address: str, name: str | None) -> LookalikeError:
    """The error that an answer stands for, whatever is in it.

    Args:
        answer: one that is not good.
        address: of the service.
        name: what an ImageError calls the image that was sent; by default what the service calls it.
    """
    if 300 <= answer.status < 400:
        return ServiceError(
            f"{address}: it answers with a redirect, which is not followed, since the token would go elsewhere; give"
            " the address that it leads to, if you trust it",
            status=answer.status,
        )
    problem = _problem(answer)
    told = plain(str(problem.get("detail", "")), _LONGEST) or f"it answers with the status {answer.status}"
    kind = str(problem.get("type", "")).removeprefix(_KIND)
    if isinstance(reason := problem.get("reason"), str):
        return ImageError(plain(reason, _LONGEST), name or told.partition(":")[0])
    hints = _hints(problem.get("hints"))
    if issubclass(made := _BY_NAME.get(kind, LookalikeError), UsageError):
        return made(told, *hints)
    if made is not LookalikeError:
        return made(f"{address}: {told}", *hints)
    if problem and answer.status in _USAGE:
        return UsageError(told, *hints)
    if answer.status == _TOO_LARGE:  # a proxy says so
        return UsageError(f"{address}: what is sent is larger than it takes; send a smaller image")
    if answer.status == 401:
        told = "the token is missing or wrong; give it as token=..., or in $LOOKALIKE_TOKEN"
    elif not problem:
        told = f"it answers with the status {answer.status}, and not as a service of Lookalike does; check the address"
    return ServiceError(f"{address}: {told}", *hints, status=answer.status)


def of_member(problem: Mapping[str, Any], address: str, name: str | None) -> LookalikeError:
    """The error of a problem detail that is a part of a good answer, such as that of one query of several."""
    status = problem.get("status")
    body = json.dumps(problem).encode()
    is_status = isinstance(status, int) and 400 <= status < 600
    return error_of(Answer(status if is_status else 500, {}, body), address, name)  # type: ignore[arg-type]


def name_of(query: Any) -> str | None:
    """What an ImageError calls a query that is an image: the path of its file, or None if it has none."""
    image = getattr(query, "image", query)  # of a term
    return os.fsdecode(image) if isinstance(image, str | os.PathLike) else None


def plain(text: str, most: int = 200) -> str:
    """A text of a server's on one line, without control characters, shortened."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= most else f"{line[:most]}..."


def _problem(answer: Answer) -> dict[str, Any]:
    """The members of a problem detail; none if it is something else."""
    with suppress(ValueError, RecursionError):
        found = json.loads(answer.body)
        if isinstance(found, dict):
            return found
    return {}


def _hints(given: Any) -> list[Hint]:
    if not isinstance(given, list):
        return []
    return [hint for each in given[:_MOST_HINTS] if (hint := _hint(each)) is not None]


def _hint(given: Any) -> Hint | None:
    """A hint, if it is one that this version knows, that can be shown, and that does no harm."""
    if not isinstance(given, dict):
        return None
    action, members = next((each for each in _KNOWN if each == given.get("action")), None), given.get("arguments")
    if action is None:
        return None
    if not isinstance(members, dict) or len(members) > _MOST_ARGUMENTS or not all(map(_is_harmless, members.items())):
        return None
    if "extra" in members and not _EXTRA.fullmatch(str(members["extra"])):
        return None
    hint = Hint(action, {name: ... if value is None else value for name, value in members.items()})
    try:
        str(hint)  # needs the arguments that belong to its action
    except (LookupError, TypeError, ValueError, AttributeError):
        return None
    return hint


def _is_harmless(member: tuple[str, Any]) -> bool:
    name, value = member
    is_short = not isinstance(value, str) or len(value) <= _LONGEST_ARGUMENT
    return name.isascii() and name.isidentifier() and is_short and isinstance(value, str | int | float | None)
