"""Where an image is: a file of its own, or a member of a shard. Everything that reads images reads them here.

A place is a path, or a URL in the form of one. That of an image in a shard is the path of the shard, a "#" and the name
of the member; there is no file of that name.
"""

import errno
import os
from pathlib import Path
from typing import Any, TypeAlias

from lookalike.errors import ImageError, UsageError
from lookalike.images import reading
from lookalike.images.reading import MAX_BYTES, FileBytes, FileStatus
from lookalike.sources import keys, remote
from lookalike.sources.remote import RemotePath
from lookalike.sources.shards.base import DamagedShardError, Facts
from lookalike.sources.shards.opened import opened

Place: TypeAlias = Path | RemotePath


def place_of(folder: Path, key: str) -> Any:
    """Where the image, or the shard, of a key is; `folder` is what keys are relative to. It is a `Place`."""
    return RemotePath(key) if keys.is_url(key) else folder / key


def named_place(name: str) -> Place:
    """The place that a name stands for, which a `Place` gave as its text."""
    return RemotePath(name) if keys.is_url(name) else Path(name)


def file_of(place: Place) -> Path | None:
    """The file that an image is; None if it is a member of a shard, or behind a URL."""
    return None if isinstance(place, RemotePath) or keys.in_shard(str(place)) else place


def containing_file(place: Place) -> Place:
    """The file that an image is, or the shard that it is in."""
    parts = keys.split(str(place))
    return named_place(parts[0]) if parts else place


def read(place: Place, *, max_bytes: int = MAX_BYTES) -> FileBytes:
    """Reads an image file or a member, never waiting for a pipe or a device.

    Raises:
        ImageError: it is not there or cannot be used, see `reading.read`.
    """
    parts = keys.split(str(place))
    if parts is None:
        if isinstance(place, RemotePath):
            return remote.read(place, max_bytes)
        return reading.read(place, max_bytes=max_bytes)
    path, name = named_place(parts[0]), parts[1]
    try:
        found = opened(path)
        data = found.shard.read(name, max_bytes)
        is_same = opened(path) is found
    except OSError as error:
        raise ImageError(reading.reason(error), str(place), lasting=False) from error
    except (DamagedShardError, UsageError) as error:
        raise ImageError(str(error), str(place), lasting=False) from error
    except ImageError as error:
        raise ImageError(error.reason, str(place), lasting=error.lasting) from error
    if not is_same:
        raise ImageError("changed while it was read", str(place), lasting=False)
    return FileBytes(data, found.member_status(name))


def image_source(image: Any) -> Any:
    """The bytes of a member if that is what a query image is, by its place; any other query image as it is.

    Raises:
        ImageError: the shard or the member cannot be read.
    """
    if not isinstance(image, str | os.PathLike):
        return image
    place = os.fsdecode(image)
    return read(named_place(place)).data if keys.in_shard(place) and not os.path.lexists(place) else image


def status(place: Place) -> FileStatus:
    """The size and the times of an image file; those of a member are its own size and the times of its shard.

    Raises:
        OSError: it is not there, or nobody can tell.
    """
    parts = keys.split(str(place))
    if parts is None:
        return remote.status(place) if isinstance(place, RemotePath) else FileStatus.of(place.stat())
    try:
        return opened(named_place(parts[0])).member_status(parts[1])
    except (DamagedShardError, UsageError) as error:
        raise OSError(errno.EIO, str(error), parts[0]) from error


def is_there(place: Place) -> bool:
    """Whether there is something, be it a broken link."""
    if file := file_of(place):
        return os.path.lexists(file)
    try:
        status(place)
    except OSError:
        return False
    return True


def facts(place: Place) -> Facts:
    """What a shard says of a member; nothing for a file of its own, or if it cannot be read."""
    parts = keys.split(str(place))
    if parts is None:
        return {}
    try:
        return opened(named_place(parts[0])).shard.facts(parts[1])
    except (DamagedShardError, UsageError, OSError):
        return {}
