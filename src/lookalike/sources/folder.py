"""Lists the image files of a folder, or of a list of paths."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.images.reading import UNKNOWN, FileStatus
from lookalike.sources.image_files import may_be_image

Paths: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A folder, a file, or several files."""


@dataclass(frozen=True)
class Found:
    """A file that may be an image.

    Attributes:
        path: the file, absolute.
        key: the name that it is stored under; see `key_of`.
        status: its size and times, or `reading.UNKNOWN` if they could not be read.
    """

    path: Path
    key: str
    status: FileStatus


@dataclass(frozen=True)
class Unreadable:
    """A folder that could not be listed, so that nothing is known of the files below it.

    Attributes:
        path: the folder, absolute.
        key: the prefix of the keys below it: it ends in "/", or is "" for the collection's own folder.
        reason: a short phrase such as "permission denied".
    """

    path: Path
    key: str
    reason: str


class Source(Protocol):
    """Lists files in the order of their keys' bytes.

    Attributes:
        within: the key of the folder that `files` lists completely ("" for the collection's own), so that any other
            file below it is gone; None if it lists single files only.
    """

    within: str | None

    def files(self) -> Iterator[Found | Unreadable]: ...

    def covers(self, key: str) -> bool:
        """Whether `files` lists the file of this key if it is there."""
        ...


class Folder:
    """The images below a folder, by the suffixes of the files or, if these say nothing, by their first bytes.

    Hidden files and symlinks to folders are left out.

    Attributes:
        others: the number of files that are no images, counted while `files` goes through the folder.
    """

    def __init__(self, folder: Path, *, base: Path, leave_out: Path | None = None) -> None:
        """Lists `folder` with keys relative to `base`, and leaves the folder `leave_out` out.

        Raises:
            UsageError: `base` is below `folder`, so that images in `base` would get two keys.
        """
        if folder in base.parents:
            raise UsageError(f"{folder}: the collection's own folder, {base}, is in it; add its folders one by one")
        self.folder, self._leave_out, self.others = folder, leave_out, 0
        self.within: str | None = "" if folder == base else key_of(folder, base)
        self._prefix = f"{self.within.rstrip('/')}/" if self.within else ""  # of the keys below it

    def covers(self, key: str) -> bool:
        return key.startswith(self._prefix) if self._prefix else not key.startswith("/")

    def files(self) -> Iterator[Found | Unreadable]:
        self.others = 0
        waiting = [self._listing(self.folder, self._prefix)]
        while waiting:
            entry = next(waiting[-1], None)
            if entry is None:
                waiting.pop()
            elif isinstance(entry, (Found, Unreadable)):
                yield entry
            else:
                waiting.append(self._listing(*entry))

    def _listing(self, folder: Path, prefix: str) -> Iterator[Found | Unreadable | tuple[Path, str]]:
        """Yields the files of a folder and, as (folder, prefix), its subfolders, in the order of their keys' bytes."""
        try:
            with os.scandir(folder) as listed:
                entries = [entry for entry in listed if not entry.name.startswith(".")]
        except OSError as error:
            yield Unreadable(folder, prefix, (error.strerror or "cannot be listed").lower())
            return
        # The keys in a folder begin with its name and "/", so its name is sorted with the "/".
        names = {entry.name: entry for entry in entries if may_be_image(entry)}
        self.others += sum(entry.name not in names and entry.is_file() for entry in entries)
        names |= {f"{entry.name}/": entry for entry in entries if entry.is_dir(follow_symlinks=False)}
        for name in sorted(names, key=os.fsencode):
            path = Path(names[name])
            if not name.endswith("/"):
                yield found_file(path, prefix + name)
            elif path != self._leave_out:
                yield path, prefix + name


class Files:
    """Single files, whatever their suffixes."""

    within: str | None = None

    def __init__(self, paths: Iterable[Path], *, base: Path) -> None:
        self._paths = {key_of(path, base): path for path in paths}

    def covers(self, key: str) -> bool:
        return key in self._paths

    def files(self) -> Iterator[Found | Unreadable]:
        for key in sorted(self._paths, key=os.fsencode):
            yield found_file(self._paths[key], key)


def source_of(paths: Paths, *, base: Path, leave_out: Path) -> Source:
    """Returns the source for a folder, a file or a list of files.

    Raises:
        UsageError: nothing exists at the path, or a folder is in the list.
    """
    if not isinstance(paths, str | os.PathLike):
        files = [arguments.path(path, "source") for path in arguments.several(paths, "source")]
        if folder := next(filter(os.path.isdir, files), None):
            raise UsageError(f"{folder}: a folder in a list of files; add each folder in a call of its own")
        return Files(map(absolute, files), base=base)
    path = absolute(arguments.path(paths, "source"))
    if not os.path.lexists(path):
        raise UsageError(f"{paths}: there is no such file or folder")
    if os.path.isdir(path):
        return Folder(path, base=base, leave_out=leave_out)
    return Files([path], base=base)


def absolute(path: str | os.PathLike[str]) -> Path:
    """Returns an absolute path with symlinks resolved, except for a file that is itself a symlink."""
    path = Path(path)
    return path.resolve() if os.path.isdir(path) else path.parent.resolve() / path.name


def key_of(path: Path, base: Path) -> str:
    """Returns the name that a file is stored under: relative to `base` if it is in `base`, else absolute."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def found_file(path: Path, key: str) -> Found:
    """Reads the size and the times of a file."""
    try:
        return Found(path, key, FileStatus.of(path.stat()))
    except OSError:  # reading the file will raise an error with the reason
        return Found(path, key, UNKNOWN)
