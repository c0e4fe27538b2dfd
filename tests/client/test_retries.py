"""When a service fails, a client tries again where that is safe, in bounded time, and says what is wrong."""

import json
import os
import socket
import ssl
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lookalike import Client
from lookalike.client.service import Patience
from lookalike.errors import LockedError, NoImageError, ServiceError
from tests.client.conftest import Both
from tests.support.pictures import picture
from tests.support.wrong_services import answering, closes, drips, says, sends, sends_then_closes, sends_without_end

TOKEN = "a-secret-that-nobody-else-gets"
FOUND = json.dumps({"matches": [], "took_ms": {}}).encode()
IMAGE = {"id": 7, "key": "x.png", "label": None, "width": 1, "height": 1, "attributes": {}, "sha256": "00" * 32}
WRITABLE = {
    "name": "x",
    "version": "1",
    "images": 1,
    "missing": 0,
    "skipped": 0,
    "index": None,
    "damage": None,
    "model": {"name": "m", "precision": "", "dim": 2, "fingerprint": "f"},
    "revision": "1",
    "attributes": [],
    "writable": True,
    "takes_text": False,
    "limits": {"body_bytes": 10**6, "k": 10, "page": 5, "batch": 2, "thumbnail_sizes": [128]},
}


def problem(kind: str, status: int, *headers: str) -> Any:
    body = {"type": f"urn:lookalike:{kind}", "title": "x", "status": status, "detail": "told", "hints": []}
    return says(status, json.dumps(body).encode(), *headers, media_type="application/problem+json")


BUSY = problem("busy", 503, "Retry-After: 0")


class Pauses(list[float]):
    """A client's pauses, which are noted instead of waited for."""

    def of(self, client: Client) -> None:
        old = client._service._patience
        client._service._patience = Patience(old.timeout_s, old.retries, self.append)


def test_a_busy_service_is_asked_again_after_as_long_as_it_says() -> None:
    pauses = Pauses()
    late = problem("busy", 503, "Retry-After: 2")
    with answering(late, late, says(200, FOUND)) as asked, Client(asked.address) as client:
        pauses.of(client)
        assert client.search_id(1) == []
    assert len(asked.heads) == 3
    assert asked.bodies[0] == asked.bodies[2]
    assert 2.05 <= pauses[0] <= 2.1
    assert 2.1 <= pauses[1] <= 2.2


def test_pauses_grow_and_differ_from_client_to_client() -> None:
    firsts = set()
    for _ in range(5):
        pauses = Pauses()
        with answering(closes) as asked, Client(asked.address, retries=4) as client:
            pauses.of(client)
            with pytest.raises(ServiceError, match="the connection was closed before the answer"):
                client.search_id(1)
        assert asked.connections == 5
        assert all(0.05 * 2**turn <= pause <= 0.1 * 2**turn for turn, pause in enumerate(pauses))
        firsts.add(pauses[0])
    assert len(firsts) > 1


