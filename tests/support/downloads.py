"""A file to download, its download, and what it leaves on the disk."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import ModelError
from lookalike.importers.download import download
from lookalike.importers.download.checksum import Checksum
from tests.support.file_server import FileServer

URL = "https://weights.example/nets/resnet.pth"
PATH = "/weights.example/nets/resnet.pth"
DATA = np.random.default_rng(0).bytes(900_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


def fetch(
    checksum: Checksum | None = None, *, size: int | None = None, token: str | None = None
) -> download.Downloaded:
    """Downloads the file at `URL`."""
    return download.file(URL, lambda _: None, checksum=checksum, size=size, token=token)


def kept(tmp_path: Path) -> dict[str, bytes]:
    """The files in the directory of downloads, except for the lock."""
    directory = tmp_path / "models" / ".downloads"
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"}


def interrupt_download(server: FileServer, *drops: int) -> None:
    """Downloads until the connection has been dropped after so many bytes in each try, and then without any."""
    server.drops[PATH] = [*drops, *[0] * 3]
    with pytest.raises(ModelError, match="the connection was dropped after"):
        fetch()
    server.drops.clear()
    server.requests.clear()
