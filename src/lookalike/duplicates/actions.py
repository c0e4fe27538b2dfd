"""What is done to copies: the plan of it, what came of it, and what undoing it has given back."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lookalike.duplicates.names import ActionName, Grade
from lookalike.results import IndexedImage


@dataclass(frozen=True)
class Untouched:
    """A file that is left where it is.

    Attributes:
        key: the key of its image.
        reason: why, such as "changed since it was indexed".
    """

    key: str
    reason: str


@dataclass(frozen=True)
class PlannedAction:
    """A copy that is to be acted upon.

    Attributes:
        image: the copy.
        grade: how close it is to the image that its group suggests to keep; None if it is that image.
        stays: the images that stay instead of it, the best first. One of them is read before the copy is touched.
        to: where the file is to go; if that place is taken by then, a number is added. None for links and the trash.
    """

    image: IndexedImage
    grade: Grade | None
    stays: tuple[IndexedImage, ...]
    to: Path | None


@dataclass(frozen=True)
class ActionPlan:
    """What is going to be done, which can be shown first: nothing has been touched.

    Attributes:
        action: what is done to each.
        to: the folder that files are moved to; None if they are not.
        actions: the copies.
        left: those that are marked and left, with the reasons.
    """

    action: ActionName
    to: Path | None
    actions: tuple[PlannedAction, ...]
    left: tuple[Untouched, ...]


@dataclass(frozen=True)
class ActedOn:
    """A copy that was acted upon.

    Attributes:
        key: the key of its image.
        place: where its file is now; for a link, the file that it is a link to.
    """

    key: str
    place: Path


@dataclass(frozen=True)
class ActionReport:
    """What was done.

    Attributes:
        run: the number by which it can be undone; None if nothing was done.
        action: what was done to each.
        done: the copies.
        left: those that were marked and left, with the reasons.
    """

    run: int | None
    action: ActionName
    done: tuple[ActedOn, ...]
    left: tuple[Untouched, ...]


@dataclass(frozen=True)
class ActionRun:
    """A run of actions that is kept.

    Attributes:
        number: by which it can be undone.
        action: what was done.
        to: the folder that files were moved to; None if they were not.
        began: when.
        done: the number of files that are away, or links, now.
        undone: the number of files that are where they were again.
        is_own: whether this user has done it; a collection from someone else may say anything.
    """

    number: int
    action: ActionName
    to: Path | None
    began: datetime
    done: int
    undone: int
    is_own: bool


@dataclass(frozen=True)
class UndoReport:
    """What undoing has given back.

    Attributes:
        run: the number of the run.
        restored: the keys of the files that are where they were.
        left: those that are not, with the reasons.
    """

    run: int
    restored: tuple[str, ...]
    left: tuple[Untouched, ...]
