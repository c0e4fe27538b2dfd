"""HTTP requests: addresses, redirects, mirrors, tokens, and the messages of failures."""

import socket
import threading
import time
import urllib.request
from pathlib import Path

import pytest

import lookalike
from lookalike.errors import Hint, ModelError, UsageError
from lookalike.importers.download import download, transport
from tests.support.downloads import DATA, PATH, SHA256, URL, fetch, kept
from tests.support.file_server import FileServer


def test_a_request_contains_only_the_version_of_lookalike(server: FileServer) -> None:
    fetch()
    [request] = server.requests
    assert (request.method, request.path) == ("GET", PATH)
    assert request.headers.pop("user-agent") == f"lookalike/{lookalike.__version__}"
    assert request.headers == {
        "accept-encoding": "identity",
        "host": server.url.removeprefix("http://"),
        "connection": "close",
    }


# Failures


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, f"{URL}: 127.0.0.1:.* has no such file; check the name"),
        (401, r"refuses access \(401\).*HF_TOKEN"),
        (403, r"refuses access \(403\).*HF_TOKEN"),
        (503, r"cannot answer now \(503 Service Unavailable\); try again later"),
        (429, r"cannot answer now \(429 Too Many Requests\)"),
        (418, "answers with 418"),
    ],
)
def test_each_refusal_says_what_to_do(server: FileServer, status: int, message: str) -> None:
    server.statuses[PATH] = status
    with pytest.raises(ModelError, match=message):
        fetch()


OFFLINE = "could not be reached .*this machine may be offline.*LOOKALIKE_MIRROR"


def test_an_unreachable_server_is_named_with_advice(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("LOOKALIKE_MIRROR", f"http://127.0.0.1:{port}")
    with pytest.raises(ModelError, match=rf"{URL}: 127.0.0.1:{port} could not be reached \(Connection refused\)"):
        fetch()
    with pytest.raises(ModelError, match=OFFLINE) as raised:
        download.document(URL)
    assert raised.value.hints == (Hint("find_models"),)


def test_a_host_name_that_cannot_be_resolved_is_named(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.delenv("LOOKALIKE_MIRROR")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ModelError, match=r"weights.example could not be reached \(its name cannot be resolved\)"):
        fetch()


def test_a_silent_server_is_given_up_after_the_timeout(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("LOOKALIKE_MIRROR", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(ModelError, match="no answer in"):
            fetch()
        assert time.monotonic() - began < 5


def test_a_server_that_does_not_speak_http_is_reported(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("LOOKALIKE_MIRROR", f"http://127.0.0.1:{other.getsockname()[1]}")

        def answer() -> None:
            connection, _ = other.accept()
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-OpenSSH\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ModelError, match="could not be reached"):
            fetch()
        thread.join()


# Addresses


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/file", "/etc/passwd", "https:///file", "data:,x"])
def test_only_https_and_http_addresses_are_requested(server: FileServer, url: str) -> None:
    with pytest.raises(UsageError, match="https and http"):
        download.file(url, lambda _: None)
    with pytest.raises(UsageError, match="https and http"):
        download.document(url)


@pytest.mark.parametrize(
    "url", ["https://host/a b", "https://host/a\r\nX-Bad: 1", "https://[host/a", "https://host:x/a", "https://host/é"]
)
def test_malformed_addresses_are_refused(server: FileServer, url: str) -> None:
    with pytest.raises((UsageError, ModelError)):
        download.document(url)
    assert server.requests == []


# Redirects


def test_redirects_are_followed(server: FileServer) -> None:
    server.redirects[PATH] = server.url + "/elsewhere"
    server.files["/elsewhere"] = DATA
    assert fetch().path.read_bytes() == DATA
    assert fetch().path.name.endswith("-resnet.pth")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/file", "data:,x"])
def test_redirects_to_other_schemes_are_refused(server: FileServer, tmp_path: Path, target: str) -> None:
    server.redirects[PATH] = target
    with pytest.raises(ModelError, match=r"its redirect cannot be followed|not safe"):
        fetch()
    assert kept(tmp_path) == {}


def test_a_redirect_loop_comes_to_an_end(server: FileServer) -> None:
    server.redirects[PATH] = server.url + PATH
    with pytest.raises(ModelError, match=r"redirect cannot be followed: .*infinite loop"):
        fetch()


def test_a_redirect_without_a_target_is_refused(server: FileServer) -> None:
    server.statuses[PATH] = 302
    with pytest.raises(ModelError, match=f"{URL}: 127.0.0.1:.* answers with 302 Found; the file is not available"):
        fetch()


def test_redirects_from_https_to_http_are_refused() -> None:
    request = urllib.request.Request("https://weights.example/a")
    with pytest.raises(ModelError, match="not safe"):
        transport._Redirects().redirect_request(request, None, 302, "Found", {}, "http://weights.example/a")  # type: ignore[arg-type]


# Mirrors and proxies


def test_a_mirror_has_each_address_under_its_host(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_MIRROR", server.url + "/base/")
    server.files["/base/weights.example:8443/a/b.bin"] = DATA
    assert download.file("https://weights.example:8443/a/b.bin?x=1", lambda _: None).sha256 == SHA256
    assert server.paths() == ["/base/weights.example:8443/a/b.bin?x=1"]


def test_a_mirror_that_is_not_an_http_address_is_refused(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_MIRROR", "/srv/mirror")
    with pytest.raises(UsageError, match="LOOKALIKE_MIRROR"):
        fetch()


def test_the_environments_proxy_is_used(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOKALIKE_MIRROR")
    monkeypatch.setenv("http_proxy", server.url)
    server.files["http://weights.example/a.bin"] = DATA
    assert download.file("http://weights.example/a.bin", lambda _: None).sha256 == SHA256


# Tokens


def test_a_token_is_not_sent_to_the_target_of_a_redirect(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOKALIKE_MIRROR")
    with FileServer() as other:
        server.redirects["/a"] = server.url + "/b"
        server.redirects["/b"] = other.url + "/c"
        other.files["/c"] = DATA
        assert download.file(server.url + "/a", lambda _: None, token="secret").sha256 == SHA256
        assert [request.headers.get("authorization") for request in server.requests] == ["Bearer secret"] * 2
        assert [request.headers.get("authorization") for request in other.requests] == [None]


def test_a_token_is_not_sent_to_a_mirror(server: FileServer) -> None:
    fetch(token="secret")
    assert "authorization" not in server.requests[0].headers
