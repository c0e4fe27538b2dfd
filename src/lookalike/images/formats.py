"""Opens the bytes of an image file, or raises an ImageError with the reason.

Only the formats that are named here are ever opened, each by its own Pillow plugin. `Image.open` would try many more,
some of which start other programs, and has its own limits.
"""

import ctypes
import functools
import io
import logging
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeAlias, cast

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    _imaging,
)

from lookalike.errors import ImageError, UsageError
from lookalike.images import limits
from lookalike.images.colour_spaces import add_profile
from lookalike.system import forks


def open_image(data: bytes) -> ImageFile.ImageFile:
    """Reads the header of an image, whose pixels are decoded by `load()`. To be called inside `one_image`."""
    if not data:
        raise ImageError("empty file")
    image = _plugin(data)(io.BytesIO(data))
    limits.check_size(image.size)
    add_profile(image, data)
    limits.check_codec(image, data)
    if "transparency" in image.info:
        rawmode = image.tile[0][3] if image.tile else ""
        image.info["transparency"] = _scaled_key(image.info["transparency"], str(rawmode))
    return image


def webp_canvas(data: bytes) -> tuple[int, int] | None:
    """Returns the width and height in the header of a WebP (RFC 9649, 2.5 to 2.7); None for any other file."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    match data[12:16]:
        case b"VP8 ":
            width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case _:
            width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    return width, height


@contextmanager
def one_image(name: str) -> Iterator[None]:
    """Turns every exception but UsageError into an ImageError of this name, and hides Pillow's warnings."""
    try:
        with _PILLOW_MUTED:
            yield
    except UsageError:
        raise
    except ImageError as error:
        raise ImageError(error.reason, name, lasting=error.lasting) from error.__cause__
    except MemoryError as error:
        raise ImageError("not enough memory to decode", name, lasting=False) from error
    except Exception as error:  # Pillow's readers raise almost any type on broken files
        raise ImageError(_reason(error), name) from error


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels"
    text = " ".join(str(error).split())
    truncated = any(phrase in text.lower() for phrase in ("truncated", "end of file", "insufficient input data"))
    # Pillow turns these errors, which a header that ends too early raises, into a SyntaxError.
    if truncated or isinstance(error.__cause__, (EOFError, IndexError, struct.error)):
        return "truncated"
    return f"damaged: {text[:80] or type(error).__name__}"


class _WhileAny:
    """A setting of the process that is on while any of its threads is inside.

    `warnings.catch_warnings` replaces the whole list of filters and is therefore not safe with threads.
    """

    def __init__(self, start: Callable[[], None], stop: Callable[[], None]) -> None:
        self._start, self._stop = start, stop
        self._lock = forks.lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            self._start()  # every time, since other code may have changed the setting

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._stop()


_IGNORE_PILLOW = ("ignore", None, Warning, re.compile(r"(PIL|pillow_heif)\."), 0)
_PILLOW_LOG = logging.getLogger("PIL")
_NO_PRINTING = logging.NullHandler()  # without any handler, Python prints logged errors


def _mute_pillow() -> None:
    _PILLOW_LOG.addHandler(_NO_PRINTING)  # has no effect if it is there already
    filters = cast("list[Any]", warnings.filters)
    if not filters or filters[0] is not _IGNORE_PILLOW:
        filters.insert(0, _IGNORE_PILLOW)


def _unmute_pillow() -> None:
    _PILLOW_LOG.removeHandler(_NO_PRINTING)
    filters = cast("list[Any]", warnings.filters)
    while _IGNORE_PILLOW in filters:
        filters.remove(_IGNORE_PILLOW)


@functools.cache
def _libtiff_printers() -> list[tuple[Any, int | None]]:
    """Returns libtiff's functions that set its error and warning handlers, each with the handler that was set.

    Pillow leaves libtiff's own handlers in place, which write to standard error. The list is empty if this build of
    Pillow does not export libtiff's functions.
    """
    setters: list[tuple[Any, int | None]] = []
    try:
        library = ctypes.CDLL(_imaging.__file__)  # its symbols include those of the libraries that it links
    except (AttributeError, OSError):
        return setters
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        if setter := getattr(library, name, None):
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setters.append((setter, setter(None)))
    return setters


def _mute_libtiff() -> None:
    for setter, _ in _libtiff_printers():
        setter(None)


def _unmute_libtiff() -> None:
    for setter, printer in _libtiff_printers():
        setter(printer)


_PILLOW_MUTED = _WhileAny(_mute_pillow, _unmute_pillow)
_LIBTIFF_MUTED = _WhileAny(_mute_libtiff, _unmute_libtiff)


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """Pillow's plugin without its factory, so that an MPO file, as phones write it, is opened as its first JPEG."""

    def _open(self) -> None:
        super()._open()
        if not self.tile:
            raise EOFError("ends before its pixels")

    def _read_dpi_from_exif(self) -> None:
        """Does not read EXIF: the resolution is not used, and broken EXIF must not raise."""


class _Tiff(TiffImagePlugin.TiffImageFile):
    """Pillow's plugin, but broken EXIF does not raise and libtiff prints nothing."""

    def load(self) -> Any:
        with _LIBTIFF_MUTED:
            return super().load()

    def load_end(self) -> None:
        try:
            super().load_end()  # reads all of EXIF, then turns the image upright
        except Exception:  # broken EXIF; the pixels are there
            self._size = self.im.size


_Plugin: TypeAlias = Callable[[BinaryIO], ImageFile.ImageFile]
_PLUGINS: tuple[tuple[bytes, _Plugin], ...] = (
    (b"\xff\xd8\xff", _Jpeg),
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"GIF87a", GifImagePlugin.GifImageFile),
    (b"GIF89a", GifImagePlugin.GifImageFile),
    (b"II*\0", _Tiff),
    (b"MM\0*", _Tiff),
    (b"II+\0", _Tiff),
    (b"MM\0+", _Tiff),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


def _plugin(data: bytes) -> _Plugin:
    """Returns the plugin that opens files that begin with these bytes."""
    for magic, plugin in _PLUGINS:
        if data.startswith(magic):
            return plugin
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        if int.from_bytes(data[4:8], "little") + 8 > len(data):
            raise ImageError("truncated")
        return WebPImagePlugin.WebPImageFile
    if data[:2] == b"BM" and data[15:18] == b"\0\0\0":  # the length of the header; text may begin with BM, too
        return BmpImagePlugin.BmpImageFile
    if data[4:8] == b"ftyp":  # ISO/IEC 14496-12: length, "ftyp", major brand, version, compatible brands
        end = min(int.from_bytes(data[:4], "big"), 256)
        brands = {data[at : at + 4] for at in (8, *range(16, end, 4))}
        if brands & {b"avif", b"avis"}:
            return AvifImagePlugin.AvifImageFile
        if brands & _HEIF_BRANDS:
            return _heif_plugin()
    raise ImageError("not an image")


def _heif_plugin() -> _Plugin:
    try:
        from pillow_heif import HeifImageFile  # optional
    except ImportError as error:
        raise ImageError('HEIC needs an extra: pip install "lookalike[heic]"', lasting=False) from error
    return cast("_Plugin", HeifImageFile)


def _scaled_key(key: Any, rawmode: str) -> Any:
    """Scales the colour that means "transparent" like the pixels; Pillow scales only these, in some modes."""
    scale = {"L;2": 85, "L;4": 17, "RGB;16B": 1 / 256}.get(rawmode)
    if scale is None:
        return key
    return tuple(int(value * scale) for value in key) if isinstance(key, tuple) else int(key * scale)
