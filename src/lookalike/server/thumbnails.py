"""Thumbnails: drawn anew from the images, so that nothing but pixels reaches a browser, and kept for a while."""

import io
import threading
from collections import OrderedDict

from lookalike.images.decode import thumbnail

SIDES = (128, 256, 512, 1024, 2048)  # pixels of the longer side; a few, so that the cache serves everybody
_QUALITY = 82  # of a JPEG, on Pillow's scale up to 95


class ThumbnailCache:
    """The thumbnails that were asked for last, by the image's SHA-256 and the side. Threads may share it."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._kept: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, sha256: bytes, side: int) -> bytes | None:
        """A thumbnail that is kept, or None."""
        with self._lock:
            found = self._kept.get((sha256, side))
            if found is not None:
                self._kept.move_to_end((sha256, side))
            return found

    def put(self, sha256: bytes, side: int, drawn: bytes) -> None:
        """Keeps a thumbnail, and lets go of those that nobody has asked for longest."""
        with self._lock:
            self._bytes += len(drawn) - len(self._kept.pop((sha256, side), b""))
            self._kept[sha256, side] = drawn
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._kept.popitem(last=False)[1])


def draw(data: bytes, side: int, max_pixels: int) -> bytes:
    """The thumbnail of an image file, as a JPEG that has nothing but pixels.

    Raises:
        ImageError: the image cannot be used.
    """
    buffer = io.BytesIO()
    thumbnail(data, side, max_pixels=max_pixels).save(buffer, "JPEG", quality=_QUALITY, progressive=side > SIDES[1])
    return buffer.getvalue()
