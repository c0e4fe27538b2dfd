"""The keys that images are stored under, as far as they tell where an image is.

The key of a file is its path, relative to the collection's folder if it is in there, or its URL. The key of an image in
a shard is that of the shard, a "#" and the name of the member: `train/0001.tar#cats/7.jpg`.
"""

import re
from pathlib import PurePosixPath

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SHARD = r"\.(?:tar|tar\.gz|tgz|parquet)"
_NAME = re.compile(rf".+{_SHARD}\Z", re.IGNORECASE | re.DOTALL)
_MEMBER = re.compile(rf"(.+?{_SHARD})#(.+)\Z", re.IGNORECASE | re.DOTALL)


def is_url(name: str) -> bool:
    """Whether a name is a URL: no path of a file has two slashes in its key."""
    return "://" in name and _URL.match(name) is not None


def is_elsewhere(key: str) -> bool:
    """Whether a key is that of an image outside of the collection's folder, here or behind a URL."""
    return key.startswith("/") or is_url(key)


def is_shard(name: str) -> bool:
    """Whether a file of this name is a shard: a tar archive, compressed or not, or a Parquet file."""
    return _NAME.match(name) is not None


def in_shard(key: str) -> bool:
    """Whether a key is that of an image in a shard."""
    return "#" in key and _MEMBER.match(key) is not None


def split(key: str) -> tuple[str, str] | None:
    """The key of a shard and the name of the member, for the key of an image in a shard; else None."""
    found = _MEMBER.match(key) if "#" in key else None
    return None if found is None else (found[1], found[2])


def member_key(shard: str, name: str) -> str:
    """The key of a member of a shard."""
    return f"{shard}#{name}"


def folder_label(key: str) -> str | None:
    """The default label of an image: the name of the folder that it is in; None at the top, of a shard, too."""
    parts = split(key)
    return PurePosixPath(parts[1] if parts else key).parent.name or None
