"""The append-only matrix of unit vectors, which is also the exact index.

It is one file: the header of a FAISS `IndexScalarQuantizer` (half precision, inner product), then the rows. FAISS
maps it into memory at any size without reading it. The header's count may run ahead of what has been committed;
how many rows count is told by the caller, who knows the catalog.
"""

import os
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from lookalike.errors import CorruptError, StorageError, UsageError
from lookalike.storage.rows import Rows, RowSet

Vectors = NDArray[np.float32]

_STORED = np.dtype("<f2")
# In the header: where FAISS keeps the number of vectors; its last eight bytes count those of the codes.
_COUNT = slice(8, 16)
_CODE_BYTES = slice(-8, None)
# What a reader sees of the header while it is being written may not fit together; the next look will.
_LOOKS = 5
_BETWEEN_LOOKS_S = 0.01
# So many queries are compared as a matrix: each of the file's numbers is then made single precision only once.
_MANY = 32
_BLOCK_VALUES = 16_000_000  # numbers at a time, 64 MB in single precision


def unit(embeddings: NDArray[Any]) -> Vectors:
    """The same directions at length 1: float32, (n, dim), C-contiguous.

    This is the one place where anything is normalised.

    Raises:
        UsageError: a row is zero, not finite, or no direction is left of it in single precision.
    """
    if np.asarray(embeddings).dtype.kind not in "fiub":
        raise UsageError("a vector has to be of real numbers")
    rows = np.array(embeddings, np.float64, ndmin=2)
    peak = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    if not (np.isfinite(peak).all() and (peak > 0).all()):
        raise UsageError("a vector has to be finite and not zero")
    rows /= peak  # so that no square overflows or vanishes
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def checksums(stored: NDArray[np.float16]) -> list[int]:
    """The CRC-32 of each row of half-precision vectors, (n, dim), as the file holds them."""
    return [zlib.crc32(row) for row in np.ascontiguousarray(stored, _STORED)]


def _empty_index(dim: int) -> Any:
    return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


@cache
def _empty_header(dim: int) -> bytes:
    return bytes(faiss.serialize_index(_empty_index(dim)))


def _header(dim: int, count: int) -> bytes:
    header = bytearray(_empty_header(dim))
    header[_COUNT] = count.to_bytes(8, "little")
    header[_CODE_BYTES] = (count * dim * _STORED.itemsize).to_bytes(8, "little")
    return bytes(header)


def create(path: Path, dim: int) -> None:
    """Makes an empty file, once it is certain that this FAISS lays it out as this module does.

    Raises:
        StorageError: it cannot be written.
    """
    rows = unit(np.arange(1, 2 * dim + 1).reshape(2, dim)).astype(_STORED)
    index = faiss.deserialize_index(np.frombuffer(_header(dim, 2) + rows.tobytes(), np.uint8))
    if index.ntotal != 2 or not np.array_equal(index.reconstruct_n(0, 2), rows.astype(np.float32)):
        raise StorageError(f"this FAISS ({faiss.__version__}) lays out its files in a way that is not known here")
    try:
        with path.open("xb") as file:
            file.write(_header(dim, 0))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error


