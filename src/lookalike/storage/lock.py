"""The lock of a collection: one process at a time may write."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.errors import LockedError, StorageError
from lookalike.storage import files, layout
from lookalike.system import durable


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Holds the writer's lock, which the system releases if the process dies.

    Raises:
        LockedError: another process holds it.
        CorruptError: something else than a file is in its place.
        StorageError: the lock cannot be made, or not by this user.
    """
    import filelock  # which only those who write need

    files.check(layout.lock_file(directory))
    lock = filelock.FileLock(layout.lock_file(directory), timeout=0)
    with durable.storage_errors(directory):
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise LockedError(f"{directory}: another process is writing to it; try again when it is done") from error
        except PermissionError as error:
            raise StorageError(f"{directory}: this user may not write to it; ask its owner for the right") from error
    try:
        yield
    finally:
        lock.release()
