"""Turns what a caller names into sources: a folder, a file, a shard, or several files and shards."""

import os
from pathlib import Path

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.sources import keys
from lookalike.sources.exclusion import Exclusion
from lookalike.sources.folder import Files, Folder, Listing, Paths, Source, absolute
from lookalike.sources.shard import ShardFile


def sources_of(paths: Paths, *, base: Path, listing: Listing) -> tuple[Source, ...]:
    """The sources for a folder, a file, or several files, with keys relative to `base`.

    Raises:
        UsageError: nothing exists at the path, or a folder is among several files.
    """
    if not isinstance(paths, str | os.PathLike):
        files = [arguments.path(path, "source").absolute() for path in arguments.several(paths, "source")]
        if folder := next(filter(os.path.isdir, files), None):
            raise UsageError(f"{folder}: a folder in a list of files; add each folder in a call of its own")
        return files_and_shards(files, base=base, shards=listing.exclusion)
    path = absolute(arguments.path(paths, "source"))
    if not os.path.lexists(path):
        raise UsageError(f"{paths}: there is no such file or folder")
    if os.path.isdir(path):
        return (Folder(path, base=base, listing=listing),)
    return files_and_shards([path], base=base, shards=listing.exclusion)


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
