"""What a search for copies found: groups of images, each with one to keep, and why the others are its copies."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.duplicates.names import Grade
from lookalike.results import IndexedImage, Origin

if TYPE_CHECKING:  # which loads numpy
    from lookalike.copies.changes import Changes


@dataclass(frozen=True)
class Copy:
    """An image that is a copy of another one.

    Attributes:
        image: the copy.
        grade: how close it is to `original`.
        score: how well the two pictures agree, in [0, 1]; 1 for the same bytes or pixels. For images that are only
            alike, their cosine similarity.
        original: the image that it is a copy of: the one that is suggested to be kept or, if these two show different
            parts, another one of the group, which shows both.
        changes: what was done to `original` to make it, for an edited copy; else None.
        probability: that one is an edited copy of the other, in (0, 1), by how well their pictures agree, if one in ten
            pairs that are compared are copies; None if their pictures have not been compared.
    """

    image: IndexedImage
    grade: Grade
    score: float
    original: IndexedImage
    changes: "Changes | None" = None
    probability: float | None = None

    @property
    def reason(self) -> str:
        """Why it is a copy, in words: "b.jpg is a crop of a.jpg"."""
        name, of = self.image.key, self.original.key
        if self.changes is not None:
            return self.changes.in_words(name, of)
        return {
            "same bytes": f"{name} has the same bytes as {of}",
            "same pixels": f"{name} shows the same pixels as {of}",
            "edited copy": f"{name} is an edited copy of {of}",
            "same scene": f"{name} and {of} show the same scene",
            "alike": f"{name} and {of} look alike",
        }[self.grade]


@dataclass(frozen=True)
class CopyGroup:
    """An image and its copies.

    Attributes:
        keep: the image that is suggested to be kept; with a reference collection, its image.
        why: why that one: "the most pixels".
        copies: the others, the closest first; at least one.
    """

    keep: IndexedImage
    why: str
    copies: tuple[Copy, ...]

    def __iter__(self) -> Iterator[IndexedImage]:
        """All of its images, the one to keep first."""
        yield self.keep
        yield from (copy.image for copy in self.copies)


@dataclass(frozen=True)
class Duplicates:
    """The copies in a collection.

    Attributes:
        groups: each image is in one at most, the largest group first.
        images: the number of images that were looked at.
        compared: the number of pairs that were compared by their pictures in this run; others were known from an
            earlier one.
        unread: the images that could not be compared, since their files are gone or have changed.
        pending: the number of images that have not been compared with others yet.
        against: the folder of the reference collection, which the images to keep are in; None if there is none.
        origin: the collection that the copies are in, its model and the date; None if that is not known.
    """

    groups: tuple[CopyGroup, ...]
    images: int
    compared: int
    unread: tuple[IndexedImage, ...] = ()
    pending: int = 0
    against: Path | None = None
    origin: Origin | None = field(default=None, compare=False)

    @property
    def copies(self) -> int:
        """The number of images that are copies of others, those to keep not counted."""
        return sum(len(group.copies) for group in self.groups)
