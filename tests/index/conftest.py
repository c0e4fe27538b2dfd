"""Fixtures that the tests of indexes share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike import Collection
from tests.support.indexed_collections import stocked
from tests.support.vector_collections import one_thread


@pytest.fixture(autouse=True)
def one_faiss_thread() -> Iterator[None]:
    """With so few vectors, more of FAISS's threads only wait for each other."""
    with one_thread():
        yield


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Collection]:
    """A collection of 400 synthetic vectors that gets an index from 300 on, and joins 50 young ones."""
    with stocked(tmp_path / "photos") as collection:
        yield collection
