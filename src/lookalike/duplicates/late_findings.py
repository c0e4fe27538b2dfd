"""Keeps what is found while copies are grouped, many findings at a time.

Each transaction waits for the disk, some 10 ms, and of 100,000 images ten thousand files are read again.
"""

from lookalike.duplicates.comparing import Scored
from lookalike.storage.kept_pictures import ComparedPair, KeptPictures

_MANY = 1000  # findings that are kept together


class LateFindings:
    """The pixels of images and pairs of pictures, as they are kept or have been found since."""

    def __init__(self, kept: KeptPictures) -> None:
        self._kept = kept
        self._pixels = kept.all_pixels()
        self._new_pixels = dict[int, bytes]()
        self._new_pairs = dict[tuple[int, int], ComparedPair]()

    def pixels(self, number: int) -> bytes | None:
        """The SHA-256 of the pixels of an image; None until it is found."""
        return self._pixels.get(number)

    def add_pixels(self, number: int, pixels: bytes) -> None:
        """Adds the SHA-256 of the pixels of an image."""
        self._pixels[number] = self._new_pixels[number] = pixels
        self._keep_many()

    def pair(self, first: int, second: int) -> ComparedPair | None:
        """What is known of two pictures, in either order."""
        return self._new_pairs.get((min(first, second), max(first, second))) or self._kept.pair(first, second)

    def add_pair(self, scored: Scored, cosine: float) -> ComparedPair:
        """Adds a comparison of two pictures that were no candidates."""
        first, second, score, found = scored
        pair = self._new_pairs[first, second] = ComparedPair(first, second, cosine, score, found)
        self._keep_many()
        return pair

    def _keep_many(self) -> None:
        if len(self._new_pixels) + len(self._new_pairs) >= _MANY:
            self.keep()

    def keep(self) -> None:
        """Keeps what has been found."""
        pairs = self._new_pairs.values()
        self._kept.add_pairs((each.first, each.second, each.cosine) for each in pairs)
        self._kept.keep_scores((each.first, each.second, each.score or 0.0, each.found) for each in pairs)
        self._kept.keep_pixels(self._new_pixels)
        self._new_pixels.clear()
        self._new_pairs.clear()
