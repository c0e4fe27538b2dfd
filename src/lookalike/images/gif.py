"""Opens GIF files, of which the first frame is the image."""

import io
from typing import Any

from PIL import GifImagePlugin, Image


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
    """Opens a GIF at its first frame."""
    image = GifImagePlugin.GifImageFile(io.BytesIO(data))
    # What the frame does not cover, Pillow fills with the transparent colour if there is one, else with the first.
    if not image.tile or image.tile[0].extents == (0, 0, *image.size) or "transparency" in image.info:
        return image
    partly = _PartlyCovered(io.BytesIO(data))
    partly.working_bytes = 9 * image.width * image.height
    return partly
