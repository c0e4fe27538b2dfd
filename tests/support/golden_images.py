"""Images drawn by formulas in integer arithmetic, the same on every machine, and the vectors stored for them."""

import numpy as np
from numpy.typing import NDArray

from tests.support.project import ROOT

SIDE = 224

GOLDEN = ROOT / "tests" / "golden" / "efficientnet_lite0.npz"


def golden_vectors(precision: str) -> NDArray[np.float32]:
    """The bundled model's stored vectors of the golden images; those of "f32" are PyTorch's.

    They are written by `python benchmarks/torch_agreement.py --golden`.
    """
    with np.load(GOLDEN) as stored:
        vectors: NDArray[np.float32] = stored[precision]
    return vectors


def golden_images() -> NDArray[np.uint8]:
    """Six images, uint8 (6, 224, 224, 3), with edges, slopes, waves and noise of several sizes and colours."""
    y, x = np.indices((SIDE, SIDE), np.int64)
    return np.stack(
        [
            _rgb(_slope(x), _slope(y), (255 - _slope(x + y, 2 * SIDE)) // 2 + _noise(x // 4, y // 4, 8) // 2),
            _rgb(_wave(5 * x), _wave(3 * y), _wave(4 * (x - y))),
            _rgb(*(_noise(x // 28, y // 28, seed) for seed in (1, 2, 3))),
            _rgb(*(_noise(x, y, 4) // 4 + _wave(2 * y) // 2 + share for share in (0, 30, 60))),
            _rgb(_disc(x, y, 90) // 2 + 90, _disc(x, y, 60), _wave(9 * x) // 3),
            _rgb(*(_noise(x // 56, y // 7, seed) // 2 + _wave(7 * x + 2 * y) // 2 for seed in (5, 6, 7))),
        ]
    )


def _rgb(*channels: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.stack(channels, axis=-1).astype(np.uint8)


def _slope(position: NDArray[np.int64], length: int = SIDE) -> NDArray[np.int64]:
    return position * 255 // (length - 1)


def _wave(phase: NDArray[np.int64]) -> NDArray[np.int64]:
    """A period of 256 steps between 0 and 255, made of two parabolas in place of a sine."""
    half = phase % 128
    arc = half * (128 - half) // 33  # 0 to 124
    return np.where(phase % 256 < 128, 127 + arc, 127 - arc)


def _noise(x: NDArray[np.int64], y: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """A number in 0..255 for each position: multiplicative hashing (Knuth, TAOCP 3, 6.4) in 32 bits, twice."""
    mixed = (x * 73856093 + y * 19349663 + seed * 83492791) % 2**32 * 2654435761 % 2**32
    return (mixed ^ (mixed >> 15)) * 2246822519 % 2**32 >> 24


def _disc(x: NDArray[np.int64], y: NDArray[np.int64], radius: int) -> NDArray[np.int64]:
    inside = (x - SIDE // 2) ** 2 + (y - SIDE // 2) ** 2 < radius**2
    return np.where(inside, 255, 0)
