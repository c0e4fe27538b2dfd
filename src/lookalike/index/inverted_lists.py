"""The inverted lists of an index, visited one by one: several indexes with the same lists can be searched as one."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import faiss
import numpy as np

from lookalike.errors import CorruptError
from lookalike.index.spec import core_of, quantizer_of, transforms_of
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Vectors, faiss_threads

# Others compute more for a query than which lists it visits.
_VISITED = (faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ, faiss.IndexIVFPQFastScan)
_CENTRES = 4096  # that are read at a time
# What scanning takes on one core, roughly, as measured with 4-bit codes.
_BYTES_PER_S, _LIST_S = 8e9, 4e-7


class Visit:
    """The inverted lists that some queries visit; they are the same in all indexes with the same lists.

    Attributes:
        queries: the number of queries.
        nprobe: the number of lists for each.
        lists: int64 (n, nprobe).
        pointers: to the queries as the lists hold vectors, the lists, and how near they are.
    """

    def __init__(self, vectors: Vectors, lists: Rows, nearness: Vectors) -> None:
        """Remembers the choice.

        Args:
            vectors: the queries as the lists hold vectors, that is after the index's transforms: float32 (n, d).
            lists: int64 (n, nprobe).
            nearness: of the queries to the lists, float32 (n, nprobe).
        """
        self.queries, self.nprobe = lists.shape
        self.lists = lists
        self._arrays = vectors, lists, nearness  # which live as long as the pointers
        self.pointers = tuple(map(faiss.swig_ptr, self._arrays))


class InvertedLists:
    """The inverted lists of an index. Threads may share it.

    Attributes:
        rows: the number of rows in all of them.
        key: the same for indexes whose queries visit the same lists.
    """

    @staticmethod
    def are_in(inner: Any) -> bool:
        """Whether a FAISS index has lists that can be visited."""
        return isinstance(core_of(inner), _VISITED)

    def __init__(self, inner: Any, single: Any) -> None:
        """Takes those of a FAISS index, and its view for a single query, which may be the same."""
        self._inner, self._core, self._single = inner, core_of(inner), core_of(single)
        self._quantizer = quantizer_of(inner)
        self._has_graph = isinstance(self._quantizer, faiss.IndexHNSW)
        self._count = int(self._core.nlist)
        self.rows = int(inner.ntotal)
        self._scan_s = self.rows * int(self._core.code_size) / self._count / _BYTES_PER_S + _LIST_S
        self.key = _key(inner, self._quantizer)

    def scan_seconds(self, nprobe: int) -> float:
        """How long a query takes on one core to look through so many lists, roughly."""
        return self._scan_s * min(nprobe, self._count)

    def visit(self, queries: Vectors, nprobe: int) -> Visit:
        """Chooses the lists that some queries visit.

        Args:
            queries: unit vectors, float32 (n, dim).
            nprobe: the number of lists.

        Raises:
            CorruptError: FAISS cannot search the index.
        """
        nprobe = min(nprobe, self._count)
        parameters = faiss.SearchParametersHNSW(efSearch=nprobe) if self._has_graph else None
        with faiss_threads(len(queries)), search_errors():
            for transform in transforms_of(self._inner):
                queries = transform.apply(queries)
            nearness, lists = self._quantizer.search(queries, nprobe, params=parameters)
        return Visit(np.ascontiguousarray(queries, np.float32), lists, nearness)

    def find(self, visit: Visit, row_set: RowSet, scores: Vectors, rows: Rows) -> None:
        """Finds the rows that are nearest by their codes, in the lists of a visit that was chosen with such lists.

        Args:
            visit: the queries and the lists.
            row_set: the rows that may be found.
            scores: takes estimates of their scores, float32 (n, count), in no order.
            rows: takes the rows, int64 (n, count), -1 for missing ones.

        Raises:
            CorruptError: FAISS cannot search the index.
        """
        bitmap = row_set.bitmap(0, self.rows)
        if bitmap is None:
            parameters = _visiting(visit.nprobe)
        else:
            parameters = faiss.SearchParametersIVF(nprobe=visit.nprobe, sel=faiss.IDSelectorBitmap(bitmap))
        n, count = rows.shape
        core = self._single if n == 1 else self._core
        queries, lists, nearness = visit.pointers
        found = faiss.swig_ptr(scores), faiss.swig_ptr(rows)
        with faiss_threads(n), search_errors():  # FAISS's own function, since the one around it takes no parameters
            core.search_preassigned_c(n, queries, count, lists, nearness, *found, False, parameters)


@contextmanager
def search_errors() -> Iterator[None]:
    """Turns FAISS's errors while it searches into CorruptErrors: what it has read makes no sense to it."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if "interrupted" in str(error):
            raise KeyboardInterrupt from None
        raise CorruptError(f"the index is damaged: FAISS cannot search it: {str(error).strip()}") from error


@lru_cache(64)
def _visiting(nprobe: int) -> Any:
    """FAISS's parameters for all rows of so many lists, which take as long to make as a small list to search."""
    return faiss.SearchParametersIVF(nprobe=nprobe)


def _key(inner: Any, quantizer: Any) -> bytes:
    """A checksum of the centres of the lists, and of what the transforms before them were trained to."""
    digest = blake2b(digest_size=16)
    for transform in transforms_of(inner):
        for trained in ("A", "b", "mean"):
            if numbers := getattr(transform, trained, None):
                digest.update(faiss.vector_to_array(numbers))
    for start in range(0, quantizer.ntotal, _CENTRES):
        digest.update(quantizer.reconstruct_n(start, min(_CENTRES, quantizer.ntotal - start)))
    return digest.digest()
