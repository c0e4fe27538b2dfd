"""Hashes a small picture so that pictures with the same frame and the same light and shade have almost the same hash.

It is the hash of PDQ (Davis and Rosen, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm",
2019), taken of a kept picture, so that it is close to PDQ's of the whole image, not the same. It is a witness beside
`agreement`: text, watermarks and strong changes of colour hardly touch it, but any crop or frame makes it blind.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.copies.eight_ways import WAYS
from lookalike.copies.features import Plane

_SIDE = 64  # pixels of the square that is transformed
_FREQUENCIES = np.arange(1, 17)
_COSINES = np.cos(np.pi / _SIDE * _FREQUENCIES[:, None] * (np.arange(_SIDE) + 0.5)).astype(np.float32)


def hashes(grey: Plane) -> NDArray[np.bool_]:
    """The hashes of a picture in each of `WAYS`, shape (8, 256): which low frequencies are above their median.

    Args:
        grey: grey values of the whole picture.
    """
    small = np.asarray(Image.fromarray(grey).resize((_SIDE, _SIDE), Image.Resampling.BOX))
    turned = np.stack([np.rot90(small[:, ::-1] if mirrored else small, -quarters) for mirrored, quarters in WAYS])
    values = (_COSINES @ turned @ _COSINES.T).reshape(len(WAYS), -1)
    found: NDArray[np.bool_] = values > np.median(values, axis=1, keepdims=True)
    return found


def likeness(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """The share of bits that are the same in the hashes of two pictures, in the way in which it is the largest.

    Args:
        first: the `hashes` of one picture.
        second: those of the other.
    """
    return float((first == second[0]).mean(axis=1).max())
