"""Shapes of HTTP that no good client sends, over real sockets: what is ambiguous, endless or of another protocol."""

import json
import re
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress

import pytest

from lookalike import Collection
from lookalike.server.settings import Settings
from tests.support.http_service import Running, problem, running
from tests.support.pictures import draw

HOST = b"Host: 127.0.0.1\r\n"
IMAGE = b"POST /v1/search HTTP/1.1\r\n" + HOST + b"Content-Type: image/png\r\n"
CHUNKED = IMAGE + b"Transfer-Encoding: chunked\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"


def exchanged(
    port: int, sent: bytes, *, answers: int = 1, half: bool = False, wait_s: float = 1.0
) -> tuple[list[int], bool]:
    """The statuses of all answers, and whether the service has closed the connection.

    Args:
        port: the service's.
        sent: what is sent at once.
        answers: how many are expected: these may take as long as a busy machine needs.
        half: nothing more will be sent, and the service is told so.
        wait_s: how long more is waited for after them: for an answer too many, and for the end of the connection.
    """
    received = b""

    def statuses() -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]

    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(sent)
        if half:
            connection.shutdown(socket.SHUT_WR)
        is_closed = True  # be it by its end or by a reset
        try:
            with suppress(ConnectionResetError):
                while part := connection.recv(65536):
                    received += part
                    connection.settimeout(wait_s if len(statuses()) >= answers else 30)
        except TimeoutError:
            is_closed = False
    return statuses(), is_closed


@pytest.fixture(scope="module")
def port(shared: Running) -> Iterator[int]:
    yield shared.port
    assert shared.client.get("/health").status_code == 200


# What a proxy might take for a body of another length, so that the rest were a request of the client's own making.
SMUGGLED: dict[str, bytes] = {
    "both lengths": IMAGE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HEALTH,
    "both, the other way": IMAGE + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + HEALTH,
    "two lengths": IMAGE + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde" + HEALTH,
    "a list of lengths": IMAGE + b"Content-Length: 5, 6\r\n\r\nabcde" + HEALTH,
    "a length with a sign": IMAGE + b"Content-Length: +5\r\n\r\nabcde" + HEALTH,
    "a negative length": IMAGE + b"Content-Length: -5\r\n\r\nabcde" + HEALTH,
    "a hexadecimal length": IMAGE + b"Content-Length: 0x5\r\n\r\nabcde" + HEALTH,
    "a length of 5000 digits": IMAGE + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + HEALTH,
    "a space before the colon": IMAGE + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HEALTH,
    "another coding": IMAGE + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HEALTH,
    "two codings": IMAGE + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + HEALTH,
    "no coding": IMAGE + b"Transfer-Encoding: identity\r\n\r\n" + HEALTH,
    "a chunk with a sign": CHUNKED + b"+5\r\nabcde\r\n0\r\n\r\n" + HEALTH,
    "a chunk of another length": CHUNKED + b"3\r\nabcde\r\n0\r\n\r\n" + HEALTH,
    "a chunk without end": CHUNKED + b"F" * 21 + b"\r\nabcde" + HEALTH,
    "a zero byte in a header": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n" + HEALTH,
    "a carriage return in a header": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n" + HEALTH,
    "no header": b"GET /health HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n" + HEALTH,
    "an older protocol": b"GET /health\r\n\r\n" + HEALTH,
}


@pytest.mark.parametrize("sent", SMUGGLED.values(), ids=SMUGGLED)
def test_an_ambiguous_request_is_refused_and_the_next_one_not_read(port: int, sent: bytes) -> None:
    assert exchanged(port, sent) == ([400], True)


LARGE = {
    "a header": b"GET /health HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 17_000 + b"\r\n\r\n",
    "headers": b"GET /health HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 5000 + b"\r\n",
    "an address": b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a query": b"GET /v1/images?" + b"label=a&" * 2500 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("sent", LARGE.values(), ids=LARGE)
def test_a_long_head_is_refused_whether_it_comes_at_once_or_in_parts(port: int, sent: bytes) -> None:
    assert exchanged(port, sent + HEALTH) == ([431], True)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent[:15_000])
        time.sleep(0.1)
        connection.sendall(sent[15_000:])
        assert re.match(rb"HTTP/1\.1 4\d\d ", connection.recv(65536))


TAKEN: dict[str, tuple[bytes, list[int]]] = {
    "fifty in one packet": (HEALTH * 50, [200] * 50),
    "a search after a look": (HEALTH + IMAGE + b"Content-Length: 3\r\n\r\nabc" + HEALTH, [200, 422, 200]),
    "an extension of a chunk": (CHUNKED + b'5;a=b;c="d"\r\nabcde\r\n0;e\r\nTrailer: x\r\n\r\n' + HEALTH, [422, 200]),
    "a body where none is wanted": (
        b"GET /health HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nabcde" + HEALTH,
        [200, 200],
    ),
    "an expectation": (
        IMAGE + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nabcde" + HEALTH,
        [100, 422, 200],
    ),
    "a WebSocket": (
        HEALTH[:-2] + b"Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n" + HEALTH,
        [200, 200],
    ),
    "HTTP/2": (HEALTH[:-2] + b"Upgrade: h2c\r\nConnection: upgrade, HTTP2-Settings\r\n\r\n" + HEALTH, [200, 200]),
}


