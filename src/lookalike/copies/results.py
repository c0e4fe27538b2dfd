"""What a search for copies found: groups of images, each with one to keep, and why the others are its copies."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from lookalike.results import IndexedImage

Grade: TypeAlias = Literal["same bytes", "same pixels", "edited copy"]
"""How close a copy is: the same file, another file that shows the same, or a changed picture."""


@dataclass(frozen=True)
class Copy:
    """An image that is a copy of another one.

    Attributes:
        image: the copy.
        grade: how close it is to the image that is suggested to be kept.
        score: how sure that is, in [0, 1]; 1 for the same bytes or pixels.
        reason: why, in words: "b.jpg is a crop of a.jpg".
    """

    image: IndexedImage
    grade: Grade
    score: float
    reason: str


@dataclass(frozen=True)
class CopyGroup:
    """An image and its copies.

    Attributes:
        keep: the image that is suggested to be kept: the one with the most pixels, then the first that was indexed.
        copies: the others, the most certain first; at least one.
    """

    keep: IndexedImage
    copies: tuple[Copy, ...]


@dataclass(frozen=True)
class Duplicates:
    """The copies in a collection.

    Attributes:
        groups: each image is in one at most, the largest group first.
        images: the number of images that were looked at.
        compared: the number of pairs that were compared by their pictures.
        unread: the images that could not be compared, since their files are gone or have changed.
    """

    groups: tuple[CopyGroup, ...]
    images: int
    compared: int
    unread: tuple[IndexedImage, ...] = ()
