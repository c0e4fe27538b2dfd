"""Fixtures that the tests of the service share."""

from collections.abc import Iterator

import pytest

import lookalike
from lookalike import Collection
from tests.support.optional_packages import needs
from tests.support.pictures import ColourEncoder, draw

needs("fastapi", "uvicorn", "prometheus_client", "python_multipart", "httpx")

from tests.support.http_service import Running, running


@pytest.fixture
def service(photos: Collection) -> Iterator[Running]:
    """The twelve pictures, served with the usual settings."""
    with running(photos) as made:
        yield made


@pytest.fixture(scope="module")
def shared_photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """The collection of twelve pictures, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("shared").resolve() / "photos"
    for seed in range(12):
        draw(folder / ("", "cats", "dogs")[seed % 3] / f"{seed:02}.png", seed)
    with lookalike.create(folder, encoder=ColourEncoder()) as collection:
        collection.add(folder, threads=2)
        yield collection


@pytest.fixture(scope="module")
def shared(shared_photos: Collection) -> Iterator[Running]:
    """A service of it, for tests that change nothing."""
    with running(shared_photos) as made:
        yield made
