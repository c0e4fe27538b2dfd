"""Sends requests to a service, again if that is safe, and says what went wrong.

A request is tried again if there was no connection, whatever it asks for. If the connection broke later, or the service
had too much to do (503 with Retry-After), all requests of this client may be tried again, too: searches and look-ups
change nothing; a PUT of the same bytes under the same name changes nothing the second time; and an id that was deleted
is never used again, so that a second DELETE deletes nothing else. How many times, and for how long, is bounded.
"""

import http.client
import itertools
import os
import random
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urlsplit

import lookalike
from lookalike import arguments
from lookalike.client import problems
from lookalike.client.connections import Answer, Connections, Deadline, NotSentError, Request, TooLargeError
from lookalike.errors import LookalikeError, NoImageError, ServiceError, UsageError

_TOKEN = "LOOKALIKE_TOKEN"  # noqa: S105 - the name of a variable
_FIRST_WAIT_S = 0.1  # before the first repetition; doubled for each one after it
_CUT_OFF = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError, http.client.IncompleteRead)
_AGAIN = (NotSentError, *_CUT_OFF)
_LONGEST_TOKEN = 4096  # characters


@dataclass(frozen=True)
class Patience:
    """How long a request may take, and how often it is tried again.

    Attributes:
        timeout_s: the most seconds for a request, all its repetitions and waiting included.
        retries: the most repetitions.
        pause: waits so many seconds.
    """

    timeout_s: float
    retries: int
    pause: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class _Failure:
    """A try that failed.

    Attributes:
        error: what went wrong.
        again_after_s: after so many seconds it may be tried again; None if not.
        may_be_done: whether the service may have done what was asked for.
    """

    error: LookalikeError
    again_after_s: float | None = None
    may_be_done: bool = False


class GoneError(Exception):
    """An image is not there any more when its deletion, to which the answer was lost, is tried again."""


class Service:
    """A service at an address. Threads may share it.

    Attributes:
        address: of the service, without a slash at its end.
    """

    def __init__(self, address: str, token: str | None, patience: Patience, tls: ssl.SSLContext | None) -> None:
        parts = _parts(arguments.text(address, "address"))
        if token is None:
            token = os.environ.get(_TOKEN) or None
        self.address = f"{parts.scheme}://{parts.netloc}{parts.path}"
        self._path, self._token, self._patience = parts.path, _checked_token(token), patience
        self._connections = Connections(parts, tls)

    def close(self) -> None:
        """Closes its connections."""
        self._connections.close()

    def send(self, request: Request, name: str | None = None) -> Answer:
        """The good answer to a request.

        Args:
            request: what to send; its target begins with a slash.
            name: what an ImageError calls the image that is sent.

        Raises:
            GoneError: it deletes what is gone, perhaps by a try before.
            ServiceError: the service cannot be reached, does not take the token, has too much to do, or answers with
                something else than it should.
            LookalikeError: as the service says.
        """
        whole = replace(request, target=self._path + request.target)
        deadline, may_be_done = Deadline(self._patience.timeout_s), False
        for attempt in itertools.count():
            outcome = self._tried(whole, deadline, name)
            if isinstance(outcome, Answer):
                return outcome
            if may_be_done and request.method == "DELETE" and isinstance(outcome.error, NoImageError):
                raise GoneError from outcome.error
            may_be_done = may_be_done or outcome.may_be_done
            if attempt == self._patience.retries or not self._has_waited(attempt, outcome.again_after_s, deadline):
                raise outcome.error
        raise AssertionError("attempts do not end")

    def _tried(self, request: Request, deadline: Deadline, name: str | None) -> "Answer | _Failure":
        try:
            answer = self._connections.exchange(request, self._headers(request), deadline)
        except TooLargeError:
            return _Failure(self._error("its answer is larger than it should be; it was not read"))
        except (NotSentError, OSError, http.client.HTTPException) as error:
            return self._broken(error)
        if 200 <= answer.status < 300:
            if answer.headers.get("content-encoding", "identity") == "identity":
                return answer
            return _Failure(self._error("its answer is packed, which was not asked for"))
        again_after_s = _retry_after_s(answer) if answer.status == 503 else None
        return _Failure(problems.error_of(answer, self.address, name), again_after_s, may_be_done=answer.status >= 500)

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {
            "Accept-Encoding": "identity",  # what is small on the way may be huge when it is unpacked
            "User-Agent": f"lookalike/{lookalike.__version__}",
        }
        if request.body is not None:
            headers["Content-Type"] = request.media_type
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _broken(self, error: Exception) -> "_Failure":
        """What a connection that could not be made, or that failed, means."""
        is_sent, cause = not isinstance(error, NotSentError), error.__cause__ or error
        if isinstance(cause, TimeoutError) and not is_sent:
            told = "no connection in time; check the address and whether the service runs"
        else:
            told = _reason(cause, self._patience.timeout_s)
        made = self._error(told)
        made.__cause__ = cause
        is_again = isinstance(error, _AGAIN) and not isinstance(cause, ssl.SSLCertVerificationError)
        return _Failure(made, 0.0 if is_again else None, may_be_done=is_sent)

    def _error(self, told: str) -> ServiceError:
        return ServiceError(f"{self.address}: {told}")

    def _has_waited(self, attempt: int, again_after_s: float | None, deadline: Deadline) -> bool:
        """Waits before another try, longer each time and never all clients alike; False if there is to be none."""
        if again_after_s is None:
            return False
        seconds = again_after_s + _FIRST_WAIT_S * 2**attempt * random.uniform(0.5, 1)
        try:
            if seconds >= deadline.left_s():
                return False
        except TimeoutError:
            return False
        self._patience.pause(seconds)
        return True


