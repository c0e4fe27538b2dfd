"""A FAISS index over the vectors: it proposes candidates, which the stored vectors then rank.

FAISS is known here and in vectors.py only. An index is named by its factory string
(https://github.com/facebookresearch/faiss/wiki/The-index-factory), and the row numbers of the vectors are its ids.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO

import faiss
import numpy as np

from lookalike.errors import CorruptError, UsageError
from lookalike.selection import Rows, Selection
from lookalike.vectors import Part, Vectors, searching_threads

# k-means wants at least 39 vectors a list (FAISS's own limit for a warning); more hardly changes recall.
_SAMPLES_PER_LIST = 40
_SAMPLES = 25_600  # what a transformation or a scalar quantizer learns from; 256 for each of PQ's 100, say
_ITERATIONS = 10  # of k-means: FAISS's choice for coarse quantizers
_SEED = 1234
_LIMITS = threading.Lock()

# What honours a selection of rows, and gives back the ids that it was given.
_FLAT = ("IndexFlat", "IndexFlatIP", "IndexScalarQuantizer", "IndexRaBitQ")
_HNSW = ("IndexHNSWFlat", "IndexHNSWSQ", "IndexHNSWPQ")
_IVF = (
    "IndexIVFFlat",
    "IndexIVFScalarQuantizer",
    "IndexIVFPQ",
    "IndexIVFPQFastScan",
    "IndexIVFRaBitQ",
    "IndexIVFRaBitQFastScan",
)
_QUANTIZERS = ("IndexFlat", "IndexFlatIP", "IndexScalarQuantizer", "IndexHNSWFlat")
_REFUSED = {
    "IndexPQ": "a product quantizer without inverted lists cannot leave out what is deleted; put IVF in front of it",
    "IndexPQFastScan": "fast scan without inverted lists cannot leave out what is deleted; put IVF in front of it",
    "IndexIDMap": "rows have ids already; leave IDMap out",
    "IndexIDMap2": "rows have ids already; leave IDMap2 out",
    "IndexRefine": "candidates are ranked by the stored vectors already; leave out what is behind the last comma",
    "IndexRefineFlat": "candidates are ranked by the stored vectors already; leave out RFlat",
    "IndexNSGFlat": "NSG cannot leave out what is deleted; HNSW can",
}
# Numbers in a factory string, and from where to where they make sense. FAISS has none of these bounds: it fills the
# memory, or dies, where it should refuse.
_BOUNDS = (
    ("lists", re.compile(r"IVF(\d+[kM]?)"), 1, 2**22),
    ("links for each vector", re.compile(r"HNSW(\d+)"), 2, 512),
    ("bits for each code", re.compile(r"PQ\d+x(\d+)"), 1, 16),
)
_SUFFIXES = {"k": 2**10, "M": 2**20}


@dataclass(frozen=True)
class Effort:
    """How hard a search looks, for one call.

    Attributes:
        breadth: how many inverted lists are visited (nprobe), or how many nodes are kept in view (efSearch); 0 where
            the index compares with every code.
        candidates: how many are ranked by their stored vectors for each that is wanted, at least 1 (k_factor).
    """

    breadth: int
    candidates: float

    def named(self, kind: str) -> str:
        """For people: "nprobe 32, 10 candidates each"."""
        name = {"ivf": f"nprobe {self.breadth}, ", "hnsw": f"efSearch {self.breadth}, "}.get(kind, "")
        return f"{name}{self.candidates:g} candidate{'' if self.candidates == 1 else 's'} each"


@dataclass(frozen=True)
class IndexSpec:
    """An index factory string that goes with vectors of so many dimensions.

    Raises:
        UsageError: FAISS does not know it, or it cannot serve a collection; the message says why.
    """

    factory: str
    dim: int

    def __post_init__(self) -> None:
        _refuse_out_of_bounds(self.factory)
        _refuse_unfit(self._skeleton, self.factory)

    @cached_property
    def _skeleton(self) -> Any:
        return _made(self.factory, self.dim)

    @property
    def kind(self) -> str:
        """What it looks through: "ivf" (inverted lists), "hnsw" (a graph) or "flat" (every code)."""
        return _kind(self._skeleton)

    @property
    def lists(self) -> int:
        """How many inverted lists it has; 0 where it has none."""
        return int(_core(self._skeleton).nlist) if self.kind == "ivf" else 0

    def check(self, rows: int) -> None:
        """Raises UsageError where so many vectors are too few to train it."""
        if self.lists > rows:
            raise UsageError(
                f"{self.factory}: {self.lists:,} lists for {rows:,} vectors;"
                f" name fewer, such as IVF{max(rows // 40, 1)}"
            )
        if rows < _codebook_size(self._skeleton):
            raise UsageError(
                f"{self.factory}: its codebooks of {_codebook_size(self._skeleton)} entries cannot be learned from"
                f" {rows:,} vectors; take SQ8 instead"
            )

    def bytes(self, rows: int) -> int:
        """How much memory it takes for so many vectors."""
        core, learned = _core(self._skeleton), _bytes_learned(self._skeleton)
        if self.kind == "ivf":
            quantizer = faiss.downcast_index(core.quantizer)
            # 32 vectors fill a block of fast scan, and the last of each list is on average half full.
            padding = core.nlist * core.bbs // 2 if "FastScan" in type(core).__name__ else 0
            lists = (rows + padding) * core.code_size + 8 * (rows + core.nlist)  # each vector's number, and their sizes
            return int(lists + _bytes_flat(quantizer, core.nlist) + learned)
        return int(_bytes_flat(core, rows) + learned)

    def table_bytes(self) -> int:
        """What FAISS may make of it, or take it for, beyond what is in its file, when it reads it.

        That is a table of distances of its lists and codebooks, and a matrix for each transformation, also for one that
        only adds zeros.
        """
        core = _core(self._skeleton)
        numbers = sum(each.d_in * each.d_out for each in _transforms(self._skeleton))
        if hasattr(core, "pq"):
            numbers += self.lists * core.pq.M * core.pq.ksub
        return int(4 * numbers)

    def training_rows(self, rows: int) -> int:
        """From how many of so many vectors it should learn."""
        return min(rows, max(_SAMPLES_PER_LIST * self.lists, _SAMPLES)) if not self._skeleton.is_trained else 0


def training_cost(spec: IndexSpec, rows: int) -> int:
    """How many multiplications it takes to train it on a sample of so many vectors, by k-means more than all else."""
    samples = spec.training_rows(rows)
    return samples * spec.dim * (spec.lists * _ITERATIONS + 256)


class Index:
    """A FAISS index of the first rows of the vectors. Any number of threads may search it."""

    def __init__(self, spec: IndexSpec, inner: Any) -> None:
        self.spec, self._inner = spec, inner

    @classmethod
    def trained(cls, spec: IndexSpec, sample: Vectors, *, like: "Index | None" = None) -> "Index":
        """An empty index that has learned from a sample of unit vectors, float32 (n, dim).

        Where its lists are chosen as those of `like` are, it takes over their centroids.

        Raises:
            UsageError: there are too few.
        """
        inner = _made(spec.factory, spec.dim)
        if not inner.is_trained:
            spec.check(len(sample))
            if spec.kind == "ivf":
                core = _core(inner)
                core.cp.niter, core.cp.seed, core.cp.min_points_per_centroid = _ITERATIONS, _SEED, 1
                core.cp.max_points_per_centroid = max(len(sample) // core.nlist + 1, 1)
                if isinstance(core, faiss.IndexIVFPQ):
                    core.do_polysemous_training = False  # 1.5 s a codebook, for a way of searching that is not used
                if hasattr(core, "pq"):
                    core.pq.cp.min_points_per_centroid = 1  # with fewer than 39 it prints warnings
            if like and like.spec.lists and _lists_of(like.spec) == _lists_of(spec):
                quantizer = _core(like._inner).quantizer
                _core(inner).quantizer.add(quantizer.reconstruct_n(0, quantizer.ntotal))
            with _faiss_errors(spec.factory):
                inner.train(sample)
        return cls(spec, inner)

    @property
    def rows(self) -> int:
        """How many of the first rows it covers."""
        return int(self._inner.ntotal)

    def add(self, vectors: Vectors) -> None:
        """Takes in the next rows, float32 (n, dim)."""
        if vectors.ndim != 2 or vectors.shape[1] != self.spec.dim:
            raise UsageError(f"rows of shape {vectors.shape} do not go with an index of {self.spec.dim} dimensions")
        with _faiss_errors(self.spec.factory):
            self._inner.add(vectors)

    def search(
        self, queries: Vectors, k: int, *, effort: Effort, stored: Part, selection: Selection
    ) -> tuple[Vectors, Rows]:
        """The k best of its rows for each query, as far as it finds them, best first.

        Args:
            queries: unit vectors, float32 (n, dim).
            k: at least 1.
            effort: how hard to look.
            stored: the same rows as they are stored; they rank the candidates, by exact inner product.
            selection: which rows count.

        Returns:
            Scores (n, k) and rows (n, k); where fewer are found, the rows are -1.

        Raises:
            UsageError: the queries are of another dimension.
        """
        if queries.ndim != 2 or queries.shape[1] != self.spec.dim:
            raise UsageError(
                f"a query of shape {queries.shape} does not go with an index of {self.spec.dim} dimensions"
            )
        refined = faiss.IndexRefine(self._inner, stored.faiss)
        bitmap = selection.bitmap(0, self.rows)
        selector = None if bitmap is None else faiss.IDSelectorBitmap(bitmap)
        parameters = faiss.IndexRefineSearchParameters(
            k_factor=effort.candidates + 0.5 / k,  # FAISS rounds the number of candidates down
            base_index_params=self._parameters(effort, selector),
        )
        with searching_threads(len(queries)):
            scores, rows = refined.search(np.ascontiguousarray(queries, np.float32), k, params=parameters)
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
        except RuntimeError as error:
            raise CorruptError(f"{file.name}: FAISS cannot read it: {error}") from error
        if _outline(inner) != _outline(spec._skeleton):
            raise CorruptError(f"{file.name}: it is not {spec.factory} over {spec.dim} dimensions")
        return cls(spec, inner)

    def _parameters(self, effort: Effort, selector: Any) -> Any:
        """Those of one call; nothing is ever set on the index, which others are searching."""
        chosen = {} if selector is None else {"sel": selector}
        kind = self.spec.kind
        if kind == "ivf":
            quantizer = faiss.downcast_index(_core(self._inner).quantizer)
            if isinstance(quantizer, faiss.IndexHNSW):
                chosen["quantizer_params"] = faiss.SearchParametersHNSW(efSearch=effort.breadth)
            parameters = faiss.SearchParametersIVF(nprobe=effort.breadth, **chosen)
        elif kind == "hnsw":
            parameters = faiss.SearchParametersHNSW(efSearch=effort.breadth, **chosen)
        else:
            parameters = faiss.SearchParameters(**chosen)
        if isinstance(self._inner, faiss.IndexPreTransform):
            return faiss.SearchParametersPreTransform(index_params=parameters)
        return parameters


def _made(factory: str, dim: int) -> Any:
    with _faiss_errors(factory):
        return faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)


@contextmanager
def _faiss_errors(factory: str) -> Iterator[None]:
    """What FAISS says of a factory string, in its last words: before them it tells where in its sources it is."""
    try:
        yield
    except RuntimeError as error:
        if "interrupted" in str(error):
            raise KeyboardInterrupt from None
        raise UsageError(f"{factory}: FAISS refuses it: {str(error).strip().rpartition(': ')[2]}") from None
    except MemoryError:
        raise MemoryError(f"{factory}: there is not enough memory") from None


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


def _core(inner: Any) -> Any:
    """The index itself, behind what transforms the vectors for it."""
    while isinstance(inner, faiss.IndexPreTransform):
        inner = faiss.downcast_index(inner.index)
    return inner


def _transforms(inner: Any) -> Iterator[Any]:
    """What transforms the vectors for the index itself."""
    while isinstance(inner, faiss.IndexPreTransform):
        for place in range(inner.chain.size()):
            yield faiss.downcast_VectorTransform(inner.chain.at(place))
        inner = faiss.downcast_index(inner.index)


def _lists_of(spec: IndexSpec) -> str:
    """The part of a factory string that says how vectors come into lists: all but the code."""
    return spec.factory.rpartition(",")[0]


def _kind(inner: Any) -> str:
    name = type(_core(inner)).__name__
    return "ivf" if name in _IVF else "hnsw" if name in _HNSW else "flat"


def _refuse_out_of_bounds(factory: str) -> None:
    for what, pattern, low, high in _BOUNDS:
        for number in pattern.findall(factory):
            if not low <= int(number.rstrip("kM")) * _SUFFIXES.get(number[-1], 1) <= high:
                raise UsageError(f"{factory}: {number} {what}; there can be from {low} to {high:,}")


def _refuse_unfit(inner: Any, factory: str) -> None:
    core = _core(inner)
    name = type(core).__name__
    if name not in _FLAT + _HNSW + _IVF:
        why = _REFUSED.get(name, "it is not among those that can leave out what is deleted")
        raise UsageError(f"{factory}: {why}")
    if core.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise UsageError(f"{factory}: FAISS has it for distances alone, and not for inner products")
    if (faiss.downcast_index(core.storage) if name in _HNSW else core).code_size < 1:
        raise UsageError(f"{factory}: its codes hold nothing")
    if name in _IVF and type(faiss.downcast_index(core.quantizer)).__name__ not in _QUANTIZERS:
        raise UsageError(f"{factory}: its lists are chosen by a quantizer that is not known to work; take a plain IVF")


def _codebook_size(inner: Any) -> int:
    """How many centroids each of its codebooks has; 0 where it has none."""
    core = _core(inner)
    core = faiss.downcast_index(core.storage) if _kind(core) == "hnsw" else core
    return int(core.pq.ksub) if hasattr(core, "pq") else 0


def _bytes_flat(inner: Any, rows: int) -> int:
    """The memory of an index that has no lists, for so many rows."""
    if _kind(inner) == "hnsw":
        links = 4 * (inner.hnsw.nb_neighbors(0) + 1) + 16  # those of level 0; one node in M has more
        return int(rows * (faiss.downcast_index(inner.storage).code_size + links))
    return int(rows * inner.code_size)


def _bytes_learned(inner: Any) -> int:
    """The memory of what it learns whatever the number of vectors: matrices and codebooks."""
    numbers = _codebook_size(inner) * _core(inner).d
    for each in _transforms(inner):
        if isinstance(each, faiss.LinearTransform):
            numbers += each.d_in * each.d_out
        if isinstance(each, faiss.PCAMatrix):
            numbers += each.d_in**2  # it keeps all the directions that it has found
    return int(4 * numbers)


def _outline(inner: Any) -> tuple[object, ...]:
    """What two indexes made by the same factory string have in common."""
    core = _core(inner)
    return (
        [(each.d_in, each.d_out) for each in _transforms(inner)],  # OPQ comes back as any matrix
        "IndexFlat" if isinstance(core, faiss.IndexFlat) else type(core).__name__,  # it comes back as IndexFlatIP
        inner.d,
        core.d,
        inner.metric_type,
        getattr(core, "nlist", 0),
        getattr(core, "code_size", 0),
    )
