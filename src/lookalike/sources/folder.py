"""Where images come from: a folder, or a list of files."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lookalike.errors import UsageError
from lookalike.images.reading import changed_ns

_IMAGES = "jpg jpeg jpe jfif png gif webp tif tiff bmp dib avif avifs heic heif hif"
# They look like images to whoever keeps them, so it has to be said that they are left out.
_FOREIGN = "svg svgz eps ps ai pdf psd psb xcf jp2 jpx j2k jxl ico tga exr hdr raw dng cr2 cr3 nef arw orf rw2 raf"
_SUFFIXES = frozenset(f".{suffix}" for suffix in f"{_IMAGES} {_FOREIGN}".split())


@dataclass(frozen=True)
class Found:
    """A file that may be an image. Where it could not be looked at, `size` is -1."""

    path: Path
    key: str
    size: int
    changed_ns: int


@dataclass(frozen=True)
class Unreadable:
    """A folder that could not be listed; nothing is known of what is below `key`, which ends in "/" or is empty."""

    path: Path
    key: str
    reason: str


class Source(Protocol):
    """Says which files there are, in the order of their keys' bytes.

    Attributes:
        within: the key of the folder that `files` tells all of ("" for the collection's own), or None where it
            only names single files, so that nothing can be said of those it does not name.
    """

    within: str | None

    def files(self) -> Iterator[Found | Unreadable]: ...


class Folder:
    """The images below a folder: by their names' suffixes, nothing hidden, links to folders not followed."""

    def __init__(self, folder: Path, *, base: Path, leave_out: Path | None = None) -> None:
        """Keys are relative to `base`. `leave_out` is a folder that is passed over.

        Raises:
            UsageError: `base` is somewhere in the folder, so that its images would have two keys.
        """
        if folder in base.parents:
            raise UsageError(f"{folder}: the collection's own folder, {base}, is in it; add them one by one")
        self.folder, self._leave_out = folder, leave_out
        self.within: str | None = "" if folder == base else key_of(folder, base)

    def files(self) -> Iterator[Found | Unreadable]:
        prefix = f"{self.within.rstrip('/')}/" if self.within else ""
        waiting = [self._listing(self.folder, prefix)]
        while waiting:
            entry = next(waiting[-1], None)
            if entry is None:
                waiting.pop()
            elif isinstance(entry, (Found, Unreadable)):
                yield entry
            else:
                waiting.append(self._listing(*entry))

    def _listing(self, folder: Path, prefix: str) -> Iterator[Found | Unreadable | tuple[Path, str]]:
        """A folder's images and, as (folder, prefix), its folders, in the order of their keys' bytes."""
        try:
            with os.scandir(folder) as listed:
                entries = [entry for entry in listed if not entry.name.startswith(".")]
        except OSError as error:
            yield Unreadable(folder, prefix, (error.strerror or "cannot be listed").lower())
            return
        # A folder's files sort as if its name ended in "/", so it does.
        names = {entry.name: entry for entry in entries if Path(entry.name).suffix.lower() in _SUFFIXES}
        names |= {f"{entry.name}/": entry for entry in entries if entry.is_dir(follow_symlinks=False)}
        for name in sorted(names, key=os.fsencode):
            path = Path(names[name])
            if not name.endswith("/"):
                yield look_at(path, prefix + name)
            elif path != self._leave_out:
                yield path, prefix + name


class Files:
    """Single files, taken whatever their names."""

    within: str | None = None

    def __init__(self, paths: Iterable[Path], *, base: Path) -> None:
        self._paths = {key_of(path, base): path for path in paths}

    def files(self) -> Iterator[Found | Unreadable]:
        for key in sorted(self._paths, key=os.fsencode):
            yield look_at(self._paths[key], key)


def source_of(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, base: Path, leave_out: Path
) -> Source:
    """What a folder, a file or a list of files stands for.

    Raises:
        UsageError: there is nothing there.
    """
    if not isinstance(paths, str | os.PathLike):
        return Files(map(absolute, paths), base=base)
    path = absolute(paths)
    if not os.path.lexists(path):
        raise UsageError(f"{paths}: there is no such file or folder")
    if os.path.isdir(path):
        return Folder(path, base=base, leave_out=leave_out)
    return Files([path], base=base)


def absolute(path: str | os.PathLike[str]) -> Path:
    """The one name of a file or folder. A link that is named for an image keeps its own."""
    path = Path(path)
    return path.resolve() if os.path.isdir(path) else path.parent.resolve() / path.name


def key_of(path: Path, base: Path) -> str:
    """The name that a file is stored under: relative to `base` where it is inside, else absolute."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def look_at(path: Path, key: str) -> Found:
    """A file as it is now."""
    try:
        status = path.stat()
    except OSError:  # reading it will tell why
        return Found(path, key, -1, -1)
    return Found(path, key, status.st_size, changed_ns(status))
