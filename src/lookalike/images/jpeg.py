"""Opens JPEG files, also those without an end marker, with short application segments, or with more behind the image.

The markers are those of ITU-T T.81, Annex B.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from PIL import JpegImagePlugin

from lookalike.errors import ImageError

_SOI, _EOI, _SOS, _JPEG_LS = 0xD8, 0xD9, 0xDA, 0xF7
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_ALONE = frozenset({0x01, *range(0xD0, 0xDA)})  # markers without a segment
_END = b"\xff\xd9"
# Continues a file in another way than its end does: with bits, and with each restart marker.
_MORE = b"\x55" * 64 + b"".join(bytes((0xFF, 0xD0 + number)) + b"\x55" * 64 for number in range(8)) + _END
_ANY_MARKER = re.compile(rb"\xff[\x01-\xfe]")
# A marker after compressed pixels, in which a byte FF is followed by 00, or is part of a restart marker. Written with
# ranges and without a group, it is found forty times as fast.
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_MOST_MARKERS = 100_000
_MOST_JUNK = 1_000_000  # bytes between the segments of a header, which Pillow skips one by one
_ROWS = 64  # whose checksum is computed at once


class JpegFile(JpegImagePlugin.JpegImageFile):
    """Pillow's plugin without its factory, so that an MPO file, as phones write it, is opened as its first JPEG.

    Attributes:
        scans: the number of passes over the image that decoding takes.
        coefficients: the bytes of memory that the coefficients take, which are kept if there are several scans.
    """

    scans = 1
    coefficients = 0

    def _open(self) -> None:
        super()._open()
        if not self.tile:
            raise EOFError("ends before its pixels")

    def _read_dpi_from_exif(self) -> None:
        """Does not read EXIF: the resolution is not used, and broken EXIF must not raise."""


class _MayLackEnd(JpegFile):
    """A JPEG that may have no end marker: it is complete if its pixels do not depend on what might follow its bytes."""

    def load(self) -> Any:
        if not self.tile:
            return super().load()
        assert isinstance(self.fp, io.BytesIO)
        tile, data = list(self.tile), self.fp.getvalue()
        try:
            return super().load()
        except OSError as error:
            if "truncated" not in str(error) or not _lacks_end_only(data):
                raise
        sums = set()
        for ending in (_END, _MORE):
            self.tile, self.fp, self._im = list(tile), io.BytesIO(data.rstrip(b"\xff") + ending), None
            try:
                super().load()
            except OSError as error:  # what was added is not what had to follow
                raise ImageError("truncated") from error
            sums.add(self._checksum())
        if len(sums) > 1:
            raise ImageError("truncated")
        return super().load()

    def _checksum(self) -> int:
        found = 0
        for top in range(0, self.height, _ROWS):
            found = zlib.crc32(self.crop((0, top, self.width, min(top + _ROWS, self.height))).tobytes(), found)
        return found


class _Segment(NamedTuple):  # a file has ten and more: these are made in a third of a dataclass's time
    """A segment of a file: its marker, and where its marker, its content, and what follows it begin."""

    marker: int
    start: int
    content: int
    end: int


@dataclass(frozen=True)
class _Scans:
    """The scans of a file: the content of each one's header, and whether an end marker follows them."""

    headers: list[bytes]
    has_end: bool


def open_jpeg(data: bytes) -> JpegFile:
    """Opens a JPEG, and counts its scans by its markers.

    Raises:
        ImageError: it is of a kind that is not read, such as JPEG-LS, or has very many markers.
    """
    segments = list(_header(data))
    frame = next((segment for segment in segments if segment.marker in _FRAMES), None)
    if frame is None or segments[-1].marker != _SOS:
        return _opened(JpegFile, data, segments)  # raises an error that says what is wrong
    content = data[frame.content : frame.end]
    _check_kind(content)
    several = frame.marker in _PROGRESSIVE or data[segments[-1].content] < content[5]
    if not several:
        return _opened(JpegFile if data.endswith(_END) else _MayLackEnd, data, segments)
    scans = _scans(data, segments[-1])
    image = _opened(JpegFile if scans.has_end else _MayLackEnd, data, segments)
    image.scans, image.coefficients = len(scans.headers), _coefficients(image)
    return image


def _lacks_end_only(data: bytes) -> bool:
    """Whether a JPEG has no end marker, but scans for every coefficient of each channel to its last bit."""
    segments = list(_header(data))
    frame = next(segment for segment in segments if segment.marker in _FRAMES)
    scans = _scans(data, segments[-1])
    is_progressive = frame.marker in _PROGRESSIVE
    return not scans.has_end and _is_complete(
        scans.headers, data[frame.content : frame.end], is_progressive=is_progressive
    )


