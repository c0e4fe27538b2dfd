"""From unit vectors to matches: the vectors rank, the catalog names."""

import itertools
import operator
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lookalike.errors import CorruptError, UsageError
from lookalike.filters import Where
from lookalike.index import tuning
from lookalike.results import Match
from lookalike.search.snapshot import Snapshot, Snapshots
from lookalike.storage.catalog import StoredImage
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import Vectors, checksums, unit

_ALL = 2**31  # more than there can be, and less than FAISS and SQLite can count


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        k: how many images, at least 1.
        min_score: what scores less is left out.
        where: which images may be found.
        exact: whether to compare with every vector.
        recall: the share of the k nearest that are to be found, in (0, 1]; None for what the index promises.

    Raises:
        UsageError: k is not positive, or the recall is no share.
    """

    k: int
    min_score: float | None = None
    where: Where | None = None
    exact: bool = False
    recall: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", _at_least_one(self.k))
        if self.recall is not None:
            tuning.check_recall(self.recall)


class Searcher:
    """Finds a collection's images by their vectors. Threads may share it."""

    def __init__(self, snapshots: Snapshots, folder: Path) -> None:
        self._snapshots, self._catalog, self._folder = snapshots, snapshots.catalog, folder

    def of_vectors(self, queries: Vectors, request: Request) -> list[list[Match]]:
        """For each unit vector, (n, dim), the k images whose vectors have the largest inner product with it.

        Raises:
            UsageError: the vectors have another dimension, or no image has an attribute that is asked for.
            CorruptError: a vector that would have come back is damaged.
        """
        return self._snapshots.run(lambda snapshot: self._of_vectors(snapshot, queries, request))

    def of_image(self, image_id: int, request: Request) -> tuple[Match, list[Match]]:
        """An image of the collection, and the k others that are nearest to it.

        Raises:
            UsageError: there is no image with that id, or no image has an attribute that is asked for.
            CorruptError: a vector that would have come back is damaged.
        """

        def find(snapshot: Snapshot) -> tuple[Match, list[Match]]:
            image = self._catalog.image(image_id)
            if image is None:
                raise UsageError(f"there is no image with the id {image_id}")
            row = np.array([image.row])
            self._check(snapshot, row)
            query = snapshot.reader.stored(row, count=snapshot.state.count)
            # It finds itself among them, as the queries do by which recall is measured.
            one_more = replace(request, k=request.k + 1)
            [found] = self._of_vectors(snapshot, unit(query), one_more, depth=request.k)
            others = [match for match in found if match.id != image_id]
            return self._match(image, 1.0), others[: request.k]

        return self._snapshots.run(find)

    def _of_vectors(
        self, snapshot: Snapshot, queries: Vectors, request: Request, *, depth: int | None = None
    ) -> list[list[Match]]:
        row_set = self._snapshots.row_set(snapshot, request.where)
        effort = snapshot.effort(depth or request.k, row_set, recall=request.recall, exact=request.exact)
        scores, rows = snapshot.nearest(queries, request.k, row_set, effort)
        return [
            list(itertools.islice(self._matches(snapshot, found, near, request), request.k))
            for found, near in zip(rows, scores, strict=True)
        ]

    def _matches(self, snapshot: Snapshot, rows: Rows, scores: Vectors, request: Request) -> Iterator[Match]:
        """The images of these rows, in their order; all copies of an image share a row."""
        good = len(rows) if request.min_score is None else int(np.searchsorted(-scores, -request.min_score, "right"))
        self._check(snapshot, rows[:good])
        for row, score in zip(rows[:good].tolist(), scores.tolist(), strict=False):
            for image in self._catalog.images_of(row, where=request.where, limit=request.k):
                yield self._match(image, score)

    def _check(self, snapshot: Snapshot, rows: Rows) -> None:
        """Refuses vectors that are not what was written."""
        named = self._catalog.crc32s_of(rows.tolist())
        stored = checksums(snapshot.reader.stored(rows, count=snapshot.state.count))
        for row, crc32 in zip(rows.tolist(), stored, strict=True):
            if named.get(row) != crc32:
                raise CorruptError(f"{snapshot.reader.path}: the vector in row {row} is damaged")

    def _match(self, image: StoredImage, score: float) -> Match:
        # Stored vectors are rounded to half precision, which leaves their lengths within some 1e-4 of 1.
        cosine = min(max(score, -1.0), 1.0)
        path = self._folder / image.key
        return Match(image.id, image.key, path, cosine, image.label, image.width, image.height, image.attributes)


def _at_least_one(k: int) -> int:
    try:
        number = min(operator.index(k), _ALL)
    except TypeError:
        raise UsageError(f"k={k!r}: give a whole number") from None
    if number < 1:
        raise UsageError(f"k={k}: ask for at least 1")
    return number
