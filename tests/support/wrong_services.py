"""Servers on this machine that answer as no good service does."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Answering = Callable[["Asked", socket.socket], None]


@dataclass
class Asked:
    """What a server has been sent, request after request: the heads and bodies; and how many connections it had."""

    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def answering(*answers: Answering, is_last_repeated: bool = True) -> Iterator[Asked]:
    """A server that answers the first request with the first of these, and so on, the last one again and again."""
    asked, left, stopped = Asked(), list(answers), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked.port = listener.getsockname()[1]
        listener.settimeout(0.1)

        def serve() -> None:
            while not stopped.is_set():
                with suppress(TimeoutError):
                    connection, _ = listener.accept()
                    asked.connections += 1
                    threading.Thread(target=converse, args=(connection,), daemon=True).start()

        def converse(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.settimeout(20)
                while _receive(connection, asked):
                    answer = left.pop(0) if len(left) > 1 or not is_last_repeated else left[0]
                    answer(asked, connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield asked
        finally:
            stopped.set()
            thread.join()


def _receive(connection: socket.socket, asked: Asked) -> bool:
    """Reads a request with its body; False if there is none."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (part := connection.recv(65536)):
            return False
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin1")
    length = next((int(line[15:]) for line in lines.split("\r\n") if line.lower().startswith("content-length:")), 0)
    while len(body) < length:
        if not (part := connection.recv(65536)):
            return False
        body += part
    asked.heads.append(lines)
    asked.bodies.append(body)
    return True


def says(status: int, body: bytes = b"", *headers: str, media_type: str = "application/json") -> Answering:
    """Answers with a status, a body and further headers."""
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", f"Content-Type: {media_type}", *headers]
    return sends("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def sends(data: bytes) -> Answering:
    """Answers with these bytes."""
    return lambda _, connection: connection.sendall(data)


def closes(_: Asked, connection: socket.socket) -> None:
    """Closes the connection instead of answering."""
    connection.shutdown(socket.SHUT_RDWR)


def sends_then_closes(data: bytes) -> Answering:
    """Sends the beginning of an answer, and closes the connection."""

    def answer(asked: Asked, connection: socket.socket) -> None:
        connection.sendall(data)
        closes(asked, connection)

    return answer


def drips(data: bytes, pause_s: float) -> Answering:
    """Sends byte by byte, again and again, with a pause before each."""

    def answer(asked: Asked, connection: socket.socket) -> None:
        while asked.port:
            for place in range(len(data)):
                threading.Event().wait(pause_s)
                connection.sendall(data[place : place + 1])

    return answer


def sends_without_end(head: bytes, part: bytes) -> Answering:
    """Sends a head, and then a part until the other side has had enough."""

    def answer(_: Asked, connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(part)

    return answer
