"""Finds the copies in a collection, or those of another collection's images. Begin reading here.

What is near by cosine is compared by its pictures (`finding`, `comparing`), what is a copy is grouped (`grading`), and
of each group one image is suggested to be kept (`keeping`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lookalike.duplicates import candidates, comparing, finding
from lookalike.duplicates.examined import Examined, Numbered
from lookalike.duplicates.finding import Effort
from lookalike.duplicates.grading import Grader
from lookalike.duplicates.names import Grade
from lookalike.duplicates.results import CopyGroup, Duplicates
from lookalike.storage import kept_pictures
from lookalike.storage.kept_pictures import DamagedPicturesError, KeptPictures


@dataclass(frozen=True)
class Wanted:
    """What is looked for.

    Attributes:
        grade: the loosest grade that counts.
        ours: the collection.
        theirs: another one, if only copies of its images are wanted.
        against: its folder.
        nearest: how many of the nearest of each image are compared with it; None is 10, or 5 of more than 20,000.
        processes: how many compare at the same time; 0 compares nothing, and goes by what is known.
        progress: is called with the share that is done, in [0, 1].
    """

    grade: Grade
    ours: Examined
    theirs: Examined | None
    against: Path | None
    nearest: int | None
    processes: int
    progress: Callable[[float], None]


def find(path: Path, wanted: Wanted) -> Duplicates:
    """Finds copies.

    Args:
        path: the file of kept pictures and comparisons, which is made if it is missing or cannot be used.
        wanted: what is looked for.

    Raises:
        StorageError: that file cannot be written.
    """
    try:
        return _find(path, wanted)
    except DamagedPicturesError:
        kept_pictures.remove(path)
        return _find(path, wanted)


def _find(path: Path, wanted: Wanted) -> Duplicates:
    with KeptPictures(path, comparing.REVISION) as kept:
        ours = Numbered(wanted.ours, kept)
        theirs = Numbered(wanted.theirs, kept) if wanted.theirs else None
        nearest = wanted.nearest or candidates.default_nearest(max(ours.images, theirs.images if theirs else 0))
        effort = Effort(nearest, wanted.processes, wanted.progress)
        compared = 0 if wanted.grade == "same bytes" else _compare(ours, theirs, kept, effort)
        grader = Grader(kept, wanted.grade, ours, theirs, partial(finding.compare_members, kept, effort=effort))
        groups = sorted(grader.groups_against() if theirs else grader.groups(), key=_place)
        unread = [] if wanted.grade == "same bytes" else kept.without_packed()
        missed = [ours.image_of(image_id) for each in unread if each in ours.row_of for image_id in ours.ids(each)]
        looked_for = {} if theirs else kept.reaches(1)
        pending = 0 if theirs else sum(len(ours.ids(each)) for each in ours.row_of if each not in looked_for)
        if wanted.processes:
            wanted.progress(1.0)
        if compared and not theirs:
            kept.forget_others(ours.row_of)
        return Duplicates(tuple(groups), ours.images, compared, tuple(missed), pending, wanted.against)


def _compare(ours: Numbered, theirs: Numbered | None, kept: KeptPictures, effort: Effort) -> int:
    if not effort.processes:
        return 0
    if theirs:
        return finding.compare_between(ours, theirs, kept, effort)
    return finding.compare_copies(ours, kept, effort)


def _place(group: CopyGroup) -> tuple[int, int]:
    return -len(group.copies), group.keep.id
