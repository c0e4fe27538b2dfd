"""Suggests which image of a group is kept: the whole picture, then resolution, age and format decide."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from lookalike.copies.changes import Changes
from lookalike.results import IndexedImage

_LOSSLESS = {".png", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".gif"}
_WHYS = ("the whole picture", "the most pixels", "the oldest file", "not compressed with loss", "indexed first")


@dataclass(frozen=True)
class Member:
    """An image of a group, with what decides whether it is kept.

    Attributes:
        image: the image.
        is_derived: whether it shows a part, a frame or the grey of another one of the group.
    """

    image: IndexedImage
    is_derived: bool


def best(members: Sequence[Member], *, same_pixels: bool) -> tuple[IndexedImage, str]:
    """The image that is suggested to be kept, and why.

    Args:
        members: at least one.
        same_pixels: whether all show the same, so that their formats do not matter.
    """
    ranks = {member.image.id: _rank(member, same_pixels) for member in members}
    ordered = sorted(members, key=lambda member: ranks[member.image.id])
    kept = ordered[0].image
    if len(ordered) == 1:
        return kept, ""
    first, second = ranks[kept.id], ranks[ordered[1].image.id]
    return kept, next(why for why, one, other in zip(_WHYS, first, second, strict=True) if one != other)


def derived(changes: Mapping[int, Changes]) -> tuple[set[int], bool]:
    """Which images were made of another one, by what was done to the centre of a group to make each of the others.

    Args:
        changes: what was done to the centre, by the numbers of the others.

    Returns:
        The numbers of the others that were made of the centre, and whether the centre was made of one of them.
    """
    made = {number for number, each in changes.items() if each.extent in ("crop", "frame") or each.tone == "grey"}
    backwards = any(each.extent in ("cropped", "framed") or each.tone == "colourless" for each in changes.values())
    return made, backwards


def _rank(member: Member, same_pixels: bool) -> tuple[bool, int, int, bool, int]:
    image = member.image
    lossy = PurePosixPath(image.key).suffix.lower() not in _LOSSLESS and not same_pixels
    return member.is_derived, -image.width * image.height, _age(image), lossy, image.id


def _age(image: IndexedImage) -> int:
    """When the file was changed last, in nanoseconds; what the catalog knows of a young file matches nothing."""
    try:
        return os.stat(image.path).st_mtime_ns  # noqa: PTH116 - the path may not be one of this system
    except OSError:
        return 0
