"""Finds the collection that a command means: the named one, that of the paths to index, or the nearest one."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.errors import NoCollectionError, UsageError

if TYPE_CHECKING:
    from lookalike.collection.collection import Collection


def open_collection(directory: str | None, near: Sequence[str] = (), **choice: Any) -> "Collection":
    """Opens the named collection, else the nearest one; of several right below, that of the images `near`."""
    import lookalike

    return lookalike.open(_place(directory, near), **choice)


def place_to_index(paths: Sequence[str], directory: str | None) -> Path | None:
    """The directory of the collection that these files and folders belong to; None if one has to be made."""
    from lookalike.storage import layout

    folders = [_folder_of(path) for path in paths]
    if directory is not None:
        place = layout.find(Path(directory))
        return place or (None if folders else layout.find_or_raise(directory))
    if not paths:
        return layout.find(_place(None, ()))
    places = {layout.nearest(folder) for folder in folders}
    if len(places) > 1 or (places == {None} and (len(paths) > 1 or not os.path.isdir(paths[0]))):
        raise UsageError("the paths do not belong to one collection: index one folder, or name a collection with -c")
    return places.pop()


def collection_to_index(place: Path | None, paths: Sequence[str], directory: str | None, **choice: Any) -> "Collection":
    """Opens the collection in that directory, or makes one for the first of the paths."""
    import lookalike
    from lookalike.storage import layout

    if place:
        return lookalike.open(place, **choice)
    folder = _folder_of(paths[0])
    if directory is not None and Path(directory).resolve() == folder:
        directory = None  # the folder itself was meant
    given = {name: value for name, value in choice.items() if value is not None}
    try:
        return lookalike.create(folder, directory=directory, **given)
    except UsageError:
        if found := layout.find(Path(directory) if directory else folder):
            return lookalike.open(found, **choice)  # another process was quicker
        raise


def key_of_folder(under: str | None, collection: "Collection") -> str | None:
    """The key of a folder, which may be given as its key or as its path."""
    from lookalike.sources.folder import absolute, key_of
    from lookalike.storage.spellings import only, spellings

    if under is None:
        return None
    folder = under if os.path.isdir(under) else only(filter(os.path.isdir, spellings(under)))
    if folder is None or not (path := absolute(folder)).is_relative_to(collection.folder):
        return under
    return key_of(path, collection.folder)


def _place(directory: str | None, near: Sequence[str]) -> Path:
    from lookalike.storage import layout

    if directory is not None:
        return Path(directory)
    here = Path.cwd()
    if place := layout.nearest(here):
        return place
    below = sorted(filter(None, (layout.find(here / name) for name in os.listdir(here))))
    close = {layout.nearest(Path(path).resolve().parent) for path in near}
    below = [each for each in below if close == {each}] or below
    if not below:
        raise NoCollectionError(
            f"{here}: there is no collection here; make one with: lookalike index FOLDER, or name one with -c"
        )
    if len(below) > 1:
        names = ", ".join(each.parent.name for each in below[:5])
        raise UsageError(f"there are several collections here ({names}); say which with -c")
    return below[0]


def _folder_of(path: str) -> Path:
    if not os.path.lexists(path):
        raise UsageError(f"{path}: there is no such file or folder")
    return Path(path).resolve() if os.path.isdir(path) else Path(path).parent.resolve()
