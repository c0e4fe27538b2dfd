"""The file server that the tests of downloads share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.importers.download import download
from tests.support.downloads import DATA, PATH
from tests.support.file_server import FileServer, mirrored


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    """A server with one file, and short waits between retries."""
    monkeypatch.setattr(download, "_WAITS", (0.01, 0.01))
    with mirrored(monkeypatch, tmp_path) as server:
        server.files[PATH] = DATA
        yield server
