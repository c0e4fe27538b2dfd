"""The directory of downloads: sessions, locks, leftovers, and failing disks."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

from lookalike import importers
from lookalike.errors import ModelError, StorageError
from lookalike.images.decode import Preprocessing
from lookalike.importers import timm as from_timm
from lookalike.importers.base import ImportedNetwork, ImportProgress, ImportRequest
from lookalike.importers.download import cache, download
from lookalike.importers.download.checksum import Digests
from tests.support import tiny_models
from tests.support.downloads import DATA, SHA256, URL, fetch, kept
from tests.support.file_server import FileServer

OTHER = "https://weights.example/other.pth"


def leave_interrupted(server: FileServer) -> None:
    """Leaves a partial file, as an interrupted session does."""
    server.files["/weights.example/other.pth"] = DATA
    server.drops["/weights.example/other.pth"] = [10, 0, 0, 0]
    with pytest.raises(ModelError, match="dropped"), cache.session():
        download.file(OTHER, lambda _: None)


def test_a_session_deletes_its_own_downloads_at_its_end(server: FileServer, tmp_path: Path) -> None:
    leave_interrupted(server)
    left = kept(tmp_path)
    with cache.session():
        assert fetch().path.exists()
        assert fetch().path.exists()  # a second time
    assert kept(tmp_path) == left
    assert len(left) == 2


def test_a_session_that_fails_leaves_its_downloads_for_the_next(server: FileServer, tmp_path: Path) -> None:
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


def test_importing_a_model_is_a_session(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_file_stays_until_the_last_session_that_holds_it_ends(server: FileServer, tmp_path: Path) -> None:
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


def test_a_file_that_another_session_deletes_is_downloaded_again(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch()
    find = download._Download._existing

    def find_and_delete(running: download._Download) -> Digests | None:
        digests = find(running)
        running.path.unlink(missing_ok=True)
        return digests

    monkeypatch.setattr(download._Download, "_existing", find_and_delete)
    with cache.session():
        assert fetch().path.read_bytes() == DATA
    assert len(server.requests) == 2


def test_leftovers_are_deleted_after_a_month_unless_locked(server: FileServer, tmp_path: Path) -> None:
    leave_interrupted(server)
    directory = tmp_path / "models" / ".downloads"
    for path in [*directory.glob("*.partial"), *directory.glob("*.etag")]:
        os.utime(path, (time.time() - 31 * 24 * 3600,) * 2)
    with filelock.FileLock(directory / "lock"), cache.session():
        pass
    assert len(kept(tmp_path)) == 2
    with cache.session():
        pass
    assert kept(tmp_path) == {}


def test_a_second_download_waits_for_the_first_and_reports_it(server: FileServer) -> None:
    reported: list[str] = []
    existing = fetch()
    lock = filelock.FileLock(existing.path.with_name("lock"))
    lock.acquire()

    def release(progress: ImportProgress) -> None:
        reported.append(progress.stage)
        lock.release()

    assert download.file(URL, release) == existing
    assert reported == ["waiting for another download"]


def test_a_full_disk_is_a_storage_error_and_the_bytes_so_far_are_kept(server: FileServer) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        with pytest.raises(StorageError, match=r"\.downloads: File too large"):
            fetch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert fetch().sha256 == SHA256
    assert server.requests[-1].headers["range"].startswith("bytes=")


def test_a_directory_that_cannot_be_created_is_a_storage_error(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="file"):
        fetch()
