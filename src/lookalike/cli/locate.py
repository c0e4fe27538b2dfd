"""Finds the collection that a command means: the named one, that of the paths to index, or the nearest one."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lookalike.cli import output
from lookalike.display.text import is_harmless, safe_text
from lookalike.errors import LookalikeError, NoCollectionError, UsageError

if TYPE_CHECKING:
    from lookalike.cli.lists import NamedSources
    from lookalike.collection.collection import Collection

_SHOWN = 3  # collections


def open_collection(
    directory: str | None,
    near: Sequence[str] = (),
    *,
    folder: str | None = None,
    is_named: bool = False,
    **choice: Any,
) -> "Collection":
    """Opens the collection of a folder, else the named one, else the nearest one, and says what is inside of what.

    Without one here, it is that of the files `near`, else the only one below. `is_named` has it named then.
    """
    import lookalike

    told = None
    if folder is not None:
        place = _of_folder(folder)
    else:
        place, told = _place(directory, near, is_named=is_named)
    collection = lookalike.open(place, **choice)
    mention_nested(collection, told)
    return collection


def open_other(folder: str, than: "Collection") -> "Collection":
    """Opens a second collection, by its folder or its directory.

    Raises:
        UsageError: it is the first one, or the folder is only a part of a collection.
        NoCollectionError: there is none.
    """
    import lookalike
    from lookalike.storage import layout

    around = layout.nearest(Path(folder).resolve()) if layout.find(Path(folder)) is None else None
    if around:
        raise UsageError(
            f"{folder}: a part of the collection of {_shown(around)}; to compare it with another one, give it a"
            f" collection of its own: lookalike index {shlex.quote(folder)} -c DIR"
        )
    other = lookalike.open(folder)
    if other.directory.resolve() == than.directory.resolve():
        other.close()
        raise UsageError(f"{folder}: the same collection; to find copies within it, leave out --against")
    return other


def mention_nested(collection: "Collection", told: Path | None = None) -> None:
    """Says which other collections have images of this one, if any; `told` is one that has been named already."""
    from lookalike.storage import layout

    directory, folder = collection.directory, collection.folder
    around = layout.nearest(folder.parent) if directory == folder / layout.DIRECTORY else None
    if around and around not in (directory, told):
        output.note(f"{_shown(directory)} is inside {_shown(around)}, which has a collection, too{_to_use(around)}")
    try:
        places = [folder / key for key in collection.made_of.inner]
    except LookalikeError:
        return  # indexing says so
    inner = [place for place in places if layout.find(place) not in (None, directory)]
    if inner:
        more = f" and {len(inner) - _SHOWN:,} more" if len(inner) > _SHOWN else ""
        own = "has a collection of its own", "have collections of their own"
        is_one = len(inner) == 1
        names = ", ".join(map(_shown, inner[:_SHOWN]))
        output.note(
            f"In {_shown(directory)}, {names}{more} {own[not is_one]}, which this command leaves as"
            f" {'it is' if is_one else 'they are'}."
        )


def place_to_index(paths: Sequence[str], directory: str | None, *, has_lists: bool = False) -> Path | None:
    """The directory of the collection that these files and folders belong to; None if one has to be made."""
    from lookalike.sources.keys import is_url
    from lookalike.storage import layout

    files = [path for path in paths if not is_url(path)]
    folders = [_folder_of(path) for path in files]
    if directory is not None:
        if os.path.lexists(Path(directory, layout.SHARDS)):
            raise UsageError(f"{directory}: many collections as one; index one of them, with -c")
        place = layout.find(Path(directory))
        return place or (None if paths or has_lists else layout.find_or_raise(directory))
    if paths and not files:
        if layout.nearest(Path.cwd()) is None:
            raise UsageError("a URL does not say where its collection is: name a new directory with -c")
        return layout.nearest(Path.cwd())
    if not paths:
        if has_lists and layout.nearest(Path.cwd()) is None:
            raise UsageError("a list of files does not say where its collection is: name a new directory with -c")
        return layout.find(_place(None, ())[0])
    places = {layout.nearest(folder) for folder in folders}
    if len(places) > 1 or (places == {None} and not _name_one_place(files, folders)):
        raise UsageError("the paths do not belong to one collection: index one folder, or name a collection with -c")
    return places.pop()


def _name_one_place(paths: Sequence[str], folders: Sequence[Path]) -> bool:
    """Whether paths say where a new collection is: they are a folder, or archives in one folder."""
    from lookalike.sources.keys import is_shard

    if len(paths) == 1 and os.path.isdir(paths[0]):
        return True
    return len(set(folders)) == 1 and all(map(is_shard, paths))


def collection_to_index(
    place: Path | None, named: "NamedSources", directory: str | None, **choice: Any
) -> "Collection":
    """Opens the collection in that directory, or makes one for what is to be indexed."""
    import lookalike
    from lookalike.storage import layout

    if place:
        return lookalike.open(place, **choice)
    folder = _folder_to_index(named)
    if directory is not None and Path(directory).resolve() == folder:
        directory = None  # the folder itself was meant
    given = {name: value for name, value in choice.items() if value is not None}
    try:
        return lookalike.create(folder, directory=directory, **given)
    except UsageError:
        if found := layout.find(Path(directory) if directory else folder):
            return lookalike.open(found, **choice)  # another process was quicker
        raise


def _folder_to_index(named: "NamedSources") -> Path:
    """The folder that a new collection is for: that of the first path, else the one that all listed paths are in."""
    from lookalike.sources.keys import is_url

    if files := [path for path in named.paths if not is_url(path)]:
        return _folder_of(files[0])
    if named.paths:
        return Path.cwd()
    folders = {(path if os.path.isdir(path) else path.parent).resolve() for path in named.listed()}
    common = Path(os.path.commonpath(folders))
    return common if os.path.isdir(common) else Path.cwd()


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


def _of_folder(folder: str) -> Path:
    """The collection of a folder, or of the closest one above it that has one."""
    from lookalike.storage import layout

    context = click.get_current_context()
    if context.get_parameter_source("directory") is ParameterSource.COMMANDLINE:
        raise UsageError(f"{folder}: give a folder or -c, not both")
    if not os.path.isdir(folder):
        raise UsageError(f"{folder}: there is no such folder")
    here = Path(folder).resolve()
    place = layout.nearest(here)
    if (shards := _shards_around(here)) and (place is None or shards.is_relative_to(place.parent)):
        return shards
    if place is None:
        return layout.find_or_raise(folder)  # which says how to make one
    if layout.find(Path(folder)) != place:
        output.note(f"{safe_text(folder)} is part of the collection of {_shown(place)}.")
    return place


def _place(directory: str | None, near: Sequence[str], *, is_named: bool = False) -> tuple[Path, Path | None]:
    """The collection that is meant, and another one that has been named to the user because of the files `near`."""
    from lookalike.storage import layout

    if directory is not None:
        return Path(directory), None
    here = Path.cwd()
    if layout.nearest(here) is None and (shards := _shards_around(here)):
        return shards, None
    own = {path: layout.nearest(_folder_near(path)) for path in near if path != "-"}
    places = {place for place in own.values() if place}
    if place := layout.nearest(here):
        return place, _name_others(place, own)
    if len(places) > 1:
        names = ", ".join(sorted(map(_shown, places))[:_SHOWN])
        raise UsageError(f"these belong to several collections ({names}); say which with -c")
    place = places.pop() if places else _below(here)
    if near and is_named:
        output.note(f"Using the collection of {_shown(place)}.")
    return place, None


def _shards_around(here: Path) -> Path | None:
    """The closest directory of many collections, be it this one or one above it."""
    from lookalike.storage import layout

    return next((each for each in (here, *here.parents) if os.path.lexists(each / layout.SHARDS)), None)


def _below(here: Path) -> Path:
    """The only collection in the folders right below one."""
    from lookalike.storage import layout

    below = sorted(filter(None, (layout.find(here / name) for name in os.listdir(here))))
    if not below:
        raise NoCollectionError(
            f"{here}: there is no collection here; make one with: lookalike index FOLDER, or name one with -c"
        )
    if len(below) > 1:
        names = ", ".join(each.parent.name for each in below[:5])
        raise UsageError(f"there are several collections here ({names}); say which with -c")
    return below[0]


def _name_others(place: Path, own: "dict[str, Path | None]") -> Path | None:
    """Says where an image or table belongs that is not of the collection that is used, and returns that one."""
    for path, other in own.items():
        if other and other != place:
            output.note(
                f"Using the collection of {_shown(place)}, where you are; {safe_text(path)} belongs to that of"
                f" {_shown(other)}{_to_use(other)}"
            )
            return other
    return None


def _to_use(directory: Path) -> str:
    """How to use another collection, if that can be pasted."""
    command = shlex.join(["-c", str(_path(directory))])
    return f"; to use that, add: {command}" if is_harmless(command) else "."


def _shown(directory: Path) -> str:
    return safe_text(_path(directory))


def _path(directory: Path) -> Path:
    """The shortest path that names a collection, from the current folder."""
    from lookalike.storage import layout

    path, here = directory.parent if directory.name == layout.DIRECTORY else directory, Path.cwd()
    return path.relative_to(here) if here in path.parents else path


def _folder_near(path: str) -> Path:
    """The folder that a file is in, or the folder itself; it need not exist."""
    return (Path(path) if os.path.isdir(path) else Path(path).parent).resolve()


def _folder_of(path: str) -> Path:
    if not os.path.lexists(path):
        raise UsageError(f"{path}: there is no such file or folder")
    return Path(path).resolve() if os.path.isdir(path) else Path(path).parent.resolve()
