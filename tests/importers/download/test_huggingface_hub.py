"""Repositories of the Hugging Face hub: requests, and valid and hostile responses."""

import hashlib
import json
from typing import Any

import pytest

from lookalike.errors import ModelError, UsageError
from lookalike.importers.base import ImportProgress
from lookalike.importers.download import huggingface_hub
from tests.support.file_server import COMMIT, HUB, FileServer, hub_repository

NAME = "owner/net-1.5_x"
WEIGHTS = b"\x00weights" * 1000
FILES = {"config.json": b'{"a": 1}', "onnx/model.onnx": WEIGHTS}
OTHER = "f" * 40


@pytest.fixture
def server(server: FileServer) -> FileServer:
    """The server with a repository."""
    hub_repository(server, NAME, FILES)
    return server


def repository(name: str = NAME, revision: str | None = None) -> huggingface_hub.Repository:
    return huggingface_hub.repository(name, revision, lambda _: None)


def describe(server: FileServer, **facts: Any) -> None:
    """Changes the hub's description of the repository."""
    path = f"{HUB}/api/models/{NAME}/revision/main"
    server.files[path] = json.dumps(json.loads(server.files[path]) | facts).encode()


def test_a_repository_has_a_commit_a_licence_and_files(server: FileServer) -> None:
    found = repository()
    assert (found.name, found.commit, found.licence) == (NAME, COMMIT, "apache-2.0")
    assert found.files == {
        "config.json": huggingface_hub.HubFile(8, None),
        "onnx/model.onnx": huggingface_hub.HubFile(len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest()),
    }
    assert server.paths() == [f"{HUB}/api/models/{NAME}/revision/main?blobs=true"]


def test_files_are_downloaded_and_documents_read(server: FileServer) -> None:
    found = repository()
    fetched = found.fetch("onnx/model.onnx")
    assert fetched.path.read_bytes() == WEIGHTS
    assert fetched.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert found.document("config.json") == {"a": 1}


def test_all_files_are_of_one_commit_even_if_the_branch_moves(server: FileServer) -> None:
    found = repository()
    found.document("config.json")
    hub_repository(server, NAME, {"onnx/model.onnx": b"others"}, commit=OTHER)
    assert found.fetch("onnx/model.onnx").path.read_bytes() == WEIGHTS
    assert server.paths()[1:] == [f"{HUB}/{NAME}/resolve/{COMMIT}/{path}" for path in FILES]


def test_a_revision_is_a_branch_a_tag_or_a_commit(server: FileServer) -> None:
    hub_repository(server, NAME, {"config.json": b"{}"}, commit=OTHER, revision="refs%2Fpr%2F7")
    assert repository(revision="refs/pr/7").commit == OTHER
    assert repository(revision=OTHER).commit == OTHER


def test_another_commit_than_the_requested_one_is_refused(server: FileServer) -> None:
    server.files[f"{HUB}/api/models/{NAME}/revision/{OTHER}"] = server.files[f"{HUB}/api/models/{NAME}/revision/main"]
    with pytest.raises(ModelError, match="another commit"):
        repository(revision=OTHER)


def test_a_file_with_a_size_or_checksum_mismatch_is_refused(server: FileServer) -> None:
    found = repository()
    server.files[f"{HUB}/{NAME}/resolve/{COMMIT}/onnx/model.onnx"] = WEIGHTS[::-1]
    with pytest.raises(ModelError, match="expected sha256"):
        found.fetch("onnx/model.onnx")
    server.files[f"{HUB}/{NAME}/resolve/{COMMIT}/config.json"] = b'{"a": 12}'
    with pytest.raises(ModelError, match="expected 8 bytes, found 9"):
        found.document("config.json")


def test_a_missing_file_is_named(server: FileServer) -> None:
    with pytest.raises(ModelError, match=r"owner/net-1.5_x has no file model\.bin at commit 01234567"):
        repository().fetch("model.bin")


def test_progress_is_reported(server: FileServer) -> None:
    reported: list[ImportProgress] = []
    huggingface_hub.repository(NAME, None, reported.append).fetch("onnx/model.onnx")
    assert reported[-1] == ImportProgress("downloading model.onnx", len(WEIGHTS), len(WEIGHTS))


@pytest.mark.parametrize(
    "name",
    ["resnet", "a/b/c", "../etc/passwd", "a/..", "./b", "a/b?x=1", "a/b#c", "a /b", "a/b..c", "", "a/", "/b", "a/é"],
)
def test_malformed_names_are_refused_before_any_request(server: FileServer, name: str) -> None:
    with pytest.raises(UsageError, match="owner/name"):
        repository(name)
    assert server.requests == []


