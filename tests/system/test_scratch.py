"""Temporary directories: gone after their use, and swept if the process that used them was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lookalike.system import scratch

HOLDER = """
import sys, time
from lookalike.system import scratch
with scratch.directory(sys.argv[1], "work-") as path:
    (path / "large").write_bytes(b"0" * 1000)
    print(path, flush=True)
    time.sleep(60)
"""


def held_elsewhere(parent: Path) -> tuple["subprocess.Popen[str]", Path]:
    """A process that holds a directory, and that directory."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def end(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_directory_is_deleted_at_the_end_with_its_contents(tmp_path: Path) -> None:
    with scratch.directory(tmp_path, "work-") as path:
        assert path.parent == tmp_path
        assert path.stat().st_mode & 0o777 == 0o700
        (path / "file").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_deleted_if_an_error_ends_its_use(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch.directory(tmp_path, "work-"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept_by_the_next_use(tmp_path: Path) -> None:
    process, left = held_elsewhere(tmp_path)
    end(process)
    assert (left / "large").stat().st_size == 1000
    with scratch.directory(tmp_path, "work-") as path:
        assert list(tmp_path.iterdir()) == [path]


def test_a_directory_that_is_in_use_stays_here_and_in_another_process(tmp_path: Path) -> None:
    process, theirs = held_elsewhere(tmp_path)
    try:
        with scratch.directory(tmp_path, "work-") as mine, scratch.directory(tmp_path, "work-") as second:
            assert {*tmp_path.iterdir()} == {theirs, mine, second}
        assert list(tmp_path.iterdir()) == [theirs]
    finally:
        end(process)


def test_only_directories_with_the_prefix_are_swept_and_no_links(tmp_path: Path) -> None:
    target = tmp_path / "photos"
    target.mkdir()
    (target / "cat.jpg").write_text("x")
    (tmp_path / "work-link").symlink_to(target)
    (tmp_path / "work-file").write_text("x")
    (tmp_path / "other").mkdir()
    os.mkfifo(tmp_path / "work-fifo")
    before = {*tmp_path.iterdir()}
    (tmp_path / "work-old").mkdir()
    with scratch.directory(tmp_path, "work-"):
        pass
    assert {*tmp_path.iterdir()} == before
    assert (target / "cat.jpg").read_text() == "x"


def test_an_error_names_the_folder_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"), scratch.directory(tmp_path / "missing", "work-"):
        pass
