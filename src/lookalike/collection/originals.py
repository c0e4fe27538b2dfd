"""Reads the files of a collection's images, if they are what was indexed."""

import hashlib
import os
from pathlib import Path

from lookalike.errors import ImageError
from lookalike.sources import keys, places
from lookalike.sources.remote import RemotePath
from lookalike.storage import unread


def indexed_bytes(folder: Path, key: str, sha256: bytes) -> bytes:
    """The bytes of an image's file, read only if it is in its folder and is the file that was indexed.

    Args:
        folder: of the collection.
        key: of the image.
        sha256: of the file that was indexed.

    Raises:
        ImageError: the file is gone, has changed since it was indexed, or is outside of the folder.
    """
    if not unread.is_known(sha256):
        raise ImageError("imported without its file: import it with its SHA-256, or have the files hashed", key)
    data = places.read(_place_inside(folder, key)).data
    if hashlib.sha256(data).digest() != sha256:
        raise ImageError("changed since it was indexed", key)
    return data


def _place_inside(folder: Path, key: str) -> places.Place:
    """Where an image is, with all symlinks resolved; raises an ImageError if they lead out of its folder."""
    path = places.containing_file(places.place_of(folder, key))
    if isinstance(path, RemotePath):
        return RemotePath(key)
    inside = path.parent if key.startswith("/") else folder
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(os.path.realpath(inside)):
        raise ImageError("a link to a file outside of the folder", key)
    member = keys.split(key)
    return Path(keys.member_key(str(target), member[1])) if member else target
