"""Plans what is to be done to copies: only what is marked, and only where something that it is a copy of stays."""

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from lookalike.duplicates.actions import ActionPlan, PlannedAction, Untouched
from lookalike.duplicates.names import ActionName, Grade
from lookalike.duplicates.results import CopyGroup, Duplicates
from lookalike.results import IndexedImage
from lookalike.sources import keys

_MOST = 100_000  # actions in one run, so that its log is not too long to be read
_MOST_NAMES = 10_000  # that are tried


def plan(duplicates: Duplicates, marked: Sequence[IndexedImage], action: ActionName, to: Path | None) -> ActionPlan:
    """Plans an action on the images that are marked, and says of each other marked one why it is left.

    Args:
        duplicates: the groups of copies.
        marked: the images of the collection that are marked.
        action: what to do.
        to: the folder that files are moved to.
    """
    planner = _Planner(duplicates, {image.id for image in marked}, action, to)
    found = [each for group in duplicates.groups for each in planner.of_group(group)]
    actions = [each for each in found if isinstance(each, PlannedAction)]
    left = [each for each in found if isinstance(each, Untouched)]
    left += [Untouched(image.key, "not among the copies that were found") for image in planner.others(marked)]
    left += [Untouched(each.image.key, f"more than {_MOST:,} in one run; act again") for each in actions[_MOST:]]
    return ActionPlan(action, to, tuple(actions[:_MOST]), tuple(left))


class _Planner:
    def __init__(self, duplicates: Duplicates, marked: set[int], action: ActionName, to: Path | None) -> None:
        self._groups, self._marked, self._action, self._to = duplicates.groups, marked, action, to
        self._has_reference = duplicates.against is not None
        self._taken: set[Path] = set()

    def of_group(self, group: CopyGroup) -> Iterator[PlannedAction | Untouched]:
        """The plan of each image of a group that is marked, or why it is left."""
        for image in self._own(group):
            if image.id in self._marked:
                stays = self._stays(group, image)
                if reason := self._reason(image, stays):
                    yield Untouched(image.key, reason)
                else:
                    yield PlannedAction(image, _grade(group, image), tuple(stays), self._place(image))

    def others(self, marked: Sequence[IndexedImage]) -> Iterator[IndexedImage]:
        """The marked images that are in no group."""
        found = {image.id for group in self._groups for image in self._own(group)}
        yield from (image for image in marked if image.id not in found)

    def _reason(self, image: IndexedImage, stays: list[IndexedImage]) -> str | None:
        """Why an image is left; None if it is not. Of those that may stay, it leaves what a link may lead to."""
        if keys.in_shard(image.key):
            return "in an archive, which is not changed"
        if keys.is_elsewhere(image.key):
            return "not in the collection's folder"
        if not stays:
            return "all images of its group are marked; one has to stay"
        if self._action == "link":
            stays[:] = [each for each in stays if each.sha256 == image.sha256]
        return None if stays else "no image that stays has the same bytes: a link would lose a picture"

    def _own(self, group: CopyGroup) -> list[IndexedImage]:
        """The images of a group that are the collection's own: a reference collection has ids, too."""
        return [copy.image for copy in group.copies] if self._has_reference else list(group)

    def _stays(self, group: CopyGroup, image: IndexedImage) -> list[IndexedImage]:
        """The images that may stay instead of one, the best first.

        All of a group are copies of the one that is suggested to keep, but not always of one another: two crops may
        show different parts of it. So if that one is not marked, it has to be there, or the same bytes. If somebody has
        marked it, too, any other one does.
        """
        others = [each for each in self._own(group) if each.id not in self._marked]
        same = [each for each in others if each.sha256 == image.sha256]
        if self._has_reference or group.keep.id not in self._marked:
            return [*same, *([] if group.keep in same else [group.keep])]
        return [*same, *(each for each in others if each not in same)]

    def _place(self, image: IndexedImage) -> Path | None:
        if self._to is None:
            return None
        place = free(self._to / image.key, self._taken)
        self._taken.add(place)
        return place


def _grade(group: CopyGroup, image: IndexedImage) -> Grade | None:
    return next((copy.grade for copy in group.copies if copy.image is image), None)


def free(place: Path, taken: Collection[Path] = ()) -> Path:
    """That place, or the first one with a number in its name where nothing is; the last one tried if all are taken."""
    found = place
    for found in numbered(place):
        if found not in taken and not os.path.lexists(found):
            break
    return found


def numbered(place: Path) -> Iterator[Path]:
    """A place, and then those with a number in the name: `cat (2).jpg`."""
    yield place
    for number in range(2, _MOST_NAMES):
        yield place.with_name(f"{place.stem} ({number}){place.suffix}")
