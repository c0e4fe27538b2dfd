"""A FAISS index over the vectors: it proposes candidates, which the stored vectors then rank.

Which index it is, a factory string says (spec.py); the row numbers of the vectors are its ids.
"""

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import faiss
import numpy as np

from lookalike.errors import CorruptError, DeviceWarning, UsageError
from lookalike.index.operating_point import SearchParameters
from lookalike.index.spec import ITERATIONS, IndexSpec, core_of, faiss_errors, quantizer_of, transforms_of
from lookalike.storage.mapped_vectors import Part, searching_threads
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Vectors

_SEED = 1234
# With it a graph finds the nearest list of 99 vectors in 100, and of 95 with the 16 that FAISS takes.
_ADDING_EF_SEARCH = 64
_LIMITS = threading.Lock()


class Index:
    """A FAISS index of the first rows of the vectors. Any number of threads may search it."""

    def __init__(self, spec: IndexSpec, inner: Any) -> None:
        self.spec, self._inner, self._for_one = spec, inner, _for_one_query(inner)

    @classmethod
    def trained(cls, spec: IndexSpec, sample: Vectors, *, like: "Index | None" = None) -> "Index":
        """An empty index that has learned from a sample of unit vectors, float32 (n, dim).

        Where its lists are chosen as those of `like` are, it takes over their centroids.

        Raises:
            UsageError: there are too few.
        """
        inner = spec.empty()
        if not inner.is_trained:
            spec.check(len(sample))
            if like and like.spec.lists and like.spec.inverted_file == spec.inverted_file:
                quantizer = quantizer_of(like._inner)
                quantizer_of(inner).add(quantizer.reconstruct_n(0, quantizer.ntotal))
            with faiss_errors(spec.factory), _set_to_learn(inner, len(sample)):
                if spec.kind != "ivf" or not _trained_on_gpus(inner, sample):
                    inner.train(sample)
            if spec.kind == "ivf" and isinstance(lists := quantizer_of(inner), faiss.IndexHNSW):
                lists.hnsw.efSearch = _ADDING_EF_SEARCH
        return cls(spec, inner)

    @property
    def rows(self) -> int:
        """How many of the first rows it covers."""
        return int(self._inner.ntotal)

    def add(self, vectors: Vectors) -> None:
        """Takes in the next rows, float32 (n, dim)."""
        if vectors.ndim != 2 or vectors.shape[1] != self.spec.dim:
            raise UsageError(f"rows of shape {vectors.shape} do not go with an index of {self.spec.dim} dimensions")
        with faiss_errors(self.spec.factory):
            self._inner.add(vectors)
        self._for_one = _for_one_query(self._inner)

    def search(
        self, queries: Vectors, k: int, parameters: SearchParameters, *, stored: Part, row_set: RowSet
    ) -> tuple[Vectors, Rows]:
        """Finds the k rows with the largest inner product for each query, as far as it finds them, best first.

        Args:
            queries: unit vectors, float32 (n, dim).
            k: at least 1.
            parameters: how to search.
            stored: the same rows as they are stored; they re-rank the candidates by exact inner product.
            row_set: the rows that may be found.

        Returns:
            Scores, float32 (n, k), and rows, int64 (n, k); where fewer are found, the rows are -1.

        Raises:
            UsageError: the queries have another dimension.
        """
        if queries.ndim != 2 or queries.shape[1] != self.spec.dim:
            raise UsageError(
                f"a query of shape {queries.shape} does not go with an index of {self.spec.dim} dimensions"
            )
        refined = faiss.IndexRefine(self._for_one if len(queries) == 1 else self._inner, stored.faiss)
        bitmap = row_set.bitmap(0, self.rows)
        selector = None if bitmap is None else faiss.IDSelectorBitmap(bitmap)
        refining = faiss.IndexRefineSearchParameters(
            k_factor=parameters.candidates + 0.5 / k,  # FAISS rounds the number of candidates down
            base_index_params=self._faiss_parameters(parameters.nprobe, selector),
        )
        with searching_threads(len(queries)):
            scores, rows = refined.search(np.ascontiguousarray(queries, np.float32), k, params=refining)
        return scores, rows

    def write(self, take: Callable[[bytes], int]) -> None:
        """Hands over what a file of it holds, piece by piece.

        Raises:
            OSError: whatever `take` raises.
        """
        failed: list[OSError] = []

        def taken(piece: bytes) -> int:
            try:
                return take(piece)
            except OSError as error:
                failed.append(error)
                raise

        try:
            faiss.write_index(self._inner, faiss.PyCallbackIOWriter(taken))
        except RuntimeError:
            if failed:
                raise failed[0] from None
            raise

    @classmethod
    def read(cls, spec: IndexSpec, file: BinaryIO) -> "Index":
        """Reads a file that `write` has made.

        Raises:
            CorruptError: it is not an index of this kind.
        """
        os.lseek(file.fileno(), 0, os.SEEK_SET)  # macOS opens a descriptor again where it stands
        try:
            with _limited_to(os.fstat(file.fileno()).st_size + spec.table_bytes()):
                inner = faiss.read_index(f"/dev/fd/{file.fileno()}")  # by descriptor: it may have any name
            if spec.describes(inner):
                return cls(spec, inner)
        except RuntimeError as error:
            raise CorruptError(f"{file.name}: FAISS cannot read it: {error}") from error
        raise CorruptError(f"{file.name}: it is not {spec.factory} over {spec.dim} dimensions")

    def _faiss_parameters(self, nprobe: int, selector: Any) -> Any:
        """The parameters of one call; nothing is ever set on the index, which other threads are searching."""
        chosen = {} if selector is None else {"sel": selector}
        kind = self.spec.kind
        if kind == "ivf":
            if isinstance(quantizer_of(self._inner), faiss.IndexHNSW):
                chosen["quantizer_params"] = faiss.SearchParametersHNSW(efSearch=nprobe)
            parameters = faiss.SearchParametersIVF(nprobe=nprobe, **chosen)
        elif kind == "hnsw":
            parameters = faiss.SearchParametersHNSW(efSearch=nprobe, **chosen)
        else:
            parameters = faiss.SearchParameters(**chosen)
        if isinstance(self._inner, faiss.IndexPreTransform):
            return faiss.SearchParametersPreTransform(index_params=parameters)
        return parameters