def _parts(address: str) -> SplitResult:
    """The parts of an address, without a slash at the end of its path."""
    try:
        parts = urlsplit(address)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    plain = address.isascii() and address.isprintable() and " " not in address
    if not is_good or not plain or parts.query or parts.fragment or set("?#") & set(address):
        shown = arguments.shown(address.rpartition("@")[2])
        raise UsageError(f"address={shown}: give one such as 'http://127.0.0.1:8765'")
    if "@" in parts.netloc:
        raise UsageError("address: it has a name or a password; give the token as token=..., not in the address")
    return parts._replace(path=parts.path.rstrip("/"))


def _checked_token(token: str | None) -> str | None:
    if token is None:
        return None
    if not isinstance(token, str) or not token or len(token) > _LONGEST_TOKEN:
        raise UsageError("token: give the token of the service as text")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageError("token: it has a space, a line break or another character that a header cannot carry")
    return token


def _retry_after_s(answer: Answer) -> float | None:
    """The seconds that a service asks to wait: 0 if it names a date, None if it does not say."""
    given = answer.headers.get("retry-after")
    if given is None:
        return None
    return float(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0.0


def _reason(error: BaseException | None, timeout_s: float) -> str:
    """Why a connection failed, in a few words."""
    match error:
        case ssl.SSLCertVerificationError():
            told = problems.plain(error.verify_message)
            return f"its certificate is not trusted here ({told}); give tls=... with one that is"
        case TimeoutError():
            return f"no answer within {timeout_s:g} s; try again, or give a longer timeout"
        case socket.gaierror() | UnicodeError():
            return "there is no host of that name; check the address"
        case ConnectionRefusedError():
            return "nothing listens there; check the address and whether the service runs"
        case _ if isinstance(error, _CUT_OFF):
            return "the connection was closed before the answer was there; try again"
        case http.client.HTTPException():
            return "its answer is not HTTP; check the address"
        case OSError():
            return f"it cannot be reached ({problems.plain(error.strerror or str(error))})"
    return "it cannot be reached"
