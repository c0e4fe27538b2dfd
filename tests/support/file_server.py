"""A small server of files on loopback, with the faults that real ones have, and a hub of networks inside it.

with mirrored(monkeypatch, tmp_path) as server:
    server.files["/download.pytorch.org/models/net.pth"] = data   # asked for as https://download.pytorch.org/models/net.pth
    hub_repository(server, "timm/resnet18", {"config.json": ..., "model.safetensors": ...})
"""

import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = "/huggingface.co"


class Asked(NamedTuple):
    """A request as it arrived; the headers' names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]


class FileServer:
    """Serves `files` until the end of the `with` block.

    Attributes:
        url: http://127.0.0.1:PORT.
        files: their bytes by path, which begins with a slash; a query is ignored where the path with it is not there.
        requests: all that were asked, in their order.
        statuses: the status codes to answer with instead, by path.
        redirects: the URLs to send on to, by path.
        drops: by path, for each of the next requests, after how many bytes of the body the connection is cut.
        everything: what it sends for paths that are not in `files`, if not None.
        ranges: whether it heeds Range; else it sends the whole file.
        if_range: whether it heeds If-Range.
        etags: whether it sends them.
        lengths: whether it says how long a file is.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[Asked] = []
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
        """That of a file with these bytes."""
        return f'"{hashlib.sha256(data).hexdigest()[:16]}"'

    def paths(self) -> list[str]:
        """The paths that were asked for, in their order."""
        return [asked.path for asked in self.requests]


def _handler(server: FileServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.requests.append(Asked(self.command, self.path, headers))
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
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            same = self.headers.get("If-Range", etag) == etag or not server.if_range
            if asked and server.ranges and same:
                status, start = 206, int(asked[1])
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
            """Says nothing."""

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
    """Puts a repository there as the Hugging Face hub would: what it says of it, and its files at that commit.

    What is not text has a SHA-256, as files in LFS do.
    """
    siblings = []
    for path, data in files.items():
        server.files[f"{HUB}/{name}/resolve/{commit}/{path}"] = data
        facts: dict[str, Any] = {"rfilename": path, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
        if Path(path).suffix not in {".json", ".txt", ".md"}:
            facts["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        siblings.append(facts)
    told = {"id": name, "sha": commit, "siblings": siblings, "cardData": {"license": licence}}
    for known in (revision, commit):
        server.files[f"{HUB}/api/models/{name}/revision/{known}"] = json.dumps(told).encode()


@contextmanager
def mirrored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    """A server that everything is downloaded from, into a folder of models that is the test's own."""
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    with FileServer() as server:
        monkeypatch.setenv("LOOKALIKE_MIRROR", server.url)
        monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))
        yield server
