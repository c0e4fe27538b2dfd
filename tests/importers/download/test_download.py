"""Downloads: what goes over the wire, what is there afterwards, and what is said when something is wrong."""

import hashlib
import os
import resource
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import filelock
import numpy as np
import pytest

import lookalike
from lookalike import importers
from lookalike.errors import ModelError, StorageError, UsageError
from lookalike.images.decode import Preprocessing
from lookalike.importers import timm as from_timm
from lookalike.importers.base import ImportedNetwork, ImportProgress, ImportRequest
from lookalike.importers.download import cache, download, transport
from lookalike.importers.download.checksum import Digests
from lookalike.importers.download.download import Checksum
from tests.support import tiny_models
from tests.support.file_server import FileServer, mirrored

URL = "https://weights.example/nets/resnet.pth"
PATH = "/weights.example/nets/resnet.pth"
DATA = np.random.default_rng(0).bytes(900_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    monkeypatch.setattr(download, "_WAITS", (0.01, 0.01))
    with mirrored(monkeypatch, tmp_path) as server:
        server.files[PATH] = DATA
        yield server


def fetch(
    checksum: Checksum | None = None, *, size: int | None = None, token: str | None = None
) -> download.Downloaded:
    return download.file(URL, lambda _: None, checksum=checksum, size=size, token=token)


def kept(tmp_path: Path) -> dict[str, bytes]:
    """What is in the folder of downloads, but for the lock."""
    folder = tmp_path / "models" / ".downloads"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


def cut_off(server: FileServer, *drops: int) -> None:
    """Downloads until the connections are cut, which is after so many bytes for each try, and some more without any."""
    server.drops[PATH] = [*drops, *[0] * 3]
    with pytest.raises(ModelError, match="the connection was dropped after"):
        fetch()
    server.drops.clear()
    server.requests.clear()


def test_a_file_arrives_whole_with_its_sha256_under_a_name_that_tells_what_it_is(server: FileServer) -> None:
    found = fetch(Checksum("sha256", SHA256), size=len(DATA))
    assert (found.path.read_bytes(), found.sha256) == (DATA, SHA256)
    assert found.path.name == hashlib.sha256(URL.encode()).hexdigest()[:16] + "-resnet.pth"


def test_nothing_is_sent_but_what_http_needs_and_which_lookalike_asks(server: FileServer) -> None:
    fetch()
    [asked] = server.requests
    assert (asked.method, asked.path) == ("GET", PATH)
    assert asked.headers.pop("user-agent") == f"lookalike/{lookalike.__version__}"
    assert asked.headers == {
        "accept-encoding": "identity",
        "host": server.url.removeprefix("http://"),
        "connection": "close",
    }


def test_progress_is_told_in_bytes_up_to_the_end(server: FileServer) -> None:
    told: list[ImportProgress] = []
    download.file(URL, told.append)
    assert {progress.stage for progress in told} == {"downloading resnet.pth"}
    assert {progress.total for progress in told} == {len(DATA)}
    done = [progress.done for progress in told]
    assert (done[0], done[-1]) == (0, len(DATA))
    assert done == sorted(done)
    assert len(done) > 3


def test_what_is_existing_is_not_downloaded_again(server: FileServer) -> None:
    assert fetch(Checksum("sha256", SHA256)) == fetch(Checksum("sha256", SHA256))
    assert len(server.requests) == 1


def test_what_is_existing_but_damaged_is_downloaded_again(server: FileServer) -> None:
    path = fetch(Checksum("sha256", SHA256)).path
    path.write_bytes(DATA[:-1] + b"?")
    assert fetch(Checksum("sha256", SHA256)).path.read_bytes() == DATA
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "checksum",
    [
        Checksum("sha256", SHA256[:8]),
        Checksum("sha256", SHA256.upper()),
        Checksum("md5", hashlib.md5(DATA).hexdigest()),
    ],
)
def test_the_beginning_of_a_digest_is_enough_and_md5_will_do(server: FileServer, checksum: Checksum) -> None:
    assert fetch(checksum).sha256 == SHA256


def test_digits_that_are_none_or_too_few_are_no_checksum() -> None:
    for digits in ("", "abc", "0123456z"):
        with pytest.raises(UsageError, match="checksum"):
            Checksum("sha256", digits)


