"""Writing files so that they survive: all of it or nothing under the name, and on the disk when a call returns."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.errors import StorageError
from lookalike.system import durable
from lookalike.system.durable import Written

# Errors


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (PermissionError(13, "Permission denied", "/another/path"), "Permission denied"),
        (OSError("it broke"), "it broke"),
    ],
)
def test_an_error_of_the_system_is_a_storage_error_that_names_the_path(error: OSError, message: str) -> None:
    with pytest.raises(StorageError) as raised, durable.storage_errors(Path("/c/v.faiss")):
        raise error
    assert str(raised.value) == f"/c/v.faiss: {message}"
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), StorageError("as it is")])
def test_other_errors_stay_what_they_are(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, durable.storage_errors(Path("/c")):
        raise error
    assert raised.value is error


# Writing


def synced(monkeypatch: pytest.MonkeyPatch) -> list[os.stat_result]:
    """Notes the status of each file or folder that is waited for."""
    seen: list[os.stat_result] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(os.fstat(descriptor)))
    return seen


@pytest.mark.parametrize("pieces", [[], [b"all at once"], [b"in", b" ", b"", b"pieces" * 100_000]], ids=len)
def test_what_is_written_is_reported_with_its_size_and_sha256(tmp_path: Path, pieces: list[bytes]) -> None:
    taken: list[int] = []

    def write_pieces(take: Callable[[bytes], int]) -> None:
        taken.extend(map(take, pieces))

    content = b"".join(pieces)
    written = durable.write(tmp_path / "file", write_pieces)
    assert (tmp_path / "file").read_bytes() == content
    assert written == Written(len(content), hashlib.sha256(content).digest())
    assert taken == list(map(len, pieces))
    assert durable.write_bytes(tmp_path / "other", content) == written
    assert (tmp_path / "other").read_bytes() == content


def test_a_file_is_waited_for_when_all_of_it_has_been_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = synced(monkeypatch)
    durable.write_bytes(tmp_path / "file", b"seven b")
    durable.write_new(tmp_path / "new", b"seven b")
    assert [status.st_ino for status in seen] == [(tmp_path / name).stat().st_ino for name in ("file", "new")]
    assert [status.st_size for status in seen] == [7, 7]


def test_writing_overwrites_and_writing_anew_does_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    durable.write_new(path, b"first, and longer")
    with pytest.raises(FileExistsError):
        durable.write_new(path, b"second")
    assert path.read_bytes() == b"first, and longer"
    durable.write_bytes(path, b"third")
    assert path.read_bytes() == b"third"


# Replacing


def test_a_file_is_replaced_under_its_name_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written beside, waited for, renamed, and its folder waited for; nothing else is left."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    events: list[tuple[str, bytes]] = []
    sync, rename = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        events.append(("sync", path.read_bytes()))

    def replace(old: Path, new: Path) -> Path:
        assert old.read_bytes() == b"new"
        result = rename(old, new)
        events.append(("rename", path.read_bytes()))
        return result

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    durable.replace(path, b"new")
    assert events == [("sync", b"old"), ("rename", b"new"), ("sync", b"new")]
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("failing", ["fsync of the file", "rename", "fsync of the folder"])
def test_whatever_fails_the_file_is_the_old_one_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    sync, seen = os.fsync, []

    def fail() -> None:
        raise OSError(5, "Input/output error")

    def fsync(descriptor: int) -> None:
        seen.append(descriptor)
        if failing == ("fsync of the file" if len(seen) == 1 else "fsync of the folder"):
            fail()
        sync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        if failing == "rename":
            patched.setattr(Path, "replace", lambda *_: fail())
        with pytest.raises(OSError, match="Input/output error"):
            durable.replace(path, b"new")
    assert path.read_bytes() == (b"new" if failing == "fsync of the folder" else b"old")
    durable.replace(path, b"newer")  # what a failure has left beside is no obstacle
    assert (os.listdir(tmp_path), path.read_bytes()) == (["file"], b"newer")


def test_a_file_is_written_beside_under_a_name_of_its_own() -> None:
    assert durable.beside(Path("/c/collection.json")) == Path("/c/collection.json.new")


def test_a_directory_is_renamed_and_its_folder_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").write_bytes(b"content")
    seen = synced(monkeypatch)
    durable.rename(tmp_path / "old", tmp_path / "new")
    assert (tmp_path / "new" / "file").read_bytes() == b"content"
    assert not (tmp_path / "old").exists()
    assert [status.st_ino for status in seen] == [tmp_path.stat().st_ino]


def test_a_folder_that_is_synced_is_closed_again_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptors: list[int] = []

    def fsync(descriptor: int) -> None:
        descriptors.append(descriptor)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error"):
        durable.sync_folder(tmp_path)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptors[0])
    with pytest.raises(FileNotFoundError):
        durable.sync_folder(tmp_path / "missing")
