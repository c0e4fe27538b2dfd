"""Sends HTTP requests, through the environment's proxies or to a mirror, and explains failures.

$LOOKALIKE_MIRROR names a server with copies: with http://mirror.example/base, https://host/path is requested as
http://mirror.example/base/host/path. Besides what HTTP requires, a request contains only the version of Lookalike.
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
from lookalike.errors import Hint, ModelError, UsageError
from lookalike.importers.error_summary import one_line

_MIRROR = "LOOKALIKE_MIRROR"
_SCHEMES = ("https", "http")
_TIMEOUT = 30.0  # seconds without any data, when connecting and when reading
_TOO_MANY_REQUESTS, _SERVER_ERRORS = 429, 500
_RANGE_STATUSES = (http.client.PARTIAL_CONTENT, http.client.REQUESTED_RANGE_NOT_SATISFIABLE)
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class RetryableError(ModelError):
    """The server cannot be reached, has stopped sending, or cannot answer now; another try may succeed."""


class Response:
    """A server's response, as a context manager that closes the connection.

    Its status is 200, or, if Range was requested, also 206 or 416.
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
        """Returns the next bytes of the body, `limit` of them unless it ends before.

        Raises:
            RetryableError: the connection ended before the body.
        """
        with _explained(self._url):
            return self._response.read(limit)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()


def get(url: str, *, headers: Mapping[str, str] = _NO_HEADERS, token: str | None = None) -> Response:
    """Requests a file.

    Args:
        url: an https or http address.
        headers: to send.
        token: an access token. It is sent to the server that the URL names and to no other: neither to a mirror nor to
            the target of a redirect.

    Raises:
        UsageError: the URL, or the mirror's, is malformed.
        RetryableError: the server cannot be reached, or cannot answer now.
        ModelError: it has no such file, or refuses it.
    """
    try:
        address = _address(url)
        request = urllib.request.Request(address, headers=dict(headers))  # noqa: S310 - _address checks the scheme
        if token and address == url:
            request.add_header("Authorization", f"Bearer {token}")
        with _explained(url):
            response = _opener().open(request, timeout=_TIMEOUT)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{url}: this is not a valid address: {one_line(error)}") from error
    if response.status == http.client.OK or ("Range" in headers and response.status in _RANGE_STATUSES):
        return Response(url, response)
    response.close()
    raise _refusal(url, response.status)


def _address(url: str) -> str:
    """The address that a URL is requested from: its own, or the mirror's copy."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.port == 0:  # reading `port` validates it
        raise UsageError(f"{url}: files are downloaded from https and http addresses only")
    mirror = os.environ.get(_MIRROR, "").rstrip("/")
    if not mirror or parts.scheme != "https":
        return url
    if urlsplit(mirror).scheme not in _SCHEMES or not urlsplit(mirror).hostname:
        raise UsageError(f"${_MIRROR} is {mirror!r}; it has to be an https or http address")
    return mirror + url[len("https:/") :]


def _opener() -> urllib.request.OpenerDirector:
    """Opens https and http addresses; urllib's default opener would also read local files."""
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
    """Follows redirects, and returns responses of any other status."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:
        if response.status in (301, 302, 303, 307, 308) and response.headers.get("Location"):
            return super().http_response(request, response)
        return response

    https_response = http_response


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to servers, never to files, never from https to http, and drops tokens for other servers."""

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
    """Turns a network failure into a RetryableError, and a redirect that cannot be followed into a ModelError."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise ModelError(f"{url}: its redirect cannot be followed: {one_line(error)}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise _unreachable(url, reason) from error


def _unreachable(url: str, reason: object) -> RetryableError:
    host = urlsplit(_address(url)).netloc
    if isinstance(reason, ssl.SSLCertVerificationError):
        return RetryableError(
            f"{url}: the certificate of {host} is not trusted here ({reason.verify_message});"
            " if your organisation has its own, name its file in $SSL_CERT_FILE"
        )
    return RetryableError(
        f"{url}: {host} could not be reached ({_reason_text(reason)}); this machine may be offline."
        " Import the model on a machine that is online, and copy the model's folder into the folder of imported models"
        f" here. Or set ${_MIRROR} to a server that has copies",
        Hint("find_models"),
    )


def _reason_text(reason: object) -> str:
    """Why a connection failed."""
    if isinstance(reason, TimeoutError):
        return f"no answer in {_TIMEOUT:.0f} seconds"
    if isinstance(reason, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(reason, http.client.HTTPException) and not str(reason):
        return "the connection was dropped"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return one_line(reason) if isinstance(reason, BaseException) else str(reason)


def _refusal(url: str, status: int) -> ModelError:
    """The error for a response that is not the file."""
    host = urlsplit(_address(url)).netloc
    if status == http.client.NOT_FOUND:
        return ModelError(f"{url}: {host} has no such file; check the name, and the revision if there is one")
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        return ModelError(
            f"{url}: {host} refuses access ({status}): it may be private, its terms may have to be accepted on its page"
            " first, or there is nothing of that name."
            " On the Hugging Face hub, set $HF_TOKEN to a token that may read it"
        )
    answer = f"{status} {http.client.responses.get(status, '')}".strip()
    if status == _TOO_MANY_REQUESTS or status >= _SERVER_ERRORS:
        return RetryableError(f"{url}: {host} cannot answer now ({answer}); try again later")
    return ModelError(f"{url}: {host} answers with {answer}; the file is not available there")
