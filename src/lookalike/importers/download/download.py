"""Downloads files: resumes interrupted downloads, and checks the size and the checksum of the result."""

import hashlib
import http.client
import json
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lookalike.errors import ModelError
from lookalike.importers.base import ImportProgress, OnProgress
from lookalike.importers.download import cache, transport
from lookalike.importers.download.checksum import Checksum, Digests, Expected, MismatchError
from lookalike.importers.error_summary import one_line

__all__ = ["Checksum", "Downloaded", "document", "file", "parse_json"]

_CHUNK = 1 << 18  # bytes
_MAX_DOCUMENT = 16 << 20  # bytes
_WAITS = (0.5, 2.0, 8.0)  # seconds before each retry that follows one without progress
_MAX_NAME = 100  # characters


@dataclass(frozen=True)
class Downloaded:
    """A downloaded file.

    Attributes:
        path: of the file; in a `cache.session` it exists until the end of the session.
        sha256: of the file, in hexadecimal.
    """

    path: Path
    sha256: str


def file(
    url: str,
    progress: OnProgress,
    *,
    checksum: Checksum | None = None,
    size: int | None = None,
    token: str | None = None,
) -> Downloaded:
    """Downloads a file, or the rest of it.

    Args:
        url: an https or http address.
        progress: called with the number of bytes downloaded.
        checksum: the expected one.
        size: the expected one, in bytes.
        token: as in `transport.get`.

    Raises:
        ModelError: it cannot be downloaded, or its size or checksum is not the expected one; then it is deleted.
        StorageError: the disk is full or failing.
    """
    with (
        cache.storage_errors(),
        cache.exclusive(lambda: progress(ImportProgress("waiting for another download"))) as directory,
    ):
        complete = directory / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{_file_name(url)}"
        download = _Download(complete, Expected(url, size, checksum), progress, token)
        downloaded = download.run()
        while not cache.hold(complete):
            downloaded = download.run()
        return downloaded


def document(url: str, *, token: str | None = None) -> Any:
    """Returns the content of a JSON document of at most 16 MiB; no file is kept.

    Raises:
        ModelError: it cannot be downloaded, or is not a JSON document.
    """
    with transport.get(url, token=token) as response:
        data = response.read(_MAX_DOCUMENT + 1)
    if len(data) > _MAX_DOCUMENT:
        raise ModelError(f"{url}: it is larger than {_MAX_DOCUMENT >> 20} MiB, the limit for a description of a model")
    return parse_json(data, url)


def parse_json(data: bytes, name: str) -> Any:
    """Returns the content of a JSON document.

    Args:
        data: its bytes.
        name: its name, for messages.

    Raises:
        ModelError: it is not valid JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name}: it is not a JSON document: {one_line(error)}; try again later") from error


def _file_name(url: str) -> str:
    """The last part of a URL's path as a plain file name, cut at the front to keep the suffix."""
    last = unquote(urlsplit(url).path).rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]", "_", last)[-_MAX_NAME:] or "file"


