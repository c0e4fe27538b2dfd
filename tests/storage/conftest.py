"""Fixtures that the tests of a collection's files share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.storage import sqlite
from lookalike.storage.catalog import Catalog
from tests.support.catalogs import fill


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """An empty one."""
    Catalog.create(tmp_path / "catalog.sqlite")
    catalog = Catalog(tmp_path / "catalog.sqlite")
    yield catalog
    catalog.close()


@pytest.fixture(params=["wal", "delete"])
def journaled(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """A catalog with either journal, holding one image."""
    monkeypatch.setattr(sqlite, "_WAL_IS_SAFE", request.param == "wal")
    Catalog.create(tmp_path / "catalog.sqlite")
    catalog = Catalog(tmp_path / "catalog.sqlite")
    fill(catalog, ["first"])
    with catalog._database.connection() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == (request.param,)
    yield catalog
    catalog.close()
