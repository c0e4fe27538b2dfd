"""Fixtures that the tests of the service share."""

from collections.abc import Iterator

import pytest

from lookalike import Collection
from tests.support.optional_packages import needs

needs("fastapi", "uvicorn", "prometheus_client", "multipart", "httpx")

from tests.support.http_service import Running, running


@pytest.fixture
def service(photos: Collection) -> Iterator[Running]:
    """The twelve pictures, served with the usual settings."""
    with running(photos) as made:
        yield made
