"""Decides on copies, acts on those that are marked, and undoes it."""

import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike import arguments
from lookalike.collection import trust
from lookalike.collection.browsing import Browsable
from lookalike.collection.sources import CollectionSources
from lookalike.collection.writing import WriteAccess
from lookalike.errors import CorruptError, StorageError, UsageError
from lookalike.images.reading import FileStatus
from lookalike.results import IndexedImage
from lookalike.sources.folder import absolute, key_of

if TYPE_CHECKING:
    from lookalike.duplicates.action_log import LoggedRun
    from lookalike.duplicates.actions import ActionPlan, ActionReport, ActionRun, UndoReport, Untouched
    from lookalike.duplicates.marks import Decision, Marks
    from lookalike.duplicates.names import ActionName
    from lookalike.duplicates.results import Duplicates


class Reviewable(Browsable):
    """Decides on copies, and acts on them.

    Attributes:
        directory: the collection's.
        folder: the folder that the keys of its images are relative to.
    """

    directory: Path
    folder: Path
    _write_access: WriteAccess
    _sources: CollectionSources

    # Decisions

    def mark_copies(self, image_ids: Iterable[int]) -> None:
        """Marks images as copies to act upon, see `plan_action`; that is kept until it is taken back.

        Raises:
            NoImageError: there is no image with one of the ids.
            StorageError: the disk is full or failing.
        """
        self._marks().decide(self._images_of(image_ids), "marked")

    def keep_copies(self, image_ids: Iterable[int]) -> None:
        """Decides that images are to be kept, although they may be copies; raises as `mark_copies` does."""
        self._marks().decide(self._images_of(image_ids), "kept")

    def unmark_copies(self, image_ids: Iterable[int]) -> None:
        """Takes back what was decided on images.

        Raises:
            StorageError: the disk is full or failing.
        """
        self._marks().forget(arguments.whole(each, "image_ids") for each in arguments.several(image_ids, "image_ids"))

    def copy_marks(self) -> "dict[int, Decision]":
        """What was decided on images, "marked" or "kept", by id, as far as their files are the same."""
        return self._marks().on(self._decided_on())

    def _decided_on(self) -> list[IndexedImage]:
        """The images that were decided on, by id, whatever their files are now."""
        found = (self._catalog.image(id_) for id_ in self._marks().ids())
        return [self._shown(image) for image in found if image]

    def _marked(self) -> list[IndexedImage]:
        decisions = self._marks().on(images := self._decided_on())
        return [image for image in images if decisions.get(image.id) == "marked"]

    def _marks(self) -> "Marks":
        from lookalike.duplicates.marks import Marks

        return Marks(self.directory)

    def _images_of(self, image_ids: Iterable[int]) -> list[IndexedImage]:
        given = arguments.several(image_ids, "image_ids")
        return [self.image(arguments.whole(each, "image_ids")) for each in given]

    # Actions

    def plan_action(
        self, duplicates: "Duplicates", action: "ActionName", *, to: str | Path | None = None
    ) -> "ActionPlan":
        """Plans an action on the copies that are marked. Nothing is touched.

        Only files in the collection's folder are acted upon, and only if another image of the group stays: the one
        that is suggested to be kept or, if that is marked, too, any other one.

        Args:
            duplicates: what `duplicates` has found.
            action: "move" moves the files to a folder; "link" replaces each by a hard link to a file that stays and has
                the same bytes, and leaves others; "trash" moves them to the trash of the desktop.
            to: the folder that files are moved to, with the folders that they are in; it is made if needed.

        Raises:
            UsageError: there is no such action; or the folder is missing, or would be indexed.
        """
        from lookalike.duplicates import planning
        from lookalike.duplicates.names import ACTIONS
        from lookalike.duplicates.results import Duplicates

        duplicates = arguments.instance(duplicates, Duplicates, "duplicates", "what `duplicates` has found")
        if action not in ACTIONS:
            raise UsageError(f'action={arguments.shown(action)}: give "move", "link" or "trash"')
        folder = None if to is None else absolute(arguments.path(to, "to"))
        if (action == "move") != (folder is not None):
            raise UsageError(f"to={arguments.shown(to)}: give the folder that files are moved to, for a move only")
        if folder:
            self._check_is_not_indexed(folder)
        return planning.plan(duplicates, self._marked(), action, folder)

    def act_on_copies(
        self, plan: "ActionPlan", *, progress: Callable[[int, int], None] | None = None
    ) -> "ActionReport":
        """Does what was planned, file by file, and keeps a log by which it can be undone.

        Each copy, and an image that stays, are read first: what has changed is left. So is what is not marked any
        more. The images of files that are moved are missing then, with their ids and attributes.

        Args:
            plan: what `plan_action` has planned.
            progress: called with the number of files that are done, and their total.

        Raises:
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing; what was done before can be undone.
        """
        from lookalike.duplicates import action_log
        from lookalike.duplicates.action_log import ActionLog
        from lookalike.duplicates.actions import ActionPlan, ActionReport
        from lookalike.duplicates.applying import Applying

        plan = arguments.instance(plan, ActionPlan, "plan", "what `plan_action` has planned")
        report = arguments.callback(progress, "progress") or (lambda _done, _total: None)
        with self._write_access.locked():
            self._settle_all()
            plan, unmarked = self._still_marked(plan)
            if not plan.actions:
                return ActionReport(None, plan.action, (), (*plan.left, *unmarked))
            token = action_log.new_token()
            trust.note_run(token)
            log, run = ActionLog.create(self.directory, token, plan.action, plan.to)
            applying = Applying(plan, self.folder, log)
            try:
                with closing(log):
                    applying.run(report)
            except StorageError as error:
                done = f"{len(applying.done)} of {len(plan.actions)} copies were acted upon before"
                raise StorageError(f"{error.message}; {done}, in run {run.number}, which can be undone") from error
            finally:
                with suppress(StorageError, CorruptError):  # the next run notices it, too
                    self._set_aside(acted.key for acted in applying.done)
            return ActionReport(run.number, plan.action, tuple(applying.done), (*plan.left, *unmarked, *applying.left))

    def action_runs(self) -> "list[ActionRun]":
        """The runs of actions that are kept, the first one first.

        Raises:
            CorruptError: the log of one is damaged.
        """
        from lookalike.duplicates import action_log

        return [_told(run) for number in action_log.numbers(self.directory) if (run := self._run_of(number))]

    def undo_action(
        self, run: int | None = None, *, trust_log: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> "UndoReport":
        """Restores the files of a run to where they were, with their times and permissions, where that place is free.

        It can be done again, and restores what could not be restored before.

        Args:
            run: its number; by default that of the last run of which something can be restored.
            trust_log: whether to undo a run that this user has not done here, whose log may name any file.
            progress: called with the number of files that are done, and their total.

        Raises:
            UsageError: there is nothing to undo, or the run is not this user's own.
            CorruptError: the log is damaged.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing; what was restored stays so.
        """
        from lookalike.duplicates.action_log import ActionLog
        from lookalike.duplicates.undoing import Undoing

        number = None if run is None else arguments.whole(run, "run", least=1)
        may_be_foreign = arguments.flag(trust_log, "trust_log")
        report = arguments.callback(progress, "progress") or (lambda _done, _total: None)
        with self._write_access.locked():
            found = self._to_undo(number)
            if not (may_be_foreign or trust.is_own_run(found.token)):
                raise UsageError(
                    f"run {found.number}: not done by this user on this machine; its log may name any file, so look at"
                    " it, and undo it with trust_log=True"
                )
            try:
                with closing(ActionLog.resume(self.directory, found.number)) as log:
                    return Undoing(found, self.folder, log).undo(report)
            finally:
                with suppress(StorageError, CorruptError):  # the next run notices it, too
                    self._bring_back(found)

    def _to_undo(self, number: int | None) -> "LoggedRun":
        """The run of that number, or the last one of which something is away."""
        from lookalike.duplicates import action_log

        numbers = action_log.numbers(self.directory)
        if number is not None and number not in numbers:
            raise UsageError(f"run={number}: there is no such run of actions")
        for each in [number] if number else reversed(numbers):
            if (run := self._run_of(each)) and (number or _told(run).done):
                return run
        raise UsageError(f"{self.directory}: there is nothing to undo")

    def _run_of(self, number: int) -> "LoggedRun | None":
        from lookalike.duplicates import action_log

        return action_log.read(self.directory, number)

    def _settle_all(self) -> None:
        """Finds out what became of the files that processes were acting upon when they were killed."""
        from lookalike.duplicates import action_log
        from lookalike.duplicates.action_log import ActionLog
        from lookalike.duplicates.undoing import Undoing

        for number in action_log.numbers(self.directory):
            with suppress(CorruptError):
                run = self._run_of(number)
                if run and trust.is_own_run(run.token) and not all(each.state for each in run.entries.values()):
                    with closing(ActionLog.resume(self.directory, number)) as log:
                        settled = Undoing(run, self.folder, log).settle()
                    self._set_aside(entry.act.key for entry in settled if entry.state == "done")
                    self._bring_back(run)

    def _still_marked(self, plan: "ActionPlan") -> "tuple[ActionPlan, tuple[Untouched, ...]]":
        """A plan without what has been unmarked since."""
        from lookalike.duplicates.actions import ActionPlan, Untouched

        ids = {image.id for image in self._marked()}
        marked = [each for each in plan.actions if each.image.id in ids]
        unmarked = [
            Untouched(each.image.key, "not marked any more") for each in plan.actions if each.image.id not in ids
        ]
        return ActionPlan(plan.action, plan.to, tuple(marked), plan.left), tuple(unmarked)

    def _check_is_not_indexed(self, folder: Path) -> None:
        """Raises UsageError if what is moved to a folder would be found there again."""
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"to={folder}: not a folder")
        made_of = self._sources.made_of
        if folder.is_relative_to(self.directory):
            raise UsageError(f"to={folder}: the directory of the collection; give another folder")
        for each in made_of.folders or ("",):
            top = absolute(self.folder / each)
            if not folder.is_relative_to(top):
                continue
            is_hidden = any(name.startswith(".") for name in folder.relative_to(top).parts)
            if not is_hidden and not made_of.exclusion.leaves_out(key_of(folder / "image", self.folder)):
                raise UsageError(
                    f"to={folder}: in a folder that is indexed, where the copies would be found again; give a folder"
                    " elsewhere, or one that is left out"
                )

    # The catalog

    def _set_aside(self, keys: Iterable[str]) -> None:
        """Has images be missing whose files are gone; the next run would notice it, too."""
        gone = [key for key in keys if not (self.folder / key).exists()]
        if gone:
            with self._catalog.writing() as transaction:
                transaction.missing.set_aside(gone, time.time_ns())

    def _bring_back(self, run: "LoggedRun") -> None:
        """Has images be there again whose files are back; the next run reads them once more."""
        back = [each.act for each in run.entries.values() if each.state == "back"]
        with self._catalog.writing() as transaction:
            for act in back:
                for image in transaction.missing.with_hash(bytes.fromhex(act.sha256)):
                    if image.key == act.key and image.row is not None and not transaction.image_at(act.key):
                        with suppress(OSError):
                            status = FileStatus.of((self.folder / act.key).lstat()).settled(0)
                            transaction.bring_back(image, act.key, image.row, status)


def _told(run: "LoggedRun") -> "ActionRun":
    """What is shown of a run."""
    from lookalike.duplicates.actions import ActionRun

    back = sum(entry.state == "back" for entry in run.entries.values())
    is_own = trust.is_own_run(run.token)
    return ActionRun(run.number, run.action, run.to, run.began, len(run.entries) - back, back, is_own)
