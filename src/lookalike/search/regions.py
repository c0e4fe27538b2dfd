"""The vectors of parts of the images, and the images that they belong to."""

import threading
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np

from lookalike.search.searchable import SearchableVectors
from lookalike.storage.rows import Rows, RowSet
from lookalike.system import forks


@dataclass(frozen=True, kw_only=True)
class SearchableRegions(SearchableVectors):
    """What searches need of the vectors of parts of the images. Threads may share it.

    Attributes:
        images: the rows of whole images that may be found.
        per_image: how many parts an image has.
        image_rows: the row of the whole image for each place, -1 where it is of none: int64 (places,).
    """

    images: RowSet
    per_image: int
    image_rows: Rows = field(compare=False, repr=False)
    _row_sets: "WeakKeyDictionary[RowSet, RowSet]" = field(default_factory=WeakKeyDictionary, compare=False, repr=False)
    _lock: threading.Lock = field(default_factory=forks.lock, compare=False, repr=False)

    def row_set(self, images: RowSet) -> RowSet:
        """The parts of some images, as rows of this file; `images` are rows of the file of whole images."""
        if images is self.images:
            return self.live
        with self._lock:
            if images not in self._row_sets:
                self._row_sets[images] = parts_of(images, self.image_rows, self.per_image)
            return self._row_sets[images]

    def images_of(self, rows: Rows) -> Rows:
        """The rows of the whole images that these rows are parts of."""
        return self.image_rows[rows // self.per_image]

    def numbers_of(self, rows: Rows) -> Rows:
        """Which parts of their images these rows are, from 0 on."""
        return rows % self.per_image


def parts_of(images: RowSet, image_rows: Rows, per_image: int) -> RowSet:
    """The rows of the parts of some images.

    Args:
        images: rows of whole images.
        image_rows: the row of the whole image for each place, -1 where it is of none: int64 (places,).
        per_image: how many rows each place has.
    """
    is_wanted = np.zeros(len(image_rows), bool)
    is_known = image_rows >= 0
    is_wanted[is_known] = images.mask()[image_rows[is_known]]
    return RowSet.of(np.repeat(is_wanted, per_image))