@pytest.mark.parametrize("first", [BUSY, closes, sends_then_closes(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{")])
def test_searches_and_look_ups_are_tried_again(first: Any) -> None:
    with answering(first, says(200, FOUND)) as asked, Client(asked.address) as client:
        assert client.search(picture(1)) == []
        assert client.search_vector([1, 2]) == []
    with answering(first, says(200, json.dumps(IMAGE).encode())) as asked, Client(asked.address) as client:
        assert client.image(7).key == "x.png"
    assert len(asked.heads) == 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (says(503, b"no"), "503"),
        (problem("incompatible-error", 503), "told"),
        (problem("corrupt-error", 500, "Retry-After: 1"), "told"),
        (says(413, b"<html>too large"), "larger than it takes"),
        (says(502, b"<html>bad gateway"), "502, and not as a service of Lookalike does"),
        (says(429, b"{}", "Retry-After: 0"), "429"),
        (sends(b"SSH-2.0-OpenSSH_9.9\r\n" * 10), "not HTTP"),
    ],
)
def test_other_failures_are_told_at_once(answer: Any, message: str) -> None:
    with answering(answer) as asked, Client(asked.address) as client, pytest.raises(Exception, match=message) as told:
        client.search_id(1)
    assert len(asked.heads) == 1
    assert asked.address in str(told.value)


def test_retries_end_and_the_last_error_is_told() -> None:
    locked = problem("locked-error", 503, "Retry-After: 0")
    for retries in (0, 2):
        with answering(locked) as asked, Client(asked.address, retries=retries) as client:
            with pytest.raises(LockedError, match="told"):
                client.search_id(1)
            assert len(asked.heads) == retries + 1


@pytest.mark.parametrize("seconds", ["1000000000", "30", "9" * 400])
def test_a_service_cannot_make_a_client_wait_longer_than_it_wants(seconds: str) -> None:
    begun = time.monotonic()
    with (
        answering(problem("busy", 503, f"Retry-After: {seconds}")) as asked,
        Client(asked.address, timeout=2) as client,
    ):
        with pytest.raises(ServiceError, match="told") as told:
            client.search_id(1)
        assert told.value.status == 503
    assert time.monotonic() - begun < 10


SLOW = [
    drips(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000, 0.05),
    drips(b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    sends_without_end(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    drips(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b" " * 2000, 0.01),
    drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n \r\n" + b"0" * 1000, 0.01),
    drips(b" ", 5),
]


@pytest.mark.parametrize("case", range(len(SLOW)))
def test_an_answer_that_comes_slowly_is_given_up_in_time(case: int) -> None:
    """However often a byte arrives; nothing is tried again after that."""
    begun = time.monotonic()
    with answering(SLOW[case]) as asked, Client(asked.address, timeout=0.7) as client:
        with pytest.raises(ServiceError, match=r"no answer within 0\.7 s"):
            client.search_id(1)
        assert 0.6 < time.monotonic() - begun < 4.5
    assert len(asked.heads) == 1


def test_a_body_that_is_taken_slowly_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        begun = time.monotonic()
        with Client(address, timeout=0.7) as client, pytest.raises(ServiceError, match="no answer within"):
            client.search(b"x" * 30_000_000)
    assert time.monotonic() - begun < 10


def test_where_nothing_listens_every_request_may_be_tried_again() -> None:
    pauses = Pauses()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}") as client:
        pauses.of(client)
        with pytest.raises(ServiceError, match="nothing listens there") as told:
            client.search_id(1)
    assert told.value.status is None
    assert len(pauses) == 3


def test_a_host_that_is_not_known_is_told() -> None:
    with (
        Client("http://no-such-host.invalid", retries=0) as client,
        pytest.raises(ServiceError, match="no host of that"),
    ):
        client.info()


def test_a_put_is_the_same_once_more(writable: Both) -> None:
    """The first answer is lost; the second try finds the same bytes under the name."""
    made = says(201, json.dumps(IMAGE).encode())
    info = says(200, json.dumps(WRITABLE).encode())
    with answering(info, closes, made) as asked, Client(asked.address) as client:
        assert client.put("x.png", b"data").id == 7
    assert asked.bodies[1:] == [b"data"] * 2


def test_a_deletion_whose_answer_was_lost_is_one() -> None:
    """An id is never used again, so that "there is no such image" means that the first try has done it."""
    info, image = says(200, json.dumps(WRITABLE).encode()), says(200, json.dumps(IMAGE).encode())
    gone = problem("no-image-error", 404)
    with answering(info, image, closes, gone) as asked, Client(asked.address) as client:
        assert client.delete(7).key == "x.png"
    with (
        answering(info, image, closes, gone) as asked,
        Client(asked.address) as client,
        pytest.raises(ServiceError, match=r"x\.png: the image is forgotten, but the answer was lost"),
    ):
        client.delete(7, file=True)
    with answering(info, image, gone) as asked, Client(asked.address) as client, pytest.raises(NoImageError):
        client.delete(7)
    with answering(info, gone) as asked, Client(asked.address) as client, pytest.raises(NoImageError):
        client.delete(7)


def test_no_redirect_is_followed_and_no_other_host_gets_the_token() -> None:
    with answering(says(200, FOUND)) as other:
        for status in (301, 302, 303, 307, 308):
            away = says(status, b"", f"Location: {other.address}/v1/search")
            with answering(away) as asked, Client(asked.address, token=TOKEN) as client:
                with pytest.raises(ServiceError, match="redirect, which is not followed") as told:
                    client.search_id(1)
                assert told.value.status == status
                assert f"Authorization: Bearer {TOKEN}" in asked.heads[0]
        assert other.heads == []


def test_the_token_is_sent_in_the_header_only_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_TOKEN", TOKEN)
    with answering(says(401, b"{}")) as asked, Client(asked.address) as client:
        with pytest.raises(ServiceError, match="the token is missing or wrong") as told:
            client.search(picture(0), k=3)
        assert told.value.status == 401
        request_line, _, headers = asked.heads[0].partition("\r\n")
        assert TOKEN not in request_line
        assert f"\r\nAuthorization: Bearer {TOKEN}" in f"\r\n{headers}"
        shown = "".join((repr(client), str(told.value), repr(told.value), *traceback.format_exception(told.value)))
        assert TOKEN not in shown
    with answering(says(401, b"{}")) as asked, Client(asked.address, token="another") as client:
        with pytest.raises(ServiceError):
            client.info()
        assert "Bearer another" in asked.heads[0]


def test_proxies_of_the_environment_see_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(says(200, FOUND)) as proxy, answering(says(200, FOUND)) as asked:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.address)
        with Client(asked.address, token=TOKEN) as client:
            assert client.search_id(1) == []
        assert (len(asked.heads), len(proxy.heads)) == (1, 0)


def test_connections_are_kept_and_replaced_when_the_service_has_closed_them() -> None:
    last = sends_then_closes(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FOUND) + FOUND)
    good = says(200, FOUND)
    with answering(good, good, last, good) as asked, Client(asked.address, retries=0) as client:
        for _ in range(3):
            client.search_id(1)
        assert asked.connections == 1
        time.sleep(0.05)
        client.search_id(1)
        assert asked.connections == 2
        client.close()
        client.search_id(1)
        assert asked.connections == 3


def test_what_is_sent_behind_an_answer_is_no_other_answer() -> None:
    evil = json.dumps({"matches": [], "took_ms": {}, "evil": 1}).encode()
    behind = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(evil) + evil
    good = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FOUND) + FOUND
    with answering(sends(good + behind), says(200, FOUND)) as asked, Client(asked.address) as client:
        client.search_id(1)
        client.search_id(2)
    assert len(asked.heads) == 2


def test_threads_share_a_client(both: Both) -> None:
    expected = {number: both.collection.search_id(number, k=2)[0].id for number in range(1, 11)}
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda turn: both.client.search_id(turn % 10 + 1, k=2)[0].id, range(200))
        assert list(found) == [expected[turn % 10 + 1] for turn in range(200)]


def test_a_forked_child_makes_connections_of_its_own(both: Both) -> None:
    both.client.search_id(1)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, str(both.client.search_id(1, k=1)[0].id).encode())
        os._exit(0)
    os.waitpid(child, 0)
    found = int(os.read(reading, 100))
    os.close(reading)
    os.close(writing)
    assert found == both.client.search_id(1, k=1)[0].id


def test_a_certificate_that_is_not_trusted_is_not_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def speak() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 no TLS here\r\n\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        context = ssl.create_default_context()
        with Client(f"https://127.0.0.1:{port}", tls=context, retries=0) as client, pytest.raises(ServiceError):
            client.info()
        thread.join()
