"""The file of a FAISS index whose ids are those of images: an `IndexIDMap2` over the vectors in half precision.

It is written in one pass, without the vectors in memory: a header, that of the vectors, the vectors, and then the ids.
"""

import faiss
import numpy as np
from numpy.typing import NDArray

from lookalike.errors import StorageError
from lookalike.storage import vectors
from lookalike.storage.vectors import STORED, unit

_COUNT = slice(8, 16)  # where the outer header has the number of vectors
_ID_COUNT = 8  # bytes, between the vectors and the ids


def header(dim: int, count: int) -> bytes:
    """What comes before `count` vectors."""
    empty = bytes(faiss.serialize_index(faiss.IndexIDMap2(vectors.empty_index(dim))))
    inner = vectors.header(dim, count)
    outer = bytearray(empty[: len(empty) - len(inner) - _ID_COUNT])
    outer[_COUNT] = count.to_bytes(8, "little")
    return bytes(outer) + inner


def trailer(ids: NDArray[np.int64]) -> bytes:
    """What comes after the vectors."""
    return len(ids).to_bytes(8, "little") + np.ascontiguousarray(ids, "<i8").tobytes()


def check(dim: int) -> None:
    """Makes sure that this version of FAISS uses the layout that is known here; raises StorageError if not."""
    rows, ids = unit(np.arange(1, 2 * dim + 1).reshape(2, dim)).astype(STORED), np.array([7, 5], np.int64)
    written = np.frombuffer(header(dim, 2) + rows.tobytes() + trailer(ids), np.uint8)
    index = faiss.deserialize_index(written)
    found = [index.reconstruct(int(id_)) for id_ in ids] if index.ntotal == 2 else []
    if not np.array_equal(found, rows.astype(np.float32)):
        raise StorageError(f"this FAISS ({faiss.__version__}) lays out its files in a way that is not known here")
