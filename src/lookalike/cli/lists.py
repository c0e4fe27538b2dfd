"""What `lookalike index` is to index: folders and files of the command line, of lists, and of standard input."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.errors import UsageError
from lookalike.sources.lists import FileList, listed_paths, paths_in

_STDIN = "-"
_MOST = 2**30  # bytes of a list on standard input


@dataclass(frozen=True)
class NamedSources:
    """What is to be indexed.

    Attributes:
        paths: folders and files of the command line.
        folders: folders that standard input names.
        files: files that standard input names.
        lists: lists that can be read again.
    """

    paths: tuple[str, ...]
    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    lists: tuple[FileList, ...]

    @property
    def has_lists(self) -> bool:
        """Whether there is a list, on standard input or in a file."""
        return bool(self.lists or self.folders or self.files)

    @property
    def all_folders(self) -> list[str]:
        """The folders of the command line and of standard input."""
        return [*filter(os.path.isdir, self.paths), *map(str, self.folders)]

    @property
    def sources(self) -> list[Any]:
        """What to give to `Collection.add`, one after the other."""
        files = [*(path for path in self.paths if not os.path.isdir(path)), *self.files]
        return [*self.all_folders, *([files] if files else []), *self.lists]

    def listed(self) -> list[Path]:
        """All paths that lists name."""
        return [*self.folders, *self.files, *(path for each in self.lists for path in listed_paths(each))]


def named_sources(paths: Sequence[str], lists: Sequence[str], *, null: bool) -> NamedSources:
    """Reads what the arguments and the lists name; "-" among either is the list on standard input.

    Raises:
        UsageError: a list cannot be read, or names nothing.
    """
    files = [FileList(Path(each).absolute(), Path.cwd(), null) for each in lists if each != _STDIN]
    for each in files:
        if not listed_paths(each):
            raise UsageError(f"{each.path}: the list names no file")
    listed = _standard_input(null) if _STDIN in (*paths, *lists) else []
    return NamedSources(
        paths=tuple(path for path in paths if path != _STDIN),
        folders=tuple(path for path in listed if os.path.isdir(path)),
        files=tuple(path for path in listed if not os.path.isdir(path)),
        lists=tuple(files),
    )


def _standard_input(null: bool) -> list[Path]:
    data = sys.stdin.buffer.read(_MOST + 1)
    if len(data) > _MOST:
        raise UsageError(f"standard input: the list has more than {_MOST:,} bytes")
    found = paths_in(data, base=Path.cwd(), null=null, name="standard input")
    if not found:
        raise UsageError("standard input: the list names no file")
    return found
