"""A service of a collection in a thread, at a real socket, and clients for it."""

import base64
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from lookalike import Collection
from lookalike.server.serving import listening, make_server
from lookalike.server.settings import Settings

TOKEN = "a-token-of-some-length"


@dataclass(frozen=True)
class Running:
    """A service that runs.

    Attributes:
        client: a client for it.
        port: where it listens, at 127.0.0.1.
        server: the server.
    """

    client: httpx.Client
    port: int
    server: uvicorn.Server

    def connection(self, timeout: float = 30) -> http.client.HTTPConnection:
        """A connection of the standard library, with which a test sends what no good client would."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)


@contextmanager
def running(collection: Collection, settings: Settings | None = None) -> Iterator[Running]:
    """Serves a collection at a free port until the end of the block, ready to answer."""
    started = threading.Event()
    chosen = replace(settings or Settings(), port=0)
    with listening(chosen) as listener:
        server = make_server(collection, chosen, listener, lambda _: started.set())
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            assert started.wait(20)
            port = listener.getsockname()[1]
            headers = {} if chosen.token is None else {"Authorization": f"Bearer {chosen.token}"}
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
                _wait_until_ready(client)
                yield Running(client, port, server)
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def _wait_until_ready(client: httpx.Client) -> None:
    for _ in range(200):
        if client.get("/ready").status_code == 200:
            return
        threading.Event().wait(0.02)
    raise AssertionError("not ready")


def search(client: httpx.Client, **body: Any) -> list[dict[str, Any]]:
    """The matches of a search by JSON."""
    response = client.post("/v1/search", json=body)
    assert response.status_code == 200, response.text
    return list(response.json()["matches"])


def search_image(client: httpx.Client, data: bytes, **options: Any) -> list[dict[str, Any]]:
    """The matches of a search by an uploaded image."""
    response = client.post("/v1/search", content=data, params=options, headers={"Content-Type": "image/png"})
    assert response.status_code == 200, response.text
    return list(response.json()["matches"])


def in_base64(path: Path) -> str:
    """The bytes of a file as JSON carries them."""
    return base64.b64encode(path.read_bytes()).decode()


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem detail of an answer, which has to have this status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = dict(response.json())
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    assert isinstance(found["hints"], list)
    return found
