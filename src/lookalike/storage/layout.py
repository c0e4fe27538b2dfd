"""Finds a collection, and names all of its files.

photos/.lookalike/            the directory of the collection, if no other is named
  collection.json             the manifest: which model made it, which data directory serves
  sources.json                which folders and lists it was made of, and what is left out
  marks.json                  which images are marked as copies to act on, and which are to be kept
  marks.lock                  held by the process that changes the marks
  actions/000001.jsonl        what was done to copies, file by file, so that it can be undone
  reindexing.json             the manifest to be, while the images are indexed again with another model
  lock                        held by the process that writes
  decoding                    the files that it decodes at the moment
  catalog.sqlite              the images
  vectors.faiss               their vectors; vectors.000001.faiss after the first compaction
  regions.000001.faiss        the vectors of parts of the images, if there are any
  augmented.000002.faiss      the vectors with what their nearest add, if there are any
  orders.json                 which order of the matches is better, as `evaluate` has found
  probability.json            how probable a label and a copy are, likewise
  pictures.sqlite             small pictures of the images, and which are copies, as `duplicates` has found
  index/000003.faiss, .json   a generation of the index, and what is known of it
  data.000001/                catalog, vectors and index of a later model, in place of those above
"""

import os
import re
from pathlib import Path

from lookalike import arguments
from lookalike.errors import Hint, NoCollectionError, StorageError, UsageError
from lookalike.system import durable

DIRECTORY = ".lookalike"
MANIFEST = "collection.json"
NEXT_MANIFEST = "reindexing.json"
SOURCES = "sources.json"
SHARDS = "shards.json"  # not in a collection, but in a directory of collections
TUNED = "searching.json"  # beside it
MARKS = "marks.json"
_MARKS_LOCK = "marks.lock"
_ACTIONS = "actions"
CATALOG = "catalog.sqlite"
VECTORS = "vectors.faiss"
ORDERS = "orders.json"
PROBABILITY = "probability.json"
PICTURES = "pictures.sqlite"
_INDEX = "index"
_LOCK = "lock"
DECODING = "decoding"
_VECTORS = re.compile(r"vectors(?:\.([0-9]{6}))?\.faiss")
_REGIONS = re.compile(r"regions\.([0-9]{6})\.faiss")
_AUGMENTED = re.compile(r"augmented\.([0-9]{6})\.faiss")
_DATA = re.compile(r"data\.([0-9]{6})")
_ACTION_LOG = re.compile(r"([0-9]{6})\.jsonl")
_BESIDE_SQLITE = ("-journal", "-wal", "-shm")  # SQLite's own files beside one of its files


# Finding a collection


def find(path: Path) -> Path | None:
    """The directory of the collection that a path names: the path itself, or the one inside it, unless that is a link.

    The folder of a collection is the one that its directory is in, which is another one behind a link.
    """
    for directory in (path, path / DIRECTORY):
        if os.path.exists(directory / MANIFEST) and not _is_link(directory):
            return directory.resolve()
    return None


def find_or_raise(path: str | os.PathLike[str]) -> Path:
    """The directory of the collection that a path names.

    Raises:
        UsageError: it is no path, or the directory of a collection is a link.
        StorageError: there is a directory of one that this user may not enter.
        NoCollectionError: there is none.
    """
    found = arguments.path(path, "path")
    if directory := find(found):
        return directory
    for folder in (found, found / DIRECTORY):
        check_is_no_link(folder)
        if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK):
            raise StorageError(f"{folder}: this user may not read it; ask its owner for the right")
    raise NoCollectionError(f"{path}: there is no collection", Hint("create", {"path": os.fspath(path)}))


def check_is_no_link(directory: Path) -> None:
    """Raises UsageError if the directory of a collection, in the folder of its images, is a link."""
    if _is_link(directory):
        raise UsageError(
            f"{directory}: a link to {os.path.realpath(directory)}, through which no collection is found, since its"
            " images would be those beside that; keep the collection here, or make one in a directory of another name"
        )


def _is_link(directory: Path) -> bool:
    return directory.name == DIRECTORY and directory.is_symlink()


def nearest(folder: Path) -> Path | None:
    """The directory of the collection in a folder, or in the closest folder above it that has one."""
    return next(filter(None, map(find, (folder, *folder.parents))), None)


# File names


def next_vectors(name: str) -> str:
    """The name of the file of vectors that follows the one of this name."""
    return f"vectors.{_number(_VECTORS, name) + 1:06}.faiss"


def is_vectors(name: str) -> bool:
    """Whether a file of that name holds vectors."""
    return bool(_VECTORS.fullmatch(name))


