"""Opens files that have to be regular ones. A pipe or a device would make the reader wait, or read without an end."""

import errno
import hashlib
import io
import os
import stat
from pathlib import Path

# Without O_NONBLOCK, opening a pipe waits; without O_NOCTTY, a terminal may become this process's own.
SAFELY = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotRegularError(OSError):
    """Something else than a regular file is at a path.

    Attributes:
        kind: what it is: "a symlink", "a directory" or another phrase.
    """

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(errno.EINVAL, "not a regular file", str(path))
        self.kind = kind(mode)


def kind(mode: int) -> str:
    """What a file of that mode is, with its article."""
    if stat.S_ISLNK(mode):
        return "a symlink"
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a regular file" if stat.S_ISREG(mode) else "a pipe, a socket or a device"


def check(path: Path, status: os.stat_result) -> os.stat_result:
    """The status of a regular file; raises NotRegularError if it is that of something else."""
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(path, status.st_mode)
    return status


def descriptor(path: Path, flags: int = os.O_RDONLY, *, follow_links: bool = True) -> int:
    """Opens a regular file, without ever waiting, and returns its descriptor; a link to one only if links are followed.

    Raises:
        NotRegularError: it is something else.
        OSError: there is no such file, or it cannot be opened.
    """
    check(path, path.stat(follow_symlinks=follow_links))  # opening a device may do something by itself
    handle = os.open(path, flags | SAFELY | (0 if follow_links else os.O_NOFOLLOW))
    try:
        check(path, os.fstat(handle))
    except BaseException:
        os.close(handle)
        raise
    return handle


def open_to_read(path: Path) -> io.BufferedReader:
    """Opens a regular file, or a link to one, without ever waiting; raises as `descriptor` does."""
    return os.fdopen(descriptor(path), "rb")


def read(path: Path, *, most: int) -> bytes:
    """Returns the bytes of a regular file.

    Raises:
        OSError: it has more than `most` bytes, or see `open_to_read`.
    """
    with open_to_read(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"more than {most:,} bytes", str(path))
    return data


def digest(path: Path) -> tuple[os.stat_result, bytes]:
    """The status and the SHA-256 of a regular file, which is no link to one.

    Raises:
        NotRegularError: it is something else.
        OSError: it cannot be read, or changed while it was read.
    """
    with os.fdopen(descriptor(path, follow_links=False), "rb") as file:
        before = os.fstat(file.fileno())
        found = hashlib.file_digest(file, "sha256").digest()
        after = os.fstat(file.fileno())
    if any(getattr(before, name) != getattr(after, name) for name in ("st_size", "st_mtime_ns", "st_ctime_ns")):
        raise OSError(errno.EAGAIN, "changed while it was read", str(path))
    return before, found
