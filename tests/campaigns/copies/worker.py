"""What a process of a trial does: it makes the collection, acts on copies, or undoes it, until something ends it."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import lookalike
from lookalike import Collection
from lookalike.duplicates.names import ActionName
from lookalike.errors import UsageError
from tests.campaigns.copies.disk import Fault
from tests.support.copies_of_files import grouped, mark
from tests.support.pictures import ColourEncoder, draw

Groups = list[list[str]]

# Of the files, these have the same bytes as others.
_SAME = {"d/7.png": "0.png", "c/8.png": "0.png", "d/9.png": "b/1.png", "c/x y ü.png": "b/5.png", "b/11.png": "b/1.png"}


class Place:
    """The folders of a trial.

    Attributes:
        photos: of the images.
        away: that they are moved to, perhaps on another disk.
        trash: of this user.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.photos, self.away = root, root / "photos", root / "away"
        self.trash = root / "data" / "Trash"


def make(place: Place) -> None:
    """Makes twelve files, and their collection."""
    for number in range(7):
        draw(place.photos / ("", "b", "c", "d")[number % 4] / f"{number}.png", number)
    for copy, key in _SAME.items():
        (place.photos / copy).parent.mkdir(exist_ok=True)
        shutil.copy(place.photos / key, place.photos / copy)
    with lookalike.create(place.photos, encoder=ColourEncoder()) as photos:
        photos.add(place.photos, threads=1)


def opened(place: Place) -> Collection:
    """The collection."""
    return lookalike.open(place.photos, encoder=ColourEncoder())


def act(place: Place, groups: Groups, marked: list[str], action: ActionName, fault: Fault) -> str:
    """Marks copies and acts on them."""
    with opened(place) as photos, armed(place, fault):
        there = {image.key for image in photos.images()}
        found = grouped(photos, *(keys for group in groups if len(keys := [key for key in group if key in there]) > 1))
        mark(photos, *(key for key in marked if key in there))
        plan = photos.plan_action(found, action, to=place.away if action == "move" else None)
        report = photos.act_on_copies(plan)
        return f"{len(report.done)} done"


def undo(place: Place, fault: Fault) -> str:
    """Undoes the last run of which something is away."""
    with opened(place) as photos, armed(place, fault):
        try:
            report = photos.undo_action()
        except UsageError:
            return "nothing to undo"
        return f"{len(report.restored)} restored"


def undo_all(place: Place) -> dict[str, str]:
    """Undoes all runs, and returns why files are left."""
    with opened(place) as photos, armed(place, Fault()):
        reports = [photos.undo_action(run.number) for run in reversed(photos.action_runs())]
        return {left.key: left.reason for report in reports for left in report.left}


def ids(place: Place) -> dict[str, int]:
    """The ids of the images, by key, of a collection without damage that is up to date."""
    with opened(place) as photos:
        photos.update(threads=1)
        assert photos.check() == []
        return {image.key: image.id for image in photos.images()}


@contextlib.contextmanager
def armed(place: Place, fault: Fault) -> Iterator[None]:
    """Within, a fault may happen."""
    fault.arm(place.root, place.away)
    try:
        yield
    finally:
        Fault().arm(Path("/nowhere"), Path("/nowhere"))
