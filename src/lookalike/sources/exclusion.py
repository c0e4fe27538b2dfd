"""Which files and folders are left out: what devices and systems keep for themselves, and what a user excludes."""

import fnmatch
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property

from lookalike import arguments
from lookalike.errors import UsageError

# Thumbnails, waste and snapshots of network drives (Synology, QNAP), Windows, macOS, ext4. Hidden ones, such as .Trash
# and .thumbnails, are left out as all hidden folders are.
DEFAULT = (
    *("@eaDir", "@Recycle", "@Recently-Snapshot", "#recycle", "#snapshot"),
    *("$RECYCLE.BIN", "RECYCLER", "System Volume Information", "Thumbs.db", "lost+found", "__MACOSX"),
)
_LONGEST = 1000  # characters of a glob
_MOST = 1000  # globs
_ANY_FOLDERS = "**"


def is_glob(value: object) -> bool:
    """Whether it can be a glob: a text with at least one name in it."""
    return isinstance(value, str) and len(value) <= _LONGEST and "\0" not in value and bool(value.strip("/"))


def checked_globs(globs: Iterable[str]) -> tuple[str, ...]:
    """Globs, each once; raises UsageError for what cannot be one."""
    found = tuple(globs)
    for glob in found:
        if not is_glob(glob):
            raise UsageError(
                f"globs: {arguments.shown(glob)} is no glob; give a name or a path, of at most {_LONGEST} characters"
            )
        if glob.startswith("!"):
            raise UsageError(f"{glob!r}: to stop leaving something out, drop its glob with include")
    if len(found) > _MOST:
        raise UsageError(f"{len(found):,} globs to leave out; give at most {_MOST:,}")
    return tuple(dict.fromkeys(found))


class Exclusion:
    """What is left out of a folder and the folders in it.

    A glob without a slash is compared with the name of each file and folder. One with a slash is compared with the
    path, relative to the collection's folder or absolute; `**` stands for any number of folders. One that ends with a
    slash is for folders only. What is in a folder that is left out is left out, too. Upper and lower case differ, but
    not in the names that are left out by default.
    """

    def __init__(self, globs: Iterable[str] = (), *, keep: Iterable[str] = ()) -> None:
        """Leaves out what the globs name and the default names, without those in `keep`."""
        self.globs, kept = tuple(globs), {name.casefold() for name in keep}
        self._names = {name.casefold() for name in DEFAULT} - kept

    def leaves_out(self, key: str, *, below: str = "") -> bool:
        """Whether the file of a key is left out when the folder with that prefix of keys is listed."""
        parts = key[len(below) :].split("/")
        prefixes = (below + "/".join(parts[: end + 1]) for end in range(len(parts)))
        return any(
            self.leaves_out_entry(name, prefix, is_folder=end < len(parts))
            for end, (name, prefix) in enumerate(zip(parts, prefixes, strict=True), 1)
        )

    def leaves_out_entry(self, name: str, key: str, *, is_folder: bool) -> bool:
        """Whether a file or folder, of that name and key, is left out by itself, whatever folder it is in."""
        if name.casefold() in self._names:
            return True
        return bool(self.globs) and any(glob.fits(name, key, is_folder=is_folder) for glob in self._compiled)

    @cached_property
    def _compiled(self) -> list["_Glob"]:
        return [_Glob(glob) for glob in self.globs]


class _Glob:
    def __init__(self, glob: str) -> None:
        text = _composed(glob)
        self._folders_only = text.endswith("/")
        text = text.removeprefix("./").rstrip("/")
        self._is_name = "/" not in text
        self._parts = [None if part == _ANY_FOLDERS else _pattern(part) for part in text.split("/")]

    def fits(self, name: str, key: str, *, is_folder: bool) -> bool:
        if self._folders_only and not is_folder:
            return False
        if self._is_name:
            return self._parts[0] is None or bool(self._parts[0].match(_composed(name)))
        return _fit(self._parts, _composed(key).split("/"))


def _fit(parts: Sequence[re.Pattern[str] | None], names: Sequence[str]) -> bool:
    """Whether patterns, of which None is any number of names, fit names: by the positions that can be reached."""
    reached = {0}  # the numbers of names that the patterns so far may have used
    for pattern in parts:
        if pattern is None:
            reached = set(range(min(reached), len(names) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(names) and pattern.match(names[at])}
        if not reached:
            return False
    return len(names) in reached


def _pattern(part: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(part))


def _composed(text: str) -> str:
    """The same letters in one form: some systems split an accent from its letter."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)
