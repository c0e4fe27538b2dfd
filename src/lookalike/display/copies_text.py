"""Says in words what a search for copies found: why an image is a copy, how many there are, and what they take."""

import os
import stat
from collections import Counter
from pathlib import Path

from lookalike.display.text import bytes_text, counted, safe_text
from lookalike.duplicates.results import Copy, CopyGroup, Duplicates
from lookalike.results import IndexedImage

_TOLD_BY_GRADE = ("same bytes", "same pixels")
_CERTAIN = 0.995  # a probability that rounds to 100%


def role_text(duplicates: Duplicates) -> str:
    """What the first image of each group is: "keep", or "reference" if it is one of another collection."""
    return "keep" if duplicates.against is None else "reference"


def doubt_text(copy: Copy) -> str:
    """The probability of an edited copy that is not quite certain to be one, as "88%"; else ""."""
    if copy.grade != "edited copy" or copy.probability is None or copy.probability >= _CERTAIN:
        return ""
    return f"{round(100 * copy.probability)}%"


def grade_text(copy: Copy) -> str:
    """The grade of a copy, with the probability that it is one if that is not quite certain: "edited copy 88%"."""
    return " ".join(filter(None, (copy.grade, doubt_text(copy))))


def reason_text(copy: Copy, keep: IndexedImage) -> str:
    """Why an image is a copy, beside its name and below that of the image to keep: "a crop of it, mirrored".

    "it" is the image to keep, "this" the copy. "" if the grade says all; safe text.
    """
    if copy.grade in _TOLD_BY_GRADE:
        return ""
    other = None if copy.original.id == keep.id else copy.original.key
    if copy.changes is not None:
        return safe_text(copy.changes.briefly(other))
    if copy.grade == "same scene":
        return safe_text(f"shows the same scene as {other}") if other else "both show the same scene"
    return safe_text(f"{'looks like' if copy.grade == 'alike' else 'an edited copy of'} {other or 'it'}")


def totals_text(duplicates: Duplicates) -> str:
    """How many copies there are, in a sentence, and how many bytes they take if that is known."""
    images = counted(duplicates.images, "image")
    if duplicates.against is not None:
        other = safe_text(duplicates.against)
        if not duplicates.groups:
            return f"None of {images} is a copy of an image of {other}."
        are = f"{duplicates.copies:,} of {images} {'is a copy' if duplicates.copies == 1 else 'are copies'}"
        return f"{are} of {counted(len(duplicates.groups), 'image')} of {other}{_taking(duplicates)}."
    if not duplicates.groups:
        return f"No copies among {images}."
    copies = counted(duplicates.copies, "copy", "copies")
    return f"{copies} in {counted(len(duplicates.groups), 'group')}, among {images}{_taking(duplicates)}."


def file_bytes(image: IndexedImage) -> int | None:
    """The size of an image's file now; None if it is gone or is no regular file."""
    status = _status(image.path)
    return status and status.st_size


def freed_bytes(duplicates: Duplicates) -> int:
    """How many bytes of files the copies take, those that are gone not counted.

    A file with several names (a hard link) frees nothing while one of the other names stays.
    """
    return sum(status.st_size for group in duplicates.groups for status in _freed(group))


def _freed(group: CopyGroup) -> list[os.stat_result]:
    """The files of the copies of a group that would be gone with them."""
    paths = {copy.image.path for copy in group.copies} - {group.keep.path}
    found = [status for path in paths if (status := _status(path)) is not None]
    names = Counter((status.st_dev, status.st_ino) for status in found)
    files = {(status.st_dev, status.st_ino): status for status in found}
    return [status for number, status in files.items() if names[number] >= status.st_nlink]


def _taking(duplicates: Duplicates) -> str:
    size = freed_bytes(duplicates)
    return f", taking {bytes_text(size)}" if size else ""


def _status(path: Path | None) -> os.stat_result | None:
    try:
        status = path and os.lstat(path)
    except (OSError, ValueError):
        return None
    return status if status and stat.S_ISREG(status.st_mode) else None
