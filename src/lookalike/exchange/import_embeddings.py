"""Fills a new collection with embeddings that were made elsewhere."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError
from lookalike.exchange import naming
from lookalike.exchange.sources import Batch, Source
from lookalike.images.reading import FileStatus, read
from lookalike.sources import keys
from lookalike.storage import unread
from lookalike.storage.bulk import NewImages
from lookalike.storage.checksums import crc32s
from lookalike.storage.making import NewCollection
from lookalike.storage.vectors import StoredVectors, stored_units
from lookalike.system.resources import cores

_MOST_NAMED = 5  # rows that were skipped, in a report
_NO_NAME = "no name of an image"
_NO_KEY = "the name is no possible path"
_NO_VECTOR = "the embedding is zero or not finite"
_MISSING = "there is no embedding"
_TWICE = "another row has that name"

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class SkippedRow:
    """A row that was left out: its number from 0 on in all files together, the image that it names, and the reason."""

    row: int
    name: str
    reason: str


@dataclass(frozen=True)
class ImportReport:
    """What an import has made.

    Attributes:
        directory: of the new collection.
        model: the name of the model that it belongs to.
        images: the number of images.
        vectors: the number of vectors: images of the same file share one.
        verified: the number of images whose files are known by their SHA-256, so that they can be shown.
        column: the column that names the images; "" without a table.
        attributes: the columns that have become attributes.
        left_out: the columns that could not, each with the reason.
        skipped: the number of rows that were left out, by reason.
        first_skipped: the first five of them.
        seconds: how long it took.
    """

    directory: Path
    model: str
    images: int
    vectors: int
    verified: int
    column: str
    attributes: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    skipped: dict[str, int]
    first_skipped: tuple[SkippedRow, ...]
    seconds: float


class Import:
    """One import into a new collection."""

    def __init__(
        self,
        collection: NewCollection,
        source: Source,
        folder: Path,
        *,
        hash_files: bool,
        progress: Callable[[int], None],
    ) -> None:
        """Prepares it.

        Args:
            collection: is filled.
            source: has the rows.
            folder: that relative names are relative to.
            hash_files: whether the files of the images are read, as far as they are there, so that they can be shown.
            progress: is called with the number of rows that are done.
        """
        self._collection, self._source, self._folder = collection, source, folder
        self._hash_files, self._progress = hash_files, progress
        self._done, self._verified, self._stand_ins = 0, 0, unread.stand_ins()
        self._skipped, self._first = Counter[str](), list[SkippedRow]()

    def run(self, directory: Path, model: str) -> ImportReport:
        """Adds all rows; `directory` and `model` are told in the report.

        Raises:
            UsageError: a file cannot be read.
            StorageError: the disk is full or failing.
        """
        begin = time.monotonic()
        for batch, (stored, is_vector) in _ahead(_scaled, self._source.batches()):
            self._add(batch, stored, is_vector)
            self._progress(self._done)
        layout = self._source.layout
        return ImportReport(
            directory,
            model,
            self._collection.images,
            self._collection.rows,
            self._verified,
            layout.key,
            layout.attributes,
            layout.left_out,
            dict(self._skipped.most_common()),
            tuple(self._first),
            time.monotonic() - begin,
        )

    def _add(self, batch: Batch, stored: StoredVectors, is_vector: NDArray[np.bool_]) -> None:
        layout, rows = self._source.layout, batch.rows
        names, prefix = rows.cells[layout.key], naming.folder_of(self._folder)
        keys = [naming.key_of(name, prefix) for name in names]
        bad = [place for place, key in enumerate(keys) if key is None]
        bad += [place for place in np.flatnonzero(~is_vector).tolist() if keys[place] is not None]
        for place in bad:
            self._skip(place, names[place], self._reason(batch, place, keys[place]))
        given = [key or "" for key in keys]
        attributes = naming.attributes(layout, rows)
        hashes, statuses = self._hashes(given, naming.sha256s(layout, rows))
        images = NewImages(
            given,
            hashes,
            crc32s(stored),
            naming.labels(given, attributes),
            naming.sides(layout.width, rows),
            naming.sides(layout.height, rows),
            attributes,
            statuses,
        )
        places: Sequence[int] = range(len(given))
        if bad:
            left = set(bad)
            places = [place for place in places if place not in left]
            images, stored = images.only(places), stored[places]
        added = self._collection.add(images, stored)
        for place in added.refused:
            self._skip(places[place], given[places[place]], _TWICE)
        refused = set(added.refused)
        self._verified += sum(
            unread.is_known(hash_) for place, hash_ in enumerate(images.hashes) if place not in refused
        )
        self._done += len(given)

    def _hashes(
        self, keys: Sequence[str], known: Sequence[bytes | None]
    ) -> tuple[list[bytes], list[FileStatus] | None]:
        """The SHA-256s of the files, or what stands for them, and their status where they were read."""
        if not self._hash_files:
            return [known_ or next(self._stand_ins) for known_ in known], None
        now_ns = time.time_ns()
        with ThreadPoolExecutor(cores()) as pool:
            files = list(pool.map(lambda key: _hashed(self._folder, key, now_ns), keys))
        pairs = zip(files, known, strict=True)
        hashes = [found[0] if found else known_ or next(self._stand_ins) for found, known_ in pairs]
        return hashes, [found[1] if found else unread.STATUS for found in files]

    def _reason(self, batch: Batch, place: int, key: str | None) -> str:
        if key is None:
            name = batch.rows.cells[self._source.layout.key][place]
            return _NO_NAME if name is None or not str(name).strip() else _NO_KEY
        lengths = batch.rows.lengths
        if lengths is None or lengths[place] == self._source.dim:
            return _NO_VECTOR
        if lengths[place] < 0:
            return _MISSING
        return f"the embedding has {lengths[place]:,} numbers instead of {self._source.dim:,}"

    def _skip(self, place: int, name: object, reason: str) -> None:
        self._skipped[reason] += 1
        if len(self._first) < _MOST_NAMED:
            self._first.append(SkippedRow(self._done + place, "" if name is None else str(name), reason))


def _scaled(batch: Batch) -> tuple[StoredVectors, NDArray[np.bool_]]:
    return stored_units(batch.embeddings)


def _hashed(folder: Path, key: str, now_ns: int) -> tuple[bytes, FileStatus] | None:
    """The SHA-256 and the status of the file of an image; None if it cannot be read."""
    if key and not keys.is_url(key):
        with suppress(ImageError):
            found = read(folder / key)
            return hashlib.sha256(found.data).digest(), found.status.settled(now_ns)
    return None


def _ahead(work: Callable[[_Item], _Result], items: Iterator[_Item]) -> Iterator[tuple[_Item, _Result]]:
    """Yields each item and the result of the work on it; the next item is fetched and worked on meanwhile."""

    def fetch() -> tuple[_Item, _Result] | None:
        item: Any = next(items, None)
        return None if item is None else (item, work(item))

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(fetch)
        while (found := waiting.result()) is not None:
            waiting = pool.submit(fetch)
            yield found
