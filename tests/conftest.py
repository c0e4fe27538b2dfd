"""Fixtures that the tests share."""

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike
from lookalike import Collection
from lookalike.images.reading import FileStatus
from lookalike.storage import sqlite
from tests.support import optional_packages
from tests.support.pictures import ColourEncoder, draw
from tests.support.unsynced import fsync, set_durability, unsynced


def pytest_configure() -> None:
    """Lets Ctrl-C reach the processes that tests start, also where a script runs pytest in the background."""
    optional_packages.started.set()
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("LOOKALIKE_TRUST", "LOOKALIKE_CACHE"):  # and not the user's own
        if name not in os.environ:
            os.environ[name] = place = tempfile.mkdtemp(prefix=f"{name.lower().replace('_', '-')}-")
            atexit.register(shutil.rmtree, place, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests come first, so that no process has to wait for another one that began them last."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk() -> Iterator[None]:
    """No test loses power, so nothing in the tests' own process waits for the disk."""
    with unsynced():
        yield


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits wait for the disk as they do for users."""
    monkeypatch.setattr(sqlite, "_set_durability", set_durability)
    monkeypatch.setattr(os, "fsync", fsync)


@pytest.fixture
def encoder() -> ColourEncoder:
    return ColourEncoder()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of twelve pictures in two folders and the top."""
    photos = tmp_path.resolve() / "photos"
    for seed in range(12):
        draw(photos / ("", "cats", "dogs")[seed % 3] / f"{seed:02}.png", seed)
    return photos


@pytest.fixture
def photos(folder: Path, encoder: ColourEncoder) -> Iterator[Collection]:
    """The collection of these twelve pictures."""
    with lookalike.create(folder, encoder=encoder) as collection:
        collection.add(folder, threads=2)
        yield collection


@pytest.fixture
def old_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is so young that it is looked at again next time."""
    monkeypatch.setattr(FileStatus, "settled", lambda status, _: status)


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A folder in a test that is run without root's right to read everything, whoever runs it."""
    nobody = 65534
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        user = os.geteuid()
        os.seteuid(nobody if user == 0 else user)
        try:
            yield Path(name).resolve()
        finally:
            os.seteuid(user)
            for path in Path(name).rglob("*"):
                path.chmod(0o700)
