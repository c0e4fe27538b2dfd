"""Records all that a process does to the files below a directory, by a library that is loaded into it."""

import ctypes
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.support.preloaded import compiled

_HEAD = struct.Struct("=cQQI")
Kind = Literal["create", "make folder", "write", "truncate", "sync", "rename", "remove", "note"]
_KINDS: dict[bytes, Kind] = {
    b"c": "create",
    b"m": "make folder",
    b"w": "write",
    b"t": "truncate",
    b"s": "sync",
    b"r": "rename",
    b"u": "remove",
    b"n": "note",
}


@dataclass(frozen=True)
class Operation:
    """One thing that was done.

    Attributes:
        kind: what.
        inode: of the file or folder that was made, written to, truncated or synced.
        offset: where a file was written to, or the size that it was truncated to.
        data: what was written; the path that was made or removed, the two of a renaming, or a note's text.
    """

    kind: Kind
    inode: int
    offset: int
    data: bytes

    @property
    def paths(self) -> list[Path]:
        """The path that was made or removed, or the old and the new one."""
        return [Path(os.fsdecode(path)) for path in self.data.split(b"\0")]


def read(path: Path) -> Iterator[Operation]:
    """The operations of a record, in the order in which they were done."""
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            kind, inode, offset, size = _HEAD.unpack(head)
            yield Operation(_KINDS[kind], inode, offset, file.read(size))


def variables(library: Path, below: Path, to: Path) -> dict[str, str]:
    """The environment variables of a process that is recorded."""
    return {"LD_PRELOAD": str(library), "RECORD_BELOW": str(below), "RECORD_TO": str(to)}


def note(text: str) -> None:
    """Adds a note to the record of this process."""
    ctypes.CDLL(None).record_note(text.encode())


def recorder(folder: Path) -> Path:
    """The compiled library."""
    return compiled((Path(__file__).parent / "recorder.c").read_text(), folder / "recorder")
