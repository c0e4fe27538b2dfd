"""The checks of a download's size and checksum."""

import hashlib
from pathlib import Path

import pytest

from lookalike.errors import ModelError, UsageError
from lookalike.importers.base import ImportProgress
from lookalike.importers.download import download
from lookalike.importers.download.checksum import Checksum
from tests.support.downloads import DATA, SHA256, URL, fetch, interrupt_download, kept
from tests.support.file_server import FileServer


@pytest.mark.parametrize(
    "checksum",
    [
        Checksum("sha256", SHA256[:8]),
        Checksum("sha256", SHA256.upper()),
        Checksum("md5", hashlib.md5(DATA).hexdigest()),
    ],
)
def test_the_first_digits_of_a_digest_and_md5_are_accepted(server: FileServer, checksum: Checksum) -> None:
    assert fetch(checksum).sha256 == SHA256


def test_malformed_digits_are_refused() -> None:
    for digits in ("", "abc", "0123456z"):
        with pytest.raises(UsageError, match="checksum"):
            Checksum("sha256", digits)


def test_a_checksum_mismatch_is_refused_and_nothing_is_kept(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"{URL}: .*expected sha256 {'0' * 64}, found {SHA256}"):
        fetch(Checksum("sha256", "0" * 64))
    assert kept(tmp_path) == {}


def test_a_size_mismatch_is_refused_before_the_download(server: FileServer, tmp_path: Path) -> None:
    reported: list[ImportProgress] = []
    with pytest.raises(ModelError, match=f"{URL}: .*expected 899,999 bytes, found 900,000"):
        download.file(URL, reported.append, size=899_999)
    assert reported == []
    assert kept(tmp_path) == {}


def test_a_body_longer_than_the_expected_size_is_not_read_to_its_end(server: FileServer, tmp_path: Path) -> None:
    server.lengths = False
    with pytest.raises(ModelError, match="expected 100,000 bytes, found"):
        fetch(size=100_000)
    assert kept(tmp_path) == {}


def test_damage_in_a_partial_file_is_detected_by_the_checksum(server: FileServer, tmp_path: Path) -> None:
    interrupt_download(server, 300_000)
    [partial] = (tmp_path / "models" / ".downloads").glob("*.partial")
    partial.write_bytes(b"?" * 300_000)
    with pytest.raises(ModelError, match="expected sha256"):
        fetch(Checksum("sha256", SHA256))
    assert fetch(Checksum("sha256", SHA256)).path.read_bytes() == DATA
