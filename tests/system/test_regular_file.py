"""Files that have to be regular ones: read as they are, and anything else refused at once."""

import os
from pathlib import Path

import pytest

from lookalike.system import regular_file


def test_a_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert regular_file.read(tmp_path / "file", most=7) == b"content"
    assert regular_file.read(tmp_path / "link", most=7) == b"content"


def test_a_file_with_more_bytes_than_allowed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with pytest.raises(OSError, match="more than 6 bytes"):
        regular_file.read(tmp_path / "file", most=6)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link to a device"])
def test_anything_but_a_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link to a device").symlink_to("/dev/zero")
    path = Path("/dev/zero") if kind == "device" else tmp_path / kind
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(OSError, match="not a regular file"):
        regular_file.open_to_read(path)
    assert len(os.listdir("/dev/fd")) == before
