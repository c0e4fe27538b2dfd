"""Opens and removes the files of a collection: regular files in real directories, never through a symlink.

A collection may come from a stranger. A symlink, a pipe or a device in the place of one of its files would have
Lookalike read, overwrite or delete something else, or wait for ever. Whatever opens a file of a collection comes here
first, also if a library opens it by its name. system/regular_file.py does the opening.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from lookalike.errors import CorruptError
from lookalike.storage import layout
from lookalike.system import regular_file
from lookalike.system.regular_file import NotRegularError


def opened(path: Path) -> BufferedReader:
    """Opens a file to read it.

    Raises:
        CorruptError: it is no regular file, or in no real directory.
        OSError: it is missing, or cannot be opened.
    """
    return open(path, "rb", opener=lambda _, flags: _descriptor(path, flags))


def opened_for_update(path: Path) -> int:
    """Opens an existing file to read and to write, and returns its descriptor; raises as `opened` does."""
    return _descriptor(path, os.O_RDWR)


def read(path: Path, *, max_bytes: int) -> bytes:
    """Reads a whole file; raises as `opened` does, and CorruptError if it has more bytes."""
    with opened(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise CorruptError(f"{path}: the file is damaged: it has more than {max_bytes / 1e6:g} MB")
    return data


def size(path: Path) -> int:
    """The number of bytes of a file; raises as `opened` does."""
    _check_directories(path)
    with _corrupt_errors():
        return regular_file.check(path, os.lstat(path)).st_size


def check(path: Path) -> bool:
    """Checks a file that a library is going to open by its name, and returns whether it is there.

    Raises:
        CorruptError: it is no regular file, or in no real directory.
    """
    try:
        size(path)
    except FileNotFoundError:
        return False
    return True


def check_directory(path: Path) -> bool:
    """Checks a directory inside a collection's, and returns whether it is there.

    Raises:
        CorruptError: it is a symlink, or no directory.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(mode):
        raise CorruptError(f"{path}: it is {regular_file.kind(mode)} where a collection has a directory; delete it")
    return True


def remove(path: Path) -> None:
    """Removes a file if it is there; of a symlink only the link.

    Raises:
        CorruptError: it is a directory, or in no real directory.
        OSError: it cannot be removed.
    """
    _check_directories(path)
    if _is_directory(path):
        raise CorruptError(f"{path}: it is a directory where a collection has a regular file; delete it")
    path.unlink(missing_ok=True)


def remove_directory(path: Path) -> None:
    """Removes a directory with all that is in it, or whatever is in its place; of a symlink only the link."""
    if _is_directory(path):
        shutil.rmtree(path)
    else:
        remove(path)


def names_in(directory: Path) -> list[str]:
    """The names in a directory inside a collection's, none if it is missing; raises as `check_directory` does."""
    return os.listdir(directory) if check_directory(directory) else []


def _descriptor(path: Path, flags: int) -> int:
    _check_directories(path)
    with _corrupt_errors():
        return regular_file.descriptor(path, flags, follow_links=False)


@contextmanager
def _corrupt_errors() -> Iterator[None]:
    """Turns what is no regular file into a CorruptError."""
    try:
        yield
    except NotRegularError as error:
        raise CorruptError(
            f"{error.filename}: it is {error.kind} where a collection has a regular file; delete it"
        ) from error


def _check_directories(path: Path) -> None:
    """Checks the directories on the way from the collection's own, which is no symlink once it has been found."""
    for directory in layout.inner_directories(path):
        check_directory(directory)


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
