"""A collection with names of all kinds, a service of it, and a client."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import lookalike
from lookalike import Client, Collection
from tests.support.optional_packages import needs
from tests.support.pictures import ColourEncoder, draw
from tests.support.reindexing import annotate

needs("fastapi", "uvicorn", "prometheus_client", "python_multipart", "httpx")

from lookalike.server.settings import Settings
from tests.support.crowds import crowd
from tests.support.http_service import TOKEN, running

NAMES = [
    *("00.png", "cats/01.png", "dogs/02.png", "猫/ねこ 3.png", "caf\udce9/caf\udce9.png", "a b/%2e #?&.png"),
    *("line\nbreak.png", "cats/07.png", "cats/copy of 07.png", "emoji 🐈/08.png"),
]
SEEDS = [0, 1, 2, 3, 4, 5, 6, 7, 7, 8]
TABLE = """path,colour,price,colour_bytes
00.png,red,1,x
cats/01.png,"deep, blue",2.5,y
dogs/02.png,red,3,
cats/07.png,7,9007199254740993,
"""


@dataclass(frozen=True)
class Both:
    """A collection, and a client of the service that has it."""

    collection: Collection
    client: Client


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Ten pictures under names of all kinds, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("client").resolve() / "photos"
    for name, seed in zip(NAMES, SEEDS, strict=True):
        draw(folder / name, seed)
    with lookalike.create(folder, encoder=ColourEncoder()) as collection:
        collection.keep_regions(9)
        collection.add(folder, threads=2)
        annotate(collection, TABLE)
        with (
            running(collection, Settings(token=TOKEN)) as service,
            Client(f"http://127.0.0.1:{service.port}/", token=TOKEN) as client,
        ):
            yield Both(collection, client)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """301 vectors, enough to tell chance, for tests that change nothing."""
    with (
        crowd(tmp_path_factory.mktemp("crowded").resolve() / "photos") as collection,
        running(collection) as service,
        Client(f"http://127.0.0.1:{service.port}") as client,
    ):
        yield Both(collection, client)


@pytest.fixture
def writable(photos: Collection) -> Iterator[Both]:
    """The twelve pictures, which may be changed."""
    with (
        running(photos, Settings(token=TOKEN, writable=True)) as service,
        Client(f"http://127.0.0.1:{service.port}", token=TOKEN) as client,
    ):
        yield Both(photos, client)
