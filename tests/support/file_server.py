"""A file server on loopback, with the faults of real ones, that also stands for the Hugging Face hub.

with mirrored(monkeypatch, tmp_path) as server:
    server.files["/download.pytorch.org/models/net.pth"] = data   # at https://download.pytorch.org/models/net.pth
    hub_repository(server, "timm/resnet18", {"config.json": ..., "model.safetensors": ...})
"""

import hashlib
import http.server
import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = "/huggingface.co"


class Received(NamedTuple):
    """A request as the server received it; the names of its headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]


class FileServer:
    """Serves `files` until the end of the `with` block.

    Attributes:
        url: http://127.0.0.1:PORT.
        files: their bytes by path, which begins with a slash; a query is ignored unless a path with it is in `files`.
        requests: all requests received, in order.
        statuses: status codes to respond with instead, by path.
        redirects: URLs to redirect to, by path.
        drops: by path, for each of the next requests, the number of bytes after which the connection is dropped.
        everything: the file at all paths that are not in `files`, if not None.
        ranges: whether it supports Range; else it sends the whole file.
        if_range: whether it supports If-Range.
        etags: whether it sends ETag.
        lengths: whether it sends Content-Length.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[Received] = []
        self.statuses: dict[str, int] = {}
        self.redirects: dict[str, str] = {}
        self.drops: dict[str, list[int]] = {}
        self.everything: bytes | None = None
        self.ranges = True
        self.if_range = True
        self.etags = True
        self.lengths = True
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def etag(self, data: bytes) -> str:
        """The ETag of a file with these bytes."""
        return f'"{hashlib.sha256(data).hexdigest()[:16]}"'

    def paths(self) -> list[str]:
        """The requested paths, in order."""
        return [request.path for request in self.requests]


def _handler(server: FileServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.requests.append(Received(self.command, self.path, headers))
            path = self.path if self.path in server.files else self.path.partition("?")[0]
            if path in server.statuses:
                self._head(server.statuses[path])
            elif path in server.redirects:
                self._head(302, {"Location": server.redirects[path]})
            elif (data := server.files.get(path, server.everything)) is not None:
                self._file(path, data)
            else:
                self._head(404)

        def _file(self, path: str, data: bytes) -> None:
            etag = server.etag(data)
            headers = {"ETag": etag} if server.etags else {}
            status, start = 200, 0
            requested = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            same = self.headers.get("If-Range", etag) == etag or not server.if_range
            if requested and server.ranges and same:
                status, start = 206, int(requested[1])
                if start >= len(data):
                    self._head(416, {"Content-Range": f"bytes */{len(data)}"})
                    return
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            body = data[start:]
            self._head(status, headers | ({"Content-Length": str(len(body))} if server.lengths else {}))
            drops = server.drops.get(path)
            self.wfile.write(body[: drops.pop(0)] if drops else body)

        def _head(self, status: int, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {"Content-Length": "0"}).items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            """Logs nothing."""

    return Handler


def hub_repository(
    server: FileServer,
    name: str,
    files: Mapping[str, bytes],
    *,
    commit: str = COMMIT,
    revision: str = "main",
    licence: str = "apache-2.0",
) -> None:
    """Serves a repository as the Hugging Face hub does: its description, and its files at a commit.

    Binary files have a SHA-256, as those in LFS do.
    """
    siblings = []
    for path, data in files.items():
        server.files[f"{HUB}/{name}/resolve/{commit}/{path}"] = data
        facts: dict[str, Any] = {"rfilename": path, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
        if Path(path).suffix not in {".json", ".txt", ".md"}:
            facts["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        siblings.append(facts)
    description = {"id": name, "sha": commit, "siblings": siblings, "cardData": {"license": licence}}
    for known in (revision, commit):
        server.files[f"{HUB}/api/models/{name}/revision/{known}"] = json.dumps(description).encode()


@contextmanager
def mirrored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    """Starts the server as the mirror of all download servers, with the test's own folder of models."""
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    with FileServer() as server:
        monkeypatch.setenv("LOOKALIKE_MIRROR", server.url)
        monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))
        yield server


@contextmanager
def only_file_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    """As `mirrored`; a connection to any other server fails the test."""
    connect = socket.socket.connect
    with mirrored(monkeypatch, tmp_path) as server:

        def connect_to_server(self: socket.socket, address: Any) -> None:
            assert server.url.endswith(f"//{address[0]}:{address[1]}"), f"a connection to {address}"
            connect(self, address)

        monkeypatch.setattr(socket.socket, "connect", connect_to_server)
        yield server
