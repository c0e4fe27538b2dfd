"""Downloads: files on the disk, interrupted and resumed downloads, and JSON documents."""

import hashlib
import time
from pathlib import Path

import pytest

from lookalike.errors import ModelError
from lookalike.importers.base import ImportProgress
from lookalike.importers.download import download
from lookalike.importers.download.download import Checksum
from tests.support.downloads import DATA, PATH, SHA256, URL, fetch, interrupt_download, kept
from tests.support.file_server import FileServer


def test_a_file_is_downloaded_with_its_sha256(server: FileServer) -> None:
    found = fetch(Checksum("sha256", SHA256), size=len(DATA))
    assert (found.path.read_bytes(), found.sha256) == (DATA, SHA256)
    assert found.path.name == hashlib.sha256(URL.encode()).hexdigest()[:16] + "-resnet.pth"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host/a/b%20c.onnx?token=1#x", "b_c.onnx"),
        ("https://host/..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("https://host/", "file"),
        ("https://host/" + "x" * 300 + ".safetensors", "x" * 88 + ".safetensors"),
    ],
)
def test_the_file_has_a_plain_name_whatever_the_address(server: FileServer, url: str, name: str) -> None:
    server.everything = DATA
    path = download.file(url, lambda _: None).path
    assert path.name.partition("-")[2] == name
    assert path.parent.name == ".downloads"


def test_progress_is_reported_in_bytes(server: FileServer) -> None:
    reported: list[ImportProgress] = []
    download.file(URL, reported.append)
    assert {progress.stage for progress in reported} == {"downloading resnet.pth"}
    assert {progress.total for progress in reported} == {len(DATA)}
    done = [progress.done for progress in reported]
    assert (done[0], done[-1]) == (0, len(DATA))
    assert done == sorted(done)
    assert len(done) > 3


def test_an_existing_file_is_not_downloaded_again(server: FileServer) -> None:
    assert fetch(Checksum("sha256", SHA256)) == fetch(Checksum("sha256", SHA256))
    assert len(server.requests) == 1


def test_a_damaged_existing_file_is_downloaded_again(server: FileServer) -> None:
    path = fetch(Checksum("sha256", SHA256)).path
    path.write_bytes(DATA[:-1] + b"?")
    assert fetch(Checksum("sha256", SHA256)).path.read_bytes() == DATA
    assert len(server.requests) == 2


# Resuming


def test_a_retry_requests_only_the_missing_bytes(server: FileServer) -> None:
    server.drops[PATH] = [300_000, 200_000]
    assert fetch(Checksum("sha256", SHA256)).path.read_bytes() == DATA
    ranges = [request.headers.get("range") for request in server.requests]
    assert ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_call_resumes_an_interrupted_download(server: FileServer) -> None:
    interrupt_download(server, 300_000)
    found = fetch(Checksum("sha256", SHA256), size=len(DATA))
    assert (found.path.read_bytes(), found.sha256) == (DATA, SHA256)
    [request] = server.requests
    assert request.headers["range"] == "bytes=300000-"
    assert request.headers["if-range"]


def test_an_interruption_keeps_the_bytes_so_far(server: FileServer, tmp_path: Path) -> None:
    def interrupt(progress: ImportProgress) -> None:
        if progress.done > 500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.file(URL, interrupt)
    arrived = sum(len(data) for name, data in kept(tmp_path).items() if name.endswith(".partial"))
    assert arrived > 500_000
    assert fetch().sha256 == SHA256
    assert server.requests[-1].headers["range"] == f"bytes={arrived}-"


def test_a_refusal_keeps_the_bytes_so_far(server: FileServer, tmp_path: Path) -> None:
    interrupt_download(server, 300_000)
    server.statuses[PATH] = 403
    with pytest.raises(ModelError, match="403"):
        fetch()
    assert DATA[:300_000] in kept(tmp_path).values()


def test_a_file_that_changed_on_the_server_is_downloaded_anew(server: FileServer) -> None:
    interrupt_download(server, 300_000)
    server.files[PATH] = changed = DATA[::-1]
    assert fetch().path.read_bytes() == changed


def test_a_changed_file_is_detected_by_its_etag_without_if_range(server: FileServer) -> None:
    interrupt_download(server, 300_000)
    server.if_range = False
    server.files[PATH] = changed = DATA[::-1]
    assert fetch().path.read_bytes() == changed
    assert [request.headers.get("range") for request in server.requests] == ["bytes=300000-", None]


def test_a_server_without_ranges_sends_the_whole_file_again(server: FileServer) -> None:
    interrupt_download(server, 300_000)
    server.ranges = False
    assert fetch().path.read_bytes() == DATA


def test_without_an_etag_a_download_starts_anew(server: FileServer) -> None:
    server.etags = False
    server.drops[PATH] = [300_000]
    assert fetch().path.read_bytes() == DATA
    assert [request.headers.get("range") for request in server.requests] == [None, None]


def test_a_file_that_became_shorter_is_downloaded_anew(server: FileServer) -> None:
    interrupt_download(server, 300_000)
    server.if_range = False
    server.files[PATH] = DATA[:1000]
    assert fetch().path.read_bytes() == DATA[:1000]


def test_a_complete_partial_file_is_accepted(server: FileServer) -> None:
    complete = fetch().path
    complete.with_name(complete.name + ".etag").write_text(server.etag(DATA))
    complete.rename(complete.with_name(complete.name + ".partial"))
    assert fetch().path.read_bytes() == DATA
    assert server.requests[-1].headers["range"] == "bytes=900000-"


def test_a_download_through_a_redirect_is_resumed(server: FileServer) -> None:
    server.redirects[PATH] = server.url + "/elsewhere"
    server.files["/elsewhere"] = DATA
    server.drops["/elsewhere"] = [300_000]
    assert fetch().path.read_bytes() == DATA
    assert [request.headers.get("range") for request in server.requests] == [None, None, *["bytes=300000-"] * 2]


def test_retries_without_progress_come_to_an_end(server: FileServer, tmp_path: Path) -> None:
    server.drops[PATH] = [300_000, *[0] * 100]
    with pytest.raises(ModelError, match=r"dropped after 300,000 of 900,000 bytes.* try again later"):
        fetch()
    assert len(server.requests) == 1 + 2
    assert DATA[:300_000] in kept(tmp_path).values()


def test_a_server_that_cannot_answer_now_is_asked_again(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.drops[PATH] = [300_000]
    then = iter([{PATH: 503}, {}])
    monkeypatch.setattr(time, "sleep", lambda _: setattr(server, "statuses", next(then)))
    assert fetch().sha256 == SHA256
    assert len(server.requests) == 3


# JSON documents


def test_a_document_returns_its_json(server: FileServer) -> None:
    server.files["/host/a.json"] = b'{"a": [1, 2.5, null, "\xc3\xa9"]}'
    assert download.document("https://host/a.json") == {"a": [1, 2.5, None, "é"]}


@pytest.mark.parametrize("data", [b"", b"<html>", b"\xff\xfe\x00", b"[" * 200_000])
def test_a_document_that_is_not_json_is_refused(server: FileServer, data: bytes) -> None:
    server.files["/host/a.json"] = data
    with pytest.raises(ModelError, match=r"a\.json: it is not a JSON document"):
        download.document("https://host/a.json")


def test_a_document_that_is_too_large_is_refused(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_MAX_DOCUMENT", 10)
    server.files["/host/a.json"] = b"[" + b" " * 20 + b"]"
    with pytest.raises(ModelError, match="larger than"):
        download.document("https://host/a.json")
