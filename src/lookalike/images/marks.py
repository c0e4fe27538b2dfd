"""Marks near the start of the files that Lookalike writes, by which it recognizes them later.

In a JPEG the mark is a comment, in a PNG a text chunk; the pixels are not changed.
"""

import os
import stat
from typing import Any, Literal

DRAWING = b"Drawn by lookalike.demo"
SHEET = b"Contact sheet by Lookalike"
_START = 256  # bytes of a file, from its first, that are searched for a mark


def image_options(image_format: Literal["JPEG", "PNG"], mark: bytes) -> dict[str, Any]:
    """Returns the keyword arguments of Pillow's `Image.save` that write a mark."""
    if image_format == "JPEG":
        return {"comment": mark}
    from PIL.PngImagePlugin import PngInfo  # reading marks needs no Pillow

    chunks = PngInfo()
    chunks.add_text("Comment", mark.decode("ascii"))
    return {"pnginfo": chunks}


def has_mark(data: bytes, *marks: bytes) -> bool:
    """Returns whether a file that begins with these bytes has one of the marks."""
    start = data[:_START]
    return any(mark in start for mark in marks)


def read_start(path: str | os.PathLike[str]) -> bytes:
    """Reads as much of a regular file as `has_mark` needs, without ever waiting for a pipe or a device.

    Raises:
        OSError: the file cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        return os.read(handle, _START) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)
