"""Prepares a small picture for comparison with many others."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.copies import features, perceptual_hash
from lookalike.copies.eight_ways import WAYS
from lookalike.copies.features import Features, Plane
from lookalike.copies.registration import normalised

LEVELS = 8  # scales, each 0.71 times the one before: from 128 pixels to 11
_ICON = 16  # pixels, the side of the square that stands for the whole picture
_COLOUR_SQUARE = 4  # pixels
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # of red, green and blue, as in JPEG


@dataclass(frozen=True, eq=False)
class PreparedPicture:
    """A small picture with all that a comparison needs of it, some 300 kB.

    Attributes:
        rgb: its pixels, uint8, shape (h, w, 3).
        levels: its brightness at `LEVELS` scales, from 0 to 255.
        corners: its corners.
    """

    rgb: NDArray[np.uint8]
    levels: tuple[Plane, ...]
    corners: Features
    _normal: dict[int, Plane] = field(default_factory=dict, repr=False)

    def normal(self, level: int) -> Plane:
        """One of the levels without the local mean, divided by the local deviation; few are asked for."""
        if level not in self._normal:
            self._normal[level] = normalised(self.levels[level])
        return self._normal[level]

    @cached_property
    def hashes(self) -> NDArray[np.bool_]:
        """Its perceptual hashes in each of `WAYS`: shape (8, 256)."""
        return perceptual_hash.hashes(self.levels[0])

    @cached_property
    def colours(self) -> Plane:
        """Its mean red, green and blue in squares of 4 pixels, shape (3, rows, columns)."""
        reduced = Image.fromarray(self.rgb).reduce(_COLOUR_SQUARE)
        return np.moveaxis(np.asarray(reduced, np.float32), -1, 0)

    @cached_property
    def icons(self) -> Plane:
        """The picture as 16 x 16 values of mean 0 and length 1, in each of `WAYS`: shape (8, 256)."""
        small = np.asarray(Image.fromarray(self.levels[0]).resize((_ICON, _ICON), Image.Resampling.BOX))
        small = small - small.mean()
        small = small / (np.linalg.norm(small) + 1)
        turned = [np.rot90(small[:, ::-1] if mirrored else small, -quarters) for mirrored, quarters in WAYS]
        return np.stack(turned).reshape(len(WAYS), -1)


def prepare(rgb: NDArray[np.uint8]) -> PreparedPicture:
    """Prepares a small picture.

    Args:
        rgb: uint8, shape (h, w, 3), as `thumbnails.unpack` returns it.
    """
    levels = features.levels_of((rgb @ _LUMA).astype(np.float32), LEVELS)
    corners = features.features(levels[: len(features.CORNERS)])
    return PreparedPicture(rgb, tuple(levels), corners)