class VectorWriter:
    """Appends rows. What it has returned from is on the disk."""

    def __init__(self, path: Path, dim: int, count: int) -> None:
        """`count` is how many rows have been committed; whatever lies behind them is cut off.

        Raises:
            CorruptError: the file holds fewer.
            StorageError: it cannot be written to.
        """
        self.path, self.dim, self.count = path, dim, count
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise CorruptError(f"{path}: the file is missing") from error
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from error
        try:
            self._cut_off_leftovers()
        except BaseException:
            self.close()
            raise

    def append(self, stored: NDArray[np.float16]) -> None:
        """Writes rows, half-precision (n, dim), behind the others, and waits until the disk has them.

        Raises:
            UsageError: the rows are not of this file's dimension.
            StorageError: the disk is full or failing; the rows are then to be taken as not written.
        """
        if stored.ndim != 2 or stored.shape[1] != self.dim:
            raise UsageError(f"rows of shape {stored.shape} do not go with vectors of {self.dim} dimensions")
        try:
            _write_all(self._file, np.ascontiguousarray(stored, _STORED).tobytes(), _end(self.dim, self.count))
            os.fsync(self._file)
            self.count += len(stored)
            self._write_header()
        except OSError as error:
            raise StorageError(f"{self.path}: {error.strerror}") from error

    def close(self) -> None:
        os.close(self._file)

    def _cut_off_leftovers(self) -> None:
        try:
            size, end = os.fstat(self._file).st_size, _end(self.dim, self.count)
            if size < end:
                raise CorruptError(f"{self.path}: {size} bytes are too few for its {self.count} vectors")
            if size > end:
                self._write_header()  # first, so that it never counts rows that are not there
                os.ftruncate(self._file, end)
        except OSError as error:
            raise StorageError(f"{self.path}: {error.strerror}") from error

    def _write_header(self) -> None:
        _write_all(self._file, _header(self.dim, self.count), 0)
        os.fsync(self._file)


def _end(dim: int, count: int) -> int:
    """The size of a file of so many rows."""
    return len(_empty_header(dim)) + count * dim * _STORED.itemsize


def has_leftovers(path: Path, dim: int, count: int) -> bool:
    """Whether there is more in a file than so many rows, which a `VectorWriter` cuts off."""
    try:
        return path.stat().st_size > _end(dim, count)
    except OSError:
        return False


