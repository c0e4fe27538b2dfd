"""shards.json: which collections are one, in which order, and which model made them."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lookalike.cluster.numbering import MOST_SHARDS
from lookalike.errors import CorruptError, IncompatibleError
from lookalike.storage import files, layout
from lookalike.storage import manifest as manifests
from lookalike.storage.manifest import Identity
from lookalike.system import durable

_FORMAT = 1
_MAX_BYTES = 2**28  # 2^21 shards with names of a hundred characters


@dataclass(frozen=True)
class NamedShard:
    """A shard as the manifest has it.

    Attributes:
        number: of it, which no other shard ever gets; ids of images are made of it.
        name: its collection's directory, relative to that of the manifest, with slashes.
    """

    number: int
    name: str


@dataclass(frozen=True)
class ShardsManifest:
    """The contents of shards.json.

    Attributes:
        made_by: the encoder that made the vectors of all shards.
        folder: the folder that the keys of the images are relative to.
        shards: in their order.
        next_number: of the next shard that comes to it.
    """

    made_by: Identity
    folder: Path
    shards: tuple[NamedShard, ...]
    next_number: int


def is_there(directory: Path) -> bool:
    """Whether a directory has a manifest of shards."""
    return os.path.lexists(directory / layout.SHARDS)


def write(directory: Path, manifest: ShardsManifest) -> None:
    """Writes the manifest, all at once.

    A folder that the directory is in, or that is in it, is written relative to it, so that both can be moved together.

    Raises:
        StorageError: it cannot be written.
    """
    facts = {
        "format": _FORMAT,
        **{name: value for name, value in asdict(manifest.made_by).items() if value is not None},
        "folder": _written(manifest.folder, directory),
        "shards": [asdict(shard) for shard in manifest.shards],
        "next": manifest.next_number,
    }
    path = directory / layout.SHARDS
    with durable.storage_errors(path):
        durable.replace(path, (json.dumps(facts, indent=2) + "\n").encode())


def read(directory: Path) -> ShardsManifest:
    """Reads the manifest of a directory.

    Raises:
        CorruptError: it is missing or damaged.
        IncompatibleError: a newer Lookalike wrote it.
    """
    path = directory / layout.SHARDS
    try:
        facts = json.loads(files.read(path, max_bytes=_MAX_BYTES))
        if (found := manifests.whole(facts, "format")) > _FORMAT:
            raise IncompatibleError(
                f"{path}: it has format {found} and this Lookalike knows up to {_FORMAT}; upgrade Lookalike"
            )
        return _from_facts(facts, directory)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptError(f"{path}: the file is damaged: {error}") from error


def _from_facts(facts: Mapping[str, Any], directory: Path) -> ShardsManifest:
    """The manifest that JSON holds; raises ValueError for what Lookalike does not write."""
    shards = tuple(NamedShard(manifests.whole(each, "number"), _name(each["name"])) for each in facts["shards"])
    next_number = manifests.whole(facts, "next")
    numbers, names = {shard.number for shard in shards}, {shard.name for shard in shards}
    if not shards or not len(numbers) == len(names) == len(shards):
        raise ValueError("it has no shards, or one of them twice")
    if not 0 <= min(numbers) <= max(numbers) < next_number <= MOST_SHARDS:
        raise ValueError("the number of a shard is out of range")
    return ShardsManifest(manifests.identity(facts), _folder(facts["folder"], directory), shards, next_number)


def _name(written: Any) -> str:
    """A directory below that of the manifest: it may come from a stranger, and is not followed elsewhere."""
    if not isinstance(written, str) or "\0" in written or "\\" in written:
        raise ValueError("the name of a shard is not a path")
    path = PurePosixPath(written)
    if path.is_absolute() or not path.parts or ".." in path.parts or str(path) != written:
        raise ValueError("a shard is not in the directory")
    return written


def _written(folder: Path, directory: Path) -> str:
    if folder.is_relative_to(directory):
        return folder.relative_to(directory).as_posix()
    if directory.is_relative_to(folder):
        return "/".join([".."] * len(directory.relative_to(folder).parts))
    return str(folder)


def _folder(written: Any, directory: Path) -> Path:
    if not isinstance(written, str) or not written or "\0" in written or os.path.normpath(written) != written:
        raise ValueError("its folder is not a path")
    return Path(os.path.normpath(directory / written))
