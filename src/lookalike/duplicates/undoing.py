"""Undoes what was done to copies, and finds out what became of files when a process was killed.

Both are safe to be killed at any instant and can be done again: a file is at its place or where it was moved to, whole.
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lookalike.duplicates import trash
from lookalike.duplicates.action_log import ActionLog, Entry, LoggedRun
from lookalike.duplicates.actions import UndoReport, Untouched
from lookalike.duplicates.checks import UnusableError, check_inside, reason_of
from lookalike.errors import StorageError
from lookalike.system import durable, moves, regular_file
from lookalike.system.moves import Move


class Undoing:
    """Undoes one run of actions."""

    def __init__(self, run: LoggedRun, folder: Path, log: ActionLog) -> None:
        """`folder` is the collection's."""
        self._run, self._folder, self._log = run, folder, log

    def settle(self) -> list[Entry]:
        """Finds out where those files are of which the log does not say, and returns them.

        A file of which this cannot be told now, as its disk is away, is looked at again next time.
        """
        return [entry for entry in self._run.entries.values() if not entry.state and self._is_settled(entry)]

    def undo(self, progress: Callable[[int, int], None]) -> UndoReport:
        """Restores each file to where it was, if that place is free, and removes the folders that were made.

        Raises:
            StorageError: the disk is full or failing; those that were restored stay so.
        """
        self.settle()
        restored, left = list[str](), list[Untouched]()
        away = [entry for entry in self._run.entries.values() if entry.state != "back"]
        for done, entry in enumerate(reversed(away), 1):
            try:
                self._restore(entry)
                restored.append(entry.act.key)
            except UnusableError as error:
                left.append(Untouched(entry.act.key, str(error)))
            except OSError as error:
                if error.errno in durable.DISK_ERRORS:
                    raise StorageError(f"{error.filename or entry.act.key}: {error.strerror}") from error
                left.append(Untouched(entry.act.key, reason_of(error)))
            progress(done, len(away))
        for folder in reversed(self._run.folders):
            with suppress(OSError):  # it is not empty, or gone
                folder.rmdir()
        return UndoReport(self._run.number, tuple(restored), tuple(left))

    # What became of a file

    def _is_settled(self, entry: Entry) -> bool:
        try:
            is_away = self._is_link(entry) if self._run.action == "link" else self._is_away(entry)
        except OSError:
            return False
        if not is_away and entry.is_undone:
            self._give_back_times(entry)
        self._note(entry, is_away=is_away)
        return True

    def _is_away(self, entry: Entry) -> bool:
        home, away = self._home(entry), Path(entry.act.place)
        folders = (home.parent, away.parent)
        leftovers = [moves.temporary(folder, token) for folder in folders for token in entry.tokens]
        sha256 = bytes.fromhex(entry.act.sha256)
        return moves.settled(home, away, sha256, copies=entry.copies, temporaries=leftovers)

    def _is_link(self, entry: Entry) -> bool:
        home = self._home(entry)
        for token in entry.tokens:
            moves.temporary(home.parent, token).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            return moves.inode(home.lstat()) == entry.act.stay
        return False

    def _note(self, entry: Entry, *, is_away: bool) -> None:
        if not is_away:
            self._forget_in_trash(entry)
        entry.state = "done" if is_away else "back"
        self._log.state(entry.number, entry.state)

    # Giving it back

    def _restore(self, entry: Entry) -> None:
        """Restores a file; raises UnusableError if that cannot be, or OSError."""
        home = self._home(entry)
        if not entry.state:
            raise UnusableError("what became of it cannot be told now")
        if self._run.action == "link":
            self._make_file_of_its_own(entry, home)
        else:
            self._move_back(entry, home, Path(entry.act.place))
        self._give_back_times(entry)
        self._note(entry, is_away=False)

    def _move_back(self, entry: Entry, home: Path, away: Path) -> None:
        sha256 = bytes.fromhex(entry.act.sha256)
        if not os.path.lexists(away):
            if _is_regular(home) and regular_file.digest(home)[1] == sha256:
                return  # somebody has moved it back
            raise UnusableError(f"it is not at {away} any more")
        if regular_file.digest(away)[1] != sha256:
            raise UnusableError(f"{away} has changed since")
        if os.path.lexists(home):
            raise UnusableError(f"another file has its place; it stays at {away}")
        check_inside(self._folder, home)
        home.parent.mkdir(parents=True, exist_ok=True)
        Move(away, home, sha256, self._begun(entry), lambda inode: self._log.copied(entry.number, inode)).do()

    def _make_file_of_its_own(self, entry: Entry, home: Path) -> None:
        """Replaces a hard link by a copy of what it leads to."""
        check_inside(self._folder, home)
        status, sha256 = regular_file.digest(home)
        if sha256.hex() != entry.act.sha256:
            raise UnusableError("changed since")
        if status.st_nlink == 1:
            return  # the other file is gone or was replaced
        copy = moves.temporary(home.parent, self._begun(entry))
        moves.copied(home, copy, sha256)
        try:
            _set_times(copy, entry)
            durable.rename(copy, home)
        finally:
            copy.unlink(missing_ok=True)

    def _begun(self, entry: Entry) -> str:
        """Notes that undoing what was done to a file begins, and returns the token of its temporary file."""
        token = moves.new_token()
        self._log.undo(entry.number, token)
        return token

    def _give_back_times(self, entry: Entry) -> None:
        _set_times(self._home(entry), entry)

    def _forget_in_trash(self, entry: Entry) -> None:
        if self._run.action == "trash":
            place = Path(entry.act.place)
            trash.holding(place).forget(self._home(entry), place.name)

    def _home(self, entry: Entry) -> Path:
        return self._folder / entry.act.key


def _set_times(path: Path, entry: Entry) -> None:
    """Gives a file the times and permissions that it had, as far as its file system and this user can."""
    with suppress(OSError):
        if _is_regular(path):
            os.utime(path, ns=(entry.act.atime_ns, entry.act.mtime_ns), follow_symlinks=False)
            path.chmod(stat.S_IMODE(entry.act.mode))


def _is_regular(path: Path) -> bool:
    return os.path.lexists(path) and stat.S_ISREG(path.lstat().st_mode)