@pytest.mark.parametrize(("sent", "statuses"), TAKEN.values(), ids=TAKEN)
def test_what_is_unusual_but_clear_is_answered(port: int, sent: bytes, statuses: list[int]) -> None:
    assert exchanged(port, sent, answers=len(statuses)) == (statuses, False)


REFUSED: dict[str, tuple[bytes, list[int], bool]] = {
    "a tunnel": (b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + HOST + b"\r\n", [404], False),
    "a trace": (b"TRACE /health HTTP/1.1\r\n" + HOST + b"Cookie: a\r\n\r\n", [405], False),
    "a foreign address": (b"GET http://example.org/health HTTP/1.1\r\n" + HOST + b"\r\n", [404], False),
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", [400], True),
    "no host, as of old": (b"GET /health HTTP/1.0\r\n\r\n", [421], True),
    "two hosts": (b"GET /health HTTP/1.1\r\n" + HOST + HOST + b"\r\n", [400], True),
    "HTTP/2 from the start": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [421, 400], True),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n", [400], True),
}


@pytest.mark.parametrize(("sent", "statuses", "is_closed"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_for_this_service_is_refused(port: int, sent: bytes, statuses: list[int], is_closed: bool) -> None:
    assert exchanged(port, sent, answers=len(statuses)) == (statuses, is_closed)


def test_a_refusal_comes_before_the_body_is_sent(port: int) -> None:
    """A client that asks first is not told to go on, and nothing that it sends then is a request."""
    for head, status in ((IMAGE.replace(b"image/png", b"x/y"), 415), (IMAGE, 413)):
        length = b"Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n"
        assert exchanged(port, head + length + HEALTH, wait_s=7) == ([status], True)


def test_a_client_that_goes_away_halfway_leaves_nothing(shared: Running) -> None:
    for sent in (IMAGE + b"Content-Length: 500\r\n\r\nabc", IMAGE[:30], CHUNKED + b"5\r\nab"):
        assert exchanged(shared.port, sent, half=True) == ([], True)
    assert exchanged(shared.port, HEALTH * 3, answers=3, half=True) == ([200] * 3, True)
    # One connection is that of the client that waited until it was ready.
    until = time.monotonic() + 5
    while len(shared.server.server_state.connections) > 1:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_every_get_takes_head_and_gives_the_same_head(shared: Running) -> None:
    client = shared.client
    paths = [path for path, routes in client.get("/openapi.json").json()["paths"].items() if "get" in routes]
    assert len(paths) >= 8
    for path in [path.replace("{image_id}", "1") for path in paths]:
        full, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (full.status_code, b""), path
        same = ("content-type", "etag", "cache-control", "content-security-policy")
        assert [head.headers.get(name) for name in same] == [full.headers.get(name) for name in same]
        if path not in ("/metrics", "/v1/images/random"):  # which are others each time
            assert head.headers["content-length"] == full.headers["content-length"]
    assert exchanged(shared.port, HEALTH.replace(b"GET", b"HEAD") + HEALTH, answers=2) == ([200, 200], False)
    assert client.delete("/health").headers["allow"] == "GET, HEAD"
    problem(client.delete("/health"), 405)
    assert client.head("/none").status_code == 404


def test_a_compressed_body_is_refused_unread(shared: Running) -> None:
    bomb = zlib.compress(bytes(10**8))
    for kind in ("image/png", "application/json", "multipart/form-data; boundary=x"):
        for coding in ("gzip", "deflate", "br", "gzip, gzip"):
            headers = {"Content-Type": kind, "Content-Encoding": coding}
            response = shared.client.post("/v1/search", content=bomb, headers=headers)
            problem(response, 415)
            assert response.headers["accept-encoding"] == "identity"
    sent = json.dumps({"positive": [{"id": 1}]}).encode()
    headers = {"Content-Type": "application/json", "Content-Encoding": "identity"}
    assert shared.client.post("/v1/search", content=sent, headers=headers).status_code == 200


def test_a_small_image_of_gigapixels_is_refused_by_its_header(shared: Running) -> None:
    """30,000 x 30,000 pixels of one colour in 110 kB."""
    row = b"\0" + bytes(30_000 // 8)
    pixels = zlib.compress(row * 30_000, 9)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = (30_000).to_bytes(4, "big")
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + size + b"\1\0\0\0\0") + chunk(b"IDAT", pixels)
    begun = time.monotonic()
    response = shared.client.post("/v1/search", content=bomb, headers={"Content-Type": "image/png"})
    assert "pixels" in problem(response, 422)["reason"]
    assert time.monotonic() - begun < 10


def test_a_put_to_a_foreign_address_writes_nothing(photos: Collection) -> None:
    data = draw(photos.folder.parent / "new.png", 70).read_bytes()
    before = sorted(photos.folder.rglob("*.png"))
    with running(photos, Settings(writable=True)) as service:
        for address in ("http://127.0.0.1/v1/images/x.png", "//v1/images/x.png", "/v1/images/x.png#y/../.."):
            head = (
                f"PUT {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: {len(data)}"
            )
            [status], _ = exchanged(service.port, head.encode() + b"\r\n\r\n" + data)
            assert status in (404, 405, 422), address
    assert sorted(photos.folder.rglob("*.png")) == before
