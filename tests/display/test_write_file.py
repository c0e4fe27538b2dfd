"""Output files are written whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from lookalike.display import write_file
from lookalike.errors import StorageError, UsageError


def test_the_target_of_a_symlink_is_replaced_and_the_symlink_stays(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("old")
    (tmp_path / "link.html").symlink_to("page.html")
    write_file.write(tmp_path / "link.html", b"new")
    assert (tmp_path / "page.html").read_text() == "new"
    assert (tmp_path / "link.html").is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "page.html").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"page\.html.*No space left"):
        write_file.write(tmp_path / "page.html", b"new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_path_where_no_file_can_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "no" / "page.html", tmp_path / "file" / "page.html"):
        with pytest.raises(UsageError, match="give another path"):
            write_file.write(path, b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pipe"]
