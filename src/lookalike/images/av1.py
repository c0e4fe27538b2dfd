"""Reads how large the frames are that an AVIF file's decoder will allocate, which need not be the size it declares.

The boxes of a file say where its items are; an item of the type "av01" is a sequence of OBUs (AV1 specification, 5.3),
of which the sequence headers have the size of the frames.
"""

from lookalike.images.boxes import boxes

_SEQUENCE_HEADER = 1


def frame_pixels(data: bytes) -> int | None:
    """Returns the number of pixels of the largest frame in an AVIF file; None if that cannot be told.

    Only files with one extent for each item are understood, as encoders write still images; of an animation, the
    decoder takes the first frame of the video instead.
    """
    try:
        if any(kind == b"moov" for kind, _, _ in boxes(data, 0, len(data))):
            return None
        meta = data[slice(*_box(data, b"meta", 0, len(data)))]
        kinds, places = _kinds(meta), _places(meta)
        frames = [_largest_frame(data[slice(*places[item])]) for item, kind in kinds.items() if kind == b"av01"]
    except (KeyError, IndexError, ValueError):
        return None
    return max(frames) if frames and all(frames) else None


def _box(data: bytes, wanted: bytes, at: int, end: int) -> tuple[int, int]:
    """The range of the only box of a type."""
    [found] = [(start, stop) for kind, start, stop in boxes(data, at, end) if kind == wanted]
    return found


class _Fields:
    """Reads numbers one after another."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data, self._at, self._end = data, at, end

    def next(self, size: int) -> int:
        """The next number, of that many bytes; raises IndexError at the end."""
        if self._at + size > self._end:
            raise IndexError
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at], "big")


def _kinds(meta: bytes) -> dict[int, bytes]:
    """The type of each item, by its number: ISO/IEC 14496-12, 8.11.6."""
    start, end = _box(meta, b"iinf", 4, len(meta))
    first = start + (6 if meta[start] == 0 else 8)
    kinds = {}
    for kind, at, stop in boxes(meta, first, end):
        if kind == b"infe" and meta[at] in (2, 3):
            fields = _Fields(meta, at + 4, stop)
            item = fields.next(2 if meta[at] == 2 else 4)
            fields.next(2)
            kinds[item] = fields.next(4).to_bytes(4, "big")
    return kinds


def _places(meta: bytes) -> dict[int, tuple[int, int]]:
    """Where each item begins and ends in the file, by its number: ISO/IEC 14496-12, 8.11.3."""
    at, end = _box(meta, b"iloc", 4, len(meta))
    version, fields = meta[at], _Fields(meta, at + 4, end)
    sizes = fields.next(2)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    places = {}
    for _ in range(fields.next(4 if version == 2 else 2)):
        item = fields.next(4 if version == 2 else 2)
        if version and fields.next(2) & 15:
            raise ValueError("an item that is not at a place of the file")
        fields.next(2)
        start = fields.next(base)
        if fields.next(2) != 1:
            raise ValueError("an item of several extents")
        if version:
            fields.next(index)
        start += fields.next(offset)
        places[item] = (start, start + fields.next(length))
    return places


def _largest_frame(obus: bytes) -> int:
    """The most pixels that a sequence header allows a frame; 0 if there is none."""
    at, largest = 0, 0
    while at < len(obus):
        kind, has_extension, has_size = obus[at] >> 3 & 15, obus[at] >> 2 & 1, obus[at] >> 1 & 1
        at += 1 + has_extension
        if not has_size:
            raise ValueError("an OBU without its size")
        size = 0
        for shift in range(0, 56, 7):  # LEB128
            byte = obus[at]
            at, size = at + 1, size | (byte & 127) << shift
            if byte < 128:
                break
        if kind == _SEQUENCE_HEADER:
            largest = max(largest, _sequence_pixels(obus[at : at + size]))
        at += size
    return largest


class _Bits:
    """Reads numbers of bits one after another."""

    def __init__(self, data: bytes) -> None:
        self._bits, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def next(self, count: int) -> int:
        """The next number, of that many bits; raises IndexError at the end."""
        self._left -= count
        if self._left < 0:
            raise IndexError
        return self._bits >> self._left & (1 << count) - 1


def _sequence_pixels(header: bytes) -> int:
    """The most pixels of a frame: AV1 specification, 5.5.1.

    A frame may be of any size that has no more bits than the header gives it; encoders give no more than are needed.
    """
    bits = _Bits(header[:64])
    bits.next(4)  # profile, still picture
    if bits.next(1):  # the short form, which still images have
        bits.next(5)
    else:
        if bits.next(1):
            raise ValueError("a video with a clock")
        delays = bits.next(1)
        for _ in range(bits.next(5) + 1):
            bits.next(12)
            if bits.next(5) > 7:
                bits.next(1)
            if delays and bits.next(1):
                bits.next(4)
    widths = bits.next(4) + 1, bits.next(4) + 1
    width, height = (_side(bits.next(count) + 1, count) for count in widths)
    return width * height


def _side(most: int, bits: int) -> int:
    return most if max(1, (most - 1).bit_length()) == bits else 1 << bits
