"""Putting files on the disk so that they are still there after a loss of power."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Written:
    """What was written: its size in bytes, and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


def write(path: Path, write: Callable[[Callable[[bytes], int]], object]) -> Written:
    """Writes a file piece by piece, and waits until the disk has it.

    Args:
        path: the file; what is there is overwritten.
        write: is given the function that takes the pieces.

    Raises:
        OSError: the disk is full or failing.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:

        def take(piece: bytes) -> int:
            nonlocal size
            file.write(piece)
            digest.update(piece)
            size += len(piece)
            return len(piece)

        write(take)
        file.flush()
        os.fsync(file.fileno())
    return Written(size, digest.hexdigest())


def sync_folder(path: Path) -> None:
    """Waits until the disk has the names of what is in a folder, which are not in the files themselves.

    Raises:
        OSError: the disk is failing.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
