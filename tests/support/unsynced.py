"""Spares tests the waiting for the disk, which is most of the time of a small commit: no test loses power.

That files and folders are synced, and in which order, is tested by a record of the calls (tests/system/test_durable.py,
tests/campaigns/power); that SQLite waits for the disk, by its settings (`synced` in tests/conftest.py).
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from lookalike.storage import sqlite

# What they are outside of tests.
set_durability, fsync = sqlite._set_durability, os.fsync


@contextmanager
def unsynced() -> Iterator[None]:
    """Within, no commit of this process waits for the disk; a sync still fails if the descriptor is none."""
    with mock.patch.object(os, "fsync", os.fstat), mock.patch.object(sqlite, "_set_durability", set_little_durability):
        yield


def set_little_durability(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA foreign_keys = ON")
