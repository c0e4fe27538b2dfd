"""Fixtures of the tests of sharded collections."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sharded_collections import Both, made


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    """The same images in one collection and in sixteen shards."""
    both = made(tmp_path.resolve())
    yield both
    both.close()
