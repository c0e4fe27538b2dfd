"""Knows the files during whose decoding a process ended, as a crash in a library or a lack of memory ends it.

Each thread notes the file that it decodes in a small file of the collection. A run that is stopped or fails removes it;
a process that dies leaves it behind. The next run decodes what is noted there in a process of its own, and skips what
ends that one, too. The note need not survive a loss of power, and so nothing waits for the disk.
"""

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lookalike.storage import files

_LENGTH = 2  # bytes, before the key
_SLOT = 4096 + _LENGTH  # bytes for the key of one file, which is a path
_MOST = 1000  # suspects


class UnderWay:
    """The files that are decoded at the moment. Threads may share it.

    Attributes:
        suspects: the keys of the files that were decoded when an earlier process ended.
    """

    def __init__(self, handle: int | None, suspects: frozenset[str]) -> None:
        """`handle` is the descriptor of the file, in which the suspects are noted; None if it cannot be written."""
        self.suspects = suspects
        self._handle, self._slots, self._own = handle, itertools.count(len(suspects)), threading.local()

    @contextmanager
    def decoding(self, key: str) -> Iterator[None]:
        """Notes that this thread decodes the file of that key, until the block is left."""
        self._note(_noted(key))
        try:
            yield
        finally:
            self._note(bytes(_LENGTH))

    def _note(self, content: bytes) -> None:
        if self._handle is None:
            return
        slot = getattr(self._own, "slot", None)
        if slot is None:
            slot = self._own.slot = next(self._slots)
        with suppress(OSError):  # on a full disk, the run itself will fail
            os.pwrite(self._handle, content, slot * _SLOT)


@contextmanager
def under_way(path: Path) -> Iterator[UnderWay]:
    """Opens the note in that file, with what an earlier process has left in it. The collection is locked.

    Raises:
        CorruptError: something else is in the place of the file.
    """
    suspects = sorted(set(_left_behind(path)))
    handle = None
    with suppress(OSError):
        files.remove(path)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        os.pwrite(handle, b"".join(_noted(key).ljust(_SLOT, b"\0") for key in suspects), 0)
    try:
        yield UnderWay(handle, frozenset(suspects))
    finally:
        if handle is not None:
            os.close(handle)
            with suppress(OSError):
                files.remove(path)


def _noted(key: str) -> bytes:
    name = os.fsencode(key)
    return len(name).to_bytes(_LENGTH, "little") + name if len(name) <= _SLOT - _LENGTH else bytes(_LENGTH)


def _left_behind(path: Path) -> Iterator[str]:
    """The keys of the files that were under way when a process ended; whatever is no key is no file's."""
    try:
        with files.opened(path) as file:
            data = file.read(_MOST * _SLOT)
    except OSError:  # mostly because there is none
        return
    for at in range(0, len(data), _SLOT):
        start = at + _LENGTH
        if key := data[start : start + int.from_bytes(data[at:start], "little")]:
            yield os.fsdecode(key)
