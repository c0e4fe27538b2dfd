"""Fixtures that the tests of importers share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.file_server import FileServer, only_file_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    """A server on loopback, the only one that can be reached."""
    with only_file_server(monkeypatch, tmp_path) as server:
        yield server


@pytest.fixture(scope="session")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Photos that networks of PyTorch are compared by."""
    from tests.support.torch_networks import photos

    return photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def no_output(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Checks afterwards that nothing was printed."""
    yield
    assert capfd.readouterr() == ("", "")
