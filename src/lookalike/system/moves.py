"""Moves files so that each is whole at its old place or at its new one at every instant, and nothing is ever replaced.

Within a file system a file gets its new name before it loses the old one. To another one it is copied under a hidden
name, compared, and named; only then the old file is removed. After a process was killed, `settled` tells where a file
is, and removes what is there twice.
"""

import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lookalike.system import durable, regular_file

Inode: TypeAlias = tuple[int, int]
"""What tells a file from every other one: its device and its number there."""

# A file system without hard links, or a file that may not have any more of them.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}
_CHUNK = 2**20  # bytes


def new_token() -> str:
    """A random text, which makes the name of a temporary file."""
    return secrets.token_hex(8)


def temporary(folder: Path, token: str) -> Path:
    """The hidden file of that token: whoever lists the images of the folder is not to find half of one."""
    return folder / f".lookalike-{token}.tmp"


def inode(status: os.stat_result) -> Inode:
    """The inode of a file."""
    return status.st_dev, status.st_ino


@dataclass(frozen=True)
class Move:
    """A file that is to be moved to a free place.

    Attributes:
        old: where it is.
        new: where it is to be; the folder is there.
        sha256: of its contents.
        token: names the temporary file, if one is needed.
        on_copied: is told the inode of the copy, when there has to be one, before it gets its name.
    """

    old: Path
    new: Path
    sha256: bytes
    token: str
    on_copied: Callable[[Inode], object]

    def do(self) -> None:
        """Moves it, with its times and permissions, and waits until that is on the disk.

        Raises:
            FileExistsError: the new place is taken.
            OSError: it cannot be moved, or has changed; it is where it was.
        """
        try:
            _link(self.old, self.new)
        except OSError as error:
            if error.errno == errno.EXDEV:
                self._copy()
            elif error.errno in _NO_LINKS:
                _rename(self.old, self.new)
                durable.sync_folder(self.old.parent)
                return
            else:
                raise
        try:
            durable.sync_folder(self.new.parent)
            self.old.unlink()
        except BaseException:
            self.new.unlink()  # the old folder, say, cannot be written to
            raise
        with suppress(PermissionError):  # a folder that may be written to, but not read
            durable.sync_folder(self.old.parent)

    def _copy(self) -> None:
        copy = temporary(self.new.parent, self.token)
        try:
            self.on_copied(copied(self.old, copy, self.sha256))
            try:
                _link(copy, self.new)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                _rename(copy, self.new)
        finally:
            copy.unlink(missing_ok=True)


def copied(old: Path, copy: Path, sha256: bytes) -> Inode:
    """Makes a copy of a file with its times and permissions, waits until it is on the disk, and compares its SHA-256.

    Raises:
        FileExistsError: there is something of that name.
        OSError: it cannot be copied, or has other contents; there is no copy.
    """
    with os.fdopen(regular_file.descriptor(old, follow_links=False), "rb") as source, copy.open("xb") as file:
        try:
            digest = hashlib.sha256()
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            _take_over_status(os.fstat(source.fileno()), old, copy)
            durable.sync(file.fileno())
            status, found = regular_file.digest(copy)
            if not digest.digest() == found == sha256:
                raise OSError(errno.EIO, "changed while it was copied", str(old))
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
    return inode(status)


def _take_over_status(status: os.stat_result, old: Path, copy: Path) -> None:
    """Gives a copy the owner, the times and the permissions of a file, as far as its file system and this user can."""
    with suppress(OSError):
        os.chown(copy, status.st_uid, status.st_gid)
    with suppress(OSError):
        shutil.copystat(old, copy)


def _link(old: Path, new: Path) -> None:
    """Gives a file another name; raises FileExistsError if that is another file's."""
    try:
        os.link(old, new)
    except FileExistsError:
        with suppress(OSError):
            if os.path.samestat(old.lstat(), new.lstat()):  # a network drive did it without saying so
                return
        raise


def _rename(old: Path, new: Path) -> None:
    """Renames a file to a free name, which an empty file holds meanwhile, where there are no hard links."""
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        durable.rename(old, new)
    except BaseException:
        if old.exists():
            new.unlink()
        raise


def settled(home: Path, away: Path, sha256: bytes, *, copies: Collection[Inode], temporaries: Iterable[Path]) -> bool:
    """Whether a file is away from its home; what a move that was killed has left there twice is removed.

    Args:
        home: where it was at first.
        away: where it was to be.
        sha256: of its contents, which are not empty.
        copies: the inodes of the copies that were made of it.
        temporaries: the files that may have been left over.

    Raises:
        OSError: something cannot be read or removed.
    """
    for each in temporaries:
        each.unlink(missing_ok=True)
    at_home, at_away = _status(home), _status(away)
    if at_home and at_away and not at_home.st_size and at_away.st_size:  # it held the name, see `_rename`
        home.unlink()
        at_home = None
    if at_home is None or at_away is None:
        return at_home is None and at_away is not None
    if _is_twice(home, away, sha256, copies):
        away.unlink()
        durable.sync_folder(away.parent)
        return False
    return _has(away, sha256) and not _has(home, sha256)


def _is_twice(home: Path, away: Path, sha256: bytes, copies: Collection[Inode]) -> bool:
    """Whether the file at one of two places is ours and can go, since what it holds is at the other one."""
    at_home, at_away = inode(home.lstat()), inode(away.lstat())
    if at_home == at_away or not away.lstat().st_size:
        return True
    return not {at_home, at_away}.isdisjoint(copies) and _has(home, sha256) and _has(away, sha256)


def _status(path: Path) -> os.stat_result | None:
    """The status of a regular file; None if there is none."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _has(path: Path, sha256: bytes) -> bool:
    try:
        return regular_file.digest(path)[1] == sha256
    except regular_file.NotRegularError:
        return False
