"""Reads tar archives of images, as WebDataset writes them: files of a sample have its name, with other suffixes.

`0001.jpg` is an image, and beside it `0001.cls` or `0001.label` is its label, `0001.txt` or `0001.caption` its
caption, and what `0001.json` has are attributes. A member is read where it is in the file, and nothing is ever
unpacked. Only headers are read to list them. Python's tarfile reads what is in one, but does not walk through the
archive: an archive can make it take all memory.
"""

import json
import os
import tarfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from lookalike.errors import ImageError
from lookalike.images import kinds
from lookalike.sources.image_files import is_image_name, is_other_name
from lookalike.sources.shards.base import DamagedShardError, Facts, Member, in_order, usable_facts

_BLOCK = tarfile.BLOCKSIZE
_MOST_MEMBERS = 5_000_000
_LONGEST_HEADER = 2**20  # bytes of the extended header of a member; that of any real name has less than 5,000
_LONGEST_SIDECAR = 2**22  # bytes
_LABELS, _CAPTIONS, _JSON = ("label", "cls"), ("txt", "caption"), "json"
_EXTENDED = {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE}
_LINKS = {tarfile.LNKTYPE, tarfile.SYMTYPE}
_CUT_OFF = "truncated"


class _DamagedError(Exception):
    """Members cannot be listed from here on; the message is a short phrase."""


@dataclass(frozen=True)
class _Entry:
    """Where the bytes of a member are in the archive."""

    start: int
    size: int


