"""Acts on copies, file by file, by a plan.

Before a file is touched, it and an image that stays are read, and what is going to be done is on the disk (see
action_log.py). A file that is not what was indexed is left, and so is one whose copy is not.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lookalike.duplicates import planning, trash
from lookalike.duplicates.action_log import Act, ActionLog
from lookalike.duplicates.actions import ActedOn, ActionPlan, PlannedAction, Untouched
from lookalike.duplicates.checks import Checks, UnusableError, check_apart, reason_of
from lookalike.errors import StorageError
from lookalike.images.reading import FileStatus
from lookalike.system import durable, moves
from lookalike.system.moves import Inode, Move


@dataclass(frozen=True)
class _Ready:
    """A copy that can be acted upon: its file and status, and those of the file that stays."""

    planned: PlannedAction
    path: Path
    status: os.stat_result
    stay: Path
    stay_status: os.stat_result


class Applying:
    """Does what a plan says, within one run.

    Attributes:
        done: the copies that were acted upon so far.
        left: those that were left.
    """

    def __init__(self, plan: ActionPlan, folder: Path, log: ActionLog) -> None:
        """`folder` is the collection's."""
        self._plan, self._folder, self._log = plan, folder, log
        self._checks = Checks(folder)
        self.done, self.left = list[ActedOn](), list[Untouched]()

    def run(self, progress: Callable[[int, int], None]) -> None:
        """Does it.

        Raises:
            StorageError: the disk is full or failing; `done` says what was done.
        """
        for number, planned in enumerate(self._plan.actions, 1):
            try:
                place = self._act(number, self._ready(planned))
                self.done.append(ActedOn(planned.image.key, place))
            except UnusableError as error:
                self.left.append(Untouched(planned.image.key, str(error)))
            progress(number, len(self._plan.actions))

    def _ready(self, planned: PlannedAction) -> _Ready:
        """A copy, read together with one that stays; raises UnusableError if that cannot be."""
        path, status = self._folder / planned.image.key, self._checks.copy(planned.image)
        reasons = []
        for image in planned.stays:
            try:
                stay, stay_status = Path(image.path), self._checks.stay(image)
                check_apart(path, status, stay, stay_status)
            except UnusableError as error:
                reasons.append(f"{image.key}: {error}")
            else:
                return _Ready(planned, path, status, stay, stay_status)
        raise UnusableError(f"what it is a copy of cannot be made sure of ({'; '.join(reasons)})")

    def _act(self, number: int, ready: _Ready) -> Path:
        """Acts on a copy, and returns where it is then; raises UnusableError if that cannot be."""
        with self._reasons(number, ready):
            match self._plan.action:
                case "link":
                    place = self._link(number, ready)
                case "move":
                    assert ready.planned.to
                    place = self._move(number, ready, ready.planned.to)
                case "trash":
                    place = self._throw_away(number, ready)
        self._log.state(number, "done")
        return place

    @contextmanager
    def _reasons(self, number: int, ready: _Ready) -> Iterator[None]:
        """Turns what goes wrong with one file into its reason, and notes that it is where it was, if it is."""
        try:
            yield
        except (OSError, UnusableError) as error:
            with suppress(StorageError, OSError):
                if os.path.samestat(ready.path.lstat(), ready.status):
                    self._log.state(number, "back")
            if isinstance(error, UnusableError):
                raise
            if error.errno in durable.DISK_ERRORS:
                raise StorageError(f"{error.filename or ready.path}: {error.strerror}") from error
            raise UnusableError(reason_of(error)) from error

    def _move(self, number: int, ready: _Ready, wanted: Path) -> Path:
        self._make_folders(wanted.parent)
        for place in planning.numbered(wanted):
            if not os.path.lexists(place):
                with suppress(FileExistsError):
                    self._intend(number, ready, place).do()
                    return place
        raise FileExistsError(errno.EEXIST, "all names are taken", str(wanted))

    def _throw_away(self, number: int, ready: _Ready) -> Path:
        bin_ = trash.for_file(ready.path)
        for place in planning.numbered(bin_.files / ready.path.name):
            if bin_.is_free(place.name):
                with suppress(FileExistsError):
                    move = self._intend(number, ready, place)
                    bin_.note(ready.path, place.name)
                    try:
                        move.do()
                    finally:
                        bin_.forget(ready.path, place.name)  # unless it is there
                    return place
        raise FileExistsError(errno.EEXIST, "all names are taken", str(bin_.files / ready.path.name))

    def _link(self, number: int, ready: _Ready) -> Path:
        """Replaces a copy by a hard link; at every instant it is there, whole."""
        if os.path.samestat(ready.status, ready.stay_status):
            raise UnusableError(f"it is a link to {ready.stay} already")
        if ready.status.st_dev != ready.stay_status.st_dev:
            raise UnusableError(f"on another file system than {ready.stay}")
        move = self._intend(number, ready, ready.stay, stay=moves.inode(ready.stay_status))
        link = moves.temporary(ready.path.parent, move.token)
        try:
            os.link(ready.stay, link)
            for path, status in ((ready.path, ready.status), (link, ready.stay_status)):
                now = FileStatus.of(path.lstat())  # a new link changes the ctime
                if (now.size, now.mtime_ns) != (status.st_size, status.st_mtime_ns):
                    raise UnusableError("changed while it was read")
            durable.rename(link, ready.path)
        finally:
            link.unlink(missing_ok=True)
        return ready.stay

    def _intend(self, number: int, ready: _Ready, place: Path, *, stay: Inode = (0, 0)) -> Move:
        """Notes what is going to be done to a copy, and returns what moves it."""
        status, token, sha256 = ready.status, moves.new_token(), ready.planned.image.sha256
        times = stat.S_IMODE(status.st_mode), status.st_atime_ns, status.st_mtime_ns
        self._log.act(number, Act(ready.planned.image.key, sha256.hex(), *times, str(place), stay, token))
        return Move(ready.path, place, sha256, token, lambda inode: self._log.copied(number, inode))

    def _make_folders(self, folder: Path) -> None:
        """Makes a folder and those above it, each of which is noted first, so that undoing can remove them."""
        missing = []
        while not os.path.lexists(folder):
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            self._log.append({"folder": str(each)})
            each.mkdir(exist_ok=True)
            durable.sync_folder(each.parent)
