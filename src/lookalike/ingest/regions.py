"""Brings the vectors of parts of the images up to date: reads, cuts and encodes the images that have none.

It runs behind the ingest of the images themselves, and goes on where an earlier run was stopped.
"""

import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from lookalike.encoders import Encoder
from lookalike.errors import ImageError
from lookalike.images.decode import MAX_PIXELS
from lookalike.images.region import parts
from lookalike.ingest.embedding import embed_all
from lookalike.ingest.pipeline import Progress, Report
from lookalike.ingest.suspects import UnderWay
from lookalike.storage.catalog import Catalog
from lookalike.storage.checksums import crc32s
from lookalike.storage.stored_regions import FileOfRow
from lookalike.storage.vectors import StoredVectors, VectorWriter

_COMMIT_SECONDS = 1.0
_WINDOW_PER_THREAD = 3  # images under way


@dataclass(frozen=True)
class Cut:
    """The row of an image and the vectors of its parts, half precision (per_image, dim), or None if it failed."""

    row: int
    stored: StoredVectors | None


class PartEmbedder:
    """Makes the vectors of the parts of an image. Threads may share it."""

    def __init__(
        self,
        encoder: Encoder,
        per_image: int,
        read: Callable[[FileOfRow], bytes],
        max_pixels: int = MAX_PIXELS,
        under_way: UnderWay | None = None,
    ) -> None:
        """Makes vectors with an encoder.

        Args:
            encoder: makes them.
            per_image: how many parts an image has.
            read: the bytes of a file that was indexed; it raises ImageError if it has changed or cannot be read.
            max_pixels: the most pixels of an image.
            under_way: is told what is decoded, and knows what to decode in a process of its own.
        """
        self.per_image = per_image
        self._encoder, self._read, self._max_pixels = encoder, read, max_pixels
        self._under_way = under_way or UnderWay(None, frozenset())

    def cut(self, row: int, files: Sequence[FileOfRow]) -> Cut:
        """The parts of an image, from the first of its files that can be read."""
        for file in files:
            try:
                return Cut(row, self._vectors(file))
            except ImageError:
                continue
        return Cut(row, None)

    def _vectors(self, file: FileOfRow) -> StoredVectors:
        data, is_suspect = self._read(file), file.key in self._under_way.suspects
        with self._under_way.decoding(file.key):
            images = parts(
                data, self.per_image, self._encoder.preprocessing, max_pixels=self._max_pixels, apart=is_suspect
            )
        return embed_all(self._encoder, images).astype(np.float16)


class RegionIngest:
    """Makes the vectors of parts of the images that have none yet. The caller holds the collection's lock."""

    def __init__(self, catalog: Catalog, writer: VectorWriter, embedder: PartEmbedder) -> None:
        """`writer` appends to the file of vectors of parts that the catalog names."""
        self._catalog, self._writer, self._embedder = catalog, writer, embedder

    def run(self, threads: int, progress: Callable[[Progress], None] | None = None, *, first_row: int = 0) -> Report:
        """Encodes the parts of all images that have none, or of those whose rows are not below `first_row`.

        Args:
            threads: the number of images to process at once.
            progress: called after each image; it may raise to stop the run: what was done by then is committed first.
            first_row: of the images to look at.

        Raises:
            StorageError: the disk is full or failing. What was committed before is there.
        """
        total, pending, counts = self._catalog.regions.without(first_row), list[Cut](), Counter[bool]()
        committed, start = 0, time.monotonic()
        committed_at = start
        try:
            for cut in self._all(threads, first_row):
                pending.append(cut)
                counts[cut.stored is not None] += 1
                if progress:
                    progress(Progress(counts.total(), total, 0, 0, committed, of_regions=True))
                if time.monotonic() - committed_at >= _COMMIT_SECONDS:
                    self._commit(pending)
                    committed, committed_at, pending = counts.total(), time.monotonic(), []
        finally:
            self._commit(pending)
        return Report(regions=counts[True], without_regions=counts[False], seconds=time.monotonic() - start)

    def _all(self, threads: int, first_row: int) -> Iterator[Cut]:
        """The parts of each image, in the order of the rows."""
        window: deque[Future[Cut]] = deque()
        pool = ThreadPoolExecutor(threads, "lookalike-regions")
        try:
            files = self._catalog.regions.files_without(first_row)
            for row, same in itertools.groupby(files, attrgetter("row")):
                window.append(pool.submit(self._embedder.cut, row, [*same]))
                if len(window) >= threads * _WINDOW_PER_THREAD:
                    yield window.popleft().result()
            while window:
                yield window.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _commit(self, cuts: list[Cut]) -> None:
        """Writes the vectors to the disk and then, in one commit, what they belong to."""
        found = [(cut.row, cut.stored) for cut in cuts if cut.stored is not None]
        if not found:
            return
        rows, stored = zip(*found, strict=True)
        vectors = np.concatenate(stored)
        place = self._writer.count // self._embedder.per_image
        self._writer.append(vectors)
        with self._catalog.writing() as transaction:
            transaction.regions.add(rows, place, [crc32s(each) for each in stored])
        self._writer.committed()
