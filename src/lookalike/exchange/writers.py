"""Writes the images of a collection to files of other programs, block by block."""

import csv
import io
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.display import csv_cells
from lookalike.errors import Hint, UsageError
from lookalike.exchange import columns, faiss_layout
from lookalike.exchange.blocks import Block
from lookalike.storage.vectors import STORED, StoredVectors, single

_NPY_HEADER = 128  # bytes, as NumPy pads it, with room for any number of rows


class Writer(Protocol):
    """Writes one file. It is complete when `finish` has returned."""

    def write(self, block: Block) -> None:
        """Writes the next images."""

    def finish(self) -> None:
        """Writes what is known at the end only."""


class NpyWriter:
    """The vectors as an array of NumPy, (n, dim), row by row."""

    def __init__(self, file: BinaryIO, dim: int, dtype: str) -> None:
        self._file, self._dim, self._dtype, self._count = file, dim, np.dtype(dtype).newbyteorder("<"), 0
        file.write(bytes(_NPY_HEADER))

    def write(self, block: Block) -> None:
        """Writes the next vectors."""
        self._file.write(_as(self._dtype, block.vectors))
        self._count += len(block.vectors)

    def finish(self) -> None:
        """Writes the header, which has the number of vectors."""
        header = io.BytesIO()
        shape = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._count, self._dim)}
        np.lib.format.write_array_header_1_0(header, shape)
        assert len(header.getvalue()) == _NPY_HEADER
        self._file.seek(0)
        self._file.write(header.getvalue())


class FaissWriter:
    """The vectors as a FAISS index whose ids are those of the images: exact, by inner product, in half precision."""

    def __init__(self, file: BinaryIO, dim: int) -> None:
        faiss_layout.check(dim)
        self._file, self._dim, self._ids = file, dim, array("q")
        file.write(faiss_layout.header(dim, 0))

    def write(self, block: Block) -> None:
        """Writes the next vectors."""
        self._file.write(_as(STORED, block.vectors))
        self._ids.extend(image.id for image in block.images)

    def finish(self) -> None:
        """Writes the ids, and the header, which has their number."""
        self._file.write(faiss_layout.trailer(np.array(self._ids, np.int64)))
        self._file.seek(0)
        self._file.write(faiss_layout.header(self._dim, len(self._ids)))


class CsvWriter:
    """The catalog as a table, a row an image: RFC 4180 in UTF-8, with a byte order mark."""

    def __init__(self, file: BinaryIO, folder: Path) -> None:
        self._file, self._folder = file, folder
        self._write([columns.NAMES], csv_cells.BYTE_ORDER_MARK)

    def write(self, block: Block) -> None:
        """Writes the next rows."""
        self._write([columns.cells(image, self._folder) for image in block.images])

    def finish(self) -> None:
        """Does nothing: a table has no end."""

    def _write(self, rows: Sequence[Sequence[columns.Cell]], before: str = "") -> None:
        text = io.StringIO()
        shown = [[csv_cells.name(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
        csv.writer(text).writerows([csv_cells.cell(cell) for cell in row] for row in shown)
        self._file.write((before + text.getvalue()).encode())


class ParquetWriter:
    """The catalog as a Parquet file, a row an image and a group of rows a block, with or without the vectors."""

    def __init__(self, file: BinaryIO, folder: Path, dim: int, dtype: str | None) -> None:
        """`dtype` is that of the vectors; None leaves them out.

        Raises:
            UsageError: pyarrow is not installed.
        """
        pa = _pyarrow()
        self._folder, self._dim, self._dtype = folder, dim, None if dtype is None else np.dtype(dtype)
        self._schema = pa.schema(_fields(pa, dim, dtype))
        texts = [name for name in columns.NAMES if name not in ("id", "sha256")]
        self._writer = pa.parquet.ParquetWriter(
            file, self._schema, compression=_compression(self._schema), use_dictionary=texts
        )

    def write(self, block: Block) -> None:
        """Writes the next rows."""
        import pyarrow as pa

        arrays = [
            pa.array(values, self._schema.field(name).type)
            for name, values in zip(columns.NAMES, columns.columns(block.images, self._folder), strict=True)
        ]
        if self._dtype is not None:
            flat = np.frombuffer(_as(self._dtype, block.vectors), self._dtype)
            arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(flat), self._dim))
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema), row_group_size=len(block.images))

    def finish(self) -> None:
        """Writes the description of the file, which is its end."""
        self._writer.close()


def _as(dtype: "np.dtype[Any]", vectors: StoredVectors) -> memoryview:
    """Vectors as bytes, in a precision."""
    numbers: NDArray[Any] = single(vectors) if dtype.itemsize == 4 else np.ascontiguousarray(vectors, STORED)
    return numbers.data.cast("B")


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        hint = Hint("install", {"extra": "parquet"})
        raise UsageError("writing Parquet needs packages that are not installed", hint) from error
    return pa


def _fields(pa: Any, dim: int, dtype: str | None) -> list[Any]:
    kinds = {"id": pa.int64(), "width": pa.int32(), "height": pa.int32()}
    fields = [pa.field(name, kinds.get(name, pa.string()), nullable=name != "id") for name in columns.NAMES]
    if dtype is not None:
        number = pa.float16() if dtype == "float16" else pa.float32()
        fields.append(pa.field(columns.EMBEDDING, pa.list_(number, dim), nullable=False))
    return fields


def _compression(schema: Any) -> dict[str, str]:
    """How each column is compressed: the numbers of vectors do not become smaller."""
    return {name: "zstd" if name != columns.EMBEDDING else "none" for name in schema.names}
