"""Lists the image files of a folder, or of a list of paths."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol, TypeAlias

from lookalike.errors import UsageError
from lookalike.images.reading import UNKNOWN, FileStatus
from lookalike.sources import keys, places
from lookalike.sources.exclusion import Exclusion
from lookalike.sources.image_files import may_be_image
from lookalike.sources.places import Place

Paths: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A folder, a file, or several files."""


@dataclass(frozen=True)
class Found:
    """A file that may be an image.

    Attributes:
        path: the file, absolute, or the place of an image in a shard; see `places`.
        key: the name that it is stored under; see `key_of`.
        status: its size and times, or `reading.UNKNOWN` if they could not be read.
    """

    path: Place
    key: str
    status: FileStatus


@dataclass(frozen=True)
class Unreadable:
    """A folder that could not be listed, so that nothing is known of the files below it.

    Attributes:
        path: the folder or shard, absolute.
        key: the prefix of the keys below it: it ends in "/", or is "" for the collection's own folder.
        reason: a short phrase such as "permission denied".
    """

    path: Place
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

    def leaves_out(self, key: str, /) -> bool:
        """Whether the file of this key is one that `files` leaves out, although it may be there."""
        ...


@dataclass(frozen=True)
class Listing:
    """How a folder is listed.

    Attributes:
        leave_out: a folder that is left out: the collection's own directory.
        exclusion: what is left out besides.
        notice: the name of a hidden folder; where there is one, `Folder.noticed` says so.
    """

    leave_out: Path | None = None
    exclusion: Exclusion = field(default_factory=Exclusion)
    notice: str | None = None


class Folder:
    """The images below a folder, by the suffixes of the files or, if these say nothing, by their first bytes.

    Hidden files and symlinks to folders are left out.

    Attributes:
        folder: the folder.
        others: the number of files that are no images, counted while `files` goes through the folder.
        noticed: the folders, found so far, that have a hidden folder of the name to be noticed.
    """

    def __init__(self, folder: Path, *, base: Path, listing: Listing | None = None) -> None:
        """Lists `folder` with keys relative to `base`.

        Raises:
            UsageError: `base` is below `folder`, so that images in `base` would get two keys.
        """
        if folder in base.parents:
            raise UsageError(f"{folder}: the collection's own folder, {base}, is in it; add its folders one by one")
        self.folder, self._how, self.others = folder, listing or Listing(), 0
        self.noticed: set[Path] = set()
        self.within: str | None = "" if folder == base else key_of(folder, base)
        self._prefix = f"{self.within.rstrip('/')}/" if self.within else ""  # of the keys below it

    def covers(self, key: str) -> bool:
        is_below = key.startswith(self._prefix) if self._prefix else not keys.is_elsewhere(key)
        return is_below and not keys.in_shard(key)

    def leaves_out(self, key: str) -> bool:
        return self.covers(key) and self._how.exclusion.leaves_out(key, below=self._prefix)

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

    def count_others(self) -> int:
        """Goes through the folder, and returns the number of files that are no images."""
        for _ in self.files():
            pass
        return self.others

    def _listing(self, folder: Path, prefix: str) -> Iterator[Found | Unreadable | tuple[Path, str]]:
        """Yields the files of a folder and, as (folder, prefix), its subfolders, in the order of their keys' bytes."""
        try:
            with os.scandir(folder) as listed:
                entries = [entry for entry in listed if self._is_listed(entry, folder, prefix)]
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
            elif path != self._how.leave_out:
                yield path, prefix + name

    def _is_listed(self, entry: "os.DirEntry[str]", folder: Path, prefix: str) -> bool:
        if entry.name.startswith("."):
            if entry.name == self._how.notice and Path(entry) != self._how.leave_out:
                self.noticed.add(folder)
            return False
        is_folder = entry.is_dir(follow_symlinks=False)
        return not self._how.exclusion.leaves_out_entry(entry.name, prefix + entry.name, is_folder=is_folder)


class Files:
    """Single files, whatever their suffixes.

    Attributes:
        is_whole: whether they are all that a list names, so that it counts how many of them are missing.
    """

    within: str | None = None

    def __init__(
        self, paths: Iterable[Path], *, base: Path, exclusion: Exclusion | None = None, is_whole: bool = False
    ) -> None:
        """Lists files with keys relative to `base`, without what is left out; nothing is by default."""
        self.is_whole, parents = is_whole, cache(Path.resolve)
        found = (parents(path.parent) / path.name for path in paths)
        named = {key_of(path, base): path for path in found}
        self._paths = {key: path for key, path in named.items() if not (exclusion and exclusion.leaves_out(key))}

    def all_keys(self) -> list[str]:
        """The keys of all of them, in the order of their bytes."""
        return sorted(self._paths, key=os.fsencode)

    def covers(self, key: str) -> bool:
        return key in self._paths

    def leaves_out(self, _key: str) -> bool:
        return False

    def files(self) -> Iterator[Found | Unreadable]:
        for key in self.all_keys():
            yield found_file(self._paths[key], key)


class KnownFiles(Files):
    """Single files that a collection knows: those that are not there are gone, and no error."""

    def files(self) -> Iterator[Found | Unreadable]:
        for key in self.all_keys():
            if places.is_there(self._paths[key]):
                yield found_file(self._paths[key], key)


class GoneFolder:
    """A folder that is not there now, with all that was in it."""

    def __init__(self, key: str) -> None:
        self.within: str | None = key

    def covers(self, key: str) -> bool:
        return key.startswith(f"{self.within}/") and not keys.in_shard(key)

    def leaves_out(self, _key: str) -> bool:
        return False

    def files(self) -> Iterator[Found | Unreadable]:
        return iter(())


def absolute(path: str | os.PathLike[str]) -> Path:
    """Returns an absolute path with symlinks resolved, except for a file that is itself a symlink."""
    path = Path(path)
    return path.resolve() if os.path.isdir(path) else path.parent.resolve() / path.name


def key_of(path: Path, base: Path) -> str:
    """Returns the name that a file is stored under: relative to `base` if it is in `base`, else absolute."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def found_file(path: Place, key: str) -> Found:
    """Reads the size and the times of a file, or of an image in a shard."""
    try:
        return Found(path, key, places.status(path))
    except OSError:  # reading the file will raise an error with the reason
        return Found(path, key, UNKNOWN)
