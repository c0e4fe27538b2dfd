"""The folder that downloads are in until the networks that they are for have been imported.

models/.downloads/
  1f6a90c33f5b8f0d-model.safetensors            a file that is whole; the digits are of its URL's SHA-256
  1f6a90c33f5b8f0d-model.safetensors.partial    what there is of one that is not,
  1f6a90c33f5b8f0d-model.safetensors.etag       and by what the server tells that version of it from others
  lock                                          held by the process that downloads

Imports hold on to the whole files that they use, with locks that they share. The last one deletes them when it is done.
What an import leaves that was interrupted is there for the next try, for a while.
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

_FOLDER, _LOCK = ".downloads", "lock"
_KEPT = 30 * 24 * 3600  # seconds that leftovers are kept after they were last written to


class _Held:
    """The files that an import holds on to."""

    def __init__(self, closing: ExitStack) -> None:
        self._files: dict[Path, IO[bytes]] = {}
        self._closing = closing

    def add(self, path: Path) -> bool:
        """Holds on to a file; False if another import has deleted it."""
        if path in self._files and _is_at(self._files[path], path):
            return True  # a second lock would stand in the way of its own end
        try:
            file = path.open("r+b")  # as locks on network drives take it
        except FileNotFoundError:
            return False
        self._closing.enter_context(file)
        fcntl.flock(file, fcntl.LOCK_SH)
        if not _is_at(file, path):
            return False
        self._files[path] = file
        return True

    def delete(self) -> None:
        """Deletes the files that no other import holds on to."""
        for path, file in self._files.items():
            _delete_unless_held(path, file)


_held: ContextVar[_Held | None] = ContextVar("_held", default=None)


@contextmanager
def session() -> Iterator[None]:
    """An import: what is downloaded meanwhile stays until its end, and is deleted then unless an error ends it.

    Raises:
        StorageError: it cannot be deleted.
    """
    with ExitStack() as closing:
        held = _Held(closing)
        before = _held.set(held)
        try:
            yield
        finally:
            _held.reset(before)
        with storage_errors():
            held.delete()
            _sweep()


def hold(path: Path) -> bool:
    """Keeps a whole file there until the end of the session, if this is in one; False if it is already gone."""
    held = _held.get()
    return held is None or held.add(path)


@contextmanager
def alone(on_wait: Callable[[], None]) -> Iterator[Path]:
    """The folder, for one process at a time to download into; `on_wait` is called if another has to end first."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        on_wait()
        lock.acquire()
    try:
        yield folder
    finally:
        lock.release()


@contextmanager
def storage_errors() -> Iterator[None]:
    """What is wrong with the disk is a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{error.filename or _folder()}: {error.strerror or error}") from error


def _folder() -> Path:
    return registry.folder() / _FOLDER


def _is_at(file: IO[bytes], path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _delete_unless_held(path: Path, file: IO[bytes]) -> None:
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(file, path):
            path.unlink()


def _sweep() -> None:
    """Deletes what imports have left long ago, unless something is being downloaded."""
    folder = _folder()
    if not folder.exists():
        return
    with suppress(filelock.Timeout), filelock.FileLock(folder / _LOCK, timeout=0):
        for path in folder.iterdir():
            if path.name != _LOCK and path.stat().st_mtime < time.time() - _KEPT:
                with path.open("r+b") as file:
                    _delete_unless_held(path, file)