def _write_all(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


@dataclass(frozen=True)
class Part:
    """Some rows, one behind the other, as an exact FAISS index of their own that copies nothing."""

    start: int
    stop: int
    faiss: Any


class VectorReader:
    """Searches the rows, and reads single ones, through one mapping that any number of threads may share."""

    def __init__(self, path: Path, dim: int) -> None:
        self.path, self.dim = path, dim
        self._mapped: _Mapping | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Lets go of the file; the next use maps it again."""
        with self._lock:
            self._mapped = None

    def search(self, queries: Vectors, k: int, row_set: RowSet, *, start: int = 0) -> tuple[Vectors, Rows]:
        """The k best rows for each query, best first, by exact inner product.

        Args:
            queries: unit vectors, (n, dim).
            k: at least 1; where there are fewer rows, all of them come back.
            selection: which rows count, of how many that have been committed.
            start: the first row to look at.

        Returns:
            Scores (n, k') and rows (n, k'), where k' is the smaller of k and the number of rows that count.

        Raises:
            UsageError: the queries are not of this file's dimension.
            CorruptError: the file is not what it should be.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise UsageError(f"a query of shape {queries.shape} does not go with vectors of {self.dim} dimensions")
        k = min(k, row_set.size_within(start, row_set.count))
        if k <= 0 or not len(queries):
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        if len(queries) >= _MANY:
            return self._search_many(np.ascontiguousarray(queries, np.float32), k, row_set, start)
        part = self.part(start, row_set.count)
        bitmap = row_set.bitmap(start, row_set.count)
        parameters = None if bitmap is None else faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))
        with searching_threads(len(queries)):
            scores, rows = part.faiss.search(np.ascontiguousarray(queries, np.float32), k, params=parameters)
        self._refuse_missing(rows)
        return scores, rows + start

    def _search_many(self, queries: Vectors, k: int, row_set: RowSet, start: int) -> tuple[Vectors, Rows]:
        """The same for many queries, by products of matrices."""
        best = faiss.ResultHeap(len(queries), k, keep_max=True)
        rows = row_set.rows()
        rows = rows[np.searchsorted(rows, start) :]
        step = max(_BLOCK_VALUES // self.dim, 1)
        for at in range(0, len(rows), step):
            block = rows[at : at + step]
            vectors = self.stored(block, count=row_set.count).astype(np.float32)
            scores, found = faiss.knn(queries, vectors, min(k, len(block)), faiss.METRIC_INNER_PRODUCT)
            self._refuse_missing(found)
            best.add_result(scores, block[found])
        best.finalize()
        return best.D, best.I

    def _refuse_missing(self, rows: Rows) -> None:
        if (rows < 0).any():  # FAISS found fewer, since nothing compares with NaN
            raise CorruptError(f"{self.path}: there are vectors in it that are not finite")

    def stored(self, rows: Rows, *, count: int) -> NDArray[np.float16]:
        """Rows below `count`, as the file holds them: half precision, (n, dim)."""
        mapping = self._mapping(count)  # which has to live until they are copied, since another thread may replace it
        return mapping.rows[rows]

    def part(self, start: int, stop: int) -> Part:
        """The rows from `start` up to and without `stop`."""
        return self._mapping(stop).part(start, stop)

    def _mapping(self, count: int) -> "_Mapping":
        """A mapping that has at least `count` rows; an older one goes on serving whoever uses it."""
        with self._lock:
            if self._mapped is None or self._mapped.count < count or not self._mapped.is_still_at(self.path):
                self._mapped = _map(self.path, self.dim)
            if self._mapped.count < count:
                raise CorruptError(f"{self.path}: it holds {self._mapped.count} of its {count} vectors")
            return self._mapped


@contextmanager
def searching_threads(queries: int) -> Iterator[None]:
    """FAISS shares out queries only; threads with none would wait for more by spinning, at everybody's cost."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(max(1, min(threads, queries)))  # for this thread alone
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def _map(path: Path, dim: int) -> "_Mapping":
    for _ in range(_LOOKS - 1):
        try:
            return _Mapping(path, dim)
        except CorruptError:
            time.sleep(_BETWEEN_LOOKS_S)
    return _Mapping(path, dim)


class _Mapping:
    """The file as it was when it was mapped, for FAISS and for NumPy."""

    def __init__(self, path: Path, dim: int) -> None:
        try:
            with path.open("rb") as file:
                header = file.read(len(_empty_header(dim)))
                self.count = int.from_bytes(header[_COUNT], "little")
                end = _end(dim, self.count)
                # FAISS trusts what it maps, so nothing is left to trust: each byte of the header is known.
                status = os.fstat(file.fileno())
                self._file = status.st_dev, status.st_ino
                if status.st_size < end or header != _header(dim, self.count):
                    raise CorruptError(f"{path}: its header does not go with vectors of {dim} dimensions")
                # By descriptor: it is the very file that was checked, whatever its name.
                self._faiss = faiss.read_index(f"/dev/fd/{file.fileno()}", faiss.IO_FLAG_MMAP_IFC)
                if self._faiss.ntotal != self.count:
                    raise CorruptError(f"{path}: its header changed while it was read")
        except FileNotFoundError as error:
            raise CorruptError(f"{path}: the file is missing") from error
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from error
        except RuntimeError as error:
            raise CorruptError(f"{path}: FAISS cannot read it: {error}") from error
        size = end - len(header)
        codes = faiss.rev_swig_ptr(self._faiss.codes.data(), size) if size else np.empty(0, np.uint8)
        self.rows: NDArray[np.float16] = codes.view(_STORED).reshape(self.count, dim)
        self._parts: dict[int, Part] = {}

    def part(self, start: int, stop: int) -> Part:
        """A FAISS index of some rows, which keeps the mapping alive."""
        part = self._parts.get(start)
        if part is None or part.stop != stop:
            part = self._parts[start] = Part(start, stop, self._view(start, stop))
        return part

    def _view(self, start: int, stop: int) -> Any:
        view = _empty_index(self.rows.shape[1])
        codes = self.rows[start:stop].reshape(-1).view(np.uint8)
        owner = self._faiss.codes.owner  # which unmaps the file when the last of them goes
        view.codes = faiss.MaybeOwnedVectorUInt8.create_view(faiss.swig_ptr(codes), codes.nbytes, owner)
        view.ntotal = stop - start
        return view

    def is_still_at(self, path: Path) -> bool:
        """Whether this is the file that is there now, and not one that has been replaced or taken away."""
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._file
