"""Follows the images of a collection to another place: a drive has another mount point, or a folder was renamed."""

import hashlib
import os
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from lookalike import arguments
from lookalike.collection import trust
from lookalike.errors import ImageError, UsageError
from lookalike.sources import places
from lookalike.sources.folder import absolute, key_of
from lookalike.sources.keys import is_elsewhere
from lookalike.storage import layout, lock
from lookalike.storage import made_of as remembered
from lookalike.storage import manifest as manifests
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Manifest
from lookalike.storage.records import FileKind
from lookalike.storage.renaming import rename_all

_SAMPLE = 32  # files that are compared before a folder is taken for another one that has moved
_SEED = 0


def relocate(path: str | os.PathLike[str], old: str | os.PathLike[str], new: str | os.PathLike[str]) -> int:
    """Tells a collection that a folder of its images is now in another place, and returns the number of these images.

    Ids, attributes and vectors stay; no image is read. If the collection has been given images from the new place
    already, each of them becomes one with the image that had its name before. A collection that has been open meanwhile
    has to be opened again.

    Args:
        path: the folder that was indexed, or the collection's directory itself.
        old: the folder, as it was named when it was indexed; it need not exist any more.
        new: where it is now.

    Raises:
        UsageError: there is no folder at the new place, or the collection has no image in the old one.
        CollectionError: there is no collection, it is damaged, or another process is writing to it.
        StorageError: the disk is full or failing.
    """
    before, after = absolute(arguments.path(old, "old")), absolute(arguments.path(new, "new"))
    if not os.path.isdir(after):
        raise UsageError(f"{new}: there is no such folder")
    directory = layout.find_or_raise(path)
    with lock.locked(directory):
        return _relocate(directory, manifests.read(directory), before, after)


def moved_folder(path: str | os.PathLike[str], new: str | os.PathLike[str]) -> Path | None:
    """The folder of a collection if its images are, without doubt, below another one now; else None.

    Of a sample of its files, none is where it was, and all are below the other folder, with the same contents.
    """
    directory, folder = layout.find_or_raise(path), absolute(new)
    manifest = manifests.read(directory)
    if folder == manifest.folder or manifest.folder in folder.parents:
        return None
    with closing(Catalog(manifest.data_directory(directory) / layout.CATALOG)) as catalog:
        keys = [
            known.key
            for known in catalog.known_files("")
            if known.kind is not FileKind.SKIPPED and not is_elsewhere(known.key)
        ]
        sample = random.Random(_SEED).sample(keys, min(_SAMPLE, len(keys)))
        if any(places.is_there(manifest.folder / key) for key in sample):
            return None
        are_there = all(_hash_of(folder / key) == catalog.hash_at(key) for key in sample)
    return manifest.folder if sample and are_there else None


def _hash_of(path: Path) -> bytes:
    try:
        return hashlib.sha256(places.read(path).data).digest()
    except ImageError:
        return b""


def _relocate(directory: Path, manifest: Manifest, old: Path, new: Path) -> int:
    def moved(path: Path) -> Path:
        return new / path.relative_to(old) if path.is_relative_to(old) else path

    def is_elsewhere(key: str) -> bool:
        return (manifest.folder / key).is_relative_to(old)

    def new_key(key: str) -> str:
        return key_of(moved(manifest.folder / key), moved(manifest.folder))

    with closing(Catalog(manifest.data_directory(directory) / layout.CATALOG)) as catalog:
        keys = (known.key for folder in ("", "/") for known in catalog.known_files(folder))
        count = sum(map(is_elsewhere, keys))
        if not count:
            raise UsageError(f"{old}: the collection has no images in it; its folder is {manifest.folder}")
        with catalog.writing() as transaction:
            rename_all(transaction, new_key, is_elsewhere)
    _move_sources(directory, manifest, moved)
    if moved(manifest.folder) != manifest.folder:  # only now: if it fails, it can be done again
        manifests.write(directory, replace(manifest, folder=moved(manifest.folder)))
    return count


def _move_sources(directory: Path, manifest: Manifest, moved: Callable[[Path], Path]) -> None:
    """Renames the folders and lists that the collection was made of; what was trusted is trusted at the new place."""

    def new_key(key: str) -> str:
        key = key_of(moved(manifest.folder / key), moved(manifest.folder))
        return "" if key == "." else key

    before, later = remembered.read(directory), replace(manifest, folder=moved(manifest.folder))
    after, was_trusted = before.moved(new_key), trust.is_trusted(directory, manifest, before)
    if after != before:
        remembered.write(directory, after)
    if was_trusted:
        trust.trust(directory, later, after)
