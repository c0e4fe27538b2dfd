"""Turns whatever a decoder raises into an ImageError with a short reason, and keeps decoders from printing."""

import ctypes
import functools
import logging
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from PIL import Image, _imaging

from lookalike.errors import ImageError, UsageError
from lookalike.system import forks

_TRUNCATED = ("truncated", "end of file", "insufficient input data", "not enough image data")
# What decoders say of a sound image that they do not know how to decode.
_NOT_READ = ("unsupported", "not supported", "unimplemented", "not implemented", "cannot handle")


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
    truncated = any(phrase in text.lower() for phrase in _TRUNCATED)
    # Pillow turns these errors, which a header that ends too early raises, into a SyntaxError.
    if truncated or isinstance(error.__cause__, (EOFError, IndexError, struct.error)):
        return "truncated"
    if any(phrase in text.lower() for phrase in _NOT_READ):
        return f"an unusual kind of image that is not read: {text[:80]}"
    if "not identified by this driver" in text:  # Pillow says so if the size is 0, or the kind of pixels is unknown
        return "damaged: no width, no height, or no known kind of pixels"
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
LIBTIFF_MUTED = _WhileAny(_mute_libtiff, _unmute_libtiff)