class _Partial:
    """The first bytes of a file, on the disk.

    Attributes:
        digests: of these bytes.
        etag: the server's ETag of the version that they are of, "" if there is none.
    """

    def __init__(self, complete: Path, expected: Expected) -> None:
        """Continues with what is on the disk, if the version that it is of is known."""
        self.digests = expected.new_digests()
        self.etag = ""
        self._expected = expected
        self._path = complete.with_name(f"{complete.name}.partial")
        self._etag_path = complete.with_name(f"{complete.name}.etag")
        if self._path.exists() and self._etag_path.exists():
            self.etag = self._etag_path.read_text(encoding="latin-1")
            self.digests.update_from(self._path)

    def restart(self, etag: str) -> None:
        """Discards the bytes; the next ones are of the version with this ETag."""
        self.discard()
        self.digests, self.etag = self._expected.new_digests(), etag
        self._path.touch()
        if etag:
            self._etag_path.write_text(etag, encoding="latin-1")

    def append(self, response: transport.Response, total: int | None, progress: Callable[[int], None]) -> None:
        """Appends the body of a response.

        Args:
            response: the server's.
            total: the size of the whole file in bytes; None if unknown.
            progress: called with the number of bytes so far.

        Raises:
            RetryableError: the body ended before `total`.
        """
        progress(self.digests.size)
        with self._path.open("ab") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                self.digests.update(chunk)
                progress(self.digests.size)
                if self.digests.size > (self._expected.size or math.inf):
                    self._expected.check_size(self.digests.size)
        if total is not None and self.digests.size < total:
            raise transport.RetryableError(
                f"{self._expected.url}: the connection was dropped after {self.digests.size:,} of {total:,} bytes,"
                " repeatedly; try again later, and the download resumes there"
            )

    def complete(self, path: Path) -> None:
        """Renames the file to its final path."""
        self._path.replace(path)
        self._etag_path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Deletes the bytes."""
        self._etag_path.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Download:
    """The download of one file."""

    path: Path
    expected: Expected
    progress: OnProgress
    token: str | None

    def run(self) -> Downloaded:
        digests = self._existing() or self._download()
        return Downloaded(self.path, digests.hexdigest("sha256"))

    def _existing(self) -> Digests | None:
        """The digests of the complete file, if it was downloaded before; one with a mismatch is deleted."""
        if not self.path.exists():
            return None
        digests = self.expected.new_digests()
        digests.update_from(self.path)
        try:
            self.expected.check(digests)
        except MismatchError:
            self.path.unlink()
            return None
        return digests

    def _download(self) -> Digests:
        """Downloads the missing bytes."""
        partial = _Partial(self.path, self.expected)
        try:
            if partial.digests.size == 0 or partial.digests.size != self.expected.size:
                self._request_repeatedly(partial)
            self.expected.check(partial.digests)
        except MismatchError:
            partial.discard()
            raise
        partial.complete(self.path)
        return partial.digests

    def _request_repeatedly(self, partial: _Partial) -> None:
        """Requests the missing bytes until all have arrived, or until retries make no progress."""
        farthest = partial.digests.size
        waits: Iterator[float] = iter(())
        while True:
            try:
                while not self._request(partial):
                    partial.restart("")
            except transport.RetryableError:
                if partial.digests.size > farthest:
                    farthest, waits = partial.digests.size, iter(_WAITS)
                wait = next(waits, None)
                if wait is None:
                    raise
                time.sleep(wait)
            else:
                return

    def _request(self, partial: _Partial) -> bool:
        """Requests the missing bytes and appends them; returns False if they do not continue those on the disk."""
        there = partial.digests.size if partial.etag else 0
        headers = {"Range": f"bytes={there}-", "If-Range": partial.etag} if there else {}
        with transport.get(self.expected.url, headers=headers, token=self.token) as response:
            start, total = _content_range(response)
            etag = response.headers.get("ETag", "")
            if start is None and there:
                return total == there
            if start == 0:
                partial.restart("" if etag.startswith("W/") else etag)  # a weak one may stay when bytes change
            elif start != there or etag not in ("", partial.etag):
                return False
            if total is not None:
                self.expected.check_size(total)
            partial.append(response, total, lambda done: self._report(done, total))
        return True

    def _report(self, done: int, total: int | None) -> None:
        name = self.path.name.partition("-")[2]
        self.progress(ImportProgress(f"downloading {name}", done, self.expected.size if total is None else total))


def _content_range(response: transport.Response) -> tuple[int | None, int | None]:
    """The offset of the body in the file, None if there is no body, and the file's size in bytes, None if unknown."""
    if response.status == http.client.OK:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)", response.headers.get("Content-Range", ""), re.ASCII)
    start, total = found.groups() if found else (None, None)
    return int(start) if start else None, int(total) if total else None
