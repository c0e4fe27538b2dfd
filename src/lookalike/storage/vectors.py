"""The file of unit vectors, which is append-only and is itself an exact FAISS index.

The header of a FAISS `IndexScalarQuantizer` (half precision, inner product), then the rows. The header's count may run
ahead of what has been committed: the catalog decides how many rows count. mapped_vectors.py reads and searches it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from lookalike.errors import CorruptError, StorageError, UsageError
from lookalike.storage import files
from lookalike.system import durable

# The squares of lengths from which a vector can be scaled in single precision, and those of unit vectors that have been
# rounded: each number is off by at most 2**-11 of itself in half precision, and 2**-24 in single.
_LEAST_SQUARE, _MOST_SQUARE = 1e-20, 1e20
_HALF_ROUNDING, _SINGLE_ROUNDING = 2.0**-9, 2.0**-20

Vectors = NDArray[np.float32]
StoredVectors = NDArray[np.float16]

STORED = np.dtype("<f2")
# In the header, FAISS keeps the number of vectors here; its last eight bytes are the number of bytes of the codes.
_COUNT = slice(8, 16)
# Then come sixteen bytes that FAISS does not use. Lookalike keeps there how many of the vectors were known to be
# committed when the header was written, and then the same with every bit inverted.
_COMMITTED = slice(16, 32)
_CODE_BYTES = slice(-8, None)

_SINGLE = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)  # of every half-precision number


def unit(embeddings: NDArray[Any]) -> Vectors:
    """Embeddings scaled to length 1: float32, (n, dim), C-contiguous.

    This and `stored_units` are the only places that normalize vectors.

    Raises:
        UsageError: a row is zero, not finite, or vanishes in single precision.
    """
    if np.asarray(embeddings).dtype.kind not in "fiub":
        raise UsageError("a vector has to be of real numbers")
    rows = np.array(embeddings, np.float64, ndmin=2)
    peak = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    if not (np.isfinite(peak).all() and (peak > 0).all()):
        raise UsageError("a vector has to be finite and not zero")
    rows /= peak  # so that no square overflows or vanishes
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def stored_units(embeddings: NDArray[Any]) -> tuple[StoredVectors, NDArray[np.bool_]]:
    """Many embeddings, float16 or float32 (n, dim), scaled to length 1 as they are stored: half precision, (n, dim).

    Half-precision embeddings whose length is 1 up to rounding stay as they are, so that stored vectors that come back
    are the same bits.

    Returns:
        The vectors, and which of them there are: the others are zero or not finite, and their rows are zeros.
    """
    is_half = embeddings.dtype == STORED
    rows = _converted(np.ascontiguousarray(embeddings, STORED)) if is_half else np.ascontiguousarray(embeddings, "<f4")
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.linalg.vecdot(rows, rows)
    is_usual = (squares > _LEAST_SQUARE) & (squares < _MOST_SQUARE)
    off = np.abs(squares - 1) > (_HALF_ROUNDING if is_half else _SINGLE_ROUNDING)
    if is_half and not off.any():
        return np.ascontiguousarray(embeddings, STORED), is_usual
    scale = np.where(off & is_usual, 1 / np.sqrt(np.where(is_usual, squares, 1)), 1).astype(np.float32)
    if off.any():
        rows = np.multiply(rows, scale[:, None], out=rows if is_half else None)
    rows[~is_usual] = 0
    stored = _encoded(rows)
    is_there = is_usual.copy()
    for place in np.flatnonzero(~is_usual):  # zero, not finite, or so long or short that its square is
        try:
            stored[place] = unit(embeddings[place])[0].astype(STORED)
            is_there[place] = True
        except UsageError:
            pass
    return stored, is_there


def _converted(stored: StoredVectors) -> Vectors:
    """Stored vectors in single precision, as `single` has them, but quicker where few numbers are zero."""
    with faiss_threads(1):  # which waits for nobody
        rows: Vectors = empty_index(stored.shape[1]).sa_decode(stored.view(np.uint8))
    return rows


def _encoded(rows: Vectors) -> StoredVectors:
    """Vectors in half precision, rounded to the nearest as NumPy does."""
    with faiss_threads(1):
        stored: StoredVectors = empty_index(rows.shape[1]).sa_encode(rows).view(STORED)
    return stored


def single(stored: StoredVectors) -> Vectors:
    """Stored vectors in single precision, (n, dim).

    Each number is looked up: where about half of them are zero, as behind a ReLU, NumPy and FAISS take five times as
    long to convert them.
    """
    looked_up: Vectors = _SINGLE.take(np.ascontiguousarray(stored, STORED).view("<u2"))
    return looked_up


@contextmanager
def faiss_threads(most: int) -> Iterator[None]:
    """Limits FAISS, for this thread alone: threads that have nothing to do would wait by spinning."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(max(1, min(threads, most)))
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def use_one_faiss_thread() -> None:
    """Has FAISS use one thread for whatever this thread asks of it from now on."""
    faiss.omp_set_num_threads(1)


# The layout of the file


def empty_index(dim: int) -> Any:
    """An exact FAISS index of half-precision vectors by inner product."""
    return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


@cache
def empty_header(dim: int) -> bytes:
    """The file of no vectors."""
    return bytes(faiss.serialize_index(empty_index(dim)))