def _opened(kind: type[JpegFile], data: bytes, segments: list[_Segment]) -> JpegFile:
    """Opens a file, without its application segments if they are too short for what they say they are."""
    try:
        return kind(io.BytesIO(data))
    except SyntaxError as error:
        kept = _without_short_segments(data, segments)
        if len(kept) == len(data) or not isinstance(error.__cause__, (IndexError, struct.error)):
            raise
        return kind(io.BytesIO(kept))


def _header(data: bytes) -> Iterator[_Segment]:
    """The segments up to the first scan's header."""
    at, junk = 2, 0
    for _ in range(_MOST_MARKERS):
        found = _ANY_MARKER.search(data, at)
        if not found:
            return
        start = found.start()
        content = start + 4
        if content > len(data):
            return
        marker, junk = data[start + 1], junk + start - at
        if junk > _MOST_JUNK:
            break
        if marker == _JPEG_LS:
            raise ImageError("JPEG-LS is not read")
        if marker in _ALONE:
            at = start + 2
            continue
        end = max(content, start + 2 + (data[start + 2] << 8 | data[start + 3]))
        yield _Segment(marker, start, content, end)
        if marker == _SOS or end > len(data):
            return
        at = end
    raise ImageError("damaged: a JPEG with very many bytes or markers before its pixels")


def _without_short_segments(data: bytes, segments: list[_Segment]) -> bytes:
    """Leaves out application segments that are too short for what they say they are, and any of Photoshop's.

    Pillow fails on them, and the pixels do not depend on them.
    """
    kept, done = [], 0
    for segment in segments:
        content = data[segment.content : segment.end]
        is_short = (
            (segment.marker == 0xE0 and content.startswith(b"JFIF") and len(content) < 7)
            or (segment.marker == 0xEE and content.startswith(b"Adobe") and len(content) < 7)
            or (segment.marker == 0xE2 and content.startswith(b"ICC_PROFILE\0") and len(content) < 14)
            or (segment.marker == 0xED and content.startswith(b"Photoshop 3.0\0"))
        )
        if is_short and segment.end <= len(data):
            kept.append(data[done : segment.start])
            done = segment.end
    return b"".join([*kept, data[done:]]) if kept else data


def _check_kind(frame: bytes) -> None:
    if len(frame) < 6:
        raise ImageError("truncated")
    if frame[0] != 8:
        raise ImageError(f"a JPEG with {frame[0]} bits for a channel is not read")
    if frame[1:3] == b"\0\0":  # T.81, B.2.5: a segment DNL after the first scan
        raise ImageError("a JPEG that gives its height after its pixels is not read")
    if frame[5] not in (1, 3, 4):
        raise ImageError(f"a JPEG with {frame[5]} channels is not read")


def _scans(data: bytes, first: _Segment) -> _Scans:
    """Follows the markers from the first scan's header to the end marker, behind which other data may come."""
    headers, at = [data[first.content : first.end]], first.end
    for _ in range(_MOST_MARKERS):
        found = _NEXT_MARKER.search(data, at)
        if not found:
            return _Scans(headers, has_end=False)
        marker, at = found[0][1], found.end()
        if marker == _EOI:
            return _Scans(headers, has_end=True)
        if marker < 0xC0 or marker == _SOI:
            continue
        end = at + int.from_bytes(data[at : at + 2], "big")
        if marker == _SOS:
            headers.append(data[at + 2 : end])
        at = max(end, at)
    raise ImageError("damaged: a JPEG with very many markers")


def _is_complete(headers: list[bytes], frame: bytes, *, is_progressive: bool) -> bool:
    """Whether the scans have every coefficient of each channel to its last bit (T.81, G.1.1.1)."""
    missing = {(frame[at], index) for at in range(6, len(frame) - 2, 3) for index in range(64)}
    for header in headers:
        if len(header) < 1 or len(header) < 2 * header[0] + 4:
            return False
        channels = header[1 : 1 + 2 * header[0] : 2]
        first, last, bits = header[-3:]
        if not is_progressive:
            first, last, bits = 0, 63, 0
        if not bits & 15:
            missing -= {(channel, index) for channel in channels for index in range(first, last + 1)}
    return not missing


def _coefficients(image: JpegFile) -> int:
    """The memory of all coefficients in bytes: 2 for each, in blocks of 8 x 8 (T.81, A.1.1 and A.2)."""
    most_across, most_down = (max(layer[axis] for layer in image.layer) or 1 for axis in (1, 2))
    wide, high = -(-image.width // (8 * most_across)), -(-image.height // (8 * most_down))
    return sum(128 * wide * across * high * down for _, across, down, _ in image.layer)