@pytest.mark.parametrize("revision", ["", ".", "..", "../..", "/"])
def test_malformed_revisions_are_refused(server: FileServer, revision: str) -> None:
    with pytest.raises(UsageError, match="revision"):
        repository(revision=revision)
    assert server.requests == []


@pytest.mark.parametrize("path", ["../../../etc/passwd", "/etc/passwd", "a//b", "a/./b", "..", "a\\b", "a\nb", ""])
def test_files_with_paths_out_of_the_repository_are_ignored(server: FileServer, path: str) -> None:
    describe(server, siblings=[{"rfilename": path, "size": 1}, {"rfilename": "good.json", "size": 2}])
    assert list(repository().files) == ["good.json"]


def test_a_path_with_unusual_characters_is_quoted(server: FileServer) -> None:
    describe(server, siblings=[{"rfilename": "a b?c#d.json", "size": 2}])
    server.files[f"{HUB}/{NAME}/resolve/{COMMIT}/a%20b%3Fc%23d.json"] = b"{}"
    assert repository().document("a b?c#d.json") == {}


@pytest.mark.parametrize(
    "facts",
    [
        {"sha": "main"},
        {"sha": None},
        {"siblings": None},
        {"siblings": [{"rfilename": "a"}]},
        {"siblings": [{"rfilename": 7, "size": 1}]},
        {"siblings": [{"rfilename": "a", "size": 1, "lfs": {"sha256": "../.."}}]},
        {"siblings": ["a"]},
        {"cardData": "mit"},
    ],
)
def test_an_invalid_description_is_refused(server: FileServer, facts: dict[str, Any]) -> None:
    describe(server, **facts)
    with pytest.raises(ModelError, match=r"not the hub's description of a repository: ."):
        repository()


def test_a_description_that_is_not_an_object_is_refused(server: FileServer) -> None:
    server.files[f"{HUB}/api/models/{NAME}/revision/main"] = b"[]"
    with pytest.raises(ModelError, match="not the hub's description"):
        repository()


def test_digests_of_large_files_have_either_of_two_names(server: FileServer) -> None:
    describe(server, siblings=[{"rfilename": "a.bin", "size": 1, "lfs": {"oid": "a" * 64, "size": 1}}])
    assert repository().files["a.bin"].sha256 == "a" * 64


@pytest.mark.parametrize(
    ("facts", "licence"),
    [
        ({"cardData": {"license": "mit"}}, "mit"),
        ({"cardData": None, "tags": ["onnx", "license:cc-by-nc-4.0"]}, "cc-by-nc-4.0"),
        ({"cardData": {"license": "other", "license_name": "apple-ascl"}}, "apple-ascl"),
        ({"cardData": {"license": "other"}}, "other"),
        ({"cardData": {}, "tags": None}, ""),
    ],
)
def test_the_licence_is_on_the_card_or_in_the_tags(server: FileServer, facts: dict[str, Any], licence: str) -> None:
    describe(server, **facts)
    assert repository().licence == licence


def test_a_missing_or_gated_repository_is_named(server: FileServer) -> None:
    with pytest.raises(ModelError, match=r"owner/none/revision/main.* has no such file"):
        repository("owner/none")
    server.statuses[f"{HUB}/{NAME}/resolve/{COMMIT}/config.json"] = 401
    with pytest.raises(ModelError, match="HF_TOKEN"):
        repository().document("config.json")


def test_another_hub_gets_the_token_but_not_its_redirects_target(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOOKALIKE_MIRROR")
    monkeypatch.setenv("HF_ENDPOINT", server.url + "/")
    monkeypatch.setenv("HF_TOKEN", "hf_secret\n")
    for path, data in list(server.files.items()):
        server.files[path.removeprefix(HUB)] = data
    with FileServer() as cdn:
        cdn.files["/blob"] = WEIGHTS
        server.redirects[f"/{NAME}/resolve/{COMMIT}/onnx/model.onnx"] = cdn.url + "/blob"
        assert repository().fetch("onnx/model.onnx").path.read_bytes() == WEIGHTS
        assert [request.headers["authorization"] for request in server.requests] == ["Bearer hf_secret"] * 2
        assert "authorization" not in cdn.requests[0].headers
    assert all(not path.startswith(HUB) for path in server.paths())


@pytest.mark.parametrize("token", ["hf_a hf_b", "hf_é", "hf_a\nX-Header: 1"])
def test_malformed_tokens_are_not_sent(server: FileServer, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UsageError, match="HF_TOKEN"):
        repository()
    assert server.requests == []


def test_requests_without_a_token_are_anonymous(server: FileServer) -> None:
    repository().document("config.json")
    for request in server.requests:
        assert set(request.headers) == {"accept-encoding", "connection", "host", "user-agent"}
