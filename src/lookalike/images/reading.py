"""Reads a file safely, whatever is at its path."""

import errno
import os
import stat
from dataclasses import dataclass

from lookalike.errors import ImageError
from lookalike.system.regular_file import SAFELY

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


_TICK_NS = 10_000_000  # a file system takes the time from a clock that ticks a hundred times a second, or more often
_COARSE_NS = 2_000_000_000  # the largest unit of a file system that keeps whole seconds: FAT's
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True)
class FileStatus:
    """What tells whether a file has changed.

    Programs may set the mtime, so that two files can have the same one, and a wrong clock may set it far into the
    future. Only the operating system sets the ctime, which a rename changes, too. So both count.

    Attributes:
        size: in bytes.
        mtime_ns: the time of the last change of the contents, in nanoseconds.
        ctime_ns: the time of the last change of anything; None if it is not known, and `mtime_ns` is the later of both.
    """

    size: int
    mtime_ns: int
    ctime_ns: int | None

    @classmethod
    def of(cls, status: os.stat_result) -> "FileStatus":
        """The status that the operating system reports."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def is_same(self, now: "FileStatus") -> bool:
        """Whether a file that had this status and has the other one now is unchanged."""
        if self.ctime_ns is None and now.ctime_ns is not None:
            return (self.size, self.mtime_ns) == (now.size, max(now.mtime_ns, now.ctime_ns))
        return self == now and now != UNKNOWN

    def settled(self, began_ns: int) -> "FileStatus":
        """The status to keep of a file that was read after this moment: one that no file has if it is as young.

        A change that followed at once might leave the times as they are, so such a file is looked at again next time.
        """
        if self.ctime_ns is None or began_ns - _unit(self.ctime_ns) <= self.ctime_ns:
            return FileStatus(self.size, *_NO_TIMES)
        is_young = began_ns - _unit(self.mtime_ns) <= self.mtime_ns < began_ns + _DAY_NS  # else it says nothing
        return FileStatus(self.size, *_NO_TIMES) if is_young else self


def _unit(time_ns: int) -> int:
    """How exact a file's time is, in nanoseconds."""
    return _TICK_NS if time_ns % 1_000_000_000 else _COARSE_NS


_NO_TIMES = (-1, -1)
UNKNOWN = FileStatus(-1, *_NO_TIMES)
"""The status of a file that cannot be asked for it; it is never the same."""


@dataclass(frozen=True)
class FileBytes:
    """The bytes of a file, with the status that belongs to exactly these bytes."""

    data: bytes
    status: FileStatus


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
            raise ImageError(reason(error), name, lasting=reason(error) == "not a regular file") from error
        except ValueError as error:  # a null byte, or a character that is impossible in a file name
            raise ImageError("not a possible file name", name) from error
        if found is not None:
            return found
    raise ImageError("changed while it was read", name, lasting=False)


def reason(error: OSError) -> str:
    """Why a file cannot be read, as a short phrase."""
    return _REASONS.get(error.errno or 0) or str(error.strerror or error).lower()


def read_start(path: str | os.PathLike[str], size: int) -> bytes:
    """Reads the first bytes of a regular file, without ever waiting for a pipe or a device.

    Raises:
        OSError: the file cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | SAFELY)
    try:
        return os.read(handle, size) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)


def check_bytes(size: int, max_bytes: int, name: str) -> None:
    """Raises an ImageError if a file is empty or larger than `max_bytes`."""
    if size == 0:
        raise ImageError("empty file", name)
    if size > max_bytes:
        raise ImageError(f"more than {max_bytes / 2**20:g} MB, the limit for a file", name)


def _read_once(name: str, max_bytes: int) -> FileBytes | None:
    """Returns the bytes of a file, or None if it changed while it was read."""
    handle = os.open(name, os.O_RDONLY | SAFELY)
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
    same = FileStatus.of(before) == FileStatus.of(after)
    return FileBytes(data, FileStatus.of(after)) if same and len(data) == after.st_size else None


def _read_up_to(size: int, handle: int) -> bytes:
    parts = []
    while size and (part := os.read(handle, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
