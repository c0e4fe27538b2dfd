"""Keeps the hashes of pixels that are found while copies are grouped, many at a time.

Each transaction waits for the disk, some 10 ms, and of 100,000 images ten thousand files are read again.
"""

from lookalike.storage.kept_pictures import KeptPictures

_MANY = 1000  # hashes that are kept together


class PixelHashes:
    """The SHA-256s of the pixels of images by the numbers of their pictures, as they are kept or were found since."""

    def __init__(self, kept: KeptPictures) -> None:
        self._kept = kept
        self._known = kept.all_pixels()
        self._new = dict[int, bytes]()

    def of(self, number: int) -> bytes | None:
        """That of an image; None until it is found."""
        return self._known.get(number)

    def add(self, number: int, pixels: bytes) -> None:
        """Adds that of an image."""
        self._known[number] = self._new[number] = pixels
        if len(self._new) >= _MANY:
            self.keep()

    def keep(self) -> None:
        """Keeps what has been found."""
        self._kept.keep_pixels(self._new)
        self._new.clear()
