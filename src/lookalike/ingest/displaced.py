"""Finds the image that had the contents of a file and whose own file does not have them any more.

Such an image is missing, or its file has gone or has been edited since the last run. Files are looked at once for each
contents, and each of many copies is chosen in the same time.
"""

import contextlib
import hashlib
from collections import defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lookalike.errors import ImageError
from lookalike.images.reading import FileStatus
from lookalike.sources import places
from lookalike.sources.places import Place
from lookalike.storage.records import FiledImage, MissingImage
from lookalike.storage.transaction import Transaction

_REMEMBERED = 1000  # contents whose images are remembered at a time


@dataclass(frozen=True)
class ReadFile:
    """A file that was read: its key, the SHA-256 of its contents, the row of their vector, and its status."""

    key: str
    hash: bytes
    row: int
    status: FileStatus


@dataclass
class _Candidates:
    """The ids of the displaced images with the same contents.

    Attributes:
        back: by key, those whose files have the contents again: they are candidates for that key only.
    """

    back: dict[str, int] = field(default_factory=dict)
    _left: set[int] = field(default_factory=set)
    _by_end: defaultdict[tuple[str, ...], deque[int]] = field(default_factory=lambda: defaultdict(deque))

    def add(self, id_: int, key: str) -> None:
        """Adds an image that may be the one at any key."""
        self._left.add(id_)
        for end in _ends(key):
            self._by_end[end].append(id_)

    def take(self, key: str) -> int | None:
        """Takes the best one for a key out: with the most names at the end in common, then with the smallest id."""
        if key in self.back:
            return self.back.pop(key)
        for end in _ends(key) if self._left else ():
            ids = self._by_end.get(end)
            while ids:
                if (id_ := ids.popleft()) in self._left:
                    self._left.remove(id_)
                    return id_
        return None


class DisplacedImages:
    """The displaced images, during one run."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the one that the keys are relative to."""
        self._folder = folder
        self._candidates: dict[bytes, _Candidates] = {}  # by the contents' SHA-256

    def take(self, transaction: Transaction, file: ReadFile, *, is_new: bool) -> MissingImage | FiledImage | None:
        """The image that a file is, by its contents: the one with the most names at the end of the key in common.

        `is_new` says that no earlier commit has had its vector.
        """
        candidates = self._candidates.get(file.hash) or self._find(transaction, file, is_new=is_new)
        while (id_ := candidates.take(file.key)) is not None:
            if image := _as_it_is(transaction, id_, file):
                return image
        return None

    def _find(self, transaction: Transaction, file: ReadFile, *, is_new: bool) -> _Candidates:
        found, candidates = self._displaced(transaction, file, is_new=is_new), _Candidates()
        for missing in transaction.missing.with_hash(file.hash):
            if missing.key == file.key or not _is_displaced(self._folder, missing, file.hash):
                candidates.back.setdefault(missing.key, missing.id)
            else:
                found[missing.id] = missing.key
        for id_, key in sorted(found.items()):
            candidates.add(id_, key)
        if not is_new or found or candidates.back:
            self._candidates[file.hash] = candidates
        if len(self._candidates) > _REMEMBERED:
            del self._candidates[next(iter(self._candidates))]
        return candidates

    def _displaced(self, transaction: Transaction, file: ReadFile, *, is_new: bool) -> dict[int, str]:
        """The ids and keys of the displaced images that are not missing."""
        found = {
            image.id: image.key
            for image in transaction.edited_from(file.hash)
            if image.key != file.key and _has_other_contents(places.place_of(self._folder, image.key), file.hash)
        }
        if not is_new:
            images = transaction.images_with_row(file.row)
            found |= {image.id: image.key for image in images if _is_displaced(self._folder, image, file.hash)}
        return found


def _as_it_is(transaction: Transaction, id_: int, file: ReadFile) -> MissingImage | FiledImage | None:
    """An image that was displaced, as it is by now; None if its contents are others by now."""
    for missing in transaction.missing.with_id(id_):
        return missing if missing.hash == file.hash else None
    image = transaction.image_with_id(id_)
    if image and image.key != file.key and (image.row == file.row or transaction.edited_hash(id_) == file.hash):
        return image
    return None


def _ends(key: str) -> list[tuple[str, ...]]:
    """The ends of a key, in names, the longest first."""
    parts = PurePosixPath(key).parts
    return [parts[start:] for start in range(len(parts) + 1)]


def _is_displaced(folder: Path, image: MissingImage | FiledImage, hash_: bytes) -> bool:
    """Whether the file of an image does not have the contents any more that have this SHA-256 and were its own."""
    path = places.place_of(folder, image.key)
    with contextlib.suppress(OSError):
        if image.status.is_same(places.status(path)):
            return False
    return _has_other_contents(path, hash_)


def _has_other_contents(path: Place, hash_: bytes) -> bool:
    """Whether a file is gone or has other contents; one that cannot be read now may have them."""
    try:
        return hashlib.sha256(places.read(path).data).digest() != hash_
    except ImageError as error:
        return error.lasting or _is_gone(path)


def _is_gone(path: Place) -> bool:
    try:
        places.status(path)
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False