# Cut off


def test_within_a_call_only_the_missing_bytes_are_asked_for(server: FileServer) -> None:
    server.drops[PATH] = [300_000, 200_000]
    assert fetch(Checksum("sha256", SHA256)).path.read_bytes() == DATA
    ranges = [asked.headers.get("range") for asked in server.requests]
    assert ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_call_goes_on_where_an_earlier_one_was_cut_off(server: FileServer) -> None:
    cut_off(server, 300_000)
    found = fetch(Checksum("sha256", SHA256), size=len(DATA))
    assert (found.path.read_bytes(), found.sha256) == (DATA, SHA256)
    [asked] = server.requests
    assert asked.headers["range"] == "bytes=300000-"
    assert asked.headers["if-range"]


def test_an_interruption_keeps_what_has_arrived(server: FileServer, tmp_path: Path) -> None:
    def interrupt(progress: ImportProgress) -> None:
        if progress.done > 500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.file(URL, interrupt)
    there = sum(len(data) for name, data in kept(tmp_path).items() if name.endswith(".partial"))
    assert there > 500_000
    assert fetch().sha256 == SHA256
    assert server.requests[-1].headers["range"] == f"bytes={there}-"


def test_a_file_that_has_changed_at_the_server_starts_anew(server: FileServer) -> None:
    cut_off(server, 300_000)
    server.files[PATH] = changed = DATA[::-1]
    assert fetch().path.read_bytes() == changed


def test_a_server_that_takes_no_notice_of_if_range_is_found_out_by_the_etag(server: FileServer) -> None:
    cut_off(server, 300_000)
    server.if_range = False
    server.files[PATH] = changed = DATA[::-1]
    assert fetch().path.read_bytes() == changed
    assert [asked.headers.get("range") for asked in server.requests] == ["bytes=300000-", None]


def test_a_server_that_ignores_ranges_sends_it_all_again(server: FileServer) -> None:
    cut_off(server, 300_000)
    server.ranges = False
    assert fetch().path.read_bytes() == DATA


def test_without_an_etag_nobody_knows_which_version_is_existing_and_it_starts_anew(server: FileServer) -> None:
    server.etags = False
    server.drops[PATH] = [300_000]
    assert fetch().path.read_bytes() == DATA
    assert [asked.headers.get("range") for asked in server.requests] == [None, None]


def test_a_file_that_has_become_shorter_than_what_is_existing_starts_anew(server: FileServer) -> None:
    cut_off(server, 300_000)
    server.if_range = False
    server.files[PATH] = DATA[:1000]
    assert fetch().path.read_bytes() == DATA[:1000]


def test_a_partial_file_that_is_whole_is_taken_when_the_server_says_existing_is_no_more(server: FileServer) -> None:
    whole = fetch().path
    whole.with_name(whole.name + ".etag").write_text(server.etag(DATA))
    whole.rename(whole.with_name(whole.name + ".partial"))
    assert fetch().path.read_bytes() == DATA
    assert server.requests[-1].headers["range"] == "bytes=900000-"


def test_tries_without_progress_come_to_an_end(server: FileServer, tmp_path: Path) -> None:
    server.drops[PATH] = [300_000, *[0] * 100]
    with pytest.raises(ModelError, match=r"dropped after 300,000 of 900,000 bytes.* try again later"):
        fetch()
    assert len(server.requests) == 1 + 2
    assert DATA[:300_000] in kept(tmp_path).values()


def test_a_server_that_cannot_answer_for_a_moment_is_asked_again(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.drops[PATH] = [300_000]
    then = iter([{PATH: 503}, {}])
    monkeypatch.setattr(time, "sleep", lambda _: setattr(server, "statuses", next(then)))
    assert fetch().sha256 == SHA256
    assert len(server.requests) == 3


# Wrong


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"{URL}: .*expected sha256 {'0' * 64}, found {SHA256}"):
        fetch(Checksum("sha256", "0" * 64))
    assert kept(tmp_path) == {}


