"""Numbers of any depth -> 8 bits: which of an image's values becomes black, and which white.

The rule is the same for all formats. Integers: the range of 8, 10, 12, 14, 16, 24 or 32 bits that holds them; floats:
0 to 1, 255 or 65535, or -1 to 1; but only if the image uses it, that is, if its values reach beyond a quarter of it.
Otherwise the range is the image's own: from 0, or the lowest value below it, to the highest. So 16 bits of which 10 are
used are not black, and a dark photograph stays dark.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DEPTHS = tuple(float(2**bits - 1) for bits in (8, 10, 12, 14, 16, 24, 32))
_FLOAT_TOPS = (1.0, 255.0, 65535.0)
_USED = 4  # a range is used if the values reach beyond this fraction of it
_OUTLIERS = 0.001  # of a float image's values at either end do not count if they lie far away
_FAR = 1.1  # times the other values
_SLIGHT = 0.1  # of the range: this far below 0, sharpening leaves values that stand for 0
_SAMPLE = 2**14  # values of a part by which outliers are recognised


@dataclass(frozen=True)
class Range:
    """The values that become black, and white."""

    low: float
    high: float


def range_of(parts: Iterable[NDArray[Any]], declared: Range | None = None) -> Range:
    """Returns the range of an image's values, of which NaN and infinity do not count.

    Args:
        parts: all of the image's values, in arrays of any shape.
        declared: the range that the file names.

    Returns:
        The range; 0 to 1 if there is no value.
    """
    low, high, floats, bits = math.inf, -math.inf, False, 0
    samples = []
    for values in parts:
        floats = values.dtype.kind == "f"
        bits = 8 * values.itemsize if values.dtype.kind == "i" else 0
        if floats:
            step = max(1, values.size // _SAMPLE) | 1  # odd, so that it meets all columns
            samples.append(_finite(values.reshape(-1)[::step]))
            values = _finite(values)
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    if low > high:
        return Range(0, 1)
    if floats:
        low, high = _without_outliers(np.concatenate(samples), low, high)
    if declared and _uses(high, declared.high) and declared.low <= low and high <= declared.high:
        return declared
    return _usual(low, high, _FLOAT_TOPS if floats else _DEPTHS, bits)


def eight_bits(values: NDArray[Any], limits: Range) -> NDArray[np.uint8]:
    """Scales values to 0 to 255, clipped; NaN becomes 255."""
    if values.dtype.kind == "u" and (limits.low, limits.high) == (0, 255):
        whole: NDArray[np.uint8] = np.minimum(values, 255).astype(np.uint8)
        return whole
    if values.itemsize == 2 and values.dtype.kind == "u" and (limits.low, limits.high) == (0, 65535):
        upper: NDArray[np.uint8] = (values >> 8).astype(np.uint8)
        return upper
    span = limits.high - limits.low
    wide = np.float32 if values.itemsize <= 4 and 1e-30 < span < 1e30 else np.float64
    clipped = np.clip(values.astype(wide, copy=False), wide(limits.low), wide(limits.high))
    scaled = (clipped - wide(limits.low)) * wide(255 / span) + wide(0.5)
    if values.dtype.kind == "f":
        scaled = np.nan_to_num(scaled, nan=255, posinf=255, neginf=0)
    grey: NDArray[np.uint8] = np.minimum(scaled, 255).astype(np.uint8)
    return grey


def sixteen_bits(values: NDArray[Any], limits: Range) -> NDArray[np.uint16]:
    """Scales values to 0 to 65535, clipped; NaN becomes 65535."""
    if values.itemsize == 2 and values.dtype.kind == "u" and (limits.low, limits.high) == (0, 65535):
        return values.astype(np.uint16, copy=False)
    low, span = limits.low, limits.high - limits.low
    scaled = (np.clip(values.astype(np.float64), low, limits.high) - low) * (65535 / span)
    wide: NDArray[np.uint16] = np.rint(np.nan_to_num(scaled, nan=65535)).astype(np.uint16)
    return wide


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    found = np.isfinite(values)
    return values if found.all() else values[found]


def _without_outliers(sample: NDArray[Any], low: float, high: float) -> tuple[float, float]:
    if not sample.size:
        return low, high
    wide = sample.astype(np.float64)
    bottom, top = (float(end) for end in np.quantile(wide, [_OUTLIERS, 1 - _OUTLIERS], overwrite_input=True))
    if high > max(top, 0) * _FAR:
        high = top
    if low < min(bottom, 0) * _FAR:
        low = bottom
    return low, max(low, high)


def _uses(high: float, top: float) -> bool:
    return high > top / _USED


def _usual(low: float, high: float, tops: tuple[float, ...], bits: int) -> Range:
    """The usual range that holds the values if they use it, else their own."""
    half = float(2 ** (bits - 1)) if bits else 1.0  # signed integers, or floats around 0
    if half / _USED < -low <= half and half / _USED < high <= half:
        return Range(-half, half - bool(bits))
    if low < -_SLIGHT * max(high, 0):
        return Range(low, high if high > low else low + 1)
    if bits:  # one of them is the sign
        most = float(2 ** (bits - 1) - 1)
        tops = (*(top for top in tops if top < most), most)
    top = next((top for top in tops if high <= top), math.inf)
    return Range(0, top if _uses(high, top) else high if high > 0 else 1)
