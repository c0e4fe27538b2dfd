"""The file of vectors mapped into memory, for exact search and for reading single rows."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from lookalike.errors import CorruptError, UsageError
from lookalike.storage import files, vectors
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import STORED, StoredVectors, Vectors
from lookalike.system import durable

# A header that is read while it is being written may be inconsistent; reading it again helps.
_ATTEMPTS = 5
_BETWEEN_ATTEMPTS_S = 0.01
# From so many queries on, they are compared as a matrix: each stored number is then converted only once.
_MANY = 32
_BLOCK_VALUES = 16_000_000  # numbers converted at a time: 64 MB in single precision


class ExactVectors(Protocol):
    """Stored vectors that can be read, and searched exactly; see `MappedVectors`, which are those of a file."""

    @property
    def path(self) -> Path:
        """Where they are."""

    def stored(self, rows: Rows) -> StoredVectors:
        """A copy of these rows, half precision, (n, dim)."""

    def search(self, queries: Vectors, k: int, row_set: RowSet) -> tuple[Vectors, Rows]:
        """Finds the k rows with the largest inner product for each query, best first."""


@dataclass(frozen=True)
class Part:
    """A range of rows as an exact FAISS index of its own, without a copy of them."""

    start: int
    stop: int
    faiss: Any


class MappedVectors:
    """The file of vectors as it was when it was mapped. Any number of threads may share it.

    The mapping outlives the file: it stays valid when the file is replaced, removed, or appended to.

    Attributes:
        path: the file.
        dim: the dimension of the vectors.
        count: the number of rows in the file, which may be more than have been committed.
    """

    def __init__(self, path: Path, dim: int, count: int) -> None:
        """Maps a file with at least `count` rows.

        Raises:
            CorruptError: the file is missing, damaged, or holds fewer rows.
            StorageError: it cannot be read.
        """
        vectors.survive_forks()
        self.path, self.dim = path, dim
        self._index, self._file = _mapped_index(path, dim)
        self.count = int(self._index.ntotal)
        if self.count < count:
            raise CorruptError(f"{path}: it holds {self.count} of its {count} vectors")
        size = self.count * dim * STORED.itemsize
        codes = faiss.rev_swig_ptr(self._index.codes.data(), size) if size else np.empty(0, np.uint8)
        self._rows: StoredVectors = codes.view(STORED).reshape(self.count, dim)
        self._parts: dict[int, Part] = {}

    def is_current(self) -> bool:
        """Whether the mapped file is still the one at its path."""
        try:
            return _identity(self.path.stat()) == self._file
        except OSError:
            return False

    def stored(self, rows: Rows) -> StoredVectors:
        """A copy of these rows as the file holds them: half precision, (n, dim)."""
        return self._rows[rows]

    def part(self, start: int, stop: int) -> Part:
        """The rows from `start` up to and without `stop`, as an index that keeps the mapping alive."""
        part = self._parts.get(start)
        if part is None or part.stop != stop:
            part = self._parts[start] = Part(start, stop, self._view(start, stop))
        return part

    def search(self, queries: Vectors, k: int, row_set: RowSet, *, start: int = 0) -> tuple[Vectors, Rows]:
        """Finds the k rows with the largest inner product for each query, best first.

        Args:
            queries: unit vectors, (n, dim).
            k: at least 1; if there are fewer rows, all of them come back.
            row_set: the rows that may be found.
            start: the first row to compare with.

        Returns:
            Scores, float32 (n, k'), and rows, int64 (n, k'), with k' the smaller of k and the number of such rows.

        Raises:
            UsageError: the queries have another dimension.
            CorruptError: the file holds numbers that are not finite.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise UsageError(f"a query of shape {queries.shape} does not match vectors of {self.dim} dimensions")
        k = min(k, row_set.size_within(start, row_set.count) if start else row_set.size)
        if k <= 0 or not len(queries):
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        if len(queries) >= _MANY:
            return self._search_many(np.ascontiguousarray(queries, np.float32), k, row_set, start)
        part = self.part(start, row_set.count)
        bitmap = row_set.bitmap(start, row_set.count)
        parameters = None if bitmap is None else faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))
        with vectors.faiss_threads(len(queries)):
            scores, rows = part.faiss.search(np.ascontiguousarray(queries, np.float32), k, params=parameters)
        self._refuse_missing(rows)
        return scores, rows + start

    def _search_many(self, queries: Vectors, k: int, row_set: RowSet, start: int) -> tuple[Vectors, Rows]:
        """The same for many queries, by matrix products."""
        best = faiss.ResultHeap(len(queries), k, keep_max=True)
        rows = row_set.rows()
        rows = rows[np.searchsorted(rows, start) :]
        step = max(_BLOCK_VALUES // self.dim, 1)
        for offset in range(0, len(rows), step):
            block = rows[offset : offset + step]
            scores, found = faiss.knn(
                queries, vectors.single(self.stored(block)), min(k, len(block)), faiss.METRIC_INNER_PRODUCT
            )
            self._refuse_missing(found)
            best.add_result(scores, block[found])
        best.finalize()
        return best.D, best.I

    def _refuse_missing(self, rows: Rows) -> None:
        if (rows < 0).any():  # FAISS found fewer, since nothing compares with NaN
            raise CorruptError(f"{self.path}: there are vectors in it that are not finite")

    def _view(self, start: int, stop: int) -> Any:
        view = vectors.empty_index(self.dim)
        codes: NDArray[np.uint8] = self._rows[start:stop].reshape(-1).view(np.uint8)
        owner = self._index.codes.owner  # which unmaps the file when the last of them goes
        view.codes = faiss.MaybeOwnedVectorUInt8.create_view(faiss.swig_ptr(codes), codes.nbytes, owner)
        view.ntotal = stop - start
        return view


def _mapped_index(path: Path, dim: int) -> tuple[Any, tuple[int, int]]:
    for _ in range(_ATTEMPTS - 1):
        try:
            return _map(path, dim)
        except CorruptError:
            time.sleep(_BETWEEN_ATTEMPTS_S)
    return _map(path, dim)


def _map(path: Path, dim: int) -> tuple[Any, tuple[int, int]]:
    """The FAISS index of a file, and the file's identity."""
    with durable.storage_errors(path):
        try:
            file = files.opened(path)
        except FileNotFoundError as error:
            raise CorruptError(f"{path}: the file is missing") from error
        with file:
            header = file.read(len(vectors.empty_header(dim)))
            count = vectors.header_count(header)
            # FAISS trusts what it maps, so every byte of the header is checked first.
            status = os.fstat(file.fileno())
            if status.st_size < vectors.file_size(dim, count) or not vectors.is_header(header, dim):
                raise CorruptError(f"{path}: its header does not match vectors of {dim} dimensions")
            try:
                # By descriptor: it is the very file that was checked, whatever its name.
                index = faiss.read_index(f"/dev/fd/{file.fileno()}", faiss.IO_FLAG_MMAP_IFC)
            except RuntimeError as error:
                raise CorruptError(f"{path}: FAISS cannot read it: {error}") from error
        if index.ntotal != count:
            raise CorruptError(f"{path}: its header changed while it was read")
        return index, _identity(status)


def _identity(status: os.stat_result) -> tuple[int, int]:
    """What tells a file from another one that has its name later."""
    return status.st_dev, status.st_ino