def test_a_wrong_size_is_refused_before_it_is_downloaded(server: FileServer, tmp_path: Path) -> None:
    told: list[ImportProgress] = []
    with pytest.raises(ModelError, match=f"{URL}: .*expected 899,999 bytes, found 900,000"):
        download.file(URL, told.append, size=899_999)
    assert told == []
    assert kept(tmp_path) == {}


def test_a_body_longer_than_it_should_be_is_not_read_to_its_end(server: FileServer, tmp_path: Path) -> None:
    server.lengths = False
    with pytest.raises(ModelError, match="expected 100,000 bytes, found"):
        fetch(size=100_000)
    assert kept(tmp_path) == {}


def test_a_wrong_beginning_from_an_earlier_call_is_found_by_the_checksum(server: FileServer, tmp_path: Path) -> None:
    cut_off(server, 300_000)
    [partial] = (tmp_path / "models" / ".downloads").glob("*.partial")
    partial.write_bytes(b"?" * 300_000)
    with pytest.raises(ModelError, match="expected sha256"):
        fetch(Checksum("sha256", SHA256))
    assert fetch(Checksum("sha256", SHA256)).path.read_bytes() == DATA


# Not to be had


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, f"{URL}: 127.0.0.1:.* has no such file; check the name"),
        (401, r"does not give it to everybody \(401\).*HF_TOKEN"),
        (403, r"does not give it to everybody \(403\).*HF_TOKEN"),
        (503, r"cannot answer now \(503 Service Unavailable\); try again later"),
        (429, r"cannot answer now \(429 Too Many Requests\)"),
        (418, "answers with 418"),
    ],
)
def test_each_refusal_says_what_to_do(server: FileServer, status: int, message: str) -> None:
    server.statuses[PATH] = status
    with pytest.raises(ModelError, match=message):
        fetch()


def test_a_refusal_keeps_what_is_existing(server: FileServer, tmp_path: Path) -> None:
    cut_off(server, 300_000)
    server.statuses[PATH] = 403
    with pytest.raises(ModelError, match="403"):
        fetch()
    assert DATA[:300_000] in kept(tmp_path).values()


OFFLINE = "could not be reached .*this machine may be offline.*`lookalike models path NAME`.*LOOKALIKE_MIRROR"


