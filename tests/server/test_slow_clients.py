"""Clients that are slow are cut off while others are served: row 32 of the table of faults, over real sockets."""

import errno
import socket
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest

from lookalike import Collection
from lookalike.server.settings import Limits, Settings, SlowClients
from tests.support.http_service import Running, running

QUICK = SlowClients(head_s=1.0, window_s=1.0, bytes_per_s=1000, idle_s=1.0, drain_s=1.0)
_PATIENCE_S = 60.0  # what takes longer does not happen, also on a busy machine
HEAD = b"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"


def connected(service: Running, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=15)
    connection.sendall(sent)
    return connection


def seconds_until_closed(connection: socket.socket, trickle: bytes = b"") -> float:
    """How long until the service closes a connection on which a byte is sent now and then."""
    begun = time.monotonic()
    connection.settimeout(0.2)
    while time.monotonic() - begun < _PATIENCE_S:
        try:
            if trickle:
                connection.sendall(trickle)
            if not connection.recv(65536):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    else:
        raise AssertionError("not closed")
    connection.close()
    return time.monotonic() - begun


SLOW: dict[str, tuple[bytes, bytes]] = {
    "says nothing": (b"", b""),
    "sends its head byte by byte": (b"GET / HTTP/1.1\r\n", b"x"),
    "stops in its head": (HEAD, b""),
    "stops in its body": (HEAD + b"Content-Length: 5000\r\n\r\nabc", b""),
    "sends its body byte by byte": (HEAD + b"Content-Length: 5000\r\n\r\n", b"x"),
    "sends its chunks byte by byte": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "sends what is refused byte by byte": (HEAD.replace(b"image/png", b"x/y") + b"Content-Length: 5000\r\n\r\n", b"x"),
    "stops after a request": (b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b""),
    "stops in its second head": (b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /he", b""),
}


@pytest.fixture(scope="module")
def seconds(shared_photos: Collection) -> dict[str, float]:
    """How long each of the slow clients is served, all at the same time."""
    settings = Settings(slow_clients=QUICK)
    with running(shared_photos, settings) as service, ThreadPoolExecutor(len(SLOW)) as clients:
        waiting = {
            name: clients.submit(seconds_until_closed, connected(service, sent), trickle)
            for name, (sent, trickle) in SLOW.items()
        }
        return {name: client.result() for name, client in waiting.items()}


@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_client_is_cut_off(seconds: dict[str, float], kind: str) -> None:
    assert seconds[kind] < _PATIENCE_S / 2


def test_a_client_that_does_not_take_its_answer_is_cut_off(photos: Collection) -> None:
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(1).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(photos.folder / "large.png")
    photos.add(photos.folder)
    own = photos.images()[-1]
    with running(photos, Settings(slow_clients=QUICK)) as service:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", service.port))
        connection.sendall(f"GET /v1/images/{own.id}/original HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        wait_until(lambda: len(service.server.server_state.connections) >= 2)
        wait_until(lambda: len(service.server.server_state.connections) <= 1)
        app = service.server.config.app
        wait_until(lambda: app.state.service.files.held == 0)  # type: ignore[union-attr]
        # The system does not hold what is left of the answer, either: the client is told at once that it is cut off.
        wait_until(lambda: connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET)
        connection.close()


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_client_that_is_fast_enough_is_served(photos: Collection) -> None:
    """It sends its picture in 40 pieces over more than the time of the window."""
    data = (photos.folder / "00.png").read_bytes() + bytes(6000)
    limits = replace(QUICK, window_s=3.0, bytes_per_s=100)
    with running(photos, Settings(slow_clients=limits)) as service:
        connection = connected(service, HEAD + f"Content-Length: {len(data)}\r\n\r\n".encode())
        size = len(data) // 40 + 1
        for start in range(0, len(data), size):
            connection.sendall(data[start : start + size])
            time.sleep(0.1)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.close()


def test_200_slow_clients_are_cut_off_while_others_are_served(photos: Collection) -> None:
    """With the limits that everybody has."""
    with running(photos, Settings()) as service:
        kinds = [sent for sent, _ in list(SLOW.values())[:7]]
        begun = time.monotonic()
        slow = [connected(service, kinds[number % len(kinds)]) for number in range(200)]
        open_ones = service.server.server_state.connections
        wait_until(lambda: len(open_ones) >= 100)  # the system takes connections before the service does
        times = []
        while len(open_ones) > 1 and time.monotonic() - begun < _PATIENCE_S:
            once = time.monotonic()
            assert service.client.post("/v1/search", json={"positive": [{"id": 1}]}).status_code == 200
            times.append(time.monotonic() - once)
            for connection in slow[::20]:
                with suppress(OSError):
                    connection.send(b"x")
            time.sleep(0.1)
        assert len(open_ones) <= 1
        assert len(times) > 3  # before the others were cut off
        assert statistics.median(times) < 2  # one may wait on a busy machine
        for connection in slow:
            connection.close()


def test_answers_do_not_wait_for_the_clients_acknowledgement(service: Running) -> None:
    """Nagle's algorithm would hold the body of an answer back until the client has acknowledged its head."""
    service.client.get("/health")
    [connection] = service.server.server_state.connections
    accepted: socket.socket = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_client_that_ends_its_side_gets_its_answer(service: Running) -> None:
    with connected(service, b"GET /v1/info HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") as connection:
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"}")


def test_more_connections_than_there_may_be_are_closed_at_once(photos: Collection) -> None:
    with running(photos, Settings(limits=Limits(connections=5), slow_clients=QUICK)) as service:
        some = [connected(service, b"") for _ in range(8)]
        assert some[-1].recv(1000).startswith(b"HTTP/1.1 503 ")
        for connection in some:
            connection.close()
        wait_until(lambda: len(service.server.server_state.connections) <= 1)
        assert service.client.get("/health").status_code == 200
