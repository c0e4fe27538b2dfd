"""A collection in which two images are copies, and all others are as near as directions are by chance."""

from pathlib import Path

import numpy as np

from lookalike import Collection
from lookalike.storage.vectors import Vectors, unit
from tests.support.vector_collections import create, put

DIM, COUNT = 32, 300


def directions(count: int, seed: int, dim: int = DIM) -> Vectors:
    """Unit vectors of random directions, float32 (count, dim)."""
    return unit(np.random.default_rng(seed).normal(size=(count, dim)))


def crowd(folder: Path) -> Collection:
    """300 images of random directions in `a` and `b`, and `copy.jpg`, which is nearly the first of them."""
    collection = create(folder, DIM)
    vectors = directions(COUNT, seed=1)
    near = unit(vectors[:1] + 0.05 * np.random.default_rng(2).normal(size=DIM))
    keys = [f"{'ab'[number % 2]}/{number:03}.jpg" for number in range(COUNT)]
    put(collection, np.concatenate([vectors, near]), [*keys, "copy.jpg"])
    return collection
