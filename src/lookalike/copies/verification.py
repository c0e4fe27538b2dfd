"""Decides whether one of two images is an edited copy of the other, from the small pictures that are kept of them.

Such a picture is `thumbnails.pack(image)`. With the bytes of two,

    first, second = prepare(thumbnails.unpack(one)), prepare(thumbnails.unpack(other))
    compare(first, second).reason("holiday.jpg", "IMG_1234.jpg")

is, say, "holiday.jpg is a crop of IMG_1234.jpg, mirrored".
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from lookalike.copies import perceptual_hash
from lookalike.copies.alignment import Alignment, align
from lookalike.copies.changes import Changes, changes
from lookalike.copies.prepared import PreparedPicture, prepare
from lookalike.copies.unusual import unusual

__all__ = ["LEAST_SCORE", "Comparison", "Grade", "PreparedPicture", "compare", "prepare"]

Grade: TypeAlias = Literal["edited copy", "different"]

# All of these were chosen on edited copies of photographs and on the nearest other photographs, many of them of clothes
# on one hanger before one wall. Of 1,980 edited copies of 60 photographs 0.973 reach the score, and 5 of 5,940 other
# pairs. By the correlation alone, as many copies come with several times as many of the pairs.
LEAST_SCORE = 0.65
_LEAST_SHARE = 0.1  # of each picture that lies in the other
_LEAST_BLOCKS = 60.0  # that show something; edited copies had 118 or more
# Other photographs reach 0.73. On 792 edited copies of 24 photographs, like hashes raise the share of copies above all
# but 2 of the other pairs from 0.946 to 0.975, and above all but 5 from 0.965 to 0.982.
_LIKE_HASH = 0.7  # share of the bits
_SAME = Changes("same", mirrored=False, angle=0.0, stretched=False, tone="")


@dataclass(frozen=True)
class Comparison:
    """What a comparison of two small pictures found.

    Attributes:
        grade: "edited copy" if one is an edited copy of the other, else "different".
        score: how well they agree where one lies over the other, in [0, 1], less what is unusual for an edit, more if
            their perceptual hashes are alike; copies have at least `LEAST_SCORE`.
        changes: what was done to the second to make the first; None if they are different.
    """

    grade: Grade
    score: float
    changes: Changes | None

    def reason(self, first: str = "A", second: str = "B") -> str:
        """Says in words how they are related, such as "A is a crop of B, mirrored"."""
        if self.changes is None:
            return f"{first} and {second} are different"
        return self.changes.in_words(first, second)


def compare(first: PreparedPicture, second: PreparedPicture) -> Comparison:
    """Decides whether one of two pictures is an edited copy of the other.

    What is recognised: compression, another size, crops down to a sixth of the area, mirror images, turns by a quarter,
    by a small angle or both, stretching, other colours, frames, text, logos, screenshots and collages. A picture
    without anything visible is a copy only of one with the same pixels. Two photographs of a burst between which less
    than some 5% of the width moved are taken for copies.
    """
    if first.rgb.shape == second.rgb.shape and np.array_equal(first.rgb, second.rgb):
        return Comparison("edited copy", 1.0, _SAME)
    found = align(first, second)
    if found is None:
        return Comparison("different", 0.0, None)
    score = _score(found, perceptual_hash.likeness(first.hashes, second.hashes))
    if score < LEAST_SCORE:
        return Comparison("different", score, None)
    return Comparison("edited copy", score, changes(first, second, found.affine, found.agreement))


def _score(found: Alignment, hash_likeness: float) -> float:
    """The correlation, less what is unusual for an edit, more for like hashes; 0 if the overlap is too small."""
    shares = found.agreement.of_first, found.agreement.of_second
    if min(shares) < _LEAST_SHARE or found.agreement.blocks < _LEAST_BLOCKS:
        return 0.0
    witness = max(0.0, hash_likeness - _LIKE_HASH)
    return min(1.0, max(0.0, found.agreement.correlation - unusual(found.affine, *shares) + witness))
