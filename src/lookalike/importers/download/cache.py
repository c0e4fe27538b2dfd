"""The directory that holds downloads until the models that they are for have been imported.

models/.downloads/
  1f6a90c33f5b8f0d-model.safetensors            a complete file; the digits are of its URL's SHA-256
  1f6a90c33f5b8f0d-model.safetensors.partial    the first bytes of an incomplete file,
  1f6a90c33f5b8f0d-model.safetensors.etag       and the server's ETag of the version that they are of
  lock                                          held by the process that downloads

An import holds a shared lock on each complete file that it uses. The last import to finish deletes the file. What an
interrupted import leaves stays for the next try, for up to 30 days.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO

import filelock

from lookalike.encoders import registry
from lookalike.errors import StorageError

_DIRECTORY, _LOCK = ".downloads", "lock"
_MAX_AGE = 30 * 24 * 3600  # seconds after their last write until leftovers are deleted


class _HeldFiles:
    """The files that an import holds locks on."""

    def __init__(self, closing: ExitStack) -> None:
        self._files: dict[Path, IO[bytes]] = {}
        self._closing = closing

    def add(self, path: Path) -> bool:
        """Locks a file; returns False if another import has deleted it."""
        if path in self._files and _is_at(self._files[path], path):
            return True  # a second lock would keep the first from being upgraded in `delete`
        try:
            file = path.open("r+b")  # locks on network drives require a writable file
        except FileNotFoundError:
            return False
        self._closing.enter_context(file)
        fcntl.flock(file, fcntl.LOCK_SH)
        if not _is_at(file, path):
            return False
        self._files[path] = file
        return True

    def delete(self) -> None:
        """Deletes the files that no other import holds."""
        for path, file in self._files.items():
            _delete_unless_held(path, file)


_held: ContextVar[_HeldFiles | None] = ContextVar("_held", default=None)


@contextmanager
def session() -> Iterator[None]:
    """Keeps what is downloaded inside until its end, and deletes it then, unless an error ends it.

    Raises:
        StorageError: the files cannot be deleted.
    """
    with ExitStack() as closing:
        held = _HeldFiles(closing)
        before = _held.set(held)
        try:
            yield
        finally:
            _held.reset(before)
        with storage_errors():
            held.delete()
            _delete_leftovers()


def hold(path: Path) -> bool:
    """Keeps a complete file until the end of the session, if this is in one; returns False if it is gone."""
    held = _held.get()
    return held is None or held.add(path)


@contextmanager
def exclusive(on_wait: Callable[[], None]) -> Iterator[Path]:
    """Returns the directory, for one process at a time to download into.

    Args:
        on_wait: called if another process has to finish first.
    """
    directory = _directory()
    directory.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(directory / _LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        on_wait()
        lock.acquire()
    try:
        yield directory
    finally:
        lock.release()


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns an OSError into a StorageError that names the file."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{error.filename or _directory()}: {error.strerror or error}") from error


def _directory() -> Path:
    return registry.folder() / _DIRECTORY


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _delete_unless_held(path: Path, file: IO[bytes]) -> None:
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(file, path):
            path.unlink()


def _delete_leftovers() -> None:
    """Deletes what imports left more than 30 days ago, unless something is being downloaded."""
    directory = _directory()
    if not directory.exists():
        return
    with suppress(filelock.Timeout), filelock.FileLock(directory / _LOCK, timeout=0):
        for path in directory.iterdir():
            if path.name != _LOCK and path.stat().st_mtime < time.time() - _MAX_AGE:
                with path.open("r+b") as file:
                    _delete_unless_held(path, file)
