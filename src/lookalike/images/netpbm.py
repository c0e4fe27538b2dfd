"""Reads the formats of Netpbm: PBM, PGM and PPM, plain or not, PAM, and grey PFM.

They are described at https://netpbm.sourceforge.net/doc/. Pillow's plugin reads most of them as well, but some kinds a
pixel at a time, in Python.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from lookalike.errors import ImageError
from lookalike.images.depth import Range, range_of

_SEPARATOR = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([1-6f])" + _SEPARATOR + rb"(\d{1,9})" + _SEPARATOR + rb"(\d{1,9})")
_NUMBER = re.compile(_SEPARATOR + rb"([-+.\deE]{1,30})")
_PAM_LINE = re.compile(rb"(?:#[^\n]*|([A-Z]+)[ \t]*([^\n]*))\n")
_MOST_HEADER = 65_536  # bytes of a header, and numbers of comments
_PAM_LINES = 1000  # of a header, comments included
_COMMENT = re.compile(rb"#[^\r\n]*")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_STRIP = 4_000_000  # values that are converted at once


@dataclass(frozen=True)
class _Header:
    """The numbers in a file's header.

    Attributes:
        width: in pixels.
        height: in pixels.
        depth: the number of channels.
        most: the largest value, which stands for white; of PFM the scale, negative if its bytes are little-endian.
        start: where the pixels begin in the file.
        kind: "plain" (numbers as text), "bits" (of a PBM, 1 is black), "bytes" or "floats".
    """

    width: int
    height: int
    depth: int
    most: float
    start: int
    kind: str


class NetpbmFile(ImageFile.ImageFile):
    """A file of Netpbm's; the first image, if there are several.

    Attributes:
        working_bytes: the memory that decoding takes besides the pixels.
    """

    format = "PPM"
    working_bytes = 0

    def _open(self) -> None:
        assert isinstance(self.fp, io.BytesIO)
        data = self.fp.getvalue()
        self._header = header = _pam_header(data) if data.startswith(b"P7") else _header(data)
        self._size = header.width, header.height
        self._mode = _MODES[header.depth]
        if header.kind == "floats":
            self._mode = "F"
        elif header.most > 255 and header.depth == 1:
            self._mode = "I;16"
        if header.kind == "plain":
            self.working_bytes = 4 * len(data)  # without its comments, and as numbers of 4 bytes

    def load(self) -> Any:
        if self._im is None:
            assert isinstance(self.fp, io.BytesIO)
            values = _values(self.fp.getvalue(), self._header)
            whole = Image.new(self.mode, self.size)
            step = max(1, _STRIP // (self.width * self._header.depth))
            white = _white((values[top : top + step] for top in range(0, self.height, step)), self._header)
            for top in range(0, self.height, step):
                strip = _scaled(values[top : top + step], self._header, white)
                whole.paste(Image.fromarray(strip), (0, top))
            self.im, self.fp = whole.im, None
        return super().load()


def open_netpbm(data: bytes) -> NetpbmFile:
    """Opens a PBM, PGM, PPM, PAM or grey PFM.

    Raises:
        ImageError: its header is damaged, or it is of a kind that is not read.
    """
    return NetpbmFile(io.BytesIO(data))


def _header(data: bytes) -> _Header:
    found = _HEADER.match(data, 0, _MOST_HEADER)
    if found is None:
        raise ImageError("damaged: the header of a Netpbm file")
    kind, width, height, end = found[1], int(found[2]), int(found[3]), found.end()
    most = 1.0
    if kind not in b"14":
        number = _NUMBER.match(data, end, end + _MOST_HEADER)
        if number is None:
            raise ImageError("damaged: the header of a Netpbm file")
        most, end = float(number[1]), number.end()
    if kind == b"f":
        return _Header(width, height, 1, most or 1.0, end + 1, "floats")
    depth = 3 if kind in b"36" else 1
    return _checked(
        _Header(width, height, depth, most, end + 1, "plain" if kind in b"123" else "bits" if kind == b"4" else "bytes")
    )


def _pam_header(data: bytes) -> _Header:
    numbers, at = {}, 3
    for _ in range(_PAM_LINES):
        found = _PAM_LINE.match(data, at)
        if not found or found[1] == b"ENDHDR":
            break
        at = found.end()
        if found[1] and found[2].strip().isdigit():
            numbers[found[1]] = int(found[2][:9])
    if not found or found[1] != b"ENDHDR":
        raise ImageError("damaged: the header of a PAM file")
    width, height, depth, most = (numbers.get(name, 0) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    if depth not in _MODES:
        raise ImageError(f"a PAM of {depth} channels is not read")
    return _checked(_Header(width, height, depth, most, found.end(), "bytes"))


def _checked(header: _Header) -> _Header:
    if not (1 <= header.most <= 65535 and header.most == int(header.most)):
        raise ImageError(f"damaged: a Netpbm file whose largest value is {header.most:g}")
    return header


def _values(data: bytes, header: _Header) -> NDArray[Any]:
    """The values of a file, (height, width) or (height, width, depth); those of a PBM are 0 for black."""
    shape = (header.height, header.width, header.depth) if header.depth > 1 else (header.height, header.width)
    if header.kind == "plain":
        return _plain_values(data, header, int(np.prod(shape))).reshape(shape)
    across = header.width * header.depth
    kind: np.dtype[Any] = np.dtype("u1" if header.most < 256 else ">u2")
    if header.kind == "floats":
        kind = np.dtype("<f4" if header.most < 0 else ">f4")
    if header.kind == "bits":
        across = -(-header.width // 8)
    if len(data) - header.start < header.height * across * kind.itemsize:
        raise ImageError("truncated")
    values = np.frombuffer(data, kind, header.height * across, header.start)
    if header.kind == "bits":
        black = np.unpackbits(values.reshape(header.height, across).view(np.uint8), axis=1, count=header.width)
        return black ^ np.uint8(1)
    return values.reshape(shape)[::-1] if header.kind == "floats" else values.reshape(shape)


def _plain_values(data: bytes, header: _Header, count: int) -> NDArray[Any]:
    if data.count(b"#") > _MOST_HEADER:
        raise ImageError(f"damaged: a plain Netpbm file with more than {_MOST_HEADER:,} comments")
    text = _COMMENT.sub(b" ", data[header.start - 1 :])
    if data.startswith(b"P1"):  # whose digits need no space between them
        digits = np.frombuffer(text, np.uint8)
        digits = digits[(digits == ord("0")) | (digits == ord("1"))][:count]
        if len(digits) < count:
            raise ImageError("truncated")
        white: NDArray[np.uint8] = digits & 1 ^ 1
        return white
    if re.search(rb"[^\d\s]", text):
        raise ImageError("damaged: a plain Netpbm file with other signs than digits")
    values = np.fromstring(text, np.int32, sep=" ") if text.strip() else np.empty(0, np.int32)
    if len(values) < count:
        raise ImageError("truncated")
    return values[:count]


def _white(strips: Iterator[NDArray[Any]], header: _Header) -> int:
    """The value that is white: the largest of the range that the file declares, if colours of over 8 bits use it."""
    if header.depth == 1 or header.most <= 255:
        return int(header.most)
    colours = header.depth - 1 + header.depth % 2  # the others are alpha
    limits = range_of((strip[..., :colours] for strip in strips), Range(0, header.most))
    return min(int(limits.high), int(header.most))


def _scaled(values: NDArray[Any], header: _Header, white: int) -> NDArray[Any]:
    """Scales values to 8 bits; grey ones of more than 8 bits to 16, and floats not at all."""
    if header.kind == "floats":
        return values.astype(np.float32)
    most = int(header.most)
    if most > 255 and header.depth == 1:
        return _spread(values, most, 65535).astype(np.uint16)
    if most > 255:
        tops = np.full(header.depth, white, np.uint32)
        if header.depth % 2 == 0:
            tops[-1] = most
        return (_spread(values, tops, 65535) >> 8).astype(np.uint8)
    return _spread(values, most, 255).astype(np.uint8)


def _spread(values: NDArray[Any], most: Any, top: int) -> NDArray[Any]:
    """Scales values of 0 to `most`, of all or of each channel, to 0 to `top`, rounded."""
    if np.all(most == top):
        return values
    scaled: NDArray[np.uint32] = (np.minimum(values, most).astype(np.uint32) * top + most // 2) // most
    return scaled
