"""Asks servers for files: through the proxies of the environment, or at a mirror, and with messages that help.

$LOOKALIKE_MIRROR names a server that has copies: with http://mirror.example/base, https://host/path is fetched as
http://mirror.example/base/host/path. Beside what HTTP needs, a request says which Lookalike asks, and nothing else.
"""

import http.client
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from types import MappingProxyType, TracebackType
from typing import IO, Any, Self
from urllib.parse import urlsplit

import lookalike
from lookalike.errors import ModelError, UsageError

_ENVIRONMENT = "LOOKALIKE_MIRROR"
_SCHEMES = ("https", "http")
_SECONDS = 30.0  # without a sign of life, when connecting and when reading
_TOO_MANY_REQUESTS, _SERVER_ERRORS = 429, 500
_OF_RANGES = (http.client.PARTIAL_CONTENT, http.client.REQUESTED_RANGE_NOT_SATISFIABLE)
_NOTHING: Mapping[str, str] = MappingProxyType({})


class NoAnswerError(ModelError):
    """The server cannot be reached, has stopped sending, or cannot answer now: another try may succeed."""


class Answer:
    """What a server sends; used in a `with` block, which ends the connection.

    Its status is 200, or, where Range was asked for, also 206 or 416.
    """

    def __init__(self, url: str, response: http.client.HTTPResponse) -> None:
        self._url = url
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Message:
        return self._response.headers

    def read(self, limit: int) -> bytes:
        """The next bytes of the body, as many as `limit` unless it ends before.

        Raises:
            NoAnswerError: no more come, although there should be more.
        """
        with _explained(self._url):
            return self._response.read(limit)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()


def ask(url: str, *, headers: Mapping[str, str] = _NOTHING, token: str | None = None) -> Answer:
    """Asks for a file.

    Args:
        url: of https or http.
        headers: to send.
        token: to prove with who asks. It is sent to the server that the URL names and to no other: neither to a mirror
            nor to where it redirects.

    Raises:
        UsageError: the URL, or the mirror's, cannot be one.
        NoAnswerError: the server cannot be reached, or cannot answer now.
        ModelError: it has no such file, or does not give it.
    """
    try:
        place = _place(url)
        request = urllib.request.Request(place, headers=dict(headers))  # noqa: S310 - _place admits http and https only
        if token and place == url:
            request.add_header("Authorization", f"Bearer {token}")
        with _explained(url):
            response = _opener().open(request, timeout=_SECONDS)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{url}: this cannot be the address of a file ({error})") from error
    if response.status == http.client.OK or ("Range" in headers and response.status in _OF_RANGES):
        return Answer(url, response)
    response.close()
    raise _refusal(url, response.status)


def _place(url: str) -> str:
    """Where a URL is fetched from."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.port == 0:  # asking for the port checks it
        raise UsageError(f"{url}: files are downloaded from https and http addresses only")
    mirror = os.environ.get(_ENVIRONMENT, "").rstrip("/")
    if not mirror or parts.scheme != "https":
        return url
    if urlsplit(mirror).scheme not in _SCHEMES or not urlsplit(mirror).hostname:
        raise UsageError(f"${_ENVIRONMENT} is {mirror!r}; it has to be an https or http address")
    return mirror + url[len("https:/") :]


def _opener() -> urllib.request.OpenerDirector:
    """Opens https and http addresses; urllib's usual one would also read files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.UnknownHandler(),
        _Redirects(),
        _Statuses(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", f"lookalike/{lookalike.__version__}")]
    return opener


class _Statuses(urllib.request.HTTPErrorProcessor):
    """Follows redirects, and leaves what to think of other answers to the caller."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:
        if response.status in (301, 302, 303, 307, 308) and response.headers.get("Location"):
            return super().http_response(request, response)
        return response

    https_response = http_response


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to servers, never to files, never out of https, and keeps tokens from other servers."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme not in _SCHEMES[: 1 + (old.scheme == "http")]:
            raise ModelError(f"{req.full_url}: it redirects to {newurl}, which is not safe to follow")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request and (old.scheme, old.netloc) != (new.scheme, new.netloc):
            request.remove_header("Authorization")
        return request


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turns whatever can go wrong on the network into a NoAnswerError."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        why = str(error.reason).partition("\n")[0]
        raise ModelError(f"{url}: where it redirects cannot be followed: {why}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise NoAnswerError(_no_answer(url, reason)) from error


def _no_answer(url: str, reason: object) -> str:
    host = urlsplit(_place(url)).netloc
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"{url}: the certificate of {host} is not trusted here ({reason.verify_message});"
            " where an organisation has its own, name its file in $SSL_CERT_FILE"
        )
    return (
        f"{url}: {host} could not be reached ({_reason_text(reason)}); this machine may be offline."
        " Import the model on a machine that is online and copy its folder from there to here; on both,"
        " `lookalike models path NAME` tells where it is. Or set $LOOKALIKE_MIRROR to a server that has copies"
    )


def _reason_text(reason: object) -> str:
    """What is wrong with a connection, in words."""
    if isinstance(reason, TimeoutError):
        return f"no answer in {_SECONDS:.0f} seconds"
    if isinstance(reason, socket.gaierror):
        return "its name cannot be looked up"
    if isinstance(reason, http.client.HTTPException) and not str(reason):
        return "the connection was dropped"
    return (isinstance(reason, OSError) and reason.strerror) or str(reason) or type(reason).__name__


def _refusal(url: str, status: int) -> ModelError:
    """What to say of an answer that is not the file."""
    host = urlsplit(_place(url)).netloc
    if status == http.client.NOT_FOUND:
        return ModelError(f"{url}: {host} has no such file; check the name, and the revision where there is one")
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        return ModelError(
            f"{url}: {host} does not give it to everybody ({status}): it may be private, or its terms may have to be"
            " accepted on its page first, or there is nothing of that name."
            " On the Hugging Face hub, set $HF_TOKEN to a token that may read it"
        )
    said = f"{status} {http.client.responses.get(status, '')}".strip()
    if status == _TOO_MANY_REQUESTS or status >= _SERVER_ERRORS:
        return NoAnswerError(f"{url}: {host} cannot answer now ({said}); try again later")
    return ModelError(f"{url}: {host} answers with {said}; the file is not to be had from there")
