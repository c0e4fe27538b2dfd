"""Goes through the boxes that AVIF and HEIC files are made of (ISO/IEC 14496-12, 4.2)."""

from collections.abc import Iterator


def boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields the type of each box in a range, and where its content begins and ends.

    Raises:
        ValueError: a box is larger than the one around it.
    """
    while at + 8 <= end:
        size, kind, start = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        stop = at + size if size else end
        if not start <= stop <= end:
            raise ValueError("a box that is larger than the one around it")
        yield kind, start, stop
        at = stop
