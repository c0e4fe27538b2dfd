"""Which FAISS index: a factory string, whether it can serve a collection, and what it would take.

See https://github.com/facebookresearch/faiss/wiki/The-index-factory for the strings.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import faiss

from lookalike.errors import UsageError

# k-means wants at least 39 vectors a list (FAISS's own limit for a warning); more hardly changes recall.
_SAMPLES_PER_LIST = 40
_SAMPLES = 25_600  # what a transformation or a scalar quantizer learns from; 256 for each of PQ's 100, say
ITERATIONS = 10  # of k-means: FAISS's choice for coarse quantizers
_SAMPLES_PER_CODE, _CODEBOOK_ITERATIONS = 256, 25  # FAISS's choices for product quantizers,
_ROTATIONS = 50  # and for OPQ, each of which learns its codebooks a little further
# Comparing with a centroid of a few dimensions takes as long as so many multiplications of large matrices.
_SMALL_COMPARISON = 200

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
_QUANTIZERS = ("IndexFlat", "IndexFlatIP", "IndexScalarQuantizer", "IndexHNSWFlat", "IndexHNSWSQ")
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

    def empty(self) -> Any:
        """A new FAISS index of this kind, which may have to be trained."""
        with faiss_errors(self.factory):
            return faiss.index_factory(self.dim, self.factory, faiss.METRIC_INNER_PRODUCT)

    def describes(self, inner: Any) -> bool:
        """Whether a FAISS index is of this kind."""
        return _outline(inner) == _outline(self._skeleton)

    @cached_property
    def _skeleton(self) -> Any:
        return self.empty()

    @property
    def kind(self) -> str:
        """What it looks through: "ivf" (inverted lists), "hnsw" (a graph) or "flat" (every code)."""
        return _kind(self._skeleton)

    @property
    def inverted_file(self) -> str:
        """The part of the factory string that says how vectors come into lists: all but the code."""
        return self.factory.rpartition(",")[0]

    @property
    def lists(self) -> int:
        """How many inverted lists it has; 0 where it has none."""
        return int(core_of(self._skeleton).nlist) if self.kind == "ivf" else 0

    def check(self, rows: int) -> None:
        """Raises UsageError where so many vectors are too few to train it."""
        if self.lists > rows:
            raise UsageError(
                f"{self.factory}: {self.lists:,} lists for {rows:,} vectors;"
                f" name fewer, such as IVF{max(rows // 40, 1)}"
            )
        for each in transforms_of(self._skeleton):
            if isinstance(each, faiss.PCAMatrix | faiss.OPQMatrix) and each.d_out > rows:
                raise UsageError(f"{self.factory}: {each.d_out} directions cannot be learned from {rows:,} vectors")
        if rows < _codebook_size(self._skeleton):
            raise UsageError(
                f"{self.factory}: its codebooks of {_codebook_size(self._skeleton)} entries cannot be learned from"
                f" {rows:,} vectors; take SQ8 instead"
            )

    def bytes(self, rows: int) -> int:
        """How much memory it takes for so many vectors."""
        core, learned = core_of(self._skeleton), _bytes_learned(self._skeleton)
        if self.kind == "ivf":
            # 32 vectors fill a block of fast scan, and the last of each list is on average half full.
            padding = core.nlist * core.bbs // 2 if "FastScan" in type(core).__name__ else 0
            lists = (rows + padding) * core.code_size + 8 * (rows + core.nlist)  # each vector's number, and their sizes
            return int(lists + _bytes_flat(quantizer_of(core), core.nlist) + learned)
        return int(_bytes_flat(core, rows) + learned)

    def table_bytes(self) -> int:
        """What FAISS may make of it, or take it for, beyond what is in its file, when it reads it.

        That is a table of distances of its lists and codebooks, and a matrix for each transformation, also for one that
        only adds zeros.
        """
        core = core_of(self._skeleton)
        numbers = sum(each.d_in * each.d_out for each in transforms_of(self._skeleton))
        if hasattr(core, "pq"):
            numbers += self.lists * core.pq.M * core.pq.ksub
        return int(4 * numbers)

    def training_rows(self, rows: int) -> int:
        """From how many of so many vectors it should learn."""
        return min(rows, max(_SAMPLES_PER_LIST * self.lists, _SAMPLES)) if not self._skeleton.is_trained else 0

    def training_cost(self, rows: int) -> int:
        """How many multiplications it takes to train it for so many vectors, k-means more than all else."""
        samples = self.training_rows(rows)
        cost = samples * self.dim * (self.lists * ITERATIONS + 256)
        if codebooks := _codebooks(self._skeleton):
            compared = min(samples, _SAMPLES_PER_CODE * codebooks.ksub) * codebooks.ksub * codebooks.M
            cost += compared * _CODEBOOK_ITERATIONS * _SMALL_COMPARISON
        for rotation in transforms_of(self._skeleton):
            if isinstance(rotation, faiss.OPQMatrix):
                compared = min(samples, _SAMPLES_PER_CODE**2) * 256 * rotation.M
                cost += compared * _ROTATIONS * 5 * _SMALL_COMPARISON + _ROTATIONS * 100 * self.dim * rotation.d_out**2
        return cost

    def adding_cost(self, rows: int) -> int:
        """How many it takes to add so many; one that waits for memory, as in a graph, counts as ten."""
        if self.kind == "hnsw":
            compared = 20_000
        elif self.lists and isinstance(quantizer_of(self._skeleton), faiss.IndexHNSW):
            compared = 3_000
        else:
            compared = max(self.lists, 256)
        return rows * self.dim * compared


@contextmanager
def faiss_errors(factory: str) -> Iterator[None]:
    """What FAISS says of a factory string, in its last words: before them it tells where in its sources it is."""
    try:
        yield
    except RuntimeError as error:
        if "interrupted" in str(error):
            raise KeyboardInterrupt from None
        raise UsageError(f"{factory}: FAISS refuses it: {str(error).strip().rpartition(': ')[2]}") from None
    except MemoryError:
        raise MemoryError(f"{factory}: there is not enough memory") from None


def core_of(inner: Any) -> Any:
    """The index itself, behind what transforms the vectors for it."""
    while isinstance(inner, faiss.IndexPreTransform):
        inner = faiss.downcast_index(inner.index)
    return inner


def quantizer_of(inner: Any) -> Any:
    """What chooses the inverted lists of an index that has some."""
    return faiss.downcast_index(core_of(inner).quantizer)


def transforms_of(inner: Any) -> Iterator[Any]:
    """What transforms the vectors for the index itself."""
    while isinstance(inner, faiss.IndexPreTransform):
        for place in range(inner.chain.size()):
            yield faiss.downcast_VectorTransform(inner.chain.at(place))
        inner = faiss.downcast_index(inner.index)


def _kind(inner: Any) -> str:
    name = type(core_of(inner)).__name__
    return "ivf" if name in _IVF else "hnsw" if name in _HNSW else "flat"


def _refuse_out_of_bounds(factory: str) -> None:
    for what, pattern, low, high in _BOUNDS:
        for number in pattern.findall(factory):
            if not low <= int(number.rstrip("kM")) * _SUFFIXES.get(number[-1], 1) <= high:
                raise UsageError(f"{factory}: {number} {what}; there can be from {low} to {high:,}")


def _refuse_unfit(inner: Any, factory: str) -> None:
    core = core_of(inner)
    name = type(core).__name__
    if name not in _FLAT + _HNSW + _IVF:
        why = _REFUSED.get(name, "it is not among those that can leave out what is deleted")
        raise UsageError(f"{factory}: {why}")
    if any(isinstance(each, faiss.ITQTransform | faiss.ITQMatrix) for each in transforms_of(inner)):
        raise UsageError(f"{factory}: ITQ is for codes of one bit, and learning it takes minutes; leave it out")
    if core.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise UsageError(f"{factory}: FAISS has it for distances alone, and not for inner products")
    if (faiss.downcast_index(core.storage) if name in _HNSW else core).code_size < 1:
        raise UsageError(f"{factory}: its codes hold nothing")
    if name in _IVF and type(quantizer_of(core)).__name__ not in _QUANTIZERS:
        raise UsageError(f"{factory}: its lists are chosen by a quantizer that is not known to work; take a plain IVF")


def _codebooks(inner: Any) -> Any:
    """Its product quantizer, or None where it has none."""
    core = core_of(inner)
    return getattr(faiss.downcast_index(core.storage) if _kind(core) == "hnsw" else core, "pq", None)


def _codebook_size(inner: Any) -> int:
    """How many centroids each of its codebooks has; 0 where it has none."""
    codebooks = _codebooks(inner)
    return int(codebooks.ksub) if codebooks else 0


def _bytes_flat(inner: Any, rows: int) -> int:
    """The memory of an index that has no lists, for so many rows."""
    if _kind(inner) == "hnsw":
        links = 4 * (inner.hnsw.nb_neighbors(0) + 1) + 16  # those of level 0; one node in M has more
        return int(rows * (faiss.downcast_index(inner.storage).code_size + links))
    return int(rows * inner.code_size)


def _bytes_learned(inner: Any) -> int:
    """The memory of what it learns whatever the number of vectors: matrices and codebooks."""
    numbers = _codebook_size(inner) * core_of(inner).d
    for each in transforms_of(inner):
        if isinstance(each, faiss.LinearTransform):
            numbers += each.d_in * each.d_out
        if isinstance(each, faiss.PCAMatrix):
            numbers += each.d_in**2  # it keeps all the directions that it has found
    return int(4 * numbers)


def _outline(inner: Any) -> tuple[object, ...]:
    """What two indexes made by the same factory string have in common."""
    core = core_of(inner)
    return (
        [(each.d_in, each.d_out) for each in transforms_of(inner)],  # OPQ comes back as any matrix
        "IndexFlat" if isinstance(core, faiss.IndexFlat) else type(core).__name__,  # it comes back as IndexFlatIP
        inner.d,
        core.d,
        inner.metric_type,
        getattr(core, "nlist", 0),
        getattr(core, "code_size", 0),
    )
