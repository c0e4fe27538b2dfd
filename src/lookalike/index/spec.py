"""FAISS index factory strings: whether one can serve a collection, and how much memory and time its index takes.

The strings are described at https://github.com/facebookresearch/faiss/wiki/The-index-factory.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import faiss

from lookalike import arguments
from lookalike.errors import UsageError

# FAISS warns when k-means gets fewer than 39 vectors per list; more than that hardly changes recall.
SAMPLES_PER_LIST = 40
_SAMPLES = 25_600  # the fewest vectors that a transform or a code is trained on, if there are as many
ITERATIONS = 10  # of k-means; FAISS's default for coarse quantizers
_SAMPLES_PER_CODE, _CODEBOOK_ITERATIONS = 256, 25  # FAISS's defaults for product quantizers
_ROTATIONS = 50  # training iterations of OPQ; FAISS's default
# Comparing with a centroid of a few dimensions takes as long as this many multiplications in a large matrix product.
_SMALL_COMPARISON = 200

# The FAISS classes that restrict a search to an IDSelector, and return the ids of the vectors as they were added.
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
    "IndexPQ": "a product quantizer without inverted lists cannot exclude deleted vectors; put IVF in front of it",
    "IndexPQFastScan": "fast scan without inverted lists cannot exclude deleted vectors; put IVF in front of it",
    "IndexIDMap": "rows have ids already; leave IDMap out",
    "IndexIDMap2": "rows have ids already; leave IDMap2 out",
    "IndexRefine": "candidates are re-ranked by the stored vectors already; leave out the part after the last comma",
    "IndexRefineFlat": "candidates are re-ranked by the stored vectors already; leave out RFlat",
    "IndexNSGFlat": "NSG cannot exclude deleted vectors; HNSW can",
}
# What FAISS does not check in a factory string: it would fill the memory, or crash.
_LONGEST, _DEEPEST = 200, 2  # characters; parentheses within each other
_BOUNDS = (
    ("lists", re.compile(r"IVF(\d+[kM]?)"), 1, 2**22),
    ("links per vector", re.compile(r"HNSW(\d+)"), 2, 512),
    ("bits per code", re.compile(r"x(\d+)"), 1, 16),
    ("as a number", re.compile(r"(\d+)(?![kM\d])"), 0, 2**22),
)
_DIMENSIONS = re.compile(r"(?:OPQ\d+_|PCAW?R?|RR|ITQ|Pad)(\d+)")  # that a transform makes
_FEW_DIMENSIONS = 64  # that a transform may always make; else, at most twice those of the vectors
_SUFFIXES = {"k": 2**10, "M": 2**20}


@dataclass(frozen=True)
class IndexSpec:
    """An index factory string for vectors of a certain dimension.

    Attributes:
        factory: the FAISS index factory string.
        dim: the dimension of the vectors.

    Raises:
        UsageError: FAISS does not accept the string, or its index cannot serve a collection; the message says why.
    """

    factory: str
    dim: int

    def __post_init__(self) -> None:
        _refuse_malformed(self.factory)
        _refuse_out_of_bounds(self.factory, self.dim)
        _refuse_unfit(self._skeleton, self.factory)

    def empty(self) -> Any:
        """A new, empty FAISS index of this kind, which may need training."""
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
        """The kind of search: "ivf" (inverted lists), "hnsw" (a graph) or "flat" (every code)."""
        return _kind(self._skeleton)

    @property
    def inverted_file(self) -> str:
        """The part of the factory string that defines the inverted lists: all but the code of the vectors."""
        return self.factory.rpartition(",")[0]

    @property
    def lists(self) -> int:
        """The number of inverted lists; 0 if there are none."""
        return int(core_of(self._skeleton).nlist) if self.kind == "ivf" else 0

    def check(self, rows: int) -> None:
        """Makes sure that it can be trained for that many vectors.

        Raises:
            UsageError: they are too few.
        """
        if self.lists > rows:
            raise UsageError(
                f"{self.factory}: {self.lists:,} lists for {rows:,} vectors; use fewer, such as IVF{max(rows // 40, 1)}"
            )
        for each in transforms_of(self._skeleton):
            if isinstance(each, faiss.PCAMatrix | faiss.OPQMatrix) and each.d_out > rows:
                raise UsageError(
                    f"{self.factory}: a transform to {each.d_out} dimensions cannot be trained on {rows:,} vectors"
                )
        if rows < _codebook_size(self._skeleton):
            raise UsageError(
                f"{self.factory}: its codebooks of {_codebook_size(self._skeleton)} entries cannot be trained on"
                f" {rows:,} vectors; use SQ8 instead"
            )

    def bytes(self, rows: int) -> int:
        """The memory that the index of that many vectors takes, in bytes."""
        core, trained = core_of(self._skeleton), _trained_bytes(self._skeleton)
        if self.kind == "ivf":
            # Fast scan stores 32 vectors a block, and the last block of each list is half full on average.
            padding = core.nlist * core.bbs // 2 if "FastScan" in type(core).__name__ else 0
            lists = (rows + padding) * core.code_size + 8 * (rows + core.nlist)  # the ids, and the lists' sizes
            return int(lists + _flat_bytes(quantizer_of(core), core.nlist) + trained)
        return int(_flat_bytes(core, rows) + trained)

    def table_bytes(self) -> int:
        """The bytes that FAISS may allocate at once when it reads the index, beyond the size of its file.

        They are for a table of distances between lists and codebooks, and a matrix for each transform, even one that
        only pads with zeros.
        """
        core = core_of(self._skeleton)
        numbers = sum(each.d_in * each.d_out for each in transforms_of(self._skeleton))
        if hasattr(core, "pq"):
            numbers += self.lists * core.pq.M * core.pq.ksub
        return int(4 * numbers)

    def training_rows(self, rows: int) -> int:
        """The number of vectors to train it on, for an index of that many."""
        return min(rows, max(SAMPLES_PER_LIST * self.lists, _SAMPLES)) if not self._skeleton.is_trained else 0

    def training_cost(self, rows: int) -> int:
        """The number of multiplications that training it for that many vectors takes, most of them for k-means."""
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
        """The number of multiplications that adding that many vectors takes.

        One that waits for memory, as in a graph, counts as ten.
        """
        if self.kind == "hnsw":
            compared = 20_000
        elif self.lists and isinstance(quantizer_of(self._skeleton), faiss.IndexHNSW):
            compared = 3_000
        else:
            compared = max(self.lists, 256)
        return rows * self.dim * compared


@contextmanager
def faiss_errors(factory: str) -> Iterator[None]:
    """Turns FAISS's errors about a factory string into a UsageError, without the line of FAISS's source code."""
    try:
        yield
    except RuntimeError as error:
        if "interrupted" in str(error):
            raise KeyboardInterrupt from None
        raise UsageError(f"{factory}: FAISS refuses it: {str(error).strip().rpartition(': ')[2]}") from None
    except MemoryError:
        raise MemoryError(f"{factory}: there is not enough memory") from None


def core_of(inner: Any) -> Any:
    """The index behind the transforms of the vectors."""
    while isinstance(inner, faiss.IndexPreTransform):
        inner = faiss.downcast_index(inner.index)
    return inner


def quantizer_of(inner: Any) -> Any:
    """The coarse quantizer, which chooses the inverted lists of an index that has them."""
    return faiss.downcast_index(core_of(inner).quantizer)


def transforms_of(inner: Any) -> Iterator[Any]:
    """The transforms that are applied to vectors before they are indexed, in their order."""
    while isinstance(inner, faiss.IndexPreTransform):
        for position in range(inner.chain.size()):
            yield faiss.downcast_VectorTransform(inner.chain.at(position))
        inner = faiss.downcast_index(inner.index)


def _kind(inner: Any) -> str:
    name = type(core_of(inner)).__name__
    return "ivf" if name in _IVF else "hnsw" if name in _HNSW else "flat"


def _refuse_malformed(factory: str) -> None:
    shown = arguments.shown(factory)
    if not re.fullmatch(r"[\w,()]+", factory, re.ASCII):
        raise UsageError(f"spec={shown}: give a FAISS index factory string, such as IVF4096,PQ320x4fs")
    if len(factory) > _LONGEST:
        raise UsageError(f"spec={shown}: {len(factory):,} characters; give at most {_LONGEST}")
    if _depth(factory) > _DEEPEST:
        raise UsageError(f"{factory}: {_depth(factory)} parentheses within each other; give at most {_DEEPEST}")


def _depth(factory: str) -> int:
    return max(accumulate((character == "(") - (character == ")") for character in factory))


def _refuse_out_of_bounds(factory: str, dim: int) -> None:
    for noun, pattern, low, high in (*_BOUNDS, ("dimensions", _DIMENSIONS, 1, max(2 * dim, _FEW_DIMENSIONS))):
        for number in pattern.findall(factory):
            if not low <= int(number.rstrip("kM")) * _SUFFIXES.get(number[-1], 1) <= high:
                raise UsageError(f"{factory}: {number} {noun}; give from {low} to {high:,}")


def _refuse_unfit(inner: Any, factory: str) -> None:
    core = core_of(inner)
    name = type(core).__name__
    if name not in _FLAT + _HNSW + _IVF:
        why = _REFUSED.get(name, "an index of this kind cannot exclude deleted vectors")
        raise UsageError(f"{factory}: {why}")
    if any(isinstance(each, faiss.ITQTransform | faiss.ITQMatrix) for each in transforms_of(inner)):
        raise UsageError(f"{factory}: ITQ is for codes of one bit, and its training takes minutes; leave it out")
    if core.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise UsageError(f"{factory}: FAISS supports it for L2 distances only, not for inner products")
    if (faiss.downcast_index(core.storage) if name in _HNSW else core).code_size < 1:
        raise UsageError(f"{factory}: its codes have no bits")
    if name in _IVF and type(quantizer_of(core)).__name__ not in _QUANTIZERS:
        raise UsageError(f"{factory}: its coarse quantizer is not supported; use a plain IVF")


def _codebooks(inner: Any) -> Any:
    """The product quantizer, or None if there is none."""
    core = core_of(inner)
    return getattr(faiss.downcast_index(core.storage) if _kind(core) == "hnsw" else core, "pq", None)


def _codebook_size(inner: Any) -> int:
    """The number of centroids in each codebook; 0 if there are none."""
    codebooks = _codebooks(inner)
    return int(codebooks.ksub) if codebooks else 0


def _flat_bytes(inner: Any, rows: int) -> int:
    """The memory of an index without lists, for that many rows, in bytes."""
    if _kind(inner) == "hnsw":
        links = 4 * (inner.hnsw.nb_neighbors(0) + 1) + 16  # of level 0; one node in M is on more levels
        return int(rows * (faiss.downcast_index(inner.storage).code_size + links))
    return int(rows * inner.code_size)


def _trained_bytes(inner: Any) -> int:
    """The memory of its matrices and codebooks, which does not depend on the number of vectors, in bytes."""
    numbers = _codebook_size(inner) * core_of(inner).d
    for each in transforms_of(inner):
        if isinstance(each, faiss.LinearTransform):
            numbers += each.d_in * each.d_out
        if isinstance(each, faiss.PCAMatrix):
            numbers += each.d_in**2  # it keeps all principal components
    return int(4 * numbers)


def _outline(inner: Any) -> tuple[object, ...]:
    """The properties by which two indexes of the same factory string are equal."""
    core = core_of(inner)
    return (
        [(each.d_in, each.d_out) for each in transforms_of(inner)],  # OPQ is read back as a plain matrix
        "IndexFlat" if isinstance(core, faiss.IndexFlat) else type(core).__name__,  # it is read back as IndexFlatIP
        inner.d,
        core.d,
        inner.metric_type,
        getattr(core, "nlist", 0),
        getattr(core, "code_size", 0),
    )
