"""Opens GIF files, of which the first frame is the image."""

import io
from typing import Any

from PIL import GifImagePlugin, Image

from lookalike.errors import ImageError

_MOST_BLOCKS = 500_000


class _PartlyCovered(GifImagePlugin.GifImageFile):
    """A GIF whose first frame covers a part of its canvas only: the rest is transparent, and so white.

    Attributes:
        working_bytes: the memory that decoding takes besides the pixels.
    """

    working_bytes = 0

    def load(self) -> Any:
        if self.tile:
            box = self.tile[0].extents
            super().load()
            whole = Image.new("RGB", self.size, "white")
            whole.paste(self.crop(box).convert("RGB"), box)
            self.im, self._mode, self.palette = whole.im, whole.mode, None
        return super().load()


def open_gif(data: bytes) -> GifImagePlugin.GifImageFile:
    """Opens a GIF at its first frame.

    Raises:
        ImageError: very many blocks are before it.
    """
    _check_blocks(data)
    image = GifImagePlugin.GifImageFile(io.BytesIO(data))
    # What the frame does not cover, Pillow fills with the transparent colour if there is one, else with the first.
    if not image.tile or image.tile[0].extents == (0, 0, *image.size) or "transparency" in image.info:
        return image
    partly = _PartlyCovered(io.BytesIO(data))
    partly.working_bytes = 9 * image.width * image.height
    return partly


def _check_blocks(data: bytes) -> None:
    """Raises an ImageError if there are so many blocks before the first frame that Pillow reads them for minutes.

    Blocks and their parts are those of GIF89a, 15 to 26.
    """
    at = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 128 else 0)
    is_part = False
    for _ in range(_MOST_BLOCKS):
        kind = data[at : at + 1]
        if is_part:
            is_part = kind not in (b"", b"\0")
            at += kind[0] + 1 if kind else 0
        elif kind in (b"", b",", b";"):
            return
        else:  # an extension, of which a byte tells the kind, or a byte that Pillow skips
            is_part = kind == b"!"
            at += 2 if is_part else 1
    raise ImageError(f"damaged: a GIF with more than {_MOST_BLOCKS:,} blocks before its image")
