"""Fixtures that the tests of indexing a collection again share."""

import os
import sqlite3

import pytest

from lookalike.storage import sqlite
from tests.support.reindexing import CountingEncoder


@pytest.fixture
def without_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the disk, since no test loses power."""

    def only_foreign_keys(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA foreign_keys = ON")

    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(sqlite, "_set_durability", only_foreign_keys)


@pytest.fixture
def coarse() -> CountingEncoder:
    return CountingEncoder()
