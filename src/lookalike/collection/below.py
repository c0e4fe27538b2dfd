"""Finds the collections in the folders below one, whose vectors a new collection may take over."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lookalike import arguments
from lookalike.errors import LookalikeError
from lookalike.sources.exclusion import Exclusion
from lookalike.storage import layout
from lookalike.storage import manifest as manifests
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Identity


@dataclass(frozen=True)
class CollectionBelow:
    """A collection in a folder below another one.

    Attributes:
        directory: its directory.
        folder: the folder of its images.
        made_by: the encoder that made its vectors.
        images: the number of its images.
    """

    directory: Path
    folder: Path
    made_by: Identity
    images: int


def collections_below(folder: str | os.PathLike[str]) -> list[CollectionBelow]:
    """The collections in the folders below a folder, by path; damaged ones are left out.

    Hidden folders are not looked into, nor those that are left out by default, nor links.
    """
    top = arguments.path(folder, "folder").resolve()
    return [found for place in _places(top) if (found := _described(place))]


def _places(top: Path) -> Iterator[Path]:
    exclusion = Exclusion()
    for name, folders, _ in os.walk(top):
        if name != str(top) and layout.DIRECTORY in folders and (place := layout.find(Path(name, layout.DIRECTORY))):
            yield place
        folders[:] = sorted(
            each
            for each in folders
            if not each.startswith(".") and not exclusion.leaves_out_entry(each, each, is_folder=True)
        )


def _described(directory: Path) -> CollectionBelow | None:
    try:
        manifest = manifests.read(directory)
        with closing(Catalog(manifest.data_directory(directory) / layout.CATALOG)) as catalog:
            return CollectionBelow(directory, manifest.folder, manifest.made_by, catalog.totals().images)
    except LookalikeError:
        return None
