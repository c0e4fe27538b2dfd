"""Reading one file, whatever lies at its path."""

import errno
import os
import stat
from dataclasses import dataclass

from lookalike.errors import ImageError

MAX_BYTES = 256 * 2**20

_REASONS = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOENT: "vanished",
    errno.ELOOP: "symlink loop",
    # What opening a socket, or the node of a device that is not there, says:
    errno.ENXIO: "not a regular file",
    errno.ENODEV: "not a regular file",
    errno.EOPNOTSUPP: "not a regular file",
}


@dataclass(frozen=True)
class FileBytes:
    """What a file held, and the size and time of change that belong to exactly these bytes.

    Attributes:
        data: the bytes.
        size: their number.
        changed_ns: as `changed_ns` has it.
    """

    data: bytes
    size: int
    changed_ns: int


def read(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> FileBytes:
    """Read a regular file, never waiting for a pipe or a device.

    Raises ImageError: "empty file", "not a regular file", "is a directory", "permission denied", "vanished",
    "symlink loop", "changed while it was read", over the limit of bytes, or what else the system says.
    """
    name = os.fsdecode(path)
    for _ in range(2):
        try:
            found = _read_once(name, max_bytes)
        except OSError as error:
            reason = _REASONS.get(error.errno or 0) or str(error.strerror or error).lower()
            raise ImageError(reason, name, lasting=reason == "not a regular file") from error
        except ValueError as error:  # a zero byte, or a character that no file name can have
            raise ImageError("not a possible file name", name) from error
        if found is not None:
            return found
    raise ImageError("changed while it was read", name, lasting=False)


def changed_ns(status: os.stat_result) -> int:
    """When a file was last changed, in nanoseconds: its bytes, or which file has its name.

    Programs set the time of the bytes as they like, so that two files may have the same; that of the entry
    (ctime) only the system sets.
    """
    return max(status.st_mtime_ns, status.st_ctime_ns)


def check_bytes(size: int, max_bytes: int, name: str) -> None:
    """Raise ImageError for no bytes, and for more than there may be."""
    if size == 0:
        raise ImageError("empty file", name)
    if size > max_bytes:
        raise ImageError(f"more than {max_bytes / 2**20:g} MB, the limit for a file", name)


def _read_once(name: str, max_bytes: int) -> FileBytes | None:
    """The file's bytes, or None if it changed meanwhile."""
    # Without O_NONBLOCK, opening a pipe waits for its other end; without O_NOCTTY a terminal may become ours.
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
