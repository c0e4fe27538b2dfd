"""Opens BMP files of Windows and OS/2, also those whose bit fields Pillow does not know.

The headers are those of Microsoft's BITMAPINFOHEADER, BITMAPV4HEADER and BITMAPV5HEADER, and of OS/2's
BITMAPINFOHEADER2, which may end after any of its fields.
"""

import io
import struct
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageFile

from lookalike.errors import ImageError
from lookalike.images.colour_spaces import add_profile

_Masks: TypeAlias = tuple[int, int, int, int]  # the bits of red, green, blue and alpha

_CORE, _INFO, _OS2 = 12, 40, 64  # bytes of a header
_WITH_PROFILE = 124
_WITH_MASKS = {52, 56, 108, _WITH_PROFILE}
_FIELDS = (3, 6)  # kinds of compression: bit fields without and with alpha
_OF_WINDOWS = {4: "a JPEG", 5: "a PNG"}
_OF_OS2 = {3: "of Huffman codes", 4: "of 24-bit run lengths"}
_USUAL = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}  # masks, if a file gives none
# The masks of colours that Pillow knows, by the bits of a pixel, each with those of alpha that it knows beside them.
_OF_PILLOW: dict[int, dict[tuple[int, ...], tuple[int, ...]]] = {
    16: {(0xF800, 0x7E0, 0x1F): (0,), (0x7C00, 0x3E0, 0x1F): (0,)},
    32: {
        (0xFF, 0xFF00, 0xFF0000): (0xFF000000,),
        (0xFF0000, 0xFF00, 0xFF): (0, 0xFF000000),
        (0xFF000000, 0xFF0000, 0xFF00): (0, 0xFF),
    },
}
_STRIP = 500_000  # pixels that are converted at once


@dataclass(frozen=True)
class _Header:
    """The numbers in a BMP's header.

    Attributes:
        size: of the header in bytes.
        width: in pixels.
        height: in pixels; negative if the first row is at the top.
        bits: for a pixel.
        compression: what Microsoft calls so, 0 to 6.
        colours: of the palette; 0 for all that the bits can number.
        start: where the pixels begin in the file.
        masks: the bits of red, green, blue and alpha, if the file has such.
    """

    size: int
    width: int
    height: int
    bits: int
    compression: int
    colours: int
    start: int
    masks: _Masks


