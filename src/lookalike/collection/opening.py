"""Makes and opens collections."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from lookalike import arguments, encoders
from lookalike.collection import compatibility, trust
from lookalike.collection.collection import Collection
from lookalike.collection.encoder import CollectionEncoder
from lookalike.collection.encoder_choice import EncoderChoice, check_options, max_pixels
from lookalike.encoders import Encoder
from lookalike.errors import CorruptError, IncompatibleError, StorageError, UsageError
from lookalike.index.policies import DEFAULT, Policies
from lookalike.storage import directory as directories
from lookalike.storage import layout
from lookalike.storage import made_of as remembered
from lookalike.storage import manifest as manifests
from lookalike.storage.made_of import MadeOf
from lookalike.storage.manifest import Manifest


def create(
    folder: str | os.PathLike[str],
    *,
    directory: str | os.PathLike[str] | None = None,
    policies: Policies = DEFAULT,
    **choice: Unpack[EncoderChoice],
) -> Collection:
    """Makes an empty collection.

    Args:
        folder: the folder of images that it is for; its directory becomes `.lookalike` inside.
        directory: another directory for it.
        policies: when its index is built and how it is measured.
        choice: `model`, `precision`, `encoder`, `device` and `max_pixels`, see `EncoderChoice`. `open` must
            be given the same `encoder` again.

    Raises:
        UsageError: there is no such folder or model, or there is a collection already.
        LockedError: another process is making it.
        StorageError: it cannot be written.
    """
    here = arguments.path(folder, "folder").resolve()
    if not os.path.isdir(here):
        raise UsageError(f"{folder}: there is no such folder")
    place = arguments.path(directory, "directory").resolve() if directory is not None else here / layout.DIRECTORY
    layout.check_is_no_link(place)
    check_options(policies, choice)
    manifest = Manifest(compatibility.new_identity(choice), here)
    with directories.making(place):
        manifest = replace(manifest, catalog=directories.create_data(place, manifest.made_by.dim))
        remembered.write(place, MadeOf())
        manifests.write(place, manifest)
        trust.trust(place, manifest, MadeOf().with_folder(""))
    return _collection(place, manifest, policies, choice)


def open(  # noqa: A001
    path: str | os.PathLike[str],
    *,
    policies: Policies = DEFAULT,
    **choice: Unpack[EncoderChoice],
) -> Collection:
    """Opens the collection of a folder, or the collection in a directory of its own.

    If its model is not available here, everything that needs no model can still be done with it.

    Args:
        path: the folder that was indexed, or the collection's directory itself.
        policies: when its index is built and how it is measured.
        choice: `model`, `precision` and `encoder` that the collection must have been made with, by default whichever it
            was; and `device` and `max_pixels`, see `EncoderChoice`.

    Raises:
        NoCollectionError: there is none.
        IncompatibleError: another encoder or another version of it made the collection, or a newer Lookalike.
        CorruptError: one of its files is damaged.
    """
    directory = layout.find_or_raise(path)
    check_options(policies, choice)
    while True:
        manifest = manifests.read(directory)
        compatibility.check_choice(directory, manifest, choice)
        try:
            return _collection(directory, manifest, policies, choice)
        except (CorruptError, IncompatibleError, StorageError):
            if manifests.read(directory) == manifest:
                raise  # else its images have been indexed again with another model just now


def reopened(directory: Path, policies: Policies, encoder: Encoder | None, device: str, max_pixels: int) -> Collection:
    """Opens a collection that was pickled."""
    return open(directory, policies=policies, encoder=encoder, device=device, max_pixels=max_pixels)


def _collection(directory: Path, manifest: Manifest, policies: Policies, choice: EncoderChoice) -> Collection:
    encoder = choice.get("encoder")
    checked = encoders.checked_encoder(encoder) if encoder is not None else None
    own = CollectionEncoder(directory, manifest, checked, choice.get("device", "auto"), max_pixels(choice))
    return Collection(directory, manifest, own, policies=policies)
