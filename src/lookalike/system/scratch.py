"""Temporary directories that are gone after their use, even if the process was killed: the next use sweeps them.

A process holds a lock on each of its directories, which the system releases when the process ends, however it ends. A
directory that nobody has locked is a leftover.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def directory(parent: str | os.PathLike[str], prefix: str) -> Iterator[Path]:
    """Makes a directory, which only this user can read, and deletes it at the end, with what was left of others.

    Args:
        parent: the folder that it is made in.
        prefix: how its name begins; everything in `parent` whose name begins so has to be made here.

    Raises:
        OSError: it cannot be made.
    """
    _sweep(Path(parent), prefix)
    path, handle = _made(parent, prefix)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def _made(parent: str | os.PathLike[str], prefix: str) -> tuple[Path, int]:
    """A new directory, and the handle that holds its lock."""
    while True:
        path = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        with suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            with suppress(OSError):  # a network drive without locks, where nothing is ever swept
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_at(handle, path):
                return path, handle
            os.close(handle)  # another process has swept it before it was locked


def _sweep(parent: Path, prefix: str) -> None:
    """Deletes this user's directories that no process holds."""
    for name in filter(lambda name: name.startswith(prefix), os.listdir(parent)):
        with suppress(OSError):  # it is another user's, no directory, held, or gone
            handle = os.open(parent / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(handle).st_uid == os.geteuid():
                    shutil.rmtree(parent / name)
            finally:
                os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False
