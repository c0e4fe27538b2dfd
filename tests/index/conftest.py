"""Fixtures that the tests of indexes share."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

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
def no_fsync() -> Iterator[None]:
    """Files are not synchronized with the disk: no test loses power."""
    with mock.patch.object(os, "fsync"):
        yield


@pytest.fixture
def photos(tmp_path: Path, no_fsync: None) -> Iterator[Collection]:
    """A collection of 400 synthetic vectors that gets an index from 300 on, and joins 50 young ones."""
    with stocked(tmp_path / "photos") as collection:
        yield collection