def header(dim: int, count: int, committed: int | None = None) -> bytes:
    """The header of a file of `count` vectors, of which so many are known to be committed; None is all."""
    filled = bytearray(empty_header(dim))
    filled[_COUNT] = count.to_bytes(8, "little")
    filled[_COMMITTED] = _committed_bytes(count if committed is None else committed)
    filled[_CODE_BYTES] = (count * dim * STORED.itemsize).to_bytes(8, "little")
    return bytes(filled)


def header_count(read: bytes) -> int:
    """The number of vectors that a header claims."""
    return int.from_bytes(read[_COUNT], "little")


def header_committed(read: bytes) -> int:
    """How many of them were known to be committed; 0 if FAISS or an earlier version wrote the header."""
    return 0 if _is_of_faiss(read) else int.from_bytes(read[_COMMITTED][:8], "little")


def is_header(read: bytes, dim: int) -> bool:
    """Whether these bytes are the header of vectors of a dimension, whatever their number."""
    count, committed = header_count(read), header_committed(read)
    expected = bytearray(header(dim, count, committed))
    if _is_of_faiss(read):
        expected[_COMMITTED] = read[_COMMITTED]
    return read == expected and committed <= count


def _committed_bytes(committed: int) -> bytes:
    return committed.to_bytes(8, "little") + (committed ^ (2**64 - 1)).to_bytes(8, "little")


def _is_of_faiss(read: bytes) -> bool:
    return read[_COMMITTED] == empty_header(1)[_COMMITTED]


def file_size(dim: int, count: int) -> int:
    """The number of bytes of a file of `count` vectors."""
    return len(empty_header(dim)) + count * dim * STORED.itemsize


def has_leftovers(path: Path, dim: int, count: int) -> bool:
    """Whether a file holds more than `count` rows, which a `VectorWriter` cuts off."""
    try:
        return files.size(path) > file_size(dim, count)
    except OSError:
        return False


# Writing


@cache
def survive_forks() -> None:
    """Has FAISS use one thread in the main thread of every process that is forked from now on.

    There, OpenMP would wait for the other threads of its team, which are in the parent only. Threads that a child
    starts have teams of their own.
    """
    os.register_at_fork(after_in_child=partial(faiss.omp_set_num_threads, 1))


def create(path: Path, dim: int) -> None:
    """Makes a file of no vectors, after a check that this version of FAISS uses the layout that is known here.

    Raises:
        StorageError: it cannot be written.
    """
    survive_forks()
    rows = unit(np.arange(1, 2 * dim + 1).reshape(2, dim)).astype(STORED)
    index = faiss.deserialize_index(np.frombuffer(header(dim, 2) + rows.tobytes(), np.uint8))
    if index.ntotal != 2 or not np.array_equal(index.reconstruct_n(0, 2), rows.astype(np.float32)):
        raise StorageError(f"this FAISS ({faiss.__version__}) lays out its files in a way that is not known here")
    with durable.storage_errors(path):
        durable.write_new(path, header(dim, 0))


class VectorWriter:
    """Appends rows to the file. When a call returns, its rows are on the disk."""

    def __init__(self, path: Path, dim: int, count: int) -> None:
        """`count` is the number of committed rows; whatever a killed process has left behind them is cut off.

        Raises:
            CorruptError: the file holds fewer rows, or more that are not left over.
            StorageError: it cannot be written to.
        """
        self.path, self.dim, self.count, self._committed = path, dim, count, count
        with durable.storage_errors(path):
            try:
                self._file = files.opened_for_update(path)
            except FileNotFoundError as error:
                raise CorruptError(f"{path}: the file is missing") from error
        try:
            self._cut_off_leftovers()
        except BaseException:
            self.close()
            raise

    def append(self, stored: StoredVectors) -> None:
        """Writes rows, half-precision (n, dim), behind the others, and waits until they are on the disk.

        Raises:
            UsageError: the rows have another dimension.
            StorageError: the disk is full or failing; take the rows as not written.
        """
        if stored.ndim != 2 or stored.shape[1] != self.dim:
            raise UsageError(f"rows of shape {stored.shape} do not match vectors of {self.dim} dimensions")
        with durable.storage_errors(self.path):
            _write_all(self._file, np.ascontiguousarray(stored, STORED).tobytes(), file_size(self.dim, self.count))
            durable.sync(self._file)
            self.count += len(stored)
            self._write_header()

    def committed(self) -> None:
        """Notes that the catalog counts all rows, so that they are never taken for left over."""
        self._committed = self.count
        with durable.storage_errors(self.path):
            _write_all(self._file, header(self.dim, self.count), 0)  # it need not wait for the disk

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def _cut_off_leftovers(self) -> None:
        with durable.storage_errors(self.path):
            size, end = os.fstat(self._file).st_size, file_size(self.dim, self.count)
            if size < end:
                raise CorruptError(f"{self.path}: {size} bytes are too few for its {self.count} vectors")
            if size > end:
                self._check_are_left_over()
                self._write_header()  # first, so that it never counts rows that are not there
                os.ftruncate(self._file, end)

    def _check_are_left_over(self) -> None:
        """Raises CorruptError if rows would be cut off that a catalog has counted; only it may be an older one's."""
        read = os.pread(self._file, len(empty_header(self.dim)), 0)
        committed = header_committed(read)
        if committed > self.count:
            raise CorruptError(
                f"{self.path}: {committed:,} vectors have been committed, and the catalog beside it knows only"
                f" {self.count:,}: it is older; restore both from one backup"
            )

    def _write_header(self) -> None:
        _write_all(self._file, header(self.dim, self.count, self._committed), 0)
        durable.sync(self._file)


def _write_all(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
