"""Fixtures that the tests of indexing a collection again share."""

import pytest

from tests.support.reindexing import CountingEncoder


@pytest.fixture
def coarse() -> CountingEncoder:
    return CountingEncoder()
