"""Reading a file, whatever is at its path."""

import errno
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.errors import ImageError
from lookalike.images.reading import UNKNOWN, FileStatus, read, read_start


def reason(path: Path, **options: int) -> str:
    with pytest.raises(ImageError) as caught:
        read(path, **options)
    assert caught.value.name == str(path)
    return caught.value.reason


def test_a_file_is_read_with_its_size_and_both_of_its_times(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"bytes")
    os.utime(path, ns=(1, 7_700_000_000_123_456_789))
    file = read(path)
    assert (file.data, file.status) == (b"bytes", FileStatus(5, 7_700_000_000_123_456_789, path.stat().st_ctime_ns))


@pytest.mark.parametrize("mtime_ns", [1_700_000_000_123_456_789, 7_700_000_000_123_456_789], ids=["past", "future"])
def test_another_file_of_the_same_size_and_mtime_is_a_change(tmp_path: Path, mtime_ns: int) -> None:
    one, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    for path in (one, other):
        path.write_bytes(path.name.encode())
        os.utime(path, ns=(1, mtime_ns))
    before = read(one).status
    time.sleep(0.05)  # longer than a tick of the system's clock
    other.replace(one)
    after = read(one).status
    assert (after.size, after.mtime_ns) == (before.size, before.mtime_ns)
    assert not before.is_same(after)


# The status of a file

NOW = 1_800_000_000_123_456_789
SECOND, MS, DAY = 10**9, 10**6, 86_400 * 10**9


@pytest.mark.parametrize(
    ("before", "now", "is_same"),
    [
        (FileStatus(5, 6, 7), FileStatus(5, 6, 7), True),
        (FileStatus(5, 6, 7), FileStatus(4, 6, 7), False),
        (FileStatus(5, 6, 7), FileStatus(5, 8, 7), False),
        (FileStatus(5, 6, 7), FileStatus(5, 6, 8), False),
        # An earlier version has kept only the later of both times.
        (FileStatus(5, 6, None), FileStatus(5, 6, 4), True),
        (FileStatus(5, 6, None), FileStatus(5, 4, 6), True),
        (FileStatus(5, 6, None), FileStatus(5, 4, 7), False),
        (FileStatus(5, 6, None), FileStatus(4, 6, 6), False),
        (UNKNOWN, UNKNOWN, False),
        (FileStatus(5, 6, 7), UNKNOWN, False),
        (UNKNOWN, FileStatus(5, 6, 7), False),
    ],
    ids=str,
)
def test_a_file_is_the_same_if_its_size_and_both_times_are(before: FileStatus, now: FileStatus, is_same: bool) -> None:
    assert before.is_same(now) is is_same


