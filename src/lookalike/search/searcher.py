"""Turns query vectors into matches: ranks rows by their stored vectors, then looks up their images."""

from pathlib import Path

import numpy as np

from lookalike.errors import UsageError
from lookalike.results import Match
from lookalike.search.options import SearchOptions
from lookalike.search.snapshot import Snapshot, Snapshots
from lookalike.storage.checksums import check_rows, read_checked
from lookalike.storage.records import StoredImage
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import Vectors, unit


class Searcher:
    """Finds a collection's images by vectors. Threads may share it."""

    def __init__(self, snapshots: Snapshots, folder: Path) -> None:
        """`folder` is what the keys of the images are relative to."""
        self._snapshots, self._folder = snapshots, folder

    def by_vectors(self, queries: Vectors, options: SearchOptions) -> list[list[Match]]:
        """Finds, for each unit vector, float32 (n, dim), the images whose vectors have the largest cosine with it.

        Raises:
            UsageError: the vectors have another dimension, or the filter asks for an attribute that no image has.
            CorruptError: a vector that would have been returned is damaged.
        """
        with self._snapshots.current() as snapshot:
            return self._matches(snapshot, queries, options)

    def by_image(self, image_id: int, options: SearchOptions) -> tuple[Match, list[Match]]:
        """An image of the collection, and the images nearest to it, without itself.

        Raises:
            UsageError: there is no image of that number, or the filter asks for an attribute that no image has.
            CorruptError: a vector that would have been returned is damaged.
        """
        with self._snapshots.current() as snapshot:
            image = snapshot.catalog.image(image_id)
            if image is None:
                raise UsageError(f"there is no image with the id {image_id}")
            query = unit(read_checked(snapshot.catalog, snapshot.vectors, np.array([image.row])))
            [found] = self._matches(snapshot, query, options, extra=1)  # it finds itself
            others = [match for match in found if match.id != image_id]
            return self._match(image, 1.0), others[: options.k]

    def _matches(
        self, snapshot: Snapshot, queries: Vectors, options: SearchOptions, *, extra: int = 0
    ) -> list[list[Match]]:
        """The matches of each query, and a few extra ones."""
        scores, rows = snapshot.search(queries, options, extra=extra)
        limit = options.k + extra
        return [self._named(snapshot, found, near, options, limit) for found, near in zip(rows, scores, strict=True)]

    def _named(
        self, snapshot: Snapshot, rows: Rows, scores: Vectors, options: SearchOptions, limit: int
    ) -> list[Match]:
        """The images of these rows, in their order; all copies of an image share a row."""
        if options.min_score is not None:
            rows = rows[: np.searchsorted(-scores, -options.min_score, "right")]
        check_rows(snapshot.catalog, snapshot.vectors, rows)
        images = snapshot.catalog.images_of(rows.tolist(), where=options.where, limit=limit)
        score_of = dict(zip(rows.tolist(), scores.tolist(), strict=False))
        return [self._match(image, score_of[image.row]) for image in images]

    def _match(self, image: StoredImage, score: float) -> Match:
        # Stored vectors are rounded to half precision, which leaves their lengths within some 1e-4 of 1.
        cosine = min(max(score, -1.0), 1.0)
        path = self._folder / image.key
        return Match(image.id, image.key, path, cosine, image.label, image.width, image.height, image.attributes)
