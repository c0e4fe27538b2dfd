"""A collection of vectors whose labels have something to do with them, and more such vectors."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike import Collection
from lookalike.storage.vectors import Vectors, unit
from tests.support.vector_collections import create, put

DIM, KINDS = 24, 6


def drawn(count: int, seed: int) -> tuple[Vectors, NDArray[np.int64]]:
    """Unit vectors around six centres, some closer than others, float32 (count, DIM), and the kind of each."""
    centres = np.random.default_rng(7).normal(size=(KINDS, DIM))
    random = np.random.default_rng(seed)
    kinds = random.integers(0, KINDS, count)
    spread = 1.2 + 0.3 * kinds[:, None]
    return unit(centres[kinds] + spread * random.normal(size=(count, DIM))), kinds


def keys(kinds: NDArray[np.int64], first: int = 0) -> list[str]:
    """The key of an image of each kind, in a folder of that name."""
    return [f"kind {kind}/{number:04}.jpg" for number, kind in enumerate(kinds.tolist(), first)]


def kinds(folder: Path, count: int = 400) -> Collection:
    """A collection of so many such vectors."""
    collection = create(folder, DIM)
    vectors, found = drawn(count, 1)
    put(collection, vectors, keys(found))
    return collection
