"""What tests of exchange share."""

from pathlib import Path

import numpy as np
import pytest

from lookalike import Collection
from tests.support.vector_collections import clustered, create, drop, keys_of, put

DIM = 24


@pytest.fixture
def filled(tmp_path: Path) -> Collection:
    """A collection of 290 images, of whose 300 vectors the first 10 are of none any more; some have attributes."""
    collection = create(tmp_path / "photos", DIM)
    put(collection, clustered(300, DIM, seed=1), keys_of(300))
    drop(collection, keys_of(10))
    with collection._catalog.writing() as transaction:
        transaction.set_attributes("a/000010.jpg", {"price": 7, "weight": 7.0, "name": "é\n=1"})
        transaction.set_attributes("d/000299.jpg", {"label": "given"})
    return collection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    place = tmp_path / "out"
    place.mkdir()
    return place


def random_rows(count: int, dim: int = DIM, seed: int = 3) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """Vectors of other lengths than 1."""
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
