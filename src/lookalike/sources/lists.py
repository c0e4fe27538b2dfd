"""Lists of files: one path a line, or divided by NUL characters as `find -print0` writes them."""

import codecs
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.system import regular_file

_MOST = 2**30  # bytes of a list
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LONGEST = 4096  # bytes of a path that any system opens


@dataclass(frozen=True)
class FileList:
    """A list of files and folders, which a collection can be made of.

    Attributes:
        path: the text file with one path a line; empty lines are left out.
        base: what relative paths in it are relative to, by default the current folder. A path that is not there is
            looked for beside the list.
        null: the paths end with NUL characters instead, as `find -print0` writes them.
    """

    path: str | os.PathLike[str]
    base: str | os.PathLike[str] | None = None
    null: bool = False

    def __post_init__(self) -> None:
        arguments.path(self.path, "path")
        arguments.flag(self.null, "null")
        if self.base is not None:
            arguments.path(self.base, "base")


def listed_paths(listed: FileList) -> list[Path]:
    """The paths in a list, absolute, each once, in its order.

    Raises:
        UsageError: it cannot be read, is no regular file, or is no list.
    """
    path = arguments.path(listed.path, "path").absolute()
    try:
        data = regular_file.read(path, most=_MOST)
    except OSError as error:
        raise UsageError(f"{listed.path}: the list cannot be read: {(error.strerror or str(error)).lower()}") from error
    base = Path.cwd() if listed.base is None else arguments.path(listed.base, "base").absolute()
    return paths_in(data, base=base, beside=path.parent, null=listed.null, name=str(listed.path))


def paths_in(data: bytes, *, base: Path, beside: Path | None = None, null: bool = False, name: str) -> list[Path]:
    """The paths in the bytes of a list, absolute, each once, in its order.

    Args:
        data: the list.
        base: what relative paths are relative to.
        beside: the folder to look in for a path that is not there.
        null: whether the paths end with NUL characters.
        name: of the list, for messages.

    Raises:
        UsageError: it is no list of paths.
    """
    found: dict[Path, None] = {}
    for number, line in enumerate(_lines(data, null=null, name=name), 1):
        if line if null else line.removesuffix(b"\r"):
            if len(line) > _LONGEST:
                raise UsageError(f"{name}: line {number:,} is longer than a path can be; it should be a list of paths")
            names = [line] if null or not line.endswith(b"\r") else [line[:-1], line]
            found[_placed([os.fsdecode(name) for name in names], base, beside)] = None
    return list(found)


def _lines(data: bytes, *, null: bool, name: str) -> list[bytes]:
    if null:
        return data.split(b"\0")
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            try:
                text = data.removeprefix(mark if encoding == "utf-8" else b"").decode(encoding, "surrogateescape")
                data = text.encode("utf-8", "surrogateescape")
            except UnicodeError:
                raise UsageError(f"{name}: the list is damaged: it is not {encoding.upper()}") from None
    if b"\0" in data:
        raise UsageError(f"{name}: the list has NUL characters; if its paths end with them, say so with null (-0)")
    return data.split(b"\n")


def _placed(names: Sequence[str], base: Path, beside: Path | None) -> Path:
    """The path of the first of these names that is there, in `base` or else `beside`; else that of the first one."""
    candidates = [folder / name for name in names for folder in ((base, beside) if beside else (base,))]
    return next(filter(os.path.lexists, candidates), candidates[0])
