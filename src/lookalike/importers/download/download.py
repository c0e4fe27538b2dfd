"""Downloads files, goes on where a download was cut off, and makes sure that they are what they should be."""

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
from lookalike.importers.download.checksum import Checksum, Digests, Expected, WrongFileError

__all__ = ["Checksum", "Downloaded", "document", "file", "parsed"]

_PIECE = 1 << 18
_DOCUMENT_BYTES = 16 << 20
_WAITS = (0.5, 2.0, 8.0)  # seconds before another try, as long as tries bring nothing
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Downloaded:
    """A file that has been downloaded.

    Attributes:
        path: where it is; in a `depot.session` until the end of that.
        sha256: of all of it, in hexadecimal.
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
    """Downloads a file, or what is missing of it.

    Args:
        url: of https or http.
        tell: called with how far it is, in bytes.
        checksum: what it must have.
        size: likewise, in bytes.
        token: as in `web.ask`.

    Raises:
        ModelError: it cannot be had, or is not what it should be, and then nothing of it is kept.
        StorageError: the disk is full or failing.
    """
    with (
        cache.storage_errors(),
        cache.alone(lambda: progress(ImportProgress("waiting for another download"))) as folder,
    ):
        whole = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{_name(url)}"
        wanted = _Download(whole, Expected(url, size, checksum), progress, token)
        found = wanted.run()
        while not cache.hold(whole):
            found = wanted.run()
        return found


def document(url: str, *, token: str | None = None) -> Any:
    """A JSON document of at most 16 MiB, which is not kept.

    Raises:
        ModelError: it cannot be had, or is no such document.
    """
    with transport.ask(url, token=token) as answer:
        data = answer.read(_DOCUMENT_BYTES + 1)
    if len(data) > _DOCUMENT_BYTES:
        raise ModelError(f"{url}: it is larger than {_DOCUMENT_BYTES >> 20} MiB, which no description of a network is")
    return parsed(data, url)


def parsed(data: bytes, name: str) -> Any:
    """What a JSON document says; `name` is what to call it.

    Raises:
        ModelError: it is no such document.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name}: it should be a JSON document, and is not ({error}); try again later") from error


def _name(url: str) -> str:
    """The last part of a URL's path, as a file's name; what comes last, the suffix, is kept."""
    last = unquote(urlsplit(url).path).rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]", "_", last)[-_LONGEST_NAME:] or "file"


class _Partial:
    """What there is of a file.

    Attributes:
        digests: of it.
        etag: by what the server tells this version of the file from others, "" where it does not.
    """

    def __init__(self, whole: Path, expected: Expected) -> None:
        """Takes up what is there from before, if it is known which version of the file that is of."""
        self.digests = expected.digests()
        self.etag = ""
        self._expected = expected
        self._path = whole.with_name(f"{whole.name}.partial")
        self._etag_path = whole.with_name(f"{whole.name}.etag")
        if self._path.exists() and self._etag_path.exists():
            self.etag = self._etag_path.read_text(encoding="latin-1")
            self.digests.take_file(self._path)

    def begin(self, etag: str) -> None:
        """Forgets what is there; what comes next is of the version that `etag` tells of."""
        self.discard()
        self.digests, self.etag = self._expected.digests(), etag
        self._path.touch()
        if etag:
            self._etag_path.write_text(etag, encoding="latin-1")

    def take(self, answer: transport.Answer, total: int | None, progress: Callable[[int], None]) -> None:
        """Adds what comes, up to the end of the file at `total` bytes, if that is known."""
        progress(self.digests.size)
        with self._path.open("ab") as file:
            while piece := answer.read(_PIECE):
                file.write(piece)
                self.digests.take(piece)
                progress(self.digests.size)
                if self.digests.size > (self._expected.size or math.inf):
                    self._expected.check_size(self.digests.size)
        if total is not None and self.digests.size < total:
            raise transport.NoAnswerError(
                f"{self._expected.url}: the connection was dropped after {self.digests.size:,} of {total:,} bytes,"
                " again and again; try again later, and it goes on from there"
            )

    def finish(self, whole: Path) -> None:
        self._path.replace(whole)
        self._etag_path.unlink(missing_ok=True)

    def discard(self) -> None:
        self._etag_path.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Download:
    """The download of one file."""

    whole: Path
    expected: Expected
    progress: OnProgress
    token: str | None

    def run(self) -> Downloaded:
        digests = self._there() or self._fetched()
        return Downloaded(self.whole, digests.hexadecimal("sha256"))

    def _there(self) -> Digests | None:
        """The digests of the whole file if it is there from before; one that is wrong is deleted."""
        if not self.whole.exists():
            return None
        digests = self.expected.digests()
        digests.take_file(self.whole)
        try:
            self.expected.check(digests)
        except WrongFileError:
            self.whole.unlink()
            return None
        return digests

    def _fetched(self) -> Digests:
        """Gets what is missing."""
        partial = _Partial(self.whole, self.expected)
        try:
            if partial.digests.size == 0 or partial.digests.size != self.expected.size:
                self._persevere(partial)
            self.expected.check(partial.digests)
        except WrongFileError:
            partial.discard()
            raise
        partial.finish(self.whole)
        return partial.digests

    def _persevere(self, partial: _Partial) -> None:
        """Asks until all is there: again where it was cut off, as long as that brings more."""
        farthest = partial.digests.size
        waits: Iterator[float] = iter(())
        while True:
            try:
                while not self._ask(partial):
                    partial.begin("")
            except transport.NoAnswerError:
                if partial.digests.size > farthest:
                    farthest, waits = partial.digests.size, iter(_WAITS)
                wait = next(waits, None)
                if wait is None:
                    raise
                time.sleep(wait)
            else:
                return

    def _ask(self, partial: _Partial) -> bool:
        """Asks for what is missing, and takes it; False where that does not go with what is there."""
        there = partial.digests.size if partial.etag else 0
        headers = {"Range": f"bytes={there}-", "If-Range": partial.etag} if there else {}
        with transport.ask(self.expected.url, headers=headers, token=self.token) as answer:
            start, total = _extent(answer)
            etag = answer.headers.get("ETag", "")
            if start is None and there:
                return total == there
            if start == 0:
                partial.begin("" if etag.startswith("W/") else etag)  # a weak one may stay when bytes change
            elif start != there or etag not in ("", partial.etag):
                return False
            if total is not None:
                self.expected.check_size(total)
            partial.take(answer, total, lambda done: self._report(done, total))
        return True

    def _report(self, done: int, total: int | None) -> None:
        name = self.whole.name.partition("-")[2]
        self.progress(ImportProgress(f"downloading {name}", done, self.expected.size if total is None else total))


def _extent(answer: transport.Answer) -> tuple[int | None, int | None]:
    """Where in the file begins what comes, None if nothing comes, and the file's size, None if that is not told."""
    if answer.status == http.client.OK:
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)", answer.headers.get("Content-Range", ""), re.ASCII)
    start, total = found.groups() if found else (None, None)
    return int(start) if start else None, int(total) if total else None