@pytest.mark.parametrize(
    ("mtime_ns", "ctime_ns", "is_kept"),
    [
        (NOW - SECOND, NOW - SECOND, True),
        (NOW - 11 * MS, NOW - 11 * MS, True),
        (NOW - 10 * MS, NOW - SECOND, False),  # within a tick of the clock
        (NOW - SECOND, NOW - 10 * MS, False),
        (NOW - SECOND, NOW + 5 * MS, False),  # changed since the run began
        (NOW + 5 * MS, NOW - SECOND, False),
        (NOW + DAY - 1, NOW - SECOND, False),
        (NOW + DAY, NOW - SECOND, True),  # a wrong clock's, which says nothing
        (4_100_000_000 * SECOND, NOW - SECOND, True),
        (4_100_000_000 * SECOND, NOW - MS, False),
        # Whole seconds are those of a file system that counts in up to two of them.
        (NOW // SECOND * SECOND - 2 * SECOND, NOW - SECOND, True),
        (NOW // SECOND * SECOND - SECOND, NOW - SECOND, False),
        (NOW - SECOND, NOW // SECOND * SECOND - 2 * SECOND, True),
        (NOW - SECOND, NOW // SECOND * SECOND - SECOND, False),
        (0, NOW - SECOND, True),
        (NOW - SECOND, None, False),
    ],
)
def test_the_status_of_a_file_as_young_as_the_run_matches_none(
    mtime_ns: int, ctime_ns: int | None, is_kept: bool
) -> None:
    status = FileStatus(5, mtime_ns, ctime_ns)
    assert status.settled(NOW) == (status if is_kept else FileStatus(5, -1, -1))
    assert status.settled(NOW).is_same(status) is is_kept


# Reading


@pytest.mark.parametrize("name", [b"new\nline.jpg", b"quo\"te'.jpg", b"latin-\xe9.jpg", "\u00fc.jpg".encode()])
def test_a_file_of_any_possible_name_is_read(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    try:
        path.write_bytes(b"bytes")
    except OSError:
        pytest.skip("this file system has no such names")
    assert read(path).data == b"bytes"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.touch()
    assert reason(path) == "empty file"


def test_a_file_over_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    with path.open("wb") as file:
        file.truncate(2**30)
    monkeypatch.setattr(os, "read", lambda *_: pytest.fail("it was read"))
    assert reason(path) == "more than 256 MB, the limit for a file"
    assert reason(path, max_bytes=2**20) == "more than 1 MB, the limit for a file"


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (os.mkfifo, "not a regular file"),
        (lambda path: socket.socket(socket.AF_UNIX).bind(os.path.relpath(path)), "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (Path.mkdir, "is a directory"),
        (lambda path: path.symlink_to(path), "symlink loop"),
        (lambda path: path.symlink_to("nowhere"), "vanished"),
        (lambda path: None, "vanished"),
    ],
)
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_what_is_not_a_regular_file_is_refused_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket has to be short
    path = tmp_path / "x.jpg"
    make(path)
    assert reason(path) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.EACCES, "permission denied"), (errno.EPERM, "permission denied"), (errno.EIO, "input/output error")],
)
@pytest.mark.parametrize("call", ["open", "read"])
def test_errors_of_the_operating_system_become_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, expected: str
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"bytes")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    assert reason(path) == expected


def test_a_file_without_permission_is_refused(public_path: Path) -> None:
    path = public_path / "a.jpg"
    path.write_bytes(b"bytes")
    path.chmod(0)
    assert reason(path) == "permission denied"


@pytest.mark.parametrize("name", ["a\0b.jpg", "\ud800.jpg"])
def test_an_impossible_name_is_refused(tmp_path: Path, name: str) -> None:
    assert reason(tmp_path / name) == "not a possible file name"


def change_while_reading(path: Path, monkeypatch: pytest.MonkeyPatch, changes: list[bytes]) -> None:
    """Rewrites the file with each of these in turn, whenever a part of it has been read."""
    genuine = os.read

    def read_and_change(handle: int, size: int) -> bytes:
        data = genuine(handle, min(size, 3))
        if data and changes:
            path.write_bytes(changes.pop(0))
        return data

    monkeypatch.setattr(os, "read", read_and_change)


@pytest.mark.parametrize("new", [b"grown long", b"cut", b"other"])
def test_a_file_that_changes_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"bytes")
    os.utime(path, ns=(1, 1))
    change_while_reading(path, monkeypatch, [new])
    file = read(path)
    assert (file.data, file.status) == (new, FileStatus.of(path.stat()))


def test_a_file_that_keeps_changing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"bytes")
    change_while_reading(path, monkeypatch, [b"number %d" % 10**n for n in range(9)])
    assert reason(path) == "changed while it was read"


def test_no_file_descriptor_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"bytes")
    before = os.dup(0)
    os.close(before)
    read(path)
    reason(tmp_path)
    after = os.dup(0)
    os.close(after)
    assert after == before


@pytest.mark.timeout(10)
def test_the_start_of_a_file_is_read_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "short").write_bytes(b"abc")
    os.mkfifo(tmp_path / "pipe")
    assert read_start(tmp_path / "long", 256) == bytes(range(256))
    assert read_start(tmp_path / "short", 256) == b"abc"
    assert read_start(tmp_path / "pipe", 256) == read_start(tmp_path, 256) == b""
    with pytest.raises(FileNotFoundError):
        read_start(tmp_path / "gone", 256)
