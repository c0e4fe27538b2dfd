"""A disk, of which only what was synced is sure to survive a loss of power.

What has not been synced may survive or not, in any combination: sectors of a write, a new size without the data, a name
without the file's contents. The names that a folder holds are lost or kept in one of two ways, as file systems differ:

- journalled: in order, and syncing anything keeps all names so far (ext4, XFS, btrfs, in practice);
- loose: each by itself, until the folder itself is synced (all that POSIX promises).
"""

import itertools
import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.power.record import Operation

SECTOR = 512  # bytes, which a disk writes whole or not at all
PASSING = "-shm"  # the end of the name of SQLite's shared memory, which is made anew after a crash


@dataclass(frozen=True)
class Luck:
    """What survives of what was not synced.

    Attributes:
        random: decides on each thing.
        chance: of each thing to survive.
        names_until: the time until which all names survive; None if each one is left to chance.
    """

    random: random.Random
    chance: float
    names_until: int | None

    def keeps(self) -> bool:
        """Whether the next thing survives."""
        return self.random.random() < self.chance

    def keeps_name(self, time: int) -> bool:
        """Whether what was done to names at a time survives."""
        return self.keeps() if self.names_until is None else time <= self.names_until


ALL = Luck(random.Random(0), 1.0, None)  # everything survives


@dataclass
class File:
    """Its synced contents, and what was done to it since."""

    contents: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)

    def sync(self) -> None:
        """Makes sure of all that was done."""
        self.contents, self.pending = self.after(ALL), []

    def after(self, luck: Luck) -> bytearray:
        """The contents after a loss of power."""
        contents = bytearray(self.contents)
        for operation in self.pending:
            if operation.kind == "truncate":
                if luck.keeps():
                    _resize(contents, operation.offset)
            else:
                _write(contents, operation, luck)
        return contents


@dataclass(frozen=True)
class Naming:
    """What was done to a name at a time: it was given to a file or folder, or removed; or given and removed at once."""

    time: int
    names: dict[str, "File | Folder | None"]


@dataclass
class Folder:
    """Its synced names, what was done to them since, and when."""

    names: dict[str, "File | Folder"] = field(default_factory=dict)
    pending: list[Naming] = field(default_factory=list)

    def sync(self) -> None:
        """Makes sure of all that was done."""
        self.names, self.pending = self.after(ALL), []

    def after(self, luck: Luck) -> dict[str, "File | Folder"]:
        """The names after a loss of power."""
        names: dict[str, File | Folder | None] = dict(self.names)
        for naming in self.pending:
            if luck.keeps_name(naming.time):
                names |= naming.names
        return {name: node for name, node in names.items() if node is not None}


class Disk:
    """A folder on a disk, which follows a record."""

    def __init__(self, root: Path) -> None:
        self._root, self._top, self._time, self._synced = root, Folder(), 0, 0
        self._by_inode: dict[int, File | Folder] = {root.stat().st_ino: self._top}

    def do(self, operation: Operation) -> None:
        """Does what was recorded."""
        self._time += 1
        match operation.kind:
            case "create" | "make folder":
                [path] = operation.paths
                made = File() if operation.kind == "create" else Folder()
                self._by_inode[operation.inode] = made
                self._name(path.parent, {path.name: made})
            case "remove":
                [path] = operation.paths
                self._name(path.parent, {path.name: None})
            case "rename":
                old, new = operation.paths
                assert old.parent == new.parent
                self._name(old.parent, {old.name: None, new.name: self._folder(old.parent).after(ALL)[old.name]})
            case "write" | "truncate":
                file = self._by_inode[operation.inode]
                assert isinstance(file, File)
                file.pending.append(operation)
            case "sync":
                self._by_inode[operation.inode].sync()
                self._synced = self._time

    def luck(self, random: random.Random) -> Luck:
        """What may survive of a loss of power now."""
        chance = random.choice([0.0, 0.1, 0.5, 0.9, 1.0])
        is_journalled = random.random() < 0.5
        return Luck(random, chance, random.randint(self._synced, self._time) if is_journalled else None)

    def write(self, folder: Path, luck: Luck) -> None:
        """Writes what is left after a loss of power to an existing folder."""
        _write_folder(self._top, folder, luck)

    def _folder(self, path: Path) -> Folder:
        folder = self._top
        for name in path.relative_to(self._root).parts:
            found = folder.after(ALL)[name]
            assert isinstance(found, Folder)
            folder = found
        return folder

    def _name(self, parent: Path, names: dict[str, File | Folder | None]) -> None:
        self._folder(parent).pending.append(Naming(self._time, names))


def _write_folder(folder: Folder, path: Path, luck: Luck) -> None:
    for name, node in folder.after(luck).items():
        if isinstance(node, Folder):
            (path / name).mkdir()
            _write_folder(node, path / name, luck)
        elif not name.endswith(PASSING):
            (path / name).write_bytes(node.after(luck))


def _resize(contents: bytearray, size: int) -> None:
    del contents[size:]
    contents.extend(bytes(size - len(contents)))


def _write(contents: bytearray, operation: Operation, luck: Luck) -> None:
    """Writes those sectors that survive; of others, the file's new size may survive, with zeros."""
    start, end = operation.offset, operation.offset + len(operation.data)
    bounds = [start, *range((start // SECTOR + 1) * SECTOR, end, SECTOR), end]
    for first, last in itertools.pairwise(bounds):
        survives = luck.keeps()
        if survives or luck.keeps():
            _resize(contents, max(len(contents), last))
        if survives:
            contents[first:last] = operation.data[first - start : last - start]
