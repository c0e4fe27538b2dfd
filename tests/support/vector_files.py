"""Files of unit vectors, written as a collection's are, and brute force to compare searches with."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.storage import vectors
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.vectors import StoredVectors, Vectors, VectorWriter, unit

HEADER = 81  # bytes, as FAISS has written it since the type exists


def random_units(count: int, dim: int, seed: int = 0) -> Vectors:
    return unit(np.random.default_rng(seed).normal(size=(count, dim)))


def write(path: Path, units: Vectors, *, in_parts_of: int = 64) -> StoredVectors:
    """Writes a file of these vectors; returns them as they are stored."""
    stored = units.astype(np.float16)
    vectors.create(path, units.shape[1])
    append(path, stored, in_parts_of=in_parts_of)
    return stored


def append(path: Path, stored: StoredVectors, *, count: int = 0, in_parts_of: int = 64, committed: bool = True) -> None:
    """Writes rows behind the first `count`, and says that they are committed."""
    with closing(VectorWriter(path, stored.shape[1], count)) as writer:
        for start in range(0, len(stored), in_parts_of):
            writer.append(stored[start : start + in_parts_of])
        if committed:
            writer.committed()


def mapped(path: Path, units: Vectors) -> tuple[MappedVectors, StoredVectors]:
    """Writes a file of these vectors and maps it; returns them also as they are stored."""
    stored = write(path, units)
    return MappedVectors(path, units.shape[1], len(units)), stored


def header_count(path: Path) -> int:
    """The number of vectors in a file as FAISS reads it."""
    count: int = faiss.read_index(str(path)).ntotal
    return count


def exact_scores(queries: Vectors, stored: StoredVectors) -> Vectors:
    """The score of each row for each query, float32 (queries, rows)."""
    return (queries.astype(np.float64) @ stored.astype(np.float64).T).astype(np.float32)


def assert_best(scores: Vectors, rows: NDArray[np.int64], exact: Vectors, *, tolerance: float = 2e-6) -> None:
    """They are the best of the exact scores, (queries, rows), where those within rounding may change places."""
    assert scores.shape == rows.shape
    best = -np.sort(-exact, axis=1)[:, : rows.shape[1]]
    np.testing.assert_allclose(scores, best, atol=tolerance)
    np.testing.assert_allclose(np.take_along_axis(exact, rows, axis=1), scores, atol=tolerance)
    assert all(len(set(of_query)) == len(of_query) for of_query in rows.tolist())


def before_first_call(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, action: Callable[[], None]) -> None:
    """Does something in the moment before a function is called for the first time."""
    function = getattr(owner, name)

    def first_act(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(owner, name, function)
        action()
        return function(*args, **options)

    monkeypatch.setattr(owner, name, first_act)
