"""Marks near the start of the files that Lookalike writes, by which it recognizes them later.

In a JPEG the mark is a comment, in a PNG a text chunk; the pixels are not changed.
"""

from typing import Any, Literal

DRAWING = b"Drawn by lookalike.demo"
SHEET = b"Contact sheet by Lookalike"
START = 256  # bytes of a file, from its first, that are searched for a mark


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
    start = data[:START]
    return any(mark in start for mark in marks)
