"""The vectors that `search_speed.py` searches, the queries, and the right answers.

In a folder, `vectors.npy` holds unit vectors in half precision, `queries.npy` others of the same kind in single
precision, and `nearest.npy` the rows of the ten nearest vectors of each query, best first.
"""

from pathlib import Path

import numpy as np

from lookalike.storage.rows import Rows
from lookalike.storage.vectors import Vectors
from search_contenders import K, Stored

_BLOCK = 20_000  # vectors at a time


def draw(folder: Path, count: int, dim: int, queries: int, seed: int) -> tuple[int, int]:
    """Writes synthetic unit vectors, and queries that are drawn like them.

    There is one cluster for every 50 vectors. Centres, and members around them at 0.55 of the scale, are normally
    distributed in 256 dimensions whose standard deviations fall with the square root of their number, turned at random
    into all dimensions. With 1,280 dimensions they are as hard for inverted lists as embeddings of photographs of
    clothing: of 180,000 vectors in 1,024 lists, searching 32 lists finds 0.96 to 0.98 of the ten nearest, and 64 lists
    0.98 to 0.99.

    Returns the number of vectors, and their dimension.
    """
    rng = np.random.default_rng(seed)
    latent = min(256, dim)
    scale = np.arange(1, latent + 1, dtype=np.float32) ** -0.5
    turn = np.linalg.qr(rng.standard_normal((dim, latent)))[0].T.astype(np.float32)
    centres = rng.standard_normal((max(count // 50, 1), latent), np.float32) * scale

    def drawn(size: int) -> Vectors:
        members = rng.standard_normal((size, latent), np.float32) * (0.55 * scale)
        return _unit((centres[rng.integers(0, len(centres), size)] + members) @ turn)

    stored = _new_file(folder, count, dim)
    for start in range(0, count, _BLOCK):
        stored[start : start + _BLOCK] = drawn(min(_BLOCK, count - start))
    np.save(folder / "queries.npy", drawn(queries))
    return count, dim


def take(path: Path, folder: Path, count: int, queries: int, seed: int) -> tuple[int, int]:
    """Writes vectors of a file, at most `count`, and others of the same file as queries.

    Returns the number of vectors, and their dimension.
    """
    given = np.load(path, mmap_mode="r")
    rows = np.random.default_rng(seed).permutation(len(given))[: count + queries]
    np.save(folder / "queries.npy", _unit(np.asarray(given[rows[:queries]], np.float32)))
    rows = np.sort(rows[queries:])
    stored = _new_file(folder, len(rows), given.shape[1])
    for start in range(0, len(rows), _BLOCK):
        stored[start : start + _BLOCK] = _unit(np.asarray(given[rows[start : start + _BLOCK]], np.float32))
    return stored.shape[0], stored.shape[1]


def _new_file(folder: Path, count: int, dim: int) -> Stored:
    return np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float16, (count, dim))


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def nearest(folder: Path) -> Rows:
    """The rows of the ten nearest vectors of each query, best first, by NumPy, int64 (n, 10)."""
    stored, queries = np.load(folder / "vectors.npy", mmap_mode="r"), np.load(folder / "queries.npy")
    rows, scores = np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
    for start in range(0, len(stored), _BLOCK):
        found = queries @ np.asarray(stored[start : start + _BLOCK], np.float32).T
        scores = np.hstack([scores, found])
        rows = np.hstack([rows, np.broadcast_to(np.arange(start, start + found.shape[1]), found.shape)])
        best = np.argsort(-scores, axis=1)[:, :K]
        scores, rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)
    return rows
