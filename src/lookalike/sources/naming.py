"""Turns what a caller names into sources: a folder, a file, a shard, or several files and shards."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.images import reading
from lookalike.sources import keys, remote
from lookalike.sources.exclusion import Exclusion
from lookalike.sources.folder import Files, Folder, Listing, Paths, Source, absolute
from lookalike.sources.remote import RemotePath
from lookalike.sources.remote_folder import RemoteFolder
from lookalike.sources.shard import ShardFile


def sources_of(paths: Paths, *, base: Path, listing: Listing) -> tuple[Source, ...]:
    """The sources for a folder, a file, or several files, with keys relative to `base`.

    Raises:
        UsageError: nothing exists at the path, or a folder is among several files.
    """
    if isinstance(paths, str) and keys.is_url(paths):
        return tuple(_behind(paths, listing))
    if not isinstance(paths, str | os.PathLike):
        return tuple(_several(arguments.several(paths, "source"), base, listing))
    path = absolute(arguments.path(paths, "source"))
    if not os.path.lexists(path):
        raise UsageError(f"{paths}: there is no such file or folder")
    if os.path.isdir(path):
        return (Folder(path, base=base, listing=listing),)
    return files_and_shards([path], base=base, shards=listing.exclusion)


def remote_source(path: RemotePath, exclusion: Exclusion) -> ShardFile | RemoteFolder:
    """The source for a shard or a folder behind a URL."""
    if keys.is_shard(path.name):
        return ShardFile(path, base=Path("/"), exclusion=exclusion)
    return RemoteFolder(path, exclusion=exclusion)


def _several(paths: Sequence[Any], base: Path, listing: Listing) -> Iterator[Source]:
    urls = [path for path in paths if isinstance(path, str) and keys.is_url(path)]
    files = [arguments.path(path, "source").absolute() for path in paths if path not in urls]
    if folder := next(filter(os.path.isdir, files), None):
        raise UsageError(f"{folder}: a folder in a list of files; add each folder in a call of its own")
    if files or not urls:
        yield from files_and_shards(files, base=base, shards=listing.exclusion)
    for url in urls:
        yield from _behind(url, listing)


def _behind(url: str, listing: Listing) -> Iterator[Source]:
    """The sources behind a URL that a caller has named, which may be read from now on."""
    for each in remote.expanded(url.rstrip("/")):
        path = RemotePath(each)
        remote.allow(each)
        try:
            if not keys.is_shard(path.name) and not remote.is_folder(path):
                raise UsageError(f"{each}: name archives (.tar, .tar.gz, .parquet), or the folder that images are in")
        except OSError as error:
            raise UsageError(f"{each}: cannot be read: {reading.reason(error)}") from error
        yield remote_source(path, listing.exclusion)


def files_and_shards(
    paths: list[Path], *, base: Path, shards: Exclusion, exclusion: Exclusion | None = None, is_whole: bool = False
) -> tuple[Source, ...]:
    """The sources for single files, some of which may be shards.

    Args:
        paths: of the files, absolute.
        base: the folder that keys are relative to.
        shards: what is left out of the members of shards.
        exclusion: what is left out of the files; by default nothing.
        is_whole: see `Files`.
    """
    archives = [path for path in dict.fromkeys(paths) if keys.is_shard(path.name)]
    singles = [path for path in paths if not keys.is_shard(path.name)]
    found: list[Source] = []
    if singles or not archives:
        found.append(Files(singles, base=base, exclusion=exclusion, is_whole=is_whole))
    return (*found, *(ShardFile(absolute(path), base=base, exclusion=shards) for path in archives))
