"""HTTP exchanges that end in time, over connections that are kept and that threads may share.

The standard library's http.client speaks HTTP. Its timeouts are for one call of the system: a server that sends a byte
now and then would keep it waiting for ever. So the sockets here wait until the deadline of the exchange, no longer.
"""

import http.client
import io
import select
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult

from lookalike.system import forks

_CONNECT_S = 10.0  # the most seconds for each address of a host
_IDLE_S = 20.0  # then a connection is not used again; the service closes it after 30 s
_MOST_IDLE = 16  # connections that are kept
_PIECE = 2**16  # bytes


class TooLargeError(Exception):
    """The answer has more bytes than it may have."""


class NotSentError(Exception):
    """There is no connection, so that the request cannot have been done; `__cause__` says why."""


class Deadline:
    """The instant at which something has to be done."""

    def __init__(self, seconds: float) -> None:
        self._at_s = time.monotonic() + seconds

    def left_s(self) -> float:
        """The seconds that are left.

        Raises:
            TimeoutError: there are none.
        """
        if (left_s := self._at_s - time.monotonic()) <= 0:
            raise TimeoutError("timed out")
        return left_s


@dataclass(frozen=True)
class Request:
    """A request.

    Attributes:
        method: GET, POST, PUT or DELETE.
        target: the path and the query.
        body: the bytes to send, or None.
        media_type: of the body.
        most_bytes: the most bytes that a good answer may have.
    """

    method: str
    target: str
    body: bytes | None = None
    media_type: str = "application/json"
    most_bytes: int = 0


@dataclass(frozen=True)
class Answer:
    """An answer, which has been read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connections:
    """The connections to one server. Threads may share them."""

    def __init__(self, address: SplitResult, tls: ssl.SSLContext | None) -> None:
        """`address` has a host, perhaps a port, and the scheme http or https, for which `tls` is."""
        self._address = address
        self._tls = ssl.create_default_context() if tls is None and address.scheme == "https" else tls
        self._idle: list[tuple[http.client.HTTPConnection, float]] = []
        self._lock = forks.lock()
        forks.watch(self)

    def after_fork(self) -> None:
        """Leaves the connections to the parent, whose they are."""
        self._idle = []

    def close(self) -> None:
        """Closes the connections that are kept; others are made when they are needed."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def exchange(self, request: Request, headers: Mapping[str, str], deadline: Deadline) -> Answer:
        """Sends a request and reads its answer. A redirect is an answer like any other.

        Raises:
            NotSentError: the server cannot be reached.
            OSError: the connection failed, or the deadline has passed.
            http.client.HTTPException: the answer is not HTTP, or ended early.
            TooLargeError: it has more bytes than it may have.
        """
        connection = self._kept() or self._connected(deadline)
        try:
            assert isinstance(connection.sock, _TimedSocket)
            connection.sock.deadline = deadline
            answer, is_reusable = _exchanged(connection, request, headers)
        except BaseException:
            connection.close()
            raise
        if is_reusable:
            self._keep(connection)
        else:
            connection.close()
        return answer

    def _kept(self) -> http.client.HTTPConnection | None:
        """A connection that the server has not closed, and on which it has not sent anything unasked."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since_s = self._idle.pop()
            if time.monotonic() - since_s < _IDLE_S and not _is_readable(connection.sock):
                return connection
            connection.close()

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if is_kept := len(self._idle) < _MOST_IDLE:
                self._idle.append((connection, time.monotonic()))
        if not is_kept:
            connection.close()

    def _connected(self, deadline: Deadline) -> http.client.HTTPConnection:
        timeout_s = min(deadline.left_s(), _CONNECT_S)
        host, port = self._address.hostname or "", self._address.port
        made: http.client.HTTPConnection
        if self._address.scheme == "https":
            made = http.client.HTTPSConnection(host, port or 443, timeout=timeout_s, context=self._tls)
        else:
            made = http.client.HTTPConnection(host, port or 80, timeout=timeout_s)
        try:
            made.connect()
        except (OSError, UnicodeError) as error:  # the latter for a name that no host can have
            made.close()
            raise NotSentError from error
        made.auto_open = 0  # never again without a deadline
        made.sock = _TimedSocket(made.sock, deadline)
        return made


class _TimedSocket:
    """A socket that waits no longer than until a deadline, which may be set anew for every exchange."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock, self.deadline = sock, deadline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, data: Any) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(self.deadline.left_s())
            rest = rest[self._sock.send(rest[:_PIECE]) :]

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self))

    def reader(self) -> Any:
        """What reads from the socket, and keeps it open until it is closed itself."""
        return self._sock.makefile("rb", buffering=0)


class _TimedReader(io.RawIOBase):
    """Reads from a socket, no longer than until its deadline."""

    def __init__(self, sock: _TimedSocket) -> None:
        self._sock, self._reader = sock, sock.reader()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._sock.deadline.left_s())
        count: int | None = self._reader.readinto(buffer)
        return count

    def close(self) -> None:
        self._reader.close()
        super().close()


def _is_readable(sock: Any) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _exchanged(
    connection: http.client.HTTPConnection, request: Request, headers: Mapping[str, str]
) -> tuple[Answer, bool]:
    """The answer to a request, and whether the connection can be used again."""
    with suppress(BrokenPipeError, ConnectionResetError):  # a server may refuse a body before it has it all
        connection.request(request.method, request.target, request.body, dict(headers))
    response = connection.getresponse()
    body = _body(response, request.most_bytes if response.status < 300 else _PIECE)
    named = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, named, body), response.isclosed() and not response.will_close


def _body(response: http.client.HTTPResponse, most_bytes: int) -> bytes:
    """The body of an answer; http.client would take one that ends early for a whole one."""
    announced, parts, size = response.length, [], 0
    if announced is not None and announced > most_bytes:
        raise TooLargeError
    while part := response.read(_PIECE):
        parts.append(part)
        if (size := size + len(part)) > most_bytes:
            raise TooLargeError
    if announced is not None and size < announced:
        raise http.client.IncompleteRead(b"", announced - size)
    return b"".join(parts)
