"""TIFF files that Pillow does not read, or not rightly, as images of Pillow's."""

import io
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from PIL import Image, ImageFile

from lookalike.images.deep_colour import deep_conversion
from lookalike.images.tiff import directory as tags
from lookalike.images.tiff.directory import Directory, first_offset, main_directory
from lookalike.images.tiff.layout import BYTE_CODECS, JPEG, OLD_JPEG, UNCOMPRESSED
from lookalike.images.tiff.pixels import Picture, bands_of, picture_of
from lookalike.images.tiff.segments import AT_ONCE, Unpack


def open_tiff(data: bytes, by_pillow: Callable[[BinaryIO], ImageFile.ImageFile]) -> ImageFile.ImageFile:
    """Opens the image that a TIFF shows: with Pillow if that reads it rightly, which the usual ones are.

    Args:
        data: the bytes of the file.
        by_pillow: Pillow's plugin.

    Raises:
        ImageError: with the reason why it cannot be read.
    """
    directory = main_directory(data)
    if not _is_usual(directory):
        return NumericTiff(directory, by_pillow)
    if directory.offset != first_offset(data):
        data = _beginning_with(directory)
    return by_pillow(io.BytesIO(data))


def is_usual_file(data: bytes) -> bool:
    """Whether Pillow's own plugin, given a TIFF as it is, reads the image that it shows, and rightly.

    Raises:
        ImageError: the file cannot be read.
    """
    directory = main_directory(data)
    return _is_usual(directory) and directory.offset == first_offset(data)


_BY_PILLOW = {  # codecs
    *(UNCOMPRESSED, JPEG, OLD_JPEG, *BYTE_CODECS),
    *(2, 3, 4, 32771),  # CCITT, the last with rows that begin at words
    32809,  # ThunderScan
}
_GREY, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = {0, 1}, 2, 3, 5, 6, 8


def _is_usual(directory: Directory) -> bool:
    """Whether Pillow reads an image rightly: 8 bits or fewer, its samples together, colours that it knows."""
    photometric, samples = directory.number(tags.PHOTOMETRIC, 0), directory.number(tags.SAMPLES, 1)
    bits = set(directory.distinct(tags.BITS, samples)) or {1}
    return (
        not (directory.big and directory.order == ">")
        and directory.number(tags.COMPRESSION, UNCOMPRESSED) in _BY_PILLOW
        and directory.distinct(tags.SAMPLE_FORMAT, samples) in ([], [1])
        and (samples == 1 or directory.number(tags.PLANAR, 1) == 1)
        and bits <= ({8} if photometric not in {*_GREY, _PALETTE} or samples > 1 else {1, 2, 4, 8})
        and (photometric != _PALETTE or directory.values(tags.COLOR_MAP).max(initial=0) > 255)
        and _extra_samples_are_usual(directory, photometric, samples)
    )


def _extra_samples_are_usual(directory: Directory, photometric: int, samples: int) -> bool:
    if photometric in _GREY:
        has_kind = len(directory.values(tags.EXTRA_SAMPLES)) == 1
        return samples == 1 or (samples == 2 and photometric == 1 and has_kind)
    if photometric == _RGB:
        return samples == 3 or samples == 4
    return samples == {_PALETTE: 1, _CMYK: 4, _YCBCR: 3, _LAB: 3}.get(photometric, 0)


def _beginning_with(directory: Directory) -> bytes:
    """The file with this directory as its first."""
    start, order = (8, "Q") if directory.big else (4, "I")
    pointer = struct.pack(directory.order + order, directory.offset)
    return directory.data[:start] + pointer + directory.data[start + len(pointer) :]


_NUMBERS = 8  # times the bytes of some rows, while they become numbers: bits take a byte each


class NumericTiff(ImageFile.ImageFile):
    """The image of a TIFF's directory, which is decoded by `load()`.

    Attributes:
        working_bytes: of memory that decoding takes at most besides the pixels.
        by_library: whether libtiff allocates by itself meanwhile.
    """

    format = "TIFF"

    def __init__(self, directory: Directory, unpack: Unpack) -> None:
        """Reads the layout of an image.

        Args:
            directory: of the image.
            unpack: decodes a TIFF of 8-bit grey.

        Raises:
            ImageError: with the reason why it cannot be read.
        """
        self._directory, self._unpack = directory, unpack
        self._picture = picture = picture_of(directory)
        layout = picture.layout
        kept = 1 if picture.mode == "L" else 4  # bytes of a pixel, as in limits.py
        self.working_bytes = _peak(picture, kept) - kept * layout.width * layout.length
        self.by_library = layout.compression != UNCOMPRESSED
        super().__init__(io.BytesIO())

    def _open(self) -> None:
        layout = self._picture.layout
        self._mode, self._size = self._picture.mode, (layout.width, layout.length)
        if profile := self._directory.bytes(tags.ICC_PROFILE):
            self.info["icc_profile"] = profile
        if orientation := self._directory.number(tags.ORIENTATION, 0):
            self.getexif()[tags.ORIENTATION] = orientation

    def load(self) -> Any:
        """Decodes the image."""
        if self._im is None:
            colours = len(self._picture.samples) - self._picture.has_alpha
            is_deep = self._picture.is_deep and colours in (1, 3)
            conversion = deep_conversion(self.info.get("icc_profile"), colours) if is_deep else None
            bands = bands_of(self._directory, self._picture, self._unpack, conversion)
            if conversion:
                self.info["icc_profile"] = None  # it is in sRGB now
            self.im = Image.frombuffer(self.mode, self.size, bands, "raw", self.mode, 0, 1).im
        return Image.Image.load(self)


def _peak(picture: Picture, kept: int) -> int:
    """The most bytes in memory: while segments are unpacked, numbers are scaled, or the image is made of them."""
    layout, samples = picture.layout, len(picture.samples)
    pixels = layout.width * layout.length
    values, bands = pixels * samples * layout.dtype.itemsize, pixels * samples
    segment = 0 if layout.compression == UNCOMPRESSED else layout.segment[1] * layout.row_bytes
    unpacked = 3 * max(AT_ONCE, segment) if segment <= AT_ONCE else 2 * segment + AT_ONCE
    return max(values + unpacked, values + bands, bands + kept * pixels) + _NUMBERS * max(AT_ONCE, layout.row_bytes)
