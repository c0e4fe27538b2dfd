"""Reads arrays of NumPy with embeddings, block by block. Nothing in them is unpickled."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.storage.manifest import MAX_DIM
from lookalike.system import regular_file

_MAX_HEADER = 10_000  # bytes
_DTYPES = ("<f2", "<f4", ">f2", ">f4", "<f8", ">f8")


class NpyFile:
    """An array of embeddings, (n, dim), in float16, float32 or float64.

    Attributes:
        path: the file.
        rows: the number of embeddings.
        dim: their dimension.
    """

    def __init__(self, path: Path) -> None:
        """Opens a file.

        Raises:
            UsageError: it is no such array.
        """
        self.path = path
        try:
            self._file = regular_file.open_to_read(path)
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
        try:
            self.rows, self.dim, self._dtype = self._read_header()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def read(self, count: int) -> NDArray[Any]:
        """The next embeddings, float16 or float32 (count, dim); raises UsageError if the file ends before."""
        found = np.empty((count, self.dim), self._dtype)
        if count and self._file.readinto(found.data.cast("B")) != found.nbytes:
            raise UsageError(f"{self.path}: it has become shorter while it was read")
        return found.astype("<f2" if self._dtype.itemsize == 2 else "<f4", copy=False)

    def _read_header(self) -> tuple[int, int, "np.dtype[Any]"]:
        try:
            version = np.lib.format.read_magic(self._file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            shape, is_fortran, dtype = read(self._file, max_header_size=_MAX_HEADER)
        except (ValueError, KeyError, OSError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
            raise UsageError(f"{self.path}: it is not an array of NumPy that can be read") from error
        if dtype.hasobject:
            raise UsageError(f"{self.path}: its items are pickled, which can run any program; save numbers")
        if dtype.str not in _DTYPES:
            raise UsageError(f"{self.path}: its numbers are {dtype}; save them as float16 or float32")
        if len(shape) != 2 or is_fortran:
            order = " in the order of columns" if is_fortran else ""
            raise UsageError(f"{self.path}: its shape is {shape}{order}; save (images, dimensions), row by row")
        rows, dim = shape
        if not 1 <= dim <= MAX_DIM or rows < 0:
            raise UsageError(f"{self.path}: its shape is {shape}; an embedding has from 1 to {MAX_DIM:,} dimensions")
        size = os.fstat(self._file.fileno()).st_size - self._file.tell()
        if size < rows * dim * dtype.itemsize:
            raise UsageError(f"{self.path}: it ends after {size // (dim * dtype.itemsize):,} of its {rows:,} rows")
        return rows, dim, dtype