def test_a_server_that_refuses_connections_is_named_and_what_to_do_offline(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("LOOKALIKE_MIRROR", f"http://127.0.0.1:{port}")
    with pytest.raises(ModelError, match=rf"{URL}: 127.0.0.1:{port} could not be reached \(Connection refused\)"):
        fetch()
    with pytest.raises(ModelError, match=OFFLINE):
        download.document(URL)


def test_a_name_that_cannot_be_looked_up_is_named(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.delenv("LOOKALIKE_MIRROR")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ModelError, match=r"weights.example could not be reached \(its name cannot be looked up\)"):
        fetch()


def test_a_server_that_says_nothing_is_not_waited_for_forever(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("LOOKALIKE_MIRROR", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(ModelError, match="no answer in"):
            fetch()
        assert time.monotonic() - began < 5


def test_what_is_no_http_is_reported(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_disk_that_takes_no_more_is_a_storage_error_and_what_is_existing_is_kept(server: FileServer) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        with pytest.raises(StorageError, match=r"\.downloads: File too large"):
            fetch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert fetch().sha256 == SHA256
    assert server.requests[-1].headers["range"].startswith("bytes=")


def test_a_folder_that_cannot_be_is_a_storage_error(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="file"):
        fetch()


# Addresses


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/file", "/etc/passwd", "https:///file", "data:,x"])
def test_only_https_and_http_addresses_are_fetched(server: FileServer, url: str) -> None:
    with pytest.raises(UsageError, match="https and http"):
        download.file(url, lambda _: None)
    with pytest.raises(UsageError, match="https and http"):
        download.document(url)


@pytest.mark.parametrize(
    "url", ["https://host/a b", "https://host/a\r\nX-Bad: 1", "https://[host/a", "https://host:x/a", "https://host/é"]
)
def test_an_address_that_cannot_be_one_is_refused(server: FileServer, url: str) -> None:
    with pytest.raises((UsageError, ModelError)):
        download.document(url)
    assert server.requests == []


def test_redirects_are_followed(server: FileServer) -> None:
    server.redirects[PATH] = server.url + "/elsewhere"
    server.files["/elsewhere"] = DATA
    assert fetch().path.read_bytes() == DATA
    assert fetch().path.name.endswith("-resnet.pth")


def test_a_download_through_a_redirect_goes_on_where_it_was_cut_off(server: FileServer) -> None:
    server.redirects[PATH] = server.url + "/elsewhere"
    server.files["/elsewhere"] = DATA
    server.drops["/elsewhere"] = [300_000]
    assert fetch().path.read_bytes() == DATA
    assert [asked.headers.get("range") for asked in server.requests] == [None, None, *["bytes=300000-"] * 2]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/file", "data:,x"])
def test_redirects_out_of_the_web_are_refused(server: FileServer, tmp_path: Path, target: str) -> None:
    server.redirects[PATH] = target
    with pytest.raises(ModelError, match=r"where it redirects cannot be followed|not safe"):
        fetch()
    assert kept(tmp_path) == {}


def test_redirects_in_a_circle_come_to_an_end(server: FileServer) -> None:
    server.redirects[PATH] = server.url + PATH
    with pytest.raises(ModelError, match=r"redirects cannot be followed: .*infinite loop"):
        fetch()


def test_a_redirect_to_nowhere_is_a_refusal(server: FileServer) -> None:
    server.statuses[PATH] = 302
    with pytest.raises(ModelError, match=f"{URL}: 127.0.0.1:.* answers with 302 Found; the file is not to be had"):
        fetch()


def test_redirects_out_of_https_are_refused() -> None:
    request = urllib.request.Request("https://weights.example/a")
    with pytest.raises(ModelError, match="not safe"):
        transport._Redirects().redirect_request(request, None, 302, "Found", {}, "http://weights.example/a")  # type: ignore[arg-type]


def test_a_mirror_has_each_address_under_its_host(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_MIRROR", server.url + "/base/")
    server.files["/base/weights.example:8443/a/b.bin"] = DATA
    assert download.file("https://weights.example:8443/a/b.bin?x=1", lambda _: None).sha256 == SHA256
    assert server.paths() == ["/base/weights.example:8443/a/b.bin?x=1"]


def test_a_mirror_is_an_address_of_the_web(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_MIRROR", "/srv/mirror")
    with pytest.raises(UsageError, match="LOOKALIKE_MIRROR"):
        fetch()


def test_a_proxy_of_the_environment_is_used(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOKALIKE_MIRROR")
    monkeypatch.setenv("http_proxy", server.url)
    server.files["http://weights.example/a.bin"] = DATA
    assert download.file("http://weights.example/a.bin", lambda _: None).sha256 == SHA256


# Tokens


def test_a_token_goes_to_the_server_that_it_is_for_and_not_where_that_redirects(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOOKALIKE_MIRROR")
    with FileServer() as other:
        server.redirects["/a"] = server.url + "/b"
        server.redirects["/b"] = other.url + "/c"
        other.files["/c"] = DATA
        assert download.file(server.url + "/a", lambda _: None, token="secret").sha256 == SHA256
        assert [asked.headers.get("authorization") for asked in server.requests] == ["Bearer secret"] * 2
        assert [asked.headers.get("authorization") for asked in other.requests] == [None]


def test_a_token_does_not_go_to_a_mirror(server: FileServer) -> None:
    fetch(token="secret")
    assert "authorization" not in server.requests[0].headers


# Documents


def test_a_document_is_what_its_json_says(server: FileServer) -> None:
    server.files["/host/a.json"] = b'{"a": [1, 2.5, null, "\xc3\xa9"]}'
    assert download.document("https://host/a.json") == {"a": [1, 2.5, None, "é"]}


@pytest.mark.parametrize("data", [b"", b"<html>", b"\xff\xfe\x00", b"[" * 200_000])
def test_what_is_no_json_is_refused(server: FileServer, data: bytes) -> None:
    server.files["/host/a.json"] = data
    with pytest.raises(ModelError, match=r"a\.json: it should be a JSON document"):
        download.document("https://host/a.json")


def test_a_document_that_is_too_large_is_refused(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_MAX_DOCUMENT", 10)
    server.files["/host/a.json"] = b"[" + b" " * 20 + b"]"
    with pytest.raises(ModelError, match="larger than"):
        download.document("https://host/a.json")


# The folder


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host/a/b%20c.onnx?token=1#x", "b_c.onnx"),
        ("https://host/..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("https://host/", "file"),
        ("https://host/" + "x" * 300 + ".safetensors", "x" * 88 + ".safetensors"),
    ],
)
def test_whatever_the_address_the_file_has_a_plain_name(server: FileServer, url: str, name: str) -> None:
    server.everything = DATA
    path = download.file(url, lambda _: None).path
    assert path.name.partition("-")[2] == name
    assert path.parent.name == ".downloads"


OTHER = "https://weights.example/other.pth"


def leave_cut_off(server: FileServer) -> None:
    """As an import of something else, which is interrupted, leaves it."""
    server.files["/weights.example/other.pth"] = DATA
    server.drops["/weights.example/other.pth"] = [10, 0, 0, 0]
    with pytest.raises(ModelError, match="dropped"), cache.session():
        download.file(OTHER, lambda _: None)


def test_an_import_deletes_at_its_end_what_it_has_downloaded_and_nothing_else(
    server: FileServer, tmp_path: Path
) -> None:
    leave_cut_off(server)
    left = kept(tmp_path)
    with cache.session():
        assert fetch().path.exists()
        assert fetch().path.exists()  # a second time
    assert kept(tmp_path) == left
    assert len(left) == 2


def test_an_import_that_fails_leaves_what_it_has_downloaded_for_the_next(server: FileServer, tmp_path: Path) -> None:
    def fail() -> None:
        with cache.session():
            fetch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with cache.session():
        fetch()
    assert len(server.requests) == 1
    assert kept(tmp_path) == {}


def test_importing_a_model_is_such_an_import(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(request: ImportRequest) -> ImportedNetwork:
        sha256 = fetch().sha256
        return ImportedNetwork(
            tiny_models.colours(), "NHWC", Preprocessing(16), None, "timm:tiny", "", sha256, "pooled"
        )

    monkeypatch.setattr(from_timm, "fetch", fetched)
    assert importers.import_model("timm:tiny").card.sha256 == SHA256
    assert kept(tmp_path) == {}
    assert len(server.requests) == 1


IMPORT = f"""
import sys
from lookalike.importers.download import cache, download
with cache.session():
    print(download.file({URL!r}, lambda _: None).path, flush=True)
    sys.stdin.read()
"""


def test_a_file_stays_until_the_last_import_that_uses_it_is_done(server: FileServer, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", IMPORT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        path = Path(other.stdout.readline().strip())
        with cache.session():
            assert fetch().path == path
        assert path.read_bytes() == DATA
        other.communicate(timeout=20)
    assert other.returncode == 0
    assert len(server.requests) == 1
    assert kept(tmp_path) == {}


def test_a_file_that_another_import_deletes_as_it_is_found_is_downloaded_again(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch()
    found = download._Download._existing

    def find_and_lose(wanted: download._Download) -> Digests | None:
        digests = found(wanted)
        wanted.path.unlink(missing_ok=True)
        return digests

    monkeypatch.setattr(download._Download, "_existing", find_and_lose)
    with cache.session():
        assert fetch().path.read_bytes() == DATA
    assert len(server.requests) == 2


def test_leftovers_go_after_a_month_unless_something_is_being_downloaded(server: FileServer, tmp_path: Path) -> None:
    leave_cut_off(server)
    folder = tmp_path / "models" / ".downloads"
    for path in [*folder.glob("*.partial"), *folder.glob("*.etag")]:
        os.utime(path, (time.time() - 31 * 24 * 3600,) * 2)
    with filelock.FileLock(folder / "lock"), cache.session():
        pass
    assert len(kept(tmp_path)) == 2
    with cache.session():
        pass
    assert kept(tmp_path) == {}


def test_of_two_downloads_at_once_the_second_waits_and_says_so(server: FileServer) -> None:
    told: list[str] = []
    there = fetch()
    lock = filelock.FileLock(there.path.with_name("lock"))
    lock.acquire()

    def stop_the_other(progress: ImportProgress) -> None:
        told.append(progress.stage)
        lock.release()

    assert download.file(URL, stop_the_other) == there
    assert told == ["waiting for another download"]
