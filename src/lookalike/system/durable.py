"""Writes files so that they survive a crash and a loss of power: the only module that fsyncs and renames.

All functions raise OSError if the disk is full or failing; callers turn it into a StorageError with `storage_errors`.
"""

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import StorageError

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EIO}
"""The disk is full or failing, so that going on with other files is of no use."""


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns an OSError into a StorageError that names `path`."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error


@dataclass(frozen=True)
class Written:
    """The size of a file in bytes, and its SHA-256."""

    size: int
    sha256: bytes


def write(path: Path, write_pieces: Callable[[Callable[[bytes], int]], object]) -> Written:
    """Writes a file piece by piece, and waits until it is on the disk.

    Args:
        path: the file; an existing one is removed first, so that nothing is written through a link.
        write_pieces: is given the function that takes the pieces.
    """
    digest, size = hashlib.sha256(), 0
    path.unlink(missing_ok=True)
    with path.open("xb") as file:

        def take(piece: bytes) -> int:
            nonlocal size
            file.write(piece)
            digest.update(piece)
            size += len(piece)
            return len(piece)

        write_pieces(take)
        file.flush()
        sync(file.fileno())
    return Written(size, digest.digest())


def write_bytes(path: Path, data: bytes) -> Written:
    """Writes a file, and waits until it is on the disk."""
    return write(path, lambda take: take(data))


def write_new(path: Path, data: bytes) -> None:
    """Writes a file that must not be there yet, and waits until it is on the disk."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        sync(file.fileno())


def put_new(path: Path, data: bytes) -> None:
    """Writes a file that must not be there yet so that it is there whole or not at all, whatever happens.

    Raises:
        FileExistsError: there is something of that name.
    """
    # A random, hidden name: the folder is the user's, and whoever lists its images is not to find half of one.
    temporary = path.with_name(f".lookalike-{secrets.token_hex(8)}.tmp")
    try:
        write_new(temporary, data)
        try:
            os.link(temporary, path)  # which, unlike a rename, replaces nothing
        except FileExistsError:
            raise
        except OSError:  # the file system has no hard links
            write_new(path, data)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def replace(path: Path, data: bytes) -> None:
    """Writes a file so that it is there with its old contents or the new ones, whatever happens; its mode stays."""
    new = beside(path)
    write_bytes(new, data)
    keep_mode(path, new)
    rename(new, path)


def publish(path: Path, data: bytes) -> None:
    """Writes a file that can be made again: others see it whole or not at all, but a loss of power may damage it.

    Several processes may write it at once. Only this user can read it.
    """
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def keep_mode(old: Path, new: Path) -> None:
    """Gives a file the permissions of the one that it is going to replace, if there is one."""
    with suppress(FileNotFoundError):
        mode = old.lstat().st_mode
        if stat.S_ISREG(mode):
            new.chmod(mode & 0o777)


def beside(path: Path) -> Path:
    """The name under which a file is written before it is renamed to `path`."""
    return path.with_name(f"{path.name}.new")


def rename(old: Path, new: Path) -> None:
    """Renames a file or directory within its directory, and waits until the new name is on the disk."""
    old.replace(new)
    sync_folder(new.parent)


def sync_folder(path: Path) -> None:
    """Waits until the names in a folder are on the disk, which syncing the files themselves does not do."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync(descriptor: int) -> None:
    """Waits until what was written to an open file is on the disk."""
    os.fsync(descriptor)
