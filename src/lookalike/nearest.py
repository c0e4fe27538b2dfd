"""From unit vectors to matches: the vectors rank, the catalog names."""

import itertools
import operator
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lookalike.catalog import Catalog, StoredImage
from lookalike.errors import CorruptError, UsageError
from lookalike.match import Match
from lookalike.vectors import Rows, VectorReader, Vectors, checksums

_CHECKED_ROWS = 4096  # read at a time
_ALL = 2**31  # more than there can be, and less than FAISS and SQLite can count


class Neighbours:
    """Finds a collection's images by their vectors. Threads may share it."""

    def __init__(self, catalog: Catalog, reader: VectorReader, folder: Path) -> None:
        self._catalog, self._reader, self._folder = catalog, reader, folder
        self._dead: tuple[int, Rows] = (-1, np.empty(0, np.int64))  # as of which change of the catalog

    def of_vectors(self, queries: Vectors, k: int, min_score: float | None) -> list[list[Match]]:
        """For each unit vector, (n, dim), the k images whose vectors have the largest inner product with it.

        Raises:
            UsageError: k is not positive, or the vectors have another dimension.
            CorruptError: a vector that would have come back is damaged.
        """
        k = _at_least_one(k)
        with self._catalog.reading():
            count = self._catalog.count()
            scores, rows = self._reader.search(queries, k, count=count, dead=self._dead_rows())
            return [
                list(itertools.islice(self._matches(found, near, count, k, min_score), k))
                for found, near in zip(rows, scores, strict=True)
            ]

    def of_image(self, image_id: int, k: int, min_score: float | None) -> tuple[Match, list[Match]]:
        """An image of the collection, and the k others that are nearest to it.

        Raises:
            UsageError: there is no image with that id, or k is not positive.
            CorruptError: a vector that would have come back is damaged.
        """
        k = _at_least_one(k)
        with self._catalog.reading():
            image = self._catalog.image(image_id)
            if image is None:
                raise UsageError(f"there is no image with the id {image_id}")
            query = self._reader.stored(np.array([image.row]), count=self._catalog.count())
            self._check(image.row, *checksums(query))
        [found] = self.of_vectors(query.astype(np.float32), k + 1, min_score)
        others = [match for match in found if match.id != image_id]
        return self._match(image, 1.0), others[:k]

    def damages(self) -> Iterator[str]:
        """Reads every vector, and names those that are not what was written."""
        count = self._catalog.count()  # rows never change, so no one state needs to be held on to, which stops a writer
        for start in range(0, count, _CHECKED_ROWS):
            rows = np.arange(start, min(start + _CHECKED_ROWS, count))
            named = self._catalog.crc32s(start, start + len(rows))
            for row, crc32 in enumerate(checksums(self._reader.stored(rows, count=count)), start):
                if named.get(row) != crc32:
                    yield f"{self._reader.path}: the vector in row {row} is damaged"

    def _matches(self, rows: Rows, scores: Vectors, count: int, k: int, min_score: float | None) -> Iterator[Match]:
        """The images of these rows, in their order; all copies of an image share a row."""
        found = checksums(self._reader.stored(rows, count=count))
        for row, score, crc32 in zip(rows.tolist(), scores.tolist(), found, strict=True):
            if min_score is not None and score < min_score:
                return
            self._check(row, crc32)
            for image in self._catalog.images_of(row, limit=k):
                yield self._match(image, score)

    def _check(self, row: int, crc32: int) -> None:
        if self._catalog.crc32(row) != crc32:
            raise CorruptError(f"{self._reader.path}: the vector in row {row} is damaged")

    def _match(self, image: StoredImage, score: float) -> Match:
        # Stored vectors are rounded to half precision, which leaves their lengths within some 1e-4 of 1.
        cosine = min(max(score, -1.0), 1.0)
        return Match(image.id, image.key, self._folder / image.key, cosine, image.label, image.width, image.height)

    def _dead_rows(self) -> Rows:
        """The rows to leave out, read again only where something has changed."""
        known, changes = self._dead, self._catalog.changes()
        if known[0] != changes:  # another thread may be doing the same, as of another change
            known = self._dead = changes, np.array(self._catalog.dead_rows(), np.int64)
        return known[1]


def _at_least_one(k: int) -> int:
    try:
        number = min(operator.index(k), _ALL)
    except TypeError:
        raise UsageError(f"k={k!r}: give a whole number") from None
    if number < 1:
        raise UsageError(f"k={k}: ask for at least 1")
    return number
