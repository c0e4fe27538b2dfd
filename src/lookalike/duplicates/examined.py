"""A collection whose copies are looked for, with the numbers of its kept pictures."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.errors import ImageError, NoImageError
from lookalike.images.decode import ImageSource
from lookalike.results import IndexedImage
from lookalike.search.snapshot import Snapshot
from lookalike.storage.catalog import Catalog
from lookalike.storage.kept_pictures import KeptPictures
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import single, unit

_AT_ONCE = 10_000  # images that are looked up together


@dataclass(frozen=True)
class Examined:
    """A collection whose copies are looked for.

    Attributes:
        snapshot: the state.
        image_of: looks up an image by its id; raises NoImageError if it is gone meanwhile.
        images_of: looks up those images of many ids that are not gone meanwhile.
        read: reads the file of an image by its id; raises ImageError or NoImageError if that cannot be.
    """

    snapshot: Snapshot
    image_of: Callable[[int], IndexedImage]
    images_of: Callable[[Sequence[int]], list[IndexedImage]]
    read: Callable[[int], ImageSource]


class Numbered:
    """A collection with the numbers of its pictures. Images with the same bytes share a row, and so a picture.

    Attributes:
        snapshot: the state.
        rows: int64 (n,), the rows of its images.
        numbers: of the picture of each row.
        row_of: the row by the number.
    """

    def __init__(self, examined: Examined, kept: KeptPictures) -> None:
        self.snapshot, self._examined = examined.snapshot, examined
        self._looked_up: dict[int, IndexedImage] = {}
        self._ids: dict[int, list[int]] = defaultdict(list)
        for image_id, row, _ in self.catalog.live_images():
            self._ids[row].append(image_id)
        live = set(self.snapshot.live.rows().tolist())
        hashes = {row: hash_ for row, hash_ in self.catalog.live_hashes().items() if row in live and row in self._ids}
        self.rows: Rows = np.fromiter(hashes, np.int64, len(hashes))
        numbers = kept.numbers(hashes.values())
        self.numbers = dict(zip(hashes, numbers, strict=True))
        self.row_of = dict(zip(numbers, hashes, strict=True))

    @property
    def catalog(self) -> Catalog:
        """The catalog."""
        return self.snapshot.catalog

    @property
    def images(self) -> int:
        """The number of images."""
        return sum(len(self._ids[row]) for row in self.numbers)

    def ids(self, number: int) -> list[int]:
        """The ids of the images with that picture, in order."""
        return self._ids[self.row_of[number]]

    def look_up(self, numbers: Iterable[int]) -> None:
        """Looks up all images with these pictures, which is quicker than one after another, for `image_of`."""
        ids = [image_id for number in numbers for image_id in self.ids(number)]
        for start in range(0, len(ids), _AT_ONCE):
            self._looked_up |= {image.id: image for image in self._examined.images_of(ids[start : start + _AT_ONCE])}

    def image_of(self, image_id: int) -> IndexedImage:
        """An image.

        Raises:
            NoImageError: it is gone meanwhile.
        """
        return self._looked_up.get(image_id) or self._examined.image_of(image_id)

    def original(self, number: int) -> ImageSource | None:
        """The file of an image with that picture; None if there is none that can be read."""
        for image_id in self.ids(number) if number in self.row_of else ():
            try:
                return self._examined.read(image_id)
            except (ImageError, NoImageError):
                continue
        return None

    def cosine(self, one: int, other: int) -> float:
        """The cosine of two pictures' vectors."""
        rows = np.array([self.row_of[one], self.row_of[other]])
        first, second = unit(single(self.snapshot.vectors.stored(rows)))
        return float(first @ second)
