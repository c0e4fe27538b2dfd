"""Makes sure that a file is still the one that was indexed, right before it counts as a copy or as what stays."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from lookalike.images.reading import FileStatus
from lookalike.results import IndexedImage
from lookalike.sources import keys
from lookalike.system import regular_file
from lookalike.system.regular_file import NotRegularError


class UnusableError(Exception):
    """A file is not what was indexed, or cannot be told to be; the message is the reason."""


def reason_of(error: OSError) -> str:
    """A short reason, such as "permission denied"."""
    if isinstance(error, NotRegularError):
        return error.kind
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "gone"
    return (error.strerror or str(error)).lower()


def check_inside(folder: Path, path: Path) -> None:
    """Raises UnusableError unless a file is in a folder, without a symlink on the way."""
    if not _is_inside(folder, path.parent):
        raise UnusableError("in a folder behind a symlink")


def _is_inside(folder: Path, parent: Path) -> bool:
    top = os.path.realpath(folder)
    return os.path.realpath(parent) == str(Path(top, parent.relative_to(folder)))


@dataclass(frozen=True)
class _Seen:
    status: FileStatus
    sha256: bytes


class Checks:
    """Reads files, and remembers for one run those that stay, as long as their times say that they have not changed."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the collection's."""
        self._folder, self._seen = folder, dict[Path, _Seen]()

    def copy(self, image: IndexedImage) -> os.stat_result:
        """The status of the file of a copy, which is as it was indexed, and in the collection's folder.

        Raises:
            UnusableError: it is not.
        """
        path = self._folder / image.key
        if keys.is_elsewhere(image.key):
            raise UnusableError("not in the collection's folder")
        check_inside(self._folder, path)
        status, sha256 = _digest(path)
        if sha256 != image.sha256:
            raise UnusableError("changed since it was indexed")
        return status

    def stay(self, image: IndexedImage) -> os.stat_result:
        """The status of a file that stays, which is as it was indexed; raises UnusableError if it is not."""
        if not isinstance(image.path, Path) or keys.in_shard(image.key):
            raise UnusableError("in an archive or behind a URL")
        path = image.path
        if path.is_relative_to(self._folder):
            check_inside(self._folder, path)
        began_ns, seen = time.time_ns(), self._seen.get(path)
        try:
            status = path.lstat()
        except OSError as error:
            raise UnusableError(reason_of(error)) from error
        if seen is None or not seen.status.is_same(FileStatus.of(status)):
            status, sha256 = _digest(path)
            seen = self._seen[path] = _Seen(FileStatus.of(status).settled(began_ns), sha256)
        if seen.sha256 != image.sha256:
            raise UnusableError("changed since it was indexed")
        return status


def check_apart(copy: Path, copy_status: os.stat_result, stay: Path, stay_status: os.stat_result) -> None:
    """Raises UnusableError if two paths lead to one name of a file, as through a folder that is mounted twice."""
    if not os.path.samestat(copy_status, stay_status):
        return
    is_one_name = copy.name.casefold() == stay.name.casefold() and copy.parent.samefile(stay.parent)
    if copy_status.st_nlink == 1 or is_one_name:
        raise UnusableError(f"the same file as {stay}")


def _digest(path: Path) -> tuple[os.stat_result, bytes]:
    try:
        return regular_file.digest(path)
    except OSError as error:
        raise UnusableError(reason_of(error)) from error
