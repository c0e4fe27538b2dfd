"""The bytes of a file become an opened picture, or an ImageError that says why not.

Only the formats that are named here are ever opened, each by its own Pillow plugin. `Image.open` would try
many more, some of which start other programs, and has limits of its own.
"""

import ctypes
import functools
import io
import logging
import re
import struct
import threading
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

MAX_PIXELS = 178_000_000

_MAX_SCANS = 100  # a progressive JPEG has some ten; 31 bytes make another, which takes as long as the first
_MAX_RUN_LENGTH_PIXELS = 32_000_000  # Pillow unpacks a run-length BMP byte by byte, in Python


def open_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> ImageFile.ImageFile:
    """Read the header of a picture; its pixels come with `load()`. Call it inside `one_image`."""
    if not data:
        raise ImageError("empty file")
    image = _plugin(data)(io.BytesIO(data))
    check_size(image.size, max_pixels)
    if "progressive" in image.info and data.count(b"\xff\xda") > _MAX_SCANS:
        raise ImageError(f"more than {_MAX_SCANS} progressive scans")
    codec, args = (image.tile[0][0], image.tile[0][3]) if image.tile else ("", "")
    if codec == "bmp_rle" and image.width * image.height > _MAX_RUN_LENGTH_PIXELS:
        raise ImageError("too large for a run-length BMP")
    if "transparency" in image.info:
        image.info["transparency"] = _scaled_key(image.info["transparency"], str(args))
    return image


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Raise ImageError for a picture of no pixels, and of more than there may be."""
    width, height = size
    if not width * height:
        raise ImageError("has no pixels")
    if width * height > max_pixels:
        raise ImageError(f"{width} x {height} pixels is over the limit of {max_pixels / 1e6:g} million")


@contextmanager
def one_image(name: str) -> Iterator[None]:
    """Let nothing but ImageError, which gets this name, and UsageError out; hide Pillow's messages."""
    try:
        with _QUIETLY:
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
    ended = any(words in text.lower() for words in ("truncated", "end of file", "insufficient input data"))
    # Pillow turns these, from a header that ends too early, into a SyntaxError.
    if ended or isinstance(error.__cause__, (EOFError, IndexError, struct.error)):
        return "truncated"
    return f"damaged: {text[:80] or type(error).__name__}"


class _WhileAny:
    """Something that holds for the process while any of its threads is inside.

    `warnings.catch_warnings` exchanges the whole list of filters and is therefore not safe with threads.
    """

    def __init__(self, start: Callable[[], None], stop: Callable[[], None]) -> None:
        self._start, self._stop = start, stop
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            self._start()  # each time: somebody else may have changed it since

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._stop()


_IGNORE_PILLOW = ("ignore", None, Warning, re.compile(r"(PIL|pi_heif)\."), 0)
_PILLOW_LOG = logging.getLogger("PIL")
_NO_PRINTING = logging.NullHandler()  # without any handler, Python prints errors that are logged


def _hush_pillow() -> None:
    _PILLOW_LOG.addHandler(_NO_PRINTING)  # does nothing if it is there
    filters = cast("list[Any]", warnings.filters)
    if not filters or filters[0] is not _IGNORE_PILLOW:
        filters.insert(0, _IGNORE_PILLOW)


def _unhush_pillow() -> None:
    _PILLOW_LOG.removeHandler(_NO_PRINTING)
    filters = cast("list[Any]", warnings.filters)
    while _IGNORE_PILLOW in filters:
        filters.remove(_IGNORE_PILLOW)


@functools.cache
def _libtiff_printers() -> list[tuple[Any, int | None]]:
    """The functions that set what libtiff prints errors and warnings with, and what each was set to.

    Pillow leaves this as it is: libtiff writes to standard error. Empty if this Pillow has no libtiff to ask.
    """
    setters: list[tuple[Any, int | None]] = []
    try:
        library = ctypes.CDLL(_imaging.__file__)  # which finds the names of the libraries behind it, too
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


_QUIETLY = _WhileAny(_hush_pillow, _unhush_pillow)
_LIBTIFF_QUIETLY = _WhileAny(_mute_libtiff, _unmute_libtiff)


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """The plugin itself, not its factory: the first picture of an MPO file, as phones write it, is a JPEG."""

    def _open(self) -> None:
        super()._open()
        if not self.tile:
            raise EOFError("ends before its pixels")

    def _read_dpi_from_exif(self) -> None:
        """Leave EXIF alone: the resolution is of no use here, and broken EXIF must not matter."""


class _Tiff(TiffImagePlugin.TiffImageFile):
    """Broken EXIF must not matter here either, and libtiff be silent."""

    def load(self) -> Any:
        with _LIBTIFF_QUIETLY:
            return super().load()

    def load_end(self) -> None:
        try:
            super().load_end()  # reads all of EXIF, then turns the picture
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
    """The one reader for these bytes."""
    for magic, plugin in _PLUGINS:
        if data.startswith(magic):
            return plugin
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        if int.from_bytes(data[4:8], "little") + 8 > len(data):
            raise ImageError("truncated")
        return WebPImagePlugin.WebPImageFile
    if data[:2] == b"BM" and data[15:18] == b"\0\0\0":  # the header's length; text may begin with BM
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
        from pi_heif import HeifImageFile  # optional, and of use for this format only
    except ImportError as error:
        raise ImageError('HEIC needs an extra: pip install "lookalike[heic]"', lasting=False) from error
    return cast("_Plugin", HeifImageFile)


def _scaled_key(key: Any, rawmode: str) -> Any:
    """The colour that stands for "transparent": Pillow scales the pixels of these modes, but not it."""
    scale = {"L;2": 85, "L;4": 17, "RGB;16B": 1 / 256}.get(rawmode)
    if scale is None:
        return key
    return tuple(int(value * scale) for value in key) if isinstance(key, tuple) else int(key * scale)
