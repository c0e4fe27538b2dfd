"""FAISS indexes of every kind over the same synthetic vectors, and their answers beside those of brute force."""

import io
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.index.faiss_index import Index
from lookalike.index.operating_point import SearchParameters
from lookalike.index.spec import IndexSpec
from lookalike.storage import vectors
from lookalike.storage.mapped_vectors import MappedVectors, Part
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Vectors, VectorWriter, unit
from lookalike.system import durable

ROWS, K = 600, 10
EXHAUSTIVE = SearchParameters(4096, ROWS / K)  # all lists or nodes, and every vector is a candidate

# With their dimensions: whether these are a multiple of what a code takes decides what FAISS does.
FACTORIES = [
    *[(factory, 32) for factory in ("Flat", "SQ8", "SQ4", "SQ6", "SQfp16", "SQbf16", "RaBitQ", "RaBitQ4")],
    *[
        (f"IVF8,{code}", 32)
        for code in ("Flat", "SQ8", "SQ4", "SQfp16", "PQ8x4", "PQ8x6", "PQ8", "PQ8x4fs", "PQ8x4fsr")
    ],
    *[(f"IVF8,{code}", 32) for code in ("PQ16x4fs_64", "RaBitQ", "RaBitQ4", "RaBitQfs", "RaBitQfs2")],
    *[("IVF1,SQ8", 32), ("IVF8_HNSW32,PQ8x4fs", 32), ("IVF8_HNSW,SQ8", 32), ("IVF8(SQfp16),PQ16x4fs", 32)],
    *[("IVF8(HNSW32,SQfp16),PQ8x4fs", 32), ("IVF8(HNSW16,SQ8),SQ8", 32)],
    *[("HNSW16", 32), ("HNSW16,Flat", 32), ("HNSW16,SQ8", 32), ("HNSW16,SQfp16", 32)],
    *[("PCA16,Flat", 32), ("PCA16,IVF8,SQ8", 32), ("PCAR16,IVF8,PQ8x4fs", 32), ("PCA16,HNSW16,SQ8", 32)],
    *[("L2norm,IVF8,SQ8", 32), ("RR32,IVF8,SQ4", 32), ("PCA16,L2norm,SQ8", 32), ("OPQ8_16,IVF8,PQ8x4fs", 32)],
    *[("Pad28,IVF8,PQ7x4fs", 25), ("Pad26,IVF8,PQ13x4fs", 25), ("IVF8,SQ4", 25), ("IVF8,RaBitQfs2", 25), ("SQ6", 25)],
    *[("Pad384,IVF8,PQ96x4fs", 383), ("IVF8,SQ8", 383), ("PCA64,IVF8,SQ8", 383), ("IVF8,RaBitQfs", 383)],
]


@dataclass(frozen=True)
class Case:
    """Stored vectors, and queries with their true scores.

    Attributes:
        stored: half precision, (ROWS, dim).
        part: the same in a mapped file.
        queries: float32 (n, dim).
        exact: the inner product of each query with each stored vector, (n, ROWS).
    """

    stored: NDArray[np.float16]
    part: Part
    queries: Vectors
    exact: NDArray[np.float64]


def heaped(count: int, dim: int, seed: int) -> Vectors:
    """Unit vectors around 15 centres."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(15, dim))
    return unit(centres[random.integers(0, 15, count)] + random.normal(size=(count, dim)))


@cache
def case(dim: int) -> Case:
    units = heaped(ROWS, dim, 1)
    units[100:110] = units[200]  # images that are equal, in files that are not
    stored = units.astype(np.float16)
    with tempfile.TemporaryDirectory() as folder:  # the mapping outlives the file
        part = mapped(Path(folder) / "v.faiss", stored).part(0, ROWS)
    queries = np.concatenate([stored[198:204].astype(np.float32), heaped(16, dim, 2)])
    return Case(stored, part, queries, queries.astype(np.float64) @ stored.astype(np.float64).T)


def mapped(path: Path, stored: NDArray[np.float16]) -> MappedVectors:
    """Writes a file of these vectors, and maps it."""
    count, dim = stored.shape
    vectors.create(path, dim)
    writer = VectorWriter(path, dim, 0)
    writer.append(stored)
    writer.close()
    return MappedVectors(path, dim, count)


def trained(factory: str, sample: Vectors, *, like: Index | None = None) -> Index:
    return Index.trained(IndexSpec(factory, sample.shape[1]), sample, like=like)


def built(factory: str, dim: int) -> Index:
    """An index of a case's vectors, which are added in several parts."""
    units = case(dim).stored.astype(np.float32)
    IndexSpec(factory, dim).check(ROWS)
    index = trained(factory, units)
    for start in range(0, ROWS, 250):
        index.add(units[start : start + 250])
    return index


def serialized(index: Index) -> bytes:
    file = io.BytesIO()
    index.write(file.write)
    return file.getvalue()


def read_back(index: Index) -> Index:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "i.faiss"
        durable.write(path, index.write)
        with path.open("rb") as file:
            return Index.read(index.spec, file)


@cache
def both(factory: str, dim: int) -> tuple[Index, Index]:
    """An index as it was built, and as it is read back from a file."""
    made = built(factory, dim)
    return made, read_back(made)


def row_sets() -> list[RowSet]:
    """All rows, some deleted, every third, as many as are wanted, and a single one."""
    random = np.random.default_rng(3)
    return [
        RowSet(ROWS),
        RowSet(ROWS, dead=random.choice(ROWS, 150, replace=False)),
        RowSet(ROWS, only=np.arange(0, ROWS, 3)),
        RowSet(ROWS, only=random.choice(ROWS, K, replace=False)),
        RowSet(ROWS, dead=np.arange(ROWS - 1)),
    ]


def search(index: Index, parameters: SearchParameters, row_set: RowSet, *, k: int = K) -> tuple[Vectors, Rows]:
    """The answers to all queries of the case at once."""
    data = case(index.spec.dim)
    return index.search(data.queries, k, parameters, stored=data.part, row_set=row_set)


def answers(index: Index, parameters: SearchParameters, row_set: RowSet, *, k: int = K) -> list[tuple[Vectors, Rows]]:
    """The answers to all queries at once, and to the first eight one by one."""
    data = case(index.spec.dim)
    alone = [index.search(query[None], k, parameters, stored=data.part, row_set=row_set) for query in data.queries[:8]]
    one_by_one = np.concatenate([scores for scores, _ in alone]), np.concatenate([rows for _, rows in alone])
    return [search(index, parameters, row_set, k=k), one_by_one]


def assert_true(scores: Vectors, rows: Rows, exact: NDArray[np.float64], row_set: RowSet) -> None:
    """Each row may be found, comes once, with its own score, and the best come first; missing ones come last."""
    there = rows >= 0
    assert not (~there[:, :-1] & there[:, 1:]).any()
    assert (rows[~there] == -1).all()
    assert np.isin(rows[there], row_set.rows()).all()
    assert [len(set(of_query) - {-1}) for of_query in rows.tolist()] == there.sum(axis=1).tolist()
    true = np.take_along_axis(exact[: len(rows)], np.maximum(rows, 0), axis=1)
    np.testing.assert_allclose(scores[there], true[there], atol=3e-6)
    assert (np.diff(scores)[there[:, 1:]] <= 0).all()


def assert_best(scores: Vectors, rows: Rows, dim: int) -> None:
    """The K best of all rows of a case, as brute force finds them."""
    exact = case(dim).exact
    assert_true(scores, rows, exact, RowSet(ROWS))
    np.testing.assert_allclose(scores, -np.sort(-exact, axis=1)[:, :K], atol=3e-6)
