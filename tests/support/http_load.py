"""Clients of an HTTP service that cost little, so that it is the service that is measured."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np

LOST = 0  # instead of a status: the connection ended without an answer


class Connection(asyncio.Protocol):
    """A connection that is kept open, on which one request is answered after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._end = -1  # of the answer in the buffer, once its head is there
        self._status = LOST
        self._answered: asyncio.Future[tuple[int, bytes]] | None = None

    @classmethod
    async def to(cls, port: int) -> "Connection":
        """Connects to 127.0.0.1."""
        _, made = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return made

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Sends a request, and returns the status and the body of its answer; LOST if the connection has ended."""
        assert self._transport
        if self._transport.is_closing():
            return LOST, b""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Closes it."""
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Takes a part of an answer."""
        self._buffer += data
        if self._end < 0 and (head := self._buffer.find(b"\r\n\r\n")) >= 0:
            self._read_head(bytes(self._buffer[:head]).lower(), head + 4)
        if 0 <= self._end <= len(self._buffer):
            body = bytes(self._buffer[self._begin : self._end])
            del self._buffer[: self._end]
            self._end = -1
            self._give((self._status, body))

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends, perhaps in the middle of an answer."""
        self._give((LOST, b""))

    def _read_head(self, head: bytes, begin: int) -> None:
        _, _, length = head.partition(b"\r\ncontent-length:")
        self._status, self._begin = int(head[9:12]), begin
        self._end = begin + (int(length.partition(b"\r\n")[0]) if length else 0)

    def _give(self, answer: tuple[int, bytes]) -> None:
        if self._answered and not self._answered.done():
            self._answered.set_result(answer)


@dataclass
class Load:
    """What has come of many requests.

    Attributes:
        took_s: how long they took together.
        own_cpu_s: the CPU time that the clients took.
        seconds: of each answer, by status.
    """

    took_s: float = 0
    own_cpu_s: float = 0
    seconds: dict[int, list[float]] = field(default_factory=dict)

    @property
    def statuses(self) -> Counter[int]:
        """How many answers had each status."""
        return Counter({status: len(each) for status, each in self.seconds.items()})

    @property
    def per_second(self) -> float:
        """The rate of all answers."""
        return self.statuses.total() / self.took_s

    def rate(self, status: int = 200) -> float:
        """The rate of answers with a status."""
        return len(self.seconds.get(status, ())) / self.took_s

    def milliseconds(self, share: float, status: int = 200) -> float:
        """The time in which a share of the answers with a status came; NaN if there are none."""
        found = self.seconds.get(status)
        return float(np.quantile(found, share)) * 1e3 if found else float("nan")


async def load(
    port: int, next_request: Callable[[], bytes], *, clients: int, seconds: float, per_second: float | None = None
) -> Load:
    """Has some clients send requests for a time.

    Args:
        port: of the service.
        next_request: gives a request, head and body.
        clients: the number of connections.
        seconds: for so long requests are sent; answers are awaited.
        per_second: the rate of all clients together, as far as the answers come in time; None is as fast as they come.
    """
    made, begun, cpu = Load(), time.perf_counter(), time.process_time()
    until, pace_s = begun + seconds, clients / per_second if per_second else 0.0

    async def client(number: int) -> None:
        connection, due = await Connection.to(port), begun + pace_s * number / clients
        while (now := max(due, time.perf_counter())) < until:
            if (wait_s := now - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            if not connection.is_open:
                connection = await Connection.to(port)
            asked = time.perf_counter()
            status, _ = await connection.ask(next_request())
            made.seconds.setdefault(status, []).append(time.perf_counter() - asked)
            due = max(due + pace_s, asked)
        connection.close()

    await asyncio.gather(*map(client, range(clients)))
    made.took_s, made.own_cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    return made


def request(method: str, path: str, kind: str = "", body: bytes = b"") -> bytes:
    """A request as it is sent."""
    typed = f"Content-Type: {kind}\r\n" if kind else ""
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{typed}Content-Length: {len(body)}\r\n\r\n".encode() + body
