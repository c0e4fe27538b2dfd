"""Opens shards, and keeps those open that were used last."""

import errno
import os
import tempfile
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from lookalike.images.reading import FileStatus
from lookalike.sources import arrow, remote
from lookalike.sources.remote import RemotePath
from lookalike.sources.shards.base import DamagedShardError, Shard
from lookalike.system import forks, regular_file

_KEPT = 8  # shards
_REMOTE_S = 60.0  # between two looks at whether a shard behind a URL has changed
_GZIP = 16 + zlib.MAX_WBITS  # says that a stream is gzip's
_PART = 2**20  # bytes that are unpacked at once
_FREE_BYTES, _MOST_TIMES = 64 * 2**20, 100  # an archive may unpack to so much, or to so many times its size


@dataclass(frozen=True)
class OpenedShard:
    """A shard that is open.

    Attributes:
        shard: it.
        status: that of its file when it was opened.
    """

    shard: Shard
    status: FileStatus

    def member_status(self, name: str) -> FileStatus:
        """The status of a member: its own size, and the times of the shard.

        Raises:
            FileNotFoundError: there is none of that name.
        """
        size = self.shard.size_of(name)
        if size is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return replace(self.status, size=size)


@dataclass(frozen=True)
class _Kept:
    """What is kept of an open shard: its file's device and number, if it has any, and when it was looked at last."""

    identity: tuple[int, int]
    opened: OpenedShard
    seen_s: float


_kept: OrderedDict[tuple[int, str], _Kept] = OrderedDict()
_lock = forks.lock()


def opened(path: Path | RemotePath) -> OpenedShard:
    """The shard in a file, as it is now; behind a URL, as it was some moments ago.

    Raises:
        OSError: there is no such file, or it cannot be read.
        DamagedShardError: it is no shard.
        UsageError: a package is missing that reading it takes.
    """
    key, now_s = (os.getpid(), str(path)), time.monotonic()
    with _lock:
        kept = _kept.get(key)
        if isinstance(path, RemotePath):
            if kept and now_s < kept.seen_s + _REMOTE_S:
                return kept.opened
            identity, status = (0, 0), remote.status(path)
        else:
            found = path.stat()
            identity, status = (found.st_dev, found.st_ino), FileStatus.of(found)
        is_same = kept is not None and (kept.identity, kept.opened.status) == (identity, status)
        shard = kept.opened if kept and is_same else OpenedShard(_open(path), status)
        _kept[key] = _Kept(identity, shard, now_s)
        _kept.move_to_end(key)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)  # it is closed when nobody uses it any more
        return shard


def _open(path: Path | RemotePath) -> Shard:
    """Opens a shard; what reads it is loaded only now, since most collections have none."""
    name = path.name.lower()
    if name.endswith(".parquet"):
        from lookalike.sources.shards.parquet import ParquetShard

        arrow.require(path)
        file = remote.open_to_read(path) if isinstance(path, RemotePath) else regular_file.open_to_read(path)
        return ParquetShard(file)
    from lookalike.sources.shards.tar import TarShard

    with _local(path) as file:
        return TarShard(*_unpacked(file)) if name.endswith("gz") else TarShard(os.dup(file.fileno()))


def _local(path: Path | RemotePath) -> BinaryIO:
    """An archive, opened; one behind a URL is fetched, since its headers are all over it."""
    if not isinstance(path, RemotePath):
        return regular_file.open_to_read(path)
    with tempfile.TemporaryFile(prefix="lookalike-") as file:
        remote.fetch(path, file)
        file.seek(0)
        return os.fdopen(os.dup(file.fileno()), "rb")


def _unpacked(packed: BinaryIO) -> tuple[int, str]:
    """The descriptor of a temporary file with what is in a compressed one, and why that is not all, or ""."""
    with tempfile.TemporaryFile(prefix="lookalike-") as unpacked:
        most, cut_off = _FREE_BYTES + _MOST_TIMES * os.fstat(packed.fileno()).st_size, ""
        try:
            for part in _decompressed(packed):
                unpacked.write(part)
                if unpacked.tell() > most:
                    raise DamagedShardError("it unpacks to far more than images do")
        except (EOFError, zlib.error) as error:
            if not unpacked.tell():
                raise DamagedShardError("not a compressed archive") from error
            cut_off = "truncated" if isinstance(error, EOFError) else "damaged"
        unpacked.flush()
        return os.dup(unpacked.fileno()), cut_off


def _decompressed(packed: BinaryIO) -> Iterator[bytes]:
    """The contents of a file of one or several gzip streams, as far as they go; then it may raise as zlib does.

    Raises:
        EOFError: the last one has no end.
    """
    stream = zlib.decompressobj(_GZIP)
    while part := packed.read(_PART):
        while part:
            yield stream.decompress(part, _PART)
            part = stream.unconsumed_tail
            if stream.eof and (part := stream.unused_data.lstrip(b"\0")):
                stream = zlib.decompressobj(_GZIP)
    if not stream.eof:
        raise EOFError