class _BitFields(ImageFile.ImageFile):
    """A BMP of 16 or 32 bits for a pixel, with any bits for each of its channels.

    Attributes:
        header: the numbers in its header.
        masks: the bits of each channel.
    """

    format = "BMP"
    header: _Header
    masks: _Masks

    def _open(self) -> None:
        assert isinstance(self.fp, io.BytesIO)
        self.header = _header(self.fp.getvalue())
        self.masks = _true_masks(self.fp.getvalue(), self.header)
        self._size = self.header.width, abs(self.header.height)
        self._mode = "RGBA" if self.masks[3] else "RGB"

    def load(self) -> Any:
        if self._im is None:
            assert isinstance(self.fp, io.BytesIO)
            rows = _rows(self.fp.getvalue(), self.header)
            whole = Image.new(self.mode, self.size)
            step = max(1, _STRIP // self.width)
            for top in range(0, self.height, step):
                whole.paste(Image.fromarray(_channels(rows[top : top + step], self.masks)), (0, top))
            self.im, self.fp = whole.im, None
        return super().load()


def open_bmp(data: bytes) -> ImageFile.ImageFile:
    """Opens a BMP.

    Raises:
        ImageError: "truncated", or it is of a kind that is not read.
    """
    header = _header(data)
    _check_kind(header)
    if header.compression in _FIELDS and header.bits in _USUAL and not _pillow_decodes(header, data):
        image: ImageFile.ImageFile = _BitFields(io.BytesIO(data))
    else:
        image = BmpImagePlugin.BmpImageFile(io.BytesIO(_usual_header(data, header)))
    if header.size == _WITH_PROFILE:
        add_profile(image, data)
    return image


def _header(data: bytes) -> _Header:
    try:
        start, size = struct.unpack_from("<II", data, 10)
        if size == _CORE:
            width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
            return _Header(size, width, height, bits, 0, 0, start, (0, 0, 0, 0))
        head = data[14 : 14 + min(size, _INFO)].ljust(_INFO, b"\0")
        _, width, height, _, bits, compression, *_, colours = struct.unpack_from("<IiiHHI3II", head)
        masks = (0, 0, 0, 0)
        if compression in _FIELDS and size != _OS2:
            has_alpha = size > 52 or compression == 6
            masks = (*struct.unpack_from("<III", data, 54), struct.unpack_from("<I", data, 66)[0] if has_alpha else 0)
    except struct.error as error:
        raise ImageError("truncated") from error
    return _Header(size, width, height, bits, compression, colours, start, masks)


def _check_kind(header: _Header) -> None:
    """Raises an ImageError if it is a kind of BMP that is not read."""
    if not (header.size == _CORE or 16 <= header.size <= _OS2 or header.size in _WITH_MASKS):
        raise ImageError(f"damaged: a BMP with a header of {header.size} bytes")
    if header.bits not in (1, 4, 8, 16, 24, 32):
        inside = _OF_WINDOWS.get(header.compression)
        if inside is None or header.bits:
            raise ImageError(f"a BMP of {header.bits} bits for a pixel is not read")
    is_os2 = header.size == _OS2 or (header.size < _INFO and header.size != _CORE)
    if is_os2 and header.compression in _OF_OS2:
        raise ImageError(f"a BMP {_OF_OS2[header.compression]} is not read")
    if header.compression in _OF_WINDOWS:
        raise ImageError(f"a BMP that holds {_OF_WINDOWS[header.compression]} is not read")
    if header.compression > max(_FIELDS):
        raise ImageError(f"a BMP of compression {header.compression} is not read")


def _true_masks(data: bytes, header: _Header) -> _Masks:
    """The masks by which the pixels are meant: the usual ones if there are none, and no alpha that is 0 everywhere."""
    if not any(header.masks):
        return _USUAL[header.bits]
    *colours, alpha = header.masks
    rows, step = _rows(data, header), max(1, _STRIP // header.width)
    has_alpha = alpha and any((rows[top : top + step] & np.uint32(alpha)).any() for top in range(0, len(rows), step))
    return colours[0], colours[1], colours[2], alpha if has_alpha else 0


def _pillow_decodes(header: _Header, data: bytes) -> bool:
    """Whether Pillow decodes an image of bit fields, and rightly."""
    *colours, alpha = header.masks
    known = _OF_PILLOW[header.bits].get(tuple(colours), ())
    return header.compression == 3 and alpha in known and _true_masks(data, header) == header.masks


def _rows(data: bytes, header: _Header) -> NDArray[Any]:
    """The pixels of a BMP of bit fields as numbers, the first row first; a view, (height, width)."""
    kind = np.dtype("<u2" if header.bits == 16 else "<u4")
    height, across = abs(header.height), (header.width * kind.itemsize + 3) // 4 * 4 // kind.itemsize
    start = header.start or 14 + header.size + (12 if header.size == _INFO else 0)
    if len(data) - start < height * across * kind.itemsize:
        raise ImageError("truncated")
    rows = np.frombuffer(data, kind, height * across, start).reshape(height, across)[:, : header.width]
    return rows if header.height < 0 else rows[::-1]


def _channels(rows: NDArray[Any], masks: _Masks) -> NDArray[np.uint8]:
    """The 8-bit channels of pixels: RGB, or RGBA if there is a mask of alpha."""
    wide = rows.astype(np.uint64)
    channels = [_channel(wide, mask) for mask in (masks if masks[3] else masks[:3])]
    return np.stack(channels, axis=-1)


def _channel(pixels: NDArray[np.uint64], mask: int) -> NDArray[np.uint8]:
    if not mask:
        return np.zeros(pixels.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    values = (pixels & np.uint64(mask)) >> np.uint64(shift)
    return (values * np.uint64(255) // np.uint64(mask >> shift)).astype(np.uint8)


def _usual_header(data: bytes, header: _Header) -> bytes:
    """The file with a header that Pillow takes: of 40 bytes if it is of OS/2, with no larger palette than fits."""
    if header.bits <= 8 and header.colours > 1 << header.bits and header.start and header.size >= _INFO:
        data = data[:46] + bytes(4) + data[50:]  # 0 colours stand for all
    if header.size == _CORE or header.size == _INFO or header.size == _OS2 or header.size in _WITH_MASKS:
        return data
    head = struct.pack("<I", _INFO) + data[18 : 14 + min(header.size, _INFO)].ljust(_INFO - 4, b"\0")
    start = header.start + _INFO - header.size if header.start else 0
    return data[:10] + struct.pack("<I", start) + head + data[14 + header.size :]
