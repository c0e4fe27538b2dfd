"""Who may use the service: a token, the cookie that a page gets for it, and the names of the service.

A browser sends requests for any page that it shows, and a name in the Internet may point to this machine. So the name
that a client uses (`Host`) has to be one of the service's own, a page (`Origin`) has to come from the service itself,
and, if there is a token, every route but those that say so wants it.
"""

import hashlib
import hmac
import ipaddress
import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.requests import Request

from lookalike.server.problems import ProblemError
from lookalike.server.settings import Settings

COOKIE = "lookalike_session"
SESSION_S = 30 * 24 * 3600  # for so long a page needs no token again
_MOST_COOKIES = 8  # of the same name that are looked at
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+)(?::\d{1,5})?")
_OWN_PAGES = ("same-origin", "none")


@dataclass(frozen=True)
class Names:
    """The names under which clients may reach the service, besides IP addresses."""

    known: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> "Names":
        """The names of a service: its host, this machine's, and those that were given."""
        own = socket.gethostname() if settings.token is not None else "localhost"
        return cls(frozenset(map(_plain, ("localhost", own, settings.host, *settings.hosts))))

    def check(self, method: str, headers: Headers) -> None:
        """Checks the names in a request; an attacker can have a name point here, but not an address.

        Raises:
            ProblemError: 421 for a foreign `Host`, 403 for a request that comes from another site's page.
        """
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else ""
        found = _HOST.fullmatch(host)
        if not found or not (_is_address(found["name"]) or _plain(found["name"]) in self.known):
            raise ProblemError(
                421, "Not a name of this service", "the header Host has none of its names; it has to be told the name"
            )
        for origin in headers.getlist("origin"):
            if _netloc(origin) != host.lower():
                raise ProblemError(
                    403, "Not from this service's own page", "another site's page asks; it gets no answer"
                )
        is_link = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site", "none") not in _OWN_PAGES and not is_link:
            raise ProblemError(403, "Not from this service's own page", "another site's page asks; it gets no answer")


class Token:
    """Compares what clients send with the token, in a time that tells nothing of it."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._digest = _digest(token or "")

    @property
    def is_needed(self) -> bool:
        """Whether there is a token."""
        return self._token is not None

    def check(self, request: Request) -> None:
        """Lets a request through that has the token in its header, or the cookie of a session.

        Raises:
            ProblemError: 401.
        """
        if self._token is None or self.is_right(_bearer(request.headers)):
            return
        if any(map(self._is_session, _sessions(request.headers))):
            return
        raise ProblemError(
            401,
            "The token is missing or wrong",
            "send the header: Authorization: Bearer TOKEN",
            kind="urn:lookalike:unauthorized",
            headers={"WWW-Authenticate": 'Bearer realm="lookalike"'},
        )

    def is_right(self, given: str | None) -> bool:
        """Whether it is the token."""
        return self._token is not None and given is not None and hmac.compare_digest(_digest(given), self._digest)

    def new_session(self) -> str:
        """The value of a cookie that stands for the token: when it ends, and a seal that only the token can make."""
        until = str(int(time.time()) + SESSION_S)
        return f"{until}.{self._seal(until)}"

    def _is_session(self, cookie: str) -> bool:
        until, _, seal = cookie.partition(".")
        is_sealed = hmac.compare_digest(seal.encode(), self._seal(until).encode())
        return is_sealed and until.isascii() and until.isdigit() and int(until) > time.time()

    def _seal(self, until: str) -> str:
        return hmac.new(self._digest, f"session {until}".encode(), hashlib.sha256).hexdigest()


_BEARER = HTTPBearer(auto_error=False, description="The token that the service was started with, if there is one.")


async def authorized(request: Request, _: Annotated[object, Depends(_BEARER)]) -> None:
    """The dependency of every route that needs the token."""
    request.app.state.service.token.check(request)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _bearer(headers: Headers) -> str | None:
    given: Iterable[str] = headers.getlist("authorization")
    for each in given:
        scheme, _, token = each.partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    return None


def _sessions(headers: Headers) -> list[str]:
    """The cookies of sessions; another site of the same domain may have added one of that name, which is then wrong."""
    pairs = [pair.strip().partition("=") for header in headers.getlist("cookie") for pair in header.split(";")]
    return [value for name, _, value in pairs if name == COOKIE][:_MOST_COOKIES]


def _plain(name: str) -> str:
    return name.strip("[]").rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _netloc(origin: str) -> str:
    """The host and port of an origin; "" for one of another kind, such as "null"."""
    scheme, _, rest = origin.lower().partition("://")
    return rest if scheme in ("http", "https") else ""
