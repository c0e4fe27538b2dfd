"""Fixtures that the tests of searches by an index share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike import Collection
from lookalike.index.faiss_index import Index
from lookalike.index.operating_point import SearchParameters
from lookalike.storage.vectors import Vectors
from tests.support.searched_collections import RecordedSearches, stocked
from tests.support.vector_collections import one_thread


@pytest.fixture
def quick() -> Iterator[None]:
    """FAISS uses one thread: with so few vectors, more of them only wait for each other."""
    with one_thread():
        yield


@pytest.fixture
def indexed(tmp_path: Path, quick: None) -> Iterator[Collection]:
    """A collection of synthetic vectors with an index, some of them deleted and some younger than the index."""
    with stocked(tmp_path / "photos") as collection:
        yield collection


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> RecordedSearches:
    """The searches of any index from now on."""
    recorded, search = RecordedSearches(), Index.search

    def recording(index: Index, queries: Vectors, k: int, parameters: SearchParameters, **given: Any) -> object:
        recorded.parameters.append(parameters)
        return search(index, queries, k, parameters, **given)

    monkeypatch.setattr(Index, "search", recording)
    return recorded
