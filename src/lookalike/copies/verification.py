"""Decides whether one of two images is an edited copy of the other, from the small pictures that are kept of them.

first, second = prepare(unpack(kept[0])), prepare(unpack(kept[1]))
compare(first, second).reason("holiday.jpg", "IMG_1234.jpg")  # "holiday.jpg is a crop of IMG_1234.jpg, mirrored"
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from lookalike.copies.agreement import Agreement
from lookalike.copies.alignment import align
from lookalike.copies.changes import Changes, changes
from lookalike.copies.prepared import PreparedPicture, prepare

__all__ = ["LEAST_SCORE", "Comparison", "Grade", "PreparedPicture", "compare", "prepare"]

Grade: TypeAlias = Literal["edited copy", "different"]

LEAST_SCORE = 0.6  # TODO
_LEAST_SHARE = 0.5  # of one of the pictures that lies in the other; edited copies had 0.89 or more
_LEAST_BLOCKS = 60.0  # that show something; edited copies of photographs had 118 or more
_SAME = Changes("same", mirrored=False, angle=0.0, stretched=False, tone="")


@dataclass(frozen=True)
class Comparison:
    """What a comparison of two small pictures found.

    Attributes:
        grade: "edited copy" if one is an edited copy of the other, else "different".
        score: how well they agree where one lies over the other, in [0, 1]; copies have at least `LEAST_SCORE`.
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
    without anything visible is a copy only of one with the same pixels. Two photographs of a burst between which little
    moved cannot be told from copies.
    """
    if first.rgb.shape == second.rgb.shape and np.array_equal(first.rgb, second.rgb):
        return Comparison("edited copy", 1.0, _SAME)
    found = align(first, second)
    if found is None:
        return Comparison("different", 0.0, None)
    score = _score(found.agreement)
    if score < LEAST_SCORE:
        return Comparison("different", score, None)
    return Comparison("edited copy", score, changes(first, second, found.affine, found.agreement))


def _score(agreement: Agreement) -> float:
    """The correlation, or 0 if it says little, because the overlap is small or hardly anything is visible in it."""
    enough = max(agreement.of_first, agreement.of_second) >= _LEAST_SHARE and agreement.blocks >= _LEAST_BLOCKS
    return max(0.0, agreement.correlation) if enough else 0.0
