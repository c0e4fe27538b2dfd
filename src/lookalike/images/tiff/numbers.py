"""Bytes of a TIFF's strips and tiles -> numbers: odd depths, byte orders, predictors (TIFF 6.0, section 14)."""

import numpy as np
from numpy.typing import NDArray

from lookalike.images.tiff.layout import Layout

_BITS_AT_ONCE = 8_000_000  # each takes 8 bytes of memory while odd depths are unpacked


def numbers(rows: NDArray[np.uint8], layout: Layout) -> NDArray[np.generic]:
    """Returns the numbers in rows of a segment.

    Args:
        rows: uint8, shape (rows, bytes of a row).
        layout: of the image.

    Returns:
        Of `layout.dtype` in this machine's byte order, shape (rows, width of the segment, samples in it).
    """
    shape = len(rows), layout.segment[0], layout.in_segment
    if layout.predictor == 3:
        return _floats(rows, layout).reshape(shape)
    if layout.bits not in (8, 16, 32, 64):
        return _odd(rows, layout).reshape(shape)
    stored = np.ascontiguousarray(rows).view(layout.dtype.newbyteorder(layout.order)).astype(layout.dtype, copy=False)
    found: NDArray[np.generic] = stored.reshape(shape)
    if layout.predictor == 2:
        unsigned = found.view(f"u{found.itemsize}")
        found = np.cumsum(unsigned, axis=1, dtype=unsigned.dtype).view(layout.dtype)
    return found


def _floats(rows: NDArray[np.uint8], layout: Layout) -> NDArray[np.generic]:
    """Undoes the floating point predictor (Adobe Photoshop TIFF Technical Note 3): differences of byte planes."""
    size, samples = layout.dtype.itemsize, layout.in_segment
    differences = rows.reshape(len(rows), -1, samples)
    planes = np.cumsum(differences, axis=1, dtype=np.uint8).reshape(len(rows), size, -1)  # the highest byte first
    whole = np.ascontiguousarray(planes.transpose(0, 2, 1))
    return whole.view(layout.dtype.newbyteorder(">")).astype(layout.dtype)


def _odd(rows: NDArray[np.uint8], layout: Layout) -> NDArray[np.generic]:
    """Unpacks integers of any depth, the highest bit first; whole bytes are in the order of the file."""
    count, bits = layout.segment[0] * layout.in_segment, layout.bits
    unpacked = np.empty((len(rows), count), layout.dtype)
    step = max(1, _BITS_AT_ONCE // (count * bits))
    for top in range(0, len(rows), step):
        part = rows[top : top + step]
        if bits == 24:
            triples = part[:, : 3 * count].reshape(len(part), count, 3).astype(np.uint32)
            weights = 1 << np.arange(0, 24, 8, dtype=np.uint32)
            unpacked[top : top + step] = triples @ (weights if layout.order == "<" else weights[::-1])
        else:
            single = np.unpackbits(part, axis=1, count=count * bits).reshape(len(part), count, bits)
            found = np.zeros((len(part), count), layout.dtype)
            for bit in range(bits):
                found = found << 1 | single[..., bit]
            unpacked[top : top + step] = found
    return unpacked
