"""Files behind URLs, such as `s3://bucket/0001.tar`, for which fsspec has a file system. It is an optional dependency.

A collection may come from a stranger and name any URL. So only what lies below a URL that this user has named, or has
trusted the collection to name, is ever asked for: `allow` says which.
"""

import errno
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from lookalike.errors import Hint, ImageError, UsageError
from lookalike.images.reading import FileBytes, FileStatus, check_bytes, reason
from lookalike.sources.image_files import is_image_name
from lookalike.sources.keys import is_url

_OWN = ("file", "local")  # whose files are named by their paths
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST_EXPANDED = 1_000_000
_PART = 2**22  # bytes that are fetched at once
_TIMES = "LastModified", "last_modified", "mtime", "updated", "created", "Last-Modified"
_TAGS = "ETag", "etag", "md5Hash", "content_md5", "blob_id", "sha"

_allowed: set[str] = set()
_lock = threading.Lock()


class RemotePath(PurePosixPath):
    """A URL in the form of a path, of which `str` is the URL."""

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)

    def __fspath__(self) -> str:
        return str(self)


def allow(url: str) -> None:
    """Lets what a URL names, and what is below it, be read in this process."""
    with _lock:
        _allowed.add(url.rstrip("/"))


def expanded(url: str) -> list[str]:
    """The URLs that one stands for: with numbers in braces as in `{000..127}`, and with `*`, `?` and `[…]`.

    Raises:
        UsageError: it stands for none, or for too many; it is of a kind that cannot be read here.
    """
    _file_system(url)
    found = [each for part in _numbered(url) for each in _globbed(part)]
    if not found:
        raise UsageError(f"{url}: there is no such file")
    return found


def status(path: RemotePath) -> FileStatus:
    """The size, the time of the last change, and in the place of the ctime a number that tells versions apart.

    Raises:
        OSError: it is not there, or cannot be asked for.
    """
    with _errors(path):
        return _status(_info(path))


def read(path: RemotePath, max_bytes: int) -> FileBytes:
    """The bytes of a file.

    Raises:
        ImageError: it is not there, is too large, or cannot be read.
    """
    try:
        with _errors(path):
            before = _status(_info(path))
            check_bytes(before.size, max_bytes, str(path))
            data = bytes(_system(path).cat_file(str(path)))
            after = _status(_info(path))
    except FileNotFoundError as error:
        raise ImageError("vanished", str(path), lasting=False) from error
    except OSError as error:
        raise ImageError(reason(error), str(path), lasting=False) from error
    if before != after or len(data) != after.size:
        raise ImageError("changed while it was read", str(path), lasting=False)
    return FileBytes(data, after)


def fetch(path: RemotePath, into: BinaryIO) -> None:
    """Writes a file into another one; raises OSError if it cannot be read."""
    with _errors(path), _system(path).open(str(path), "rb", block_size=_PART) as file:
        while part := file.read(_PART):
            into.write(part)


def open_to_read(path: RemotePath) -> Any:
    """An open file that fetches what is read of it; raises OSError if it cannot be opened."""
    with _errors(path):
        return _system(path).open(str(path), "rb", block_size=_PART)


def images_below(path: RemotePath) -> Iterator[tuple[RemotePath, FileStatus]]:
    """The files below a URL that are called as images are, in the order of their names' bytes.

    Raises:
        OSError: they cannot be listed.
    """
    with _errors(path):
        found = _system(path).find(str(path), detail=True)
        scheme = str(path).partition("://")[0]
        images = {name: info for name, info in found.items() if is_image_name(name) and not _is_hidden(name)}
    for name in sorted(images, key=os.fsencode):
        yield RemotePath(name if is_url(name) else f"{scheme}://{name.lstrip('/')}"), _status(images[name])


def is_folder(path: RemotePath) -> bool:
    """Whether there are files below a URL."""
    with _errors(path):
        return bool(_system(path).isdir(str(path)))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _info(path: RemotePath) -> dict[str, Any]:
    system = _system(path)
    system.invalidate_cache(system._parent(str(path)))
    info: dict[str, Any] = system.info(str(path))
    if info.get("type") == "directory":
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return info


def _status(info: dict[str, Any]) -> FileStatus:
    time_ns = next((_nanoseconds(info[name]) for name in _TIMES if info.get(name)), 0)
    tag = next((str(info[name]) for name in _TAGS if info.get(name)), "")
    version = int.from_bytes(hashlib.sha256(tag.encode()).digest()[:7], "big") if tag else time_ns
    return FileStatus(int(info.get("size") or 0), time_ns, version)


def _nanoseconds(time: Any) -> int:
    if isinstance(time, int | float):
        return int(time * 1e9)
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            try:
                time = parsedate_to_datetime(time)
            except ValueError:
                return 0
    if not isinstance(time, datetime):
        return 0
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1e9)


def _system(path: RemotePath) -> Any:
    """The file system of a URL.

    Raises:
        PermissionError: nobody has named or trusted it.
        UsageError: a package is missing.
    """
    url = str(path)
    with _lock:
        is_allowed = any(url == each or url.startswith((f"{each}/", f"{each}#")) for each in _allowed)
    if not is_allowed:
        raise PermissionError(errno.EACCES, "behind a URL that you have not named", url)
    return _file_system(url)


def _file_system(url: str) -> Any:
    protocol = url.partition("://")[0].lower()
    hint = Hint("install", {"extra": "remote"})
    if protocol in _OWN:
        raise UsageError(f"{url}: name a file here by its path")
    try:
        import fsspec
    except ImportError as error:
        raise UsageError(f"{url}: reading what is behind a URL needs packages that are not installed", hint) from error
    try:
        return fsspec.filesystem(protocol)
    except ImportError as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{url}: {reason}") from error
    except ValueError as error:
        raise UsageError(f"{url}: nothing is known of {protocol}://") from error


@contextmanager
def _errors(path: RemotePath) -> Iterator[None]:
    """Turns whatever a file system raises into OSError: each has errors of its own."""
    try:
        yield
    except (OSError, UsageError):
        raise
    except Exception as error:
        raise OSError(errno.EIO, str(error).partition("\n")[0] or type(error).__name__, str(path)) from error


def _numbered(url: str) -> list[str]:
    """The URLs that the first pair of braces stands for, and so on."""
    found = _BRACES.search(url)
    if found is None:
        return [url]
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < _MOST_EXPANDED:
        raise UsageError(f"{url}: {found[0]} stands for no numbers, or for too many")
    width = len(found[1])
    parts = (f"{url[: found.start()]}{number:0{width}}{url[found.end() :]}" for number in range(first, last + 1))
    return [each for part in parts for each in _numbered(part)]


def _globbed(url: str) -> list[str]:
    if not any(each in url for each in "*?["):
        return [url]
    protocol = url.partition("://")[0]
    with _errors(RemotePath(url)):
        found = _file_system(url).glob(url)
    return [each if is_url(each) else f"{protocol}://{each.lstrip('/')}" for each in sorted(found)]
