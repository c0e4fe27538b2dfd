"""Tells what a picture has around another one that lies in it: a frame, a margin of plain colour, or more of the same.

A mount, a border, a caption, the bars of a film and most of a screenshot are of one colour for the most part, and the
picture within ends where that begins. What surrounds a crop has many colours, or goes on in it.
"""

from typing import Literal, TypeAlias

import numpy as np

from lookalike.copies.features import Plane
from lookalike.copies.prepared import PreparedPicture
from lookalike.copies.registration import Affine, grid, inside, mapped, sampled

Surrounding: TypeAlias = Literal["frame", "margin", "more"]
"""Something else than the picture within, the plain colour that the picture within has along its border, or more of
what it shows."""

# Chosen on 110 photographs, 15 scenes and 24 drawings, each with 18 mounts, borders, captions, screenshots and such,
# and in 10 crops. On 59 other photographs, 0.97 of 504 of the former are called a frame, and 0.002 of 466 crops. The
# strength of the edges along the border alone, above 1.7, did so with 0.90 and 0.044 of those that it was tried on.
_PLAIN, _MOSTLY_PLAIN = 0.85, 0.65  # shares of what is around, of one colour; the rest may be a text
_LIKE = 12.0  # of 255, how far its red, green and blue may be from it
_ENDS, _ENDS_CLEARLY, _ENDS_WHOLLY = 0.3, 0.5, 0.8  # shares of the border along which colours jump
_JUMP = 20.0  # of 255, in red, green or blue
_BESIDE = 2.0  # pixels of the outer picture, how far on both sides of the border colours are compared
_OUTSIDE = 1.5  # pixels of the outer picture; nearer to the border, both are mixed
_FEW = 20  # pixels around that tell nothing
_BORDER = 1.5  # strength of the edges along a border; of collages half have 2.5, of crops 0.05 have more than 1.75
_BORDER_POINTS = np.linspace(0.1, 0.9, 40, dtype=np.float32)
_DEPTHS = (0.0, 3.0, 5.0, 7.0)  # where jumps are measured, in steps from the border


def surrounding(inner: PreparedPicture, outer: PreparedPicture, affine: Affine) -> Surrounding:
    """What one picture has around another one that lies in it.

    Args:
        inner: the picture that lies in the other.
        outer: the other.
        affine: the map from the inner to the outer.
    """
    plain, ends = _plain_share(inner, outer, affine), _ends(inner, outer, affine)
    if plain >= _PLAIN:
        return "frame" if ends >= _ENDS else "margin"
    if plain >= _MOSTLY_PLAIN:
        return "frame" if ends >= _ENDS_CLEARLY else "more"
    return "frame" if ends >= _ENDS_WHOLLY and _border(inner, outer, affine) > _BORDER else "more"


def _plain_share(inner: PreparedPicture, outer: PreparedPicture, affine: Affine) -> float:
    """The share of what is around that has one colour; 0 if there is hardly anything."""
    x, y = mapped(affine.inverse(), *grid(outer.levels[0].shape))
    height, width = inner.levels[0].shape
    far = _OUTSIDE / affine.scale()
    around = outer.rgb[(x < -far) | (y < -far) | (x > width + far) | (y > height + far)].astype(np.float32)
    if len(around) < _FEW:
        return 0.0
    return float((np.abs(around - np.median(around, axis=0)).max(axis=1) <= _LIKE).mean())


def _ends(inner: PreparedPicture, outer: PreparedPicture, affine: Affine) -> float:
    """The share of the inner picture's border, as far as it lies within the outer one, along which colours jump."""
    planes = np.moveaxis(outer.rgb, -1, 0).astype(np.float32)
    far, found = _BESIDE / affine.scale(), []
    for side in range(4):
        before = mapped(affine, *_line(inner.levels[0].shape, side, -far))
        after = mapped(affine, *_line(inner.levels[0].shape, side, far))
        if inside(outer.levels[0].shape, *before).mean() >= 0.9:
            found.append((np.abs(sampled(planes, *before) - sampled(planes, *after)).max(axis=0) > _JUMP).mean())
    return float(np.mean(found)) if found else 0.0


def _border(inner: PreparedPicture, outer: PreparedPicture, affine: Affine) -> float:
    """How much stronger the edges of the outer picture are along the inner one's border than a little inside it.

    It is the median of the sides that do not lie along the border of the outer picture; 0 if there is none.
    """
    ratios = [_border_side(inner, outer, affine, side) for side in range(4)]
    found = [ratio for ratio in ratios if ratio is not None]
    return float(np.median(found)) if found else 0.0


def _border_side(inner: PreparedPicture, outer: PreparedPicture, affine: Affine, side: int) -> float | None:
    step = 1.5 / affine.scale()  # in pixels of the inner picture
    jumps = []
    for depth in _DEPTHS:
        before = mapped(affine, *_line(inner.levels[0].shape, side, (depth - 1) * step))
        after = mapped(affine, *_line(inner.levels[0].shape, side, (depth + 1) * step))
        if inside(outer.levels[0].shape, *before).mean() < 0.9:
            return None
        jumps.append(np.abs(sampled(outer.levels[0], *before) - sampled(outer.levels[0], *after)).mean())
    return float(jumps[0] / (np.mean(jumps[1:]) + 2))


def _line(shape: tuple[int, ...], side: int, depth: float) -> tuple[Plane, Plane]:
    """Points along a side of a picture, that far inside."""
    height, width = shape
    across = np.full_like(_BORDER_POINTS, (width if side == 3 else height) - depth if side in (1, 3) else depth)
    return (across, _BORDER_POINTS * height) if side >= 2 else (_BORDER_POINTS * width, across)