def next_regions(name: str | None) -> str:
    """The name of the file of the vectors of parts that follows the one of this name."""
    return f"regions.{_number(_REGIONS, name or '') + 1:06}.faiss"


def is_regions(name: str) -> bool:
    """Whether a file of that name holds vectors of parts of images."""
    return bool(_REGIONS.fullmatch(name))


def next_augmented(name: str | None) -> str:
    """The name of the file of augmented vectors that follows the one of this name."""
    return f"augmented.{_number(_AUGMENTED, name or '') + 1:06}.faiss"


def is_augmented(name: str) -> bool:
    """Whether a file of that name holds augmented vectors."""
    return bool(_AUGMENTED.fullmatch(name))


def is_data(name: str) -> bool:
    """Whether a directory of that name holds the data of a later model."""
    return bool(_DATA.fullmatch(name))


def next_data(name: str | None) -> str:
    """The name of the data directory that follows this one; None is the collection's directory itself."""
    return f"data.{_number(_DATA, name or '') + 1:06}"


def inner_directories(path: Path) -> list[Path]:
    """The directories of a collection, below its own, that a file of the collection is in, the innermost first."""
    found, directory = list[Path](), path.parent
    while directory.name in (_INDEX, _ACTIONS) or is_data(directory.name):
        found.append(directory)
        directory = directory.parent
    return found


def is_earlier_data(name: str, current: str | None) -> bool:
    """Whether a data directory of that name served before the current one."""
    return is_data(name) and _number(_DATA, name) < _number(_DATA, current or "")


def is_first_data(name: str) -> bool:
    """Whether that is a file or directory of the first model's data, which are not in a data directory."""
    found = (ORDERS, PROBABILITY)  # by `evaluate`
    is_found = name in {*found, *(durable.beside(Path(each)).name for each in found)}
    is_sqlite = any(name == file.name for each in (CATALOG, PICTURES) for file in sqlite_files(Path(each)))
    is_of_vectors = is_vectors(name) or is_regions(name) or is_augmented(name)
    return is_sqlite or is_of_vectors or name == _INDEX or is_found


def is_of_collection(name: str) -> bool:
    """Whether a collection has a file or directory of that name."""
    beside = {durable.beside(Path(each)).name for each in (MANIFEST, NEXT_MANIFEST, SOURCES, MARKS)}
    own = {_LOCK, DECODING, MANIFEST, NEXT_MANIFEST, SOURCES, MARKS, _MARKS_LOCK, _ACTIONS} | beside
    return name in own or is_first_data(name) or is_data(name)


def sqlite_files(path: Path) -> list[Path]:
    """A file of SQLite's and those that it may keep beside it."""
    return [path.with_name(path.name + end) for end in ("", *_BESIDE_SQLITE)]


def write_ahead_log(path: Path) -> Path:
    """The log that SQLite may keep beside a file, which commits go to first."""
    return path.with_name(f"{path.name}-wal")


def lock_file(directory: Path) -> Path:
    """The file that the lock is held on; a new collection's directory has it first."""
    return directory / _LOCK


def marks_lock_file(directory: Path) -> Path:
    """The file that the lock of the marks is held on."""
    return directory / _MARKS_LOCK


def actions_folder(directory: Path) -> Path:
    """Where the logs of what was done to copies are."""
    return directory / _ACTIONS


def action_log(directory: Path, number: int) -> Path:
    """The log of one run of actions, by its number from 1 on."""
    return actions_folder(directory) / f"{number:06}.jsonl"


def action_number(name: str) -> int:
    """The number of the run whose log has that name; 0 if it is no log."""
    return _number(_ACTION_LOG, name)


def index_folder(data_directory: Path) -> Path:
    """Where the generations of the index are."""
    return data_directory / _INDEX


def index_files(data_directory: Path, number: int) -> tuple[Path, Path]:
    """The file of a generation of the index, and the one with what is known of it."""
    folder = index_folder(data_directory)
    return folder / f"{number:06}.faiss", folder / f"{number:06}.json"


def size(directory: Path) -> int:
    """The number of bytes of all files of a collection."""
    return sum(_bytes(Path(folder, name)) for folder, _, names in os.walk(directory) for name in names)


def _bytes(file: Path) -> int:
    try:
        return file.lstat().st_size
    except FileNotFoundError:  # a journal comes and goes with every commit
        return 0


def _number(pattern: re.Pattern[str], name: str) -> int:
    """The number in a name; 0 where the name has none."""
    found = pattern.fullmatch(name)
    return int(found[1] or 0) if found else 0
