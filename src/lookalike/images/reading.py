"""Reads a file safely, whatever is at its path."""

import errno
import os
import stat
from dataclasses import dataclass

from lookalike.errors import ImageError

MAX_BYTES = 256 * 2**20  # of an image file

_REASONS = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOENT: "vanished",
    errno.ELOOP: "symlink loop",
    # Opening a socket, or the node of a missing device, fails with one of these.
    errno.ENXIO: "not a regular file",
    errno.ENODEV: "not a regular file",
    errno.EOPNOTSUPP: "not a regular file",
}


@dataclass(frozen=True)
class FileBytes:
    """The bytes of a file, with the size and the time of change that belong to exactly these bytes.

    Attributes:
        data: the bytes.
        size: the number of bytes.
        changed_ns: the time of the last change in nanoseconds; see the function `changed_ns`.
    """

    data: bytes
    size: int
    changed_ns: int


def read(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> FileBytes:
    """Reads a regular file, without ever waiting for a pipe or a device.

    Raises:
        ImageError: "empty file", "not a regular file", "is a directory", "permission denied", "vanished", "symlink
            loop", "changed while it was read", more than `max_bytes`, or the operating system's own message.
    """
    name = os.fsdecode(path)
    for _ in range(2):
        try:
            found = _read_once(name, max_bytes)
        except OSError as error:
            reason = _REASONS.get(error.errno or 0) or str(error.strerror or error).lower()
            raise ImageError(reason, name, lasting=reason == "not a regular file") from error
        except ValueError as error:  # a null byte, or a character that is impossible in a file name
            raise ImageError("not a possible file name", name) from error
        if found is not None:
            return found
    raise ImageError("changed while it was read", name, lasting=False)


def changed_ns(status: os.stat_result) -> int:
    """Returns the later of a file's mtime and ctime, in nanoseconds.

    Programs may set the mtime, so that two files can have the same one; only the operating system sets the ctime,
    which a rename changes, too.
    """
    return max(status.st_mtime_ns, status.st_ctime_ns)


def check_bytes(size: int, max_bytes: int, name: str) -> None:
    """Raises an ImageError if a file is empty or larger than `max_bytes`."""
    if size == 0:
        raise ImageError("empty file", name)
    if size > max_bytes:
        raise ImageError(f"more than {max_bytes / 2**20:g} MB, the limit for a file", name)


def _read_once(name: str, max_bytes: int) -> FileBytes | None:
    """Returns the bytes of a file, or None if it changed while it was read."""
    # Without O_NONBLOCK, opening a pipe waits for a writer; without O_NOCTTY, a terminal may become this process's own.
    handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        before = os.fstat(handle)
        if stat.S_ISDIR(before.st_mode):
            raise ImageError("is a directory", name)
        if not stat.S_ISREG(before.st_mode):
            raise ImageError("not a regular file", name)
        check_bytes(before.st_size, max_bytes, name)
        data = _read_up_to(before.st_size, handle)
        after = os.fstat(handle)
    finally:
        os.close(handle)
    same = (before.st_size, changed_ns(before)) == (after.st_size, changed_ns(after))
    return FileBytes(data, after.st_size, changed_ns(after)) if same and len(data) == after.st_size else None


def _read_up_to(size: int, handle: int) -> bytes:
    parts = []
    while size and (part := os.read(handle, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