@contextmanager
def _set_to_learn(inner: Any, samples: int) -> Iterator[None]:
    """Sets how an index is trained with so many vectors, for as long as it is."""
    core = core_of(inner)
    if hasattr(core, "nlist"):
        core.cp.niter, core.cp.seed, core.cp.min_points_per_centroid = ITERATIONS, _SEED, 1
        core.cp.max_points_per_centroid = max(samples // core.nlist + 1, 1)
        if isinstance(core, faiss.IndexIVFPQ):
            core.do_polysemous_training = False  # 1.5 s a codebook, for a way of searching that is not used
        if hasattr(core, "pq"):
            core.pq.cp.min_points_per_centroid = 1  # with fewer than 39 it prints warnings
    rotations = [each for each in transforms_of(inner) if isinstance(each, faiss.OPQMatrix)]
    codebooks = [faiss.ProductQuantizer(each.d_out, each.M, 8) for each in rotations]
    for rotation, own in zip(rotations, codebooks, strict=True):
        own.cp.min_points_per_centroid = 1
        rotation.pq = own
    try:
        yield
    finally:
        for rotation in rotations:
            rotation.pq = None  # FAISS has a pointer to it only


def _trained_on_gpus(inner: Any, sample: Vectors) -> bool:
    """Trains inverted lists with k-means on graphics processors, where FAISS was built for them and there are some."""
    if not faiss.get_num_gpus():
        return False
    core = core_of(inner)
    try:
        # Of unit vectors and unit centroids the nearest have the largest inner product.
        nearest = faiss.index_cpu_to_all_gpus(faiss.IndexFlatL2(core.d))
        core.clustering_index = nearest
        inner.train(sample)
    except RuntimeError as error:
        reason = str(error).strip().rpartition("\n")[2]
        warnings.warn(f"FAISS trains on the CPU; on the graphics processor it failed: {reason}", DeviceWarning, 2)
        return False
    finally:
        core.clustering_index = None  # FAISS has a pointer to it only
    return True


def _for_one_query(inner: Any) -> Any:
    """The same index, in the same memory, set so that a single query takes a tenth less time.

    Of FAISS's ways to scan 4-bit codes, 10 does not group queries, which would make batches half as fast.
    """
    core = core_of(inner)
    if not isinstance(core, faiss.IndexIVFPQFastScan):
        return inner
    view = faiss.IndexIVFPQFastScan(
        core.quantizer, core.d, core.nlist, core.M, core.nbits, core.metric_type, core.bbs, False
    )
    view.replace_invlists(core.invlists, False)
    view.pq, view.by_residual, view.is_trained, view.ntotal = core.pq, core.by_residual, core.is_trained, core.ntotal
    view.implem = 10
    if inner is core:
        return view
    whole = faiss.IndexPreTransform(view)
    for transform in reversed(list(transforms_of(inner))):
        whole.prepend_transform(transform)
    return whole


@contextmanager
def _limited_to(size: int) -> Iterator[None]:
    """Nothing that FAISS reads may be larger than so many bytes, whatever a file says of itself."""
    with _LIMITS:  # it is the limit of the whole process
        before = faiss.get_deserialization_vector_byte_limit()
        faiss.set_deserialization_vector_byte_limit(size)
        try:
            yield
        finally:
            faiss.set_deserialization_vector_byte_limit(before)
