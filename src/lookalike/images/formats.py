"""Opens the bytes of an image file, or raises an ImageError with the reason.

Only the formats that are named here are ever opened, each by its own Pillow plugin or by a module of its own.
`Image.open` would try many more, some of which start other programs, and has its own limits.
"""

import io
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from PIL import AvifImagePlugin, ImageFile, TiffImagePlugin, WebPImagePlugin

from lookalike.errors import ImageError
from lookalike.images import kinds
from lookalike.images.bmp import open_bmp
from lookalike.images.colour_spaces import add_profile
from lookalike.images.failures import LIBTIFF_MUTED
from lookalike.images.gif import open_gif
from lookalike.images.jpeg import open_jpeg
from lookalike.images.netpbm import open_netpbm
from lookalike.images.png import open_png
from lookalike.images.tiff import directory as tags
from lookalike.images.tiff.image import open_tiff


def open_image(data: bytes) -> ImageFile.ImageFile:
    """Reads the header of an image, whose pixels are decoded by `load()`. To be called inside `one_image`."""
    if not data:
        raise ImageError("empty file")
    found = kinds.FIRST_BYTES.match(data, 0, kinds.START)  # as `read_kind`, which would take another call
    if kind := found.lastgroup if found else kinds.read_brand(data):
        return _OPENERS[kind](data)
    if other := kinds.kind_not_read(data):
        raise ImageError(f"{other} is not read")
    raise ImageError("not an image")


_YCBCR = 6  # TIFF 6.0, section 21


class _Tiff(TiffImagePlugin.TiffImageFile):
    """Pillow's plugin, but broken EXIF does not raise and libtiff prints nothing."""

    def _setup(self) -> None:
        super()._setup()
        is_ycbcr = self.tag_v2.get(tags.PHOTOMETRIC) == _YCBCR
        if is_ycbcr and not self.use_load_libtiff and self.tag_v2.get(tags.SUBSAMPLING, (1, 1)) != (1, 1):
            # Pillow takes what is not compressed as it lies, but the colours of several pixels are stored once.
            self.use_load_libtiff, self._mode = True, "RGB"
            whole = (0, 0, *self._tile_size)
            self.tile = [ImageFile._Tile("libtiff", whole, 0, ("RGBX", False, self.tag_v2.offset))]

    def load(self) -> Any:
        with LIBTIFF_MUTED:
            return super().load()

    def load_end(self) -> None:
        try:
            super().load_end()  # reads all of EXIF, then turns the image upright
        except Exception:  # broken EXIF; the pixels are there
            self._size = self.im.size


class _Webp(ImageFile.ImageFile):
    """A WebP, of which only the header is read until its pixels are wanted.

    Pillow's plugin takes memory for the pixels as soon as it opens a file.
    """

    format = "WEBP"

    def _open(self) -> None:
        assert isinstance(self.fp, io.BytesIO)
        self._size, self._mode = _webp_canvas(self.fp.getvalue()[:30]), "RGB"

    def load(self) -> Any:
        if self._im is None:
            assert self.fp
            opened = WebPImagePlugin.WebPImageFile(self.fp)
            opened.load()
            self.im, self._mode, self._size, self.info, self.fp = opened.im, opened.mode, opened.size, opened.info, None
        return super().load()


def _webp_canvas(data: bytes) -> tuple[int, int]:
    """The width and height in the header of a WebP (RFC 9649, 2.5 to 2.7)."""
    match data[12:16]:
        case b"VP8 ":
            width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case _:
            width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    return width, height


def _open_webp(data: bytes) -> ImageFile.ImageFile:
    if int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise ImageError("truncated")
    return _Webp(io.BytesIO(data))


def _open_tiff(data: bytes) -> ImageFile.ImageFile:
    return open_tiff(data, _Tiff)


def _open_avif(data: bytes) -> ImageFile.ImageFile:
    image = AvifImagePlugin.AvifImageFile(io.BytesIO(data))
    add_profile(image, data)
    return image


def _open_heif(data: bytes) -> ImageFile.ImageFile:
    try:
        from pillow_heif import HeifImageFile  # optional
    except ImportError as error:
        raise ImageError('HEIC needs an extra: pip install "lookalike[heic]"', lasting=False) from error
    image = cast("ImageFile.ImageFile", HeifImageFile(io.BytesIO(data)))
    add_profile(image, data)
    return image


_Opener: TypeAlias = Callable[[bytes], ImageFile.ImageFile]
_OPENERS: dict[str, _Opener] = {
    "JPEG": open_jpeg,
    "PNG": open_png,
    "GIF": open_gif,
    "TIFF": _open_tiff,
    "BMP": open_bmp,
    "WEBP": _open_webp,
    "AVIF": _open_avif,
    "HEIF": _open_heif,
    "PNM": open_netpbm,
}