@dataclass(frozen=True)
class _Header:
    """What the blocks before a member say of it."""

    name: str
    kind: bytes
    start: int
    size: int
    is_sparse: bool

    @property
    def end(self) -> int:
        """Where the next header begins: behind its bytes and what fills their last block."""
        return self.start + -(-self.size // _BLOCK) * _BLOCK


class TarShard:
    """An open tar archive."""

    def __init__(self, descriptor: int, cut_off: str = "") -> None:
        """Lists the archive in a file, whose descriptor it takes over.

        Args:
            descriptor: of a regular file.
            cut_off: why the file does not have all of the archive, or "".

        Raises:
            DamagedShardError: it does not begin like a tar archive.
            OSError: it cannot be read.
        """
        self._descriptor, self._size = descriptor, os.fstat(descriptor).st_size
        self.close: Callable[[], object] = weakref.finalize(self, os.close, descriptor)
        self._entries: dict[str, _Entry] = {}
        self._broken: dict[str, str] = {}
        self.damage = self._list() or cut_off
        self._members = in_order(self._images())

    def members(self) -> Sequence[Member]:
        return self._members

    def size_of(self, name: str) -> int | None:
        if entry := self._entries.get(name):
            return entry.size
        return 0 if name in self._broken else None

    def read(self, name: str, max_bytes: int) -> bytes:
        entry = self._entries.get(name)
        if entry is None:
            raise ImageError(self._broken.get(name, "not in the archive"), name)
        if entry.size == 0:
            raise ImageError("empty file", name)
        if entry.size > max_bytes:
            raise ImageError(f"more than {max_bytes / 2**20:g} MB, the limit for a file", name)
        data = self._at(entry)
        if len(data) < entry.size:
            raise ImageError(_CUT_OFF, name)
        return data

    def facts(self, name: str) -> Facts:
        stem = _stem(name)
        given = dict(self._json(f"{stem}.{_JSON}"))
        for fact, suffixes in (("caption", _CAPTIONS), ("label", _LABELS)):
            texts = (self._text(f"{stem}.{suffix}") for suffix in suffixes)
            if text := next(filter(None, texts), ""):
                given[fact] = text
        return usable_facts(given.items())

    def _images(self) -> Iterator[Member]:
        for name, entry in self._entries.items():
            if is_image_name(name) or (not is_other_name(name) and self._begins_like_one(entry)):
                yield Member(name, entry.size)
        for name in self._broken.keys() - self._entries.keys():
            if is_image_name(name):
                yield Member(name, 0)

    def _begins_like_one(self, entry: _Entry) -> bool:
        return kinds.is_image(self._at(_Entry(entry.start, min(entry.size, kinds.START))))

    def _list(self) -> str:
        """Goes through the headers, and returns why it had to stop before the end, or ""."""
        place = 0
        try:
            while (header := self._next(place)) is not None:
                if header.end <= place or header.size < 0:
                    return "damaged: a member has a negative size"
                self._take(header)
                if len(self._entries) + len(self._broken) > _MOST_MEMBERS:
                    return f"more than {_MOST_MEMBERS:,} members"
                place = header.end
        except _DamagedError as error:
            if place == 0:
                raise DamagedShardError("not a tar archive") from error
            return str(error)
        return ""

    def _take(self, header: _Header) -> None:
        name = _normalised(header.name)
        if name is None or any(part.startswith(".") for part in name.split("/")):
            return  # a hidden file, such as those that macOS puts into an archive
        if header.kind in _LINKS:
            self._broken[name] = "a link, which is not followed"
        elif header.is_sparse:
            self._broken[name] = "a sparse member, which is not read"
        elif header.kind not in tarfile.REGULAR_TYPES:
            return
        elif "%2E%2E" in name:
            self._broken[name] = "its name leads out of the archive"
        elif header.start + header.size > self._size:
            self._broken[name] = _CUT_OFF
        else:
            self._entries[name] = _Entry(header.start, header.size)  # of the same names, the last one counts

    def _next(self, place: int) -> _Header | None:
        """The header at a place, with those that extend it; None at the end of the archive.

        Raises:
            _DamagedError: there is none.
        """
        name, given = None, dict[str, str]()
        while True:
            block = self._at(_Entry(place, _BLOCK))
            if not block or (place == 0 and len(block) < _BLOCK):
                raise _DamagedError(_CUT_OFF)
            if not block.strip(b"\0"):
                return None
            try:
                found = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.HeaderError as error:
                raise _DamagedError(f"damaged: {error}" if len(block) == _BLOCK else _CUT_OFF) from error
            start = place + _BLOCK
            if found.type == tarfile.GNUTYPE_LONGNAME:
                name = self._extension(start, found.size).partition(b"\0")[0].decode("utf-8", "surrogateescape")
            elif found.type in _EXTENDED:
                given |= _records(self._extension(start, found.size))
            elif found.type not in (tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE):
                return _header(found, start, name or given.get("path"), given)
            if found.size < 0:
                raise _DamagedError("damaged: a header has a negative size")
            place = start + -(-found.size // _BLOCK) * _BLOCK

    def _extension(self, start: int, size: int) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER:
            raise _DamagedError("damaged: a header that is longer than any name")
        data = self._at(_Entry(start, size))
        if len(data) < size:
            raise _DamagedError(_CUT_OFF)
        return data

    def _at(self, entry: _Entry) -> bytes:
        if entry.start >= self._size:
            return b""
        data = os.pread(self._descriptor, entry.size, entry.start)
        if len(data) == entry.size:
            return data
        parts = [data]  # of a file of more than two gigabytes, or on a network
        while parts[-1]:
            done = sum(map(len, parts))
            parts.append(os.pread(self._descriptor, entry.size - done, entry.start + done))
        return b"".join(parts)

    def _text(self, name: str) -> str:
        entry = self._entries.get(name)
        if entry is None or entry.size > _LONGEST_SIDECAR:
            return ""
        return self._at(entry).decode("utf-8", "replace").strip()

    def _json(self, name: str) -> Mapping[str, Any]:
        with suppress(ValueError, RecursionError):
            found = json.loads(self._text(name) or "{}")
            return found if isinstance(found, dict) else {}
        return {}


def _header(found: tarfile.TarInfo, start: int, name: str | None, given: Mapping[str, str]) -> _Header:
    """What a block says of a member, where extended headers do not say otherwise.

    Raises:
        _DamagedError: the size is none.
    """
    size = found.size
    if "size" in given:
        try:
            size = int(given["size"])
        except ValueError:
            raise _DamagedError("damaged: a size that is no number") from None
    has_bytes = found.type not in {*_LINKS, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE}
    is_sparse = found.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in given)
    name = given.get("GNU.sparse.name") or name or found.name
    return _Header(name, found.type, start, size if has_bytes else 0, is_sparse)


def _records(data: bytes) -> dict[str, str]:
    """The records of a POSIX extended header, each "LENGTH NAME=VALUE" and a line feed, LENGTH with itself counted.

    Raises:
        _DamagedError: it has others.
    """
    found, place = dict[str, str](), 0
    while place < len(data) and data[place]:
        length, _, _ = data[place : place + 20].partition(b" ")
        if not length.isdigit() or not len(length) + 3 <= int(length) <= len(data) - place:
            raise _DamagedError("damaged: an extended header that is none")
        name, _, value = data[place + len(length) + 1 : place + int(length) - 1].partition(b"=")
        found[name.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        place += int(length)
    return found


def _normalised(name: str) -> str | None:
    """The name of a member as a part of a key, or None if there is none; what leads up is made visible."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or "\0" in name or len(os.fsencode(name)) > 3000:
        return None
    return "/".join("%2E%2E" if part == ".." else part for part in parts)


def _stem(name: str) -> str:
    """The name of a sample: that of a member up to the first dot in its last part."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0]))
