"""The trash of the desktop, by the specification of freedesktop.org (version 1.0), and that of macOS.

A file never leaves its file system. On Linux, that of the home has $XDG_DATA_HOME/Trash, another one .Trash/UID or
.Trash-UID at its top; in each, `files` has the files, and `info` says where each was and when it was deleted. On macOS
there are ~/.Trash and .Trashes/UID, which say nothing: there only Lookalike's own log knows where a file was.
https://specifications.freedesktop.org/trash/1.0/
"""

import errno
import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from lookalike.system import durable, regular_file

_MAX_INFO = 100_000  # bytes


@dataclass(frozen=True)
class Trash:
    """A trash.

    Attributes:
        files: the folder of its files.
        info: the folder that says where they were; None on macOS.
        top: what the paths there are relative to; None if they are absolute.
    """

    files: Path
    info: Path | None
    top: Path | None

    def is_free(self, name: str) -> bool:
        """Whether nothing has that name."""
        places = [self.files / name, *([_info_file(self.info, name)] if self.info else [])]
        return not any(map(os.path.lexists, places))

    def note(self, path: Path, name: str) -> None:
        """Notes where a file was that is going to have a name in the trash; this makes the name ours.

        Raises:
            FileExistsError: the name is taken.
            OSError: it cannot be noted.
        """
        if self.info is None:
            return
        file = _info_file(self.info, name)
        deleted = datetime.now().astimezone().strftime("%Y-%m-%dT%H:%M:%S")  # in local time, says the specification
        try:
            durable.write_new(file, f"{self._head(path)}DeletionDate={deleted}\n".encode())
        except FileExistsError:
            raise
        except BaseException:
            file.unlink(missing_ok=True)
            raise

    def forget(self, path: Path, name: str) -> None:
        """Removes the note of a file that is not in the trash any more, if it is about that file, or not whole."""
        if self.info is None or os.path.lexists(self.files / name):
            return
        note, head = _info_file(self.info, name), self._head(path).encode()
        with suppress(OSError):
            found = regular_file.read(note, most=_MAX_INFO)
            if found.startswith(head) or head.startswith(found):
                note.unlink()

    def _head(self, path: Path) -> str:
        named = path.relative_to(self.top) if self.top and path.is_relative_to(self.top) else path
        return f"[Trash Info]\nPath={quote(os.fsencode(named))}\n"


def _info_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.trashinfo"


def for_file(path: Path) -> Trash:
    """The trash that a file goes to; its folders are made.

    Raises:
        OSError: its file system has none, and none can be made.
    """
    device = path.lstat().st_dev
    home = _home()
    if home and _device(home) == device:
        return _made(home, None)
    top = _top(path, device)
    for place in _places(top):
        with suppress(OSError):
            return _made(place, top)
    raise OSError(errno.ENOTSUP, f"there is no trash on its file system, {top}, and none can be made", str(path))


def _home() -> Path | None:
    """The trash of this user's home; None without a home."""
    named = os.environ.get("XDG_DATA_HOME", "")
    try:
        if sys.platform == "darwin":
            return Path.home() / ".Trash"
        data = Path(named) if Path(named).is_absolute() else Path.home() / ".local" / "share"
    except (RuntimeError, KeyError):
        return None
    return data / "Trash"


def _device(path: Path) -> int:
    """The file system of a folder, or that which it would be made on."""
    while not path.exists():
        path = path.parent
    return path.stat().st_dev


def _top(path: Path, device: int) -> Path:
    """The folder that a file system is mounted at."""
    folder = path.parent.resolve()
    while folder != folder.parent and folder.parent.stat().st_dev == device and not folder.is_mount():
        folder = folder.parent
    return folder


def _places(top: Path) -> list[Path]:
    """Where a trash of this user's may be at the top of a file system, the best first."""
    user = str(os.getuid())
    if sys.platform == "darwin":
        return [top / ".Trashes" / user]
    shared = top / ".Trash"
    is_safe = False
    with suppress(OSError):
        mode = shared.lstat().st_mode
        is_safe = stat.S_ISDIR(mode) and bool(mode & stat.S_ISVTX)  # both are what the specification asks for
    return [shared / user] * is_safe + [top / f".Trash-{user}"]


def _made(place: Path, top: Path | None) -> Trash:
    """The trash at a place, with its folders; raises OSError if they are not, or are not made, this user's."""
    is_bare = sys.platform == "darwin"
    trash = Trash(place, None, top) if is_bare else Trash(place / "files", place / "info", top)
    place.mkdir(mode=0o700, parents=top is None, exist_ok=True)
    for folder in (place, trash.files, *([trash.info] if trash.info else [])):
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise OSError(errno.ENOTDIR, "no folder of this user's", str(folder))
    return trash


def holding(file: Path) -> Trash:
    """The trash that a file lies in, by its path."""
    folder = file.parent
    if sys.platform == "darwin":
        return Trash(folder, None, None)
    place = folder.parent
    is_shared = place.parent.name == ".Trash"
    at_top = is_shared or place.name.startswith(".Trash-")
    return Trash(folder, place / "info", (place.parent.parent if is_shared else place.parent) if at_top else None)
