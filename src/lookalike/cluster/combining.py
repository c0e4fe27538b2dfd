"""Makes many collections one, by a manifest that names them; the collections stay as they are."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Unpack

from lookalike import arguments
from lookalike.cluster import manifest as manifests
from lookalike.cluster.collection import ShardedCollection
from lookalike.cluster.manifest import NamedShard, ShardsManifest
from lookalike.cluster.numbering import MOST_SHARDS
from lookalike.cluster.opening import open_sharded
from lookalike.collection.below import collections_below
from lookalike.collection.encoder_choice import EncoderChoice, check_options
from lookalike.errors import Hint, IncompatibleError, NoCollectionError, UsageError
from lookalike.index.policies import DEFAULT, Policies
from lookalike.storage import layout
from lookalike.storage import manifest as collection_manifests
from lookalike.storage.manifest import Manifest


def combine(
    directory: str | os.PathLike[str],
    collections: Iterable[str | os.PathLike[str]] = (),
    *,
    policies: Policies = DEFAULT,
    **choice: Unpack[EncoderChoice],
) -> ShardedCollection:
    """Makes one sharded collection of many, which stay as they are and can still be used by themselves.

    It can be done again, with more of them or fewer: those that stay keep the ids of their images.

    Args:
        directory: that the collections are in; the manifest is written to it.
        collections: their folders or directories, in the order that they are to have. By default all that are in
            folders below `directory`, by path.
        policies: when an index is built and how it is measured.
        choice: as `open` takes it.

    Raises:
        UsageError: one is not in the directory, two are the same, or the directory is a collection itself.
        NoCollectionError: there is none.
        IncompatibleError: another model made one of them.
        CorruptError: one of them, or the present manifest, is damaged.
        StorageError: the manifest cannot be written.
    """
    top = arguments.path(directory, "directory").resolve()
    check_options(policies, choice)
    given = [arguments.path(each, "collections") for each in arguments.several(collections, "collections")]
    if not top.is_dir():
        raise UsageError(f"{directory}: there is no such directory")
    if found := layout.find(top):
        raise UsageError(f"{found}: a collection, which cannot be a directory of others, too; give another directory")
    places = [layout.find_or_raise(each) for each in given] or _below(top)
    if not places:
        raise NoCollectionError(f"{top}: there are no collections in it", Hint("create", {"path": str(top / "a")}))
    manifests.write(top, _manifest(top, places, manifests.read(top) if manifests.is_there(top) else None))
    return open_sharded(top, policies, choice, partial=False)


def _below(top: Path) -> list[Path]:
    """The collections in a directory: in folders, or directories of their own right below."""
    own = {place.resolve() for name in os.listdir(top) if (place := layout.find(top / name))}
    return sorted(own | {found.directory for found in collections_below(top)})


def _manifest(top: Path, places: Sequence[Path], before: ShardsManifest | None) -> ShardsManifest:
    """The manifest of these collections, in which those that were there before keep their numbers."""
    names = [_name(top, place) for place in places]
    if len(set(names)) < len(names):
        raise UsageError("a collection is named twice; give each once")
    read = [collection_manifests.read(place) for place in places]
    _check_model(places, read)
    numbers = {shard.name: shard.number for shard in before.shards} if before else {}
    next_number = before.next_number if before else 0
    shards = []
    for name in names:
        number = numbers.get(name, next_number)
        next_number += number == next_number
        shards.append(NamedShard(number, name))
    if next_number > MOST_SHARDS:
        raise UsageError(f"{top}: it has had {next_number:,} shards; the most is {MOST_SHARDS:,}")
    if before and read[0].made_by != before.made_by:
        raise IncompatibleError(
            f"{top / layout.SHARDS}: made of collections by {before.made_by}, and these are by {read[0].made_by};"
            " delete it to begin anew, with other ids"
        )
    folder = Path(os.path.commonpath([each.folder for each in read]))
    return ShardsManifest(read[0].made_by, folder, tuple(shards), next_number)


def _name(top: Path, place: Path) -> str:
    if not place.is_relative_to(top) or place == top:
        raise UsageError(f"{place}: not in {top}; move the collection there, or give a directory that it is in")
    name = place.relative_to(top).as_posix()
    if not name.isprintable():
        raise UsageError(f"{place!r}: a name that cannot be shown; rename the directory")
    return name


def _check_model(places: Sequence[Path], read: Sequence[Manifest]) -> None:
    first = read[0]
    for place, manifest in zip(places, read, strict=True):
        if manifest.made_by != first.made_by:
            raise IncompatibleError(
                f"{place}: its vectors were made by {manifest.made_by}, and those of {places[0]} by {first.made_by};"
                " index one of them again with the other's model",
                Hint("reindex", {"path": str(manifest.path(place)), "model": first.made_by.model}),
            )
