"""A FAISS index over the vectors: it proposes candidates, which are re-ranked by the stored vectors.

Its kind is given by a factory string (spec.py); its ids are the row numbers of the vectors.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import faiss
import numpy as np

from lookalike.errors import CorruptError, DeviceWarning, UsageError
from lookalike.index.inverted_lists import InvertedLists, search_errors
from lookalike.index.operating_point import SearchParameters
from lookalike.index.spec import ITERATIONS, IndexSpec, core_of, faiss_errors, quantizer_of, transforms_of
from lookalike.storage.mapped_vectors import Part
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Vectors, faiss_threads
from lookalike.system import forks

_SEED = 1234
# With 64 a graph finds the nearest list of 99 vectors in 100; with FAISS's default, 16, of 95.
_ADDING_EF_SEARCH = 64
_UNGROUPED = 10  # FAISS's `implem` that scans lists of 4-bit codes without grouping the queries by list
_LIMITS = forks.lock()  # for FAISS's deserialization limit, which is of the whole process


class Index:
    """A FAISS index of the first rows of the vectors. Any number of threads may search it.

    Attributes:
        spec: the factory string that it was made by.
    """

    def __init__(self, spec: IndexSpec, inner: Any) -> None:
        """Wraps a FAISS index of that kind."""
        self.spec, self._inner, self._single = spec, inner, _single_query_view(inner)
        self._has_graph = spec.kind == "ivf" and isinstance(quantizer_of(inner), faiss.IndexHNSW)
        self._refined: dict[bool, tuple[Part, Any]] = {}
        self._lists: InvertedLists | None = None

    @classmethod
    def trained(cls, spec: IndexSpec, sample: Vectors, *, like: "Index | None" = None) -> "Index":
        """Trains an empty index on a sample of vectors.

        Args:
            spec: the kind of index.
            sample: unit vectors, float32 (n, dim).
            like: an index whose centroids are copied instead of trained, if its inverted lists are of the same kind.

        Raises:
            UsageError: the vectors are too few.
        """
        inner = spec.empty()
        if not inner.is_trained:
            spec.check(len(sample))
            with faiss_errors(spec.factory), _training_settings(inner, len(sample)):
                if like and like.spec.lists and like.spec.inverted_file == spec.inverted_file:
                    quantizer = quantizer_of(like._inner)
                    quantizer_of(inner).add(quantizer.reconstruct_n(0, quantizer.ntotal))
                if spec.kind != "ivf" or not _train_on_gpus(inner, sample):
                    inner.train(sample)
            if spec.kind == "ivf" and isinstance(lists := quantizer_of(inner), faiss.IndexHNSW):
                lists.hnsw.efSearch = _ADDING_EF_SEARCH
        return cls(spec, inner)

    def emptied(self) -> "Index":
        """A copy of it without rows, with the same lists and codebooks."""
        inner = faiss.clone_index(self._inner)
        inner.reset()
        return Index(self.spec, inner)

    @property
    def rows(self) -> int:
        """The number of rows that it covers: the first ones."""
        return int(self._inner.ntotal)

    def add(self, vectors: Vectors) -> None:
        """Adds the next rows.

        Args:
            vectors: unit vectors, float32 (n, dim).

        Raises:
            UsageError: they have another dimension.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.spec.dim:
            raise UsageError(f"rows of shape {vectors.shape} do not fit an index of {self.spec.dim} dimensions")
        with faiss_errors(self.spec.factory):
            self._inner.add(vectors)
        self._single = _single_query_view(self._inner)
        self._refined, self._lists = {}, None

    def search(
        self, queries: Vectors, k: int, parameters: SearchParameters, *, stored: Part, row_set: RowSet
    ) -> tuple[Vectors, Rows]:
        """Finds the rows with the largest inner product for each query, at most k of them, best first.

        Args:
            queries: unit vectors, float32 (n, dim).
            k: at least 1.
            parameters: how to search.
            stored: the stored vectors of the same rows, which re-rank the candidates by exact inner product.
            row_set: the rows that may be found.

        Returns:
            Scores, float32 (n, k), and rows, int64 (n, k); missing ones come last, with -1 as the row.

        Raises:
            UsageError: the queries have another dimension.
            CorruptError: FAISS cannot search it.
        """
        if queries.ndim != 2 or queries.shape[1] != self.spec.dim:
            raise UsageError(f"a query of shape {queries.shape} does not fit an index of {self.spec.dim} dimensions")
        refined = self._refined_by(stored, is_single=len(queries) == 1)
        bitmap = row_set.bitmap(0, self.rows)
        selector = None if bitmap is None else faiss.IDSelectorBitmap(bitmap)
        refining = faiss.IndexRefineSearchParameters(
            # FAISS rounds the number of candidates down, and takes memory for all of them.
            k_factor=min(parameters.candidates, max(self.rows / k, 1)) + 0.5 / k,
            base_index_params=self._faiss_parameters(min(parameters.nprobe, max(self.rows, 1)), selector),
        )
        with faiss_threads(len(queries)), search_errors():
            scores, rows = refined.search(np.ascontiguousarray(queries, np.float32), k, params=refining)
        return scores, rows

    @property
    def lists(self) -> InvertedLists | None:
        """Its inverted lists, if they can be visited one by one."""
        if self._lists is None and InvertedLists.are_in(self._inner):
            self._lists = InvertedLists(self._inner, self._single)
        return self._lists

    def write(self, write_piece: Callable[[bytes], int]) -> None:
        """Serializes the index.

        Args:
            write_piece: called with each piece of the file, in order; returns the number of bytes written.

        Raises:
            OSError: `write_piece` has raised it.
        """
        failed: list[OSError] = []

        def recorded(piece: bytes) -> int:
            try:
                return write_piece(piece)
            except OSError as error:  # which FAISS turns into a RuntimeError
                failed.append(error)
                raise

        try:
            faiss.write_index(self._inner, faiss.PyCallbackIOWriter(recorded))
        except RuntimeError:
            if failed:
                raise failed[0] from None
            raise

    @classmethod
    def read(cls, spec: IndexSpec, file: BinaryIO) -> "Index":
        """Reads an index from a file.

        Raises:
            CorruptError: the file is damaged, or holds an index of another kind.
        """
        os.lseek(file.fileno(), 0, os.SEEK_SET)  # on macOS, opening /dev/fd keeps the offset of the descriptor
        try:
            with _limited_to(os.fstat(file.fileno()).st_size + spec.table_bytes()):
                inner = faiss.read_index(f"/dev/fd/{file.fileno()}")  # by descriptor, since a path need not be UTF-8
            if spec.describes(inner):
                return cls(spec, inner)
        except (RuntimeError, MemoryError) as error:
            raise CorruptError(f"{file.name}: FAISS cannot read it: {error}") from error
        raise CorruptError(f"{file.name}: it is not {spec.factory} over {spec.dim} dimensions")

    def _refined_by(self, stored: Part, *, is_single: bool) -> Any:
        """The index whose candidates the stored vectors re-rank, for a single query or several."""
        known = self._refined.get(is_single)
        if known is None or known[0] is not stored:
            refined = faiss.IndexRefine(self._single if is_single else self._inner, stored.faiss)
            known = self._refined[is_single] = stored, refined
        return known[1]

    def _faiss_parameters(self, nprobe: int, selector: Any) -> Any:
        """FAISS's parameters for one call. Nothing is set on the index itself, which other threads may be searching."""
        chosen = {} if selector is None else {"sel": selector}
        kind = self.spec.kind
        if kind == "ivf":
            if self._has_graph:
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
def _training_settings(inner: Any, samples: int) -> Iterator[None]:
    """Sets the parameters by which an index is trained on that many vectors."""
    core = core_of(inner)
    if hasattr(core, "nlist"):
        core.cp.niter, core.cp.seed, core.cp.min_points_per_centroid = ITERATIONS, _SEED, 1
        core.cp.max_points_per_centroid = max(samples // core.nlist + 1, 1)
        if isinstance(core, faiss.IndexIVFPQ):
            core.do_polysemous_training = False  # takes 1.5 s a codebook, and is not used
        if hasattr(core, "pq"):
            core.pq.cp.min_points_per_centroid = 1  # below 39, FAISS prints a warning
    rotations = [each for each in transforms_of(inner) if isinstance(each, faiss.OPQMatrix)]
    codebooks = [faiss.ProductQuantizer(each.d_out, each.M, 8) for each in rotations]
    for rotation, own in zip(rotations, codebooks, strict=True):
        own.cp.min_points_per_centroid = 1
        rotation.pq = own
    try:
        yield
    finally:
        for rotation in rotations:
            rotation.pq = None  # FAISS holds a bare pointer to it


def _train_on_gpus(inner: Any, sample: Vectors) -> bool:
    """Trains inverted lists with k-means on all GPUs.

    Returns:
        Whether it did: False without GPUs, with a FAISS that does not support them, or if the training failed.
    """
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
        warnings.warn(f"FAISS trains on the CPU; training on the GPU failed: {reason}", DeviceWarning, 2)
        return False
    finally:
        core.clustering_index = None  # FAISS holds a bare pointer to it
    return True


def _single_query_view(inner: Any) -> Any:
    """A view of the same index, in the same memory, on which a single query takes 10% less time.

    It only differs for 4-bit fast scan: queries are not grouped by list. Batches would be half as fast on it.
    """
    core = core_of(inner)
    if not isinstance(core, faiss.IndexIVFPQFastScan):
        return inner
    view = faiss.IndexIVFPQFastScan(
        core.quantizer, core.d, core.nlist, core.M, core.nbits, core.metric_type, core.bbs, False
    )
    view.replace_invlists(core.invlists, False)
    view.pq, view.by_residual, view.is_trained, view.ntotal = core.pq, core.by_residual, core.is_trained, core.ntotal
    view.implem = _UNGROUPED
    if inner is core:
        return view
    whole = faiss.IndexPreTransform(view)
    for transform in reversed(list(transforms_of(inner))):
        whole.prepend_transform(transform)
    return whole


@contextmanager
def _limited_to(size: int) -> Iterator[None]:
    """Limits FAISS's single allocations while it reads a file to a number of bytes, whatever sizes the file claims."""
    with _LIMITS:
        before = faiss.get_deserialization_vector_byte_limit()
        faiss.set_deserialization_vector_byte_limit(size)
        try:
            yield
        finally:
            faiss.set_deserialization_vector_byte_limit(before)
