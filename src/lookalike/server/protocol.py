"""Cuts off clients that are slow on purpose or by a broken line, before they use up the connections.

uvicorn waits for ever for the head of a request, for its body, and for an answer to be taken, and middleware only
begins when the head is there. So its protocol is watched here: each connection is looked at once a second.
"""

import asyncio
import socket
import struct
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from lookalike.server.settings import SlowClients

_LOOK_S = 1.0
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-type: text/plain\r\n"
    b"content-length: 21\r\n\r\ntoo many connections\n"
)


class PatientProtocol(H11Protocol):
    """uvicorn's protocol with deadlines for the head and speed limits for the body and the answer.

    Attributes:
        slow_clients: when a client is cut off.
        most_connections: beyond these a connection is closed at once.
    """

    slow_clients = SlowClients()
    most_connections = 512

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to watch a connection, or closes it if there are too many."""
        super().connection_made(transport)
        # asyncio does it only for sockets that name their protocol: else an answer in two parts takes 40 ms more.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = 0
        self._stage, self._since_s, self._mark = "", self.loop.time(), 0
        self._look_again: asyncio.TimerHandle | None = None
        if len(self.connections) > self.most_connections:
            transport.write(_FULL)
            transport.close()
            return
        self._look()

    def data_received(self, data: bytes) -> None:
        """Counts what has arrived."""
        self._received += len(data)
        if not self.transport.is_closing():
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends watching."""
        if self._look_again:
            self._look_again.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answers a client that has sent all that it will send; uvicorn would close the connection at once."""
        is_asked = self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        if is_asked:
            self.cycle.keep_alive = False
        return is_asked

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP, and has the request whose body it was in end as if its client had gone."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
                return
        super().send_400_response(msg)

    def _look(self) -> None:
        self._look_again = self.loop.call_later(_LOOK_S, self._look)
        now_s, stage = self.loop.time(), self._stage_now()
        if stage != self._stage:
            self._stage, self._since_s, self._mark = stage, now_s, self._progress(stage)
        elif stage and self._is_too_slow(stage, now_s - self._since_s):
            self._cut_off(stage)
        elif stage in ("body", "answer") and now_s - self._since_s >= self.slow_clients.window_s:
            self._since_s, self._mark = now_s, self._progress(stage)

    def _cut_off(self, stage: str) -> None:
        if stage == "answer":
            # Else the system would go on for minutes, and hold megabytes that the client does not take.
            connection: socket.socket = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()  # a client that does not read would keep `close` waiting

    def _stage_now(self) -> str:
        """What the client is to do next: nothing is "", as while its request is worked on or between two requests."""
        if self.transport.get_write_buffer_size():
            return "answer"
        is_answered = self.cycle is None or self.cycle.response_complete
        if self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused:
            return "rest" if is_answered else "body"
        if self.conn.their_state is h11.IDLE and is_answered and not self.timeout_keep_alive_task:
            return "head"
        return ""

    def _progress(self, stage: str) -> int:
        """A number that grows as the client does what it is to do, in bytes."""
        return -self.transport.get_write_buffer_size() if stage == "answer" else self._received

    def _is_too_slow(self, stage: str, seconds: float) -> bool:
        limits = self.slow_clients
        if stage in ("head", "rest"):
            return seconds >= (limits.head_s if stage == "head" else limits.drain_s)
        least = limits.bytes_per_s * limits.window_s
        return seconds >= limits.window_s and self._progress(stage) - self._mark < least


def protocol_for(slow_clients: SlowClients, most_connections: int) -> type[PatientProtocol]:
    """The protocol with these limits, as uvicorn takes it: a class that it makes one of for each connection."""
    members: dict[str, Any] = {"slow_clients": slow_clients, "most_connections": most_connections}
    return type("Protocol", (PatientProtocol,), members)
