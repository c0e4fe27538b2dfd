"""The directory that a collection is kept in: finding it, making it, and holding its lock."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from lookalike.errors import CorruptError, LockedError, LookalikeError, NoCollectionError, StorageError, UsageError
from lookalike.storage import manifest
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Origin

NAME = manifest.HOME
CATALOG, VECTORS = "catalog.sqlite", "vectors.faiss"
_LOCK = "lock"
# What a creation makes, and what else there is later.
_PARTS = {CATALOG, f"{CATALOG}-journal", f"{CATALOG}-wal", f"{CATALOG}-shm", VECTORS, f"{manifest.NAME}.new"}
_LATER_PARTS = re.compile(
    rf"{_LOCK}|{manifest.NAME}|{manifest.NEXT}(\.new)?|data\.\d{{6}}|vectors\.\d{{6}}\.faiss|index"
)
# What one model's data are, where they are not in a folder of their own.
_DATA = re.compile(rf"{CATALOG}(-journal|-wal|-shm)?|vectors(\.\d{{6}})?\.faiss|index")


def locate(path: Path) -> Path | None:
    """The directory of the collection that a path names: itself, or the one inside it."""
    for directory in (path, path / NAME):
        if os.path.exists(directory / manifest.NAME):
            return directory.resolve()
    return None


def located(path: str | os.PathLike[str]) -> Path:
    """The directory of the collection that a path names.

    Raises:
        NoCollectionError: there is none.
    """
    if directory := locate(Path(path)):
        return directory
    raise NoCollectionError(f"{path}: there is no collection; make one with: lookalike index {path}")


def nearest(folder: Path) -> Path | None:
    """The directory of the collection in a folder or in the closest one above it that has any."""
    return next(filter(None, map(locate, (folder, *folder.parents))), None)


@contextmanager
def making(directory: Path) -> Iterator[None]:
    """Holds a directory that is there, and has nothing in it, while a collection is made in it.

    What a creation that was cut off has left is taken away.

    Raises:
        UsageError: there is a collection already, or there are files of somebody else's.
        CorruptError: there is one that has lost its collection.json.
        LockedError: another process is making it.
        StorageError: it cannot be written.
    """
    _refuse_foreign(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{directory}: {error.strerror}") from error
    with locked(directory):
        if locate(directory):
            raise UsageError(f"{directory}: there is a collection already; open it, or name another directory")
        if any(_images(place / CATALOG) for place in (directory, *directory.glob("data.*"))):
            raise CorruptError(
                f"{directory / manifest.NAME}: it is missing, although the rest of the collection is there"
            )
        for name in _PARTS:
            try:
                (directory / name).unlink(missing_ok=True)
            except OSError as error:
                raise StorageError(f"{directory / name}: {error.strerror}") from error
        yield


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Holds the lock of whoever writes. The system gives it back if the process dies.

    Raises:
        LockedError: another process holds it.
        StorageError: there cannot be one.
    """
    lock = filelock.FileLock(directory / _LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise LockedError(f"{directory}: another process is writing to it; try again when it is done") from error
    except OSError as error:
        raise StorageError(f"{directory}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def sweep(directory: Path, origin: Origin) -> None:
    """Takes away the data of the models that served before this one.

    Raises:
        StorageError: something cannot be taken away.
    """
    if origin.data is None:
        return
    try:
        earlier = [name for name in os.listdir(directory) if _DATA.fullmatch(name) or origin.is_earlier(name)]
        # The catalog goes first: who has the collection open, and misses another of its files, looks there for the why.
        for name in sorted(earlier, key=lambda name: name != CATALOG):
            path = directory / name
            if not path.is_dir():
                path.unlink()
                continue
            (path / CATALOG).unlink(missing_ok=True)
            shutil.rmtree(path)
    except OSError as error:
        raise StorageError(f"{directory}: {error.strerror}") from error


def size(directory: Path) -> int:
    """How many bytes its files have."""
    return sum(_bytes(file) for file in directory.rglob("*"))


def _bytes(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except FileNotFoundError:  # a journal comes and goes with every commit
        return 0


def _refuse_foreign(directory: Path) -> None:
    """Whoever creates makes the lock first; a collection that has lost its collection.json has all its other files."""
    if not os.path.isdir(directory):
        return
    names = set(os.listdir(directory))
    own = _LOCK in names and all(name in _PARTS or _LATER_PARTS.fullmatch(name) for name in names)
    if names and not own:
        raise UsageError(f"{directory}: it is no collection and not empty; name a directory that is new")


def _images(path: Path) -> int:
    try:
        return Catalog(path).totals().images
    except LookalikeError:  # there is none, or it is not all there yet
        return 0
