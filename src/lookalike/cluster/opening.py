"""Opens what is at a path: a collection, or a directory of many."""

import os
from functools import partial as bound
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

from lookalike import arguments, encoders
from lookalike.cluster import manifest as manifests
from lookalike.collection import compatibility
from lookalike.collection import opening as collections
from lookalike.collection.collection import Collection
from lookalike.collection.encoder import CollectionEncoder
from lookalike.collection.encoder_choice import EncoderChoice, check_options, max_pixels
from lookalike.encoders import Encoder
from lookalike.errors import NoCollectionError, UsageError
from lookalike.index.policies import DEFAULT, Policies
from lookalike.storage.manifest import Manifest

if TYPE_CHECKING:
    from lookalike.cluster.collection import ShardedCollection


def open(  # noqa: A001
    path: str | os.PathLike[str],
    *,
    policies: Policies = DEFAULT,
    partial: bool = False,
    ray: str | None = None,
    **choice: Unpack[EncoderChoice],
) -> Collection:
    """Opens the collection of a folder, or the collection in a directory of its own, or a directory of many.

    If its model is not available here, everything that needs no model can still be done with it.

    Args:
        path: the folder that was indexed, or the collection's directory itself; or that of a sharded collection, see
            `combine`. That is a `ShardedCollection`, which has the same methods.
        policies: when its index is built and how it is measured.
        partial: of a sharded collection, goes on without shards that cannot be used, which `Matches.missing_shards`
            names. By default they are an error.
        ray: of a sharded collection, the address of a Ray cluster on whose machines it is searched, each of which holds
            some of the shards open; "local" is one on this machine. The directory is at the same path on all of them.
        choice: `model`, `precision` and `encoder` that the collection must have been made with, by default whichever it
            was; and `device` and `max_pixels`, see `EncoderChoice`.

    Raises:
        NoCollectionError: there is none.
        IncompatibleError: another encoder or another version of it made the collection, or a newer Lookalike.
        CorruptError: one of its files is damaged.
        UsageError: Ray is missing, or no cluster at the address lets us in.
    """
    directory = arguments.path(path, "path")
    if not manifests.is_there(directory):
        arguments.flag(partial, "partial")
        if ray is not None:
            raise UsageError(f"{path}: a single collection, which is searched on one machine; leave out ray")
        return collections.open(path, policies=policies, **choice)
    return cast("Collection", open_sharded(directory, policies, choice, partial=partial, ray=ray))


def open_sharded(
    directory: Path, policies: Policies, choice: EncoderChoice, *, partial: bool, ray: str | None = None
) -> "ShardedCollection":
    """Opens a directory of many collections; see `open`."""
    from lookalike.cluster.collection import ShardedCollection  # which a single collection does without
    from lookalike.cluster.shards import Shards

    check_options(policies, choice)
    directory, partial = directory.resolve(), arguments.flag(partial, "partial")
    manifest = manifests.read(directory)
    as_one = Manifest(manifest.made_by, manifest.folder)
    compatibility.check_choice(directory, as_one, choice)
    encoder = choice.get("encoder")
    checked = encoders.checked_encoder(encoder) if encoder is not None else None
    own = CollectionEncoder(directory, as_one, checked, choice.get("device", "auto"), max_pixels(choice))
    shards = Shards(directory, manifest, bound(_opened, policies=policies, choice=choice), partial=partial)
    if ray is None:
        return ShardedCollection(directory, manifest, shards, own, policies)
    from lookalike.cluster.machines.actors import RayGroups

    names = [each.name for each in manifest.shards]
    groups = RayGroups(arguments.text(ray, "ray"), directory, names, policies, partial=partial)
    groups.start()
    return ShardedCollection(directory, manifest, shards, own, policies, groups)


def reopened(
    directory: Path,
    policies: Policies,
    encoder: Encoder | None,
    device: str,
    max_pixels: int,
    partial: bool,
    ray: str | None,
) -> "ShardedCollection":
    """Opens a sharded collection that was pickled."""
    if not manifests.is_there(directory):
        raise NoCollectionError(f"{directory}: there is no collection")
    choice: EncoderChoice = {"encoder": encoder, "device": device, "max_pixels": max_pixels}
    return open_sharded(directory, policies, choice, partial=partial, ray=ray)


def _opened(place: Path, policies: Policies, choice: EncoderChoice) -> Collection:
    return collections.open(place, policies=policies, **choice)
