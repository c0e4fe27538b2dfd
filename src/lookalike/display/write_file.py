"""Writes an output file whole or not at all, and never over a file that Lookalike has not written."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lookalike import arguments
from lookalike.display.text import safe_text
from lookalike.errors import Hint, StorageError, UsageError
from lookalike.images import marks
from lookalike.images.reading import read_start
from lookalike.storage import layout
from lookalike.system import durable

PAGE = b"<!-- Written by Lookalike -->"  # in templates/base.html; contact sheets have `marks.SHEET`
COPIES = b"group,role,grade,score,reason,id,key,path,"  # how tables of `copies_csv` begin


def write(path: str | os.PathLike[str], data: bytes, *, overwrite: bool = False) -> None:
    """Writes a file so that no reader ever sees a part of it: under a temporary name, and then renamed to `path`.

    Args:
        path: the file; at a symlink, its target is written.
        data: the contents, with a mark near the start by which a later output may replace the file.
        overwrite: replace any regular file.

    Raises:
        UsageError: no file can be written at that path, or see `refusal`.
        StorageError: the disk is full or failing; an earlier file at `path` is unchanged.
    """
    with streamed(path, overwrite=overwrite) as file:
        file.write(data)


@contextmanager
def streamed(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Gives a file to write to, which takes the place of `path` at the end, unless something is raised; see `write`.

    Raises:
        UsageError: no file can be written at that path, or see `refusal`.
        StorageError: the disk is full or failing; an earlier file at `path` is unchanged.
    """
    check(path, overwrite=overwrite)
    try:
        with _replacing(_target(path)) as file:
            yield file
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise _not_writable(path, str(error.strerror)) from error
    except OSError as error:
        raise StorageError(f"{safe_text(path)}: cannot be written ({error.strerror})") from error


def checked_arguments(path: str | os.PathLike[str], *, title: str | None = None, overwrite: bool) -> Path:
    """The path of an output; raises UsageError unless it is one, the title is text, and `overwrite` is a bool."""
    arguments.flag(overwrite, "overwrite")
    if title is not None:
        arguments.text(title, "title")
    return arguments.path(path, "path")


def check(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Raises a UsageError if `write` would refuse that path; to be called before long work for an output."""
    target = _target(path)
    if os.path.lexists(target) and not target.is_file():
        raise UsageError(f"{safe_text(path)}: not a regular file; give another path")
    if reason := _forbidden(target):
        raise UsageError(f"{safe_text(path)}: {reason}; give another path")
    if os.path.isdir(target.parent) and not _is_writable(target.parent):
        raise _not_writable(path, "Permission denied")
    if not overwrite and (reason := refusal(path)):
        raise UsageError(f"{safe_text(path)}: {reason}; give another path", Hint("overwrite"))


def refusal(path: str | os.PathLike[str]) -> str | None:
    """Returns why an output must not replace what is at a path; None if nothing of the user's would be lost.

    Earlier outputs, which their marks identify, and empty files may be replaced. Nothing is ever written into the
    directory of a collection, or to where the program prints.
    """
    target = _target(path)
    if reason := _forbidden(target):
        return reason
    try:
        start = read_start(target, marks.START)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"what is there cannot be read ({error.strerror})"
    if not start or marks.has_mark(start, marks.SHEET, PAGE):
        return None
    if marks.has_mark(start, COPIES):
        return "there is a table of copies, which somebody may have edited"
    if Path(path).is_symlink():
        return f"a link to {safe_text(target)}, which Lookalike has not written"
    return "there is a file that Lookalike has not written"


def _forbidden(target: Path) -> str | None:
    """Why no output goes there, even if any file may be replaced; None if it may."""
    if any(map(_is_collection, target.parents)):
        return "in the directory of a collection"
    if any(_is_open_as(stream, target) for stream in (0, 1, 2)):
        return "where this program reads from or prints to"  # as /dev/stdout is; what it prints would be lost
    return None


def _is_open_as(stream: int, target: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream), target.stat())
    except OSError:  # it is closed, or there is no such file
        return False


def _target(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.realpath(path))  # a symlink stays, and its target is replaced


def _is_collection(folder: Path) -> bool:
    """Whether a folder is the directory of a collection: other programs have files named collection.json, too."""
    beside = (layout.lock_file(folder), folder / layout.CATALOG)
    found = os.path.exists(folder / layout.MANIFEST) and any(map(os.path.exists, beside))
    return found or folder.name == layout.DIRECTORY


def _is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _not_writable(path: str | os.PathLike[str], reason: str) -> UsageError:
    return UsageError(f"{safe_text(path)}: cannot be written there ({reason}); give another path")


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    # A random name: the folder is the user's, and any fixed name may be one of the user's files.
    temporary = target.with_name(f".lookalike-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            durable.sync(file.fileno())
        durable.keep_mode(target, temporary)
        durable.rename(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
