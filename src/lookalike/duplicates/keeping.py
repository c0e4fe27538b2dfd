"""Suggests which image of a group is kept, by what it shows, how sharply, and then by the files.

The rule, in this order; what is equal is decided by the next:

1. An image that shows all that another one shows, in its colours, before a crop of it or one in grey. A margin of plain
   colour that goes on in the picture is nothing to show.
2. The one with the most pixels, counted where the images show the same: a frame, a mount, a caption, a margin or the
   rest of a screenshot adds none, and a crop has as many as the image that it was cut out of. An image with something
   like that around it counts as if it had a quarter of its pixels, so that it is suggested only before one that shows
   the same in less than half the width and height.
3. The one that nothing was added to.
4. The oldest file.
5. Of JPEGs of one size, one that has not been compressed to less than half the bytes of another one; then one in a
   lossless format, if not all show exactly the same; then the one indexed first. Neither tells more than the age: what
   was saved again with more bytes, or with noise, is no better for it.

What was written on a picture, and what was retouched, cannot be told from what was there before. So the oldest file
decides between an image and the same with a text or a logo on it.
"""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from lookalike.copies.changes import Changes
from lookalike.results import IndexedImage

_LOSSLESS = {".png", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".gif"}
_JPEG = {".jpg", ".jpeg", ".jpe", ".jfif"}
_ADDED_COSTS = 4.0  # so many times the pixels make up for something around a picture that does not belong to it
_MUCH_COMPRESSED = 0.5  # of the bytes of another JPEG of the same size
_AS_MANY = math.log(1.1)  # how many pixels show the same is measured with an error of some percent


@dataclass(frozen=True)
class Traits:
    """What an image of a group shows, compared with the others.

    Attributes:
        lacks: whether it shows only a part of what another one shows, or without its colours.
        added: whether there is a frame, a caption or the like around the picture.
        area: how large it is if the centre of the group has the area 1 and both show everything at one size.
    """

    lacks: bool = False
    added: bool = False
    area: float = 1.0


@dataclass(frozen=True)
class Member:
    """An image of a group, with what decides whether it is kept.

    Attributes:
        image: the image.
        traits: what it shows.
        pixels: how many pixels show what the centre of the group shows, were it whole.
    """

    image: IndexedImage
    traits: Traits
    pixels: float


def member(image: IndexedImage, traits: Traits, centre: IndexedImage) -> Member:
    """A member of a group with a centre."""
    pixels, wanted = image.width * image.height / traits.area, float(centre.width * centre.height)
    if traits.area != 1 and pixels > 0 and wanted > 0 and abs(math.log(pixels / wanted)) <= _AS_MANY:
        pixels = wanted
    return Member(image, traits, pixels)


def best(members: Sequence[Member], *, same_pixels: bool) -> tuple[IndexedImage, str]:
    """The image that is suggested to be kept, and why.

    Args:
        members: at least one.
        same_pixels: whether all show the same, so that their formats do not matter.
    """
    bytes_of = _largest_jpegs(each.image for each in members)
    ranked = sorted((_rank(each, bytes_of, same_pixels), each) for each in members) if len(members) > 1 else []
    if not ranked:
        return members[0].image, ""
    (first, kept), (second, other) = ranked[:2]
    return kept.image, _why(first, second, kept.pixels > other.pixels)


def traits(changes: Mapping[int, Changes], centre: int) -> dict[int, Traits]:
    """What the images of a group show, by what was done to its centre to make each of the others.

    Args:
        changes: what was done to the centre, by the numbers of the others.
        centre: the number of the centre.

    Returns:
        For the centre and each of the others, by their numbers.
    """
    all_changes = changes.values()
    # What the centre is, all are that do not tell of the opposite.
    is_part = any(each.extent == "cropped" and not each.only_margin for each in all_changes)
    is_grey = any(each.tone == "colourless" for each in all_changes)
    is_framed = any(each.extent == "framed" for each in all_changes)
    found = {centre: Traits(is_part or is_grey, is_framed)}
    for number, each in changes.items():
        lacks_part = (each.extent == "crop" and not each.only_margin) or (is_part and each.extent != "cropped")
        lacks_colour = each.tone == "grey" or (is_grey and each.tone != "colourless")
        added = each.extent == "frame" or (is_framed and each.extent not in ("framed", "crop"))
        found[number] = Traits(lacks_part or lacks_colour, added, each.area)
    return found


_PIXELS = 1  # the place in a rank
_Rank = tuple[bool, float, bool, int, bool, bool, int]
_WHYS = (
    *("the whole picture", "the most pixels", "nothing was added to it", "the oldest file"),
    *("the least compressed", "not compressed with loss", "indexed first"),
)


def _rank(member: Member, largest: Mapping[tuple[int, int], int], same_pixels: bool) -> _Rank:
    """The smaller, the sooner it is kept."""
    image, shown = member.image, member.traits
    changed_ns, size = _status(image)
    counted = member.pixels / (_ADDED_COSTS if shown.added else 1)
    biggest = largest.get((image.width, image.height), 0) if _suffix(image) in _JPEG and not same_pixels else 0
    lossy = _suffix(image) not in _LOSSLESS and not same_pixels
    return shown.lacks, -counted, shown.added, changed_ns, size < _MUCH_COMPRESSED * biggest, lossy, image.id


def _why(first: _Rank, second: _Rank, has_more_pixels: bool) -> str:
    place = next(place for place, (one, other) in enumerate(zip(first, second, strict=True)) if one != other)
    is_for_what_was_added = place == _PIXELS and not has_more_pixels
    return _WHYS[place + 1 if is_for_what_was_added else place]


def _largest_jpegs(images: Iterable[IndexedImage]) -> dict[tuple[int, int], int]:
    """The bytes of the largest JPEG of each width and height."""
    found = dict[tuple[int, int], int]()
    for image in images:
        if _suffix(image) in _JPEG:
            size = image.width, image.height
            found[size] = max(found.get(size, 0), _status(image)[1])
    return found


def _suffix(image: IndexedImage) -> str:
    return PurePosixPath(image.key).suffix.lower()


def _status(image: IndexedImage) -> tuple[int, int]:
    """When the file was changed last, in nanoseconds, and its bytes; the catalog does not know it of a young file."""
    try:
        found = os.stat(image.path)  # noqa: PTH116 - the path may not be one of this system
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
