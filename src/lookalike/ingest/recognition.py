"""Decides which image a file is, so that an image keeps its id and attributes wherever its file goes.

The contents come first: an image follows them to another path. If they are nowhere else, a file at a known path is the
image of that path, which has changed. The order in which files are met does not matter, nor that a run is stopped:
every decision is part of the commit that records the file.
"""

import contextlib
import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lookalike.errors import ImageError
from lookalike.images.reading import FileStatus, read
from lookalike.storage.missing import MissingImage
from lookalike.storage.transaction import FiledImage, Transaction


@dataclass(frozen=True)
class ReadFile:
    """A file that was read: its key, the SHA-256 of its contents, the row of their vector, and its status."""

    key: str
    hash: bytes
    row: int
    status: FileStatus


class Recognition:
    """Files the images of one run in the catalog.

    Attributes:
        since_ns: when the run began: what it misses is missing since then.
    """

    def __init__(self, folder: Path, since_ns: int) -> None:
        """`folder` is the one that the keys are relative to."""
        self._folder, self.since_ns = folder, since_ns
        self._copies: dict[int, _Copies] = {}  # by row

    def record(self, transaction: Transaction, file: ReadFile, *, is_new: bool) -> str:
        """Files an image, and returns what it is: added, updated, renamed, returned or unchanged.

        `is_new` says that no earlier commit has had its vector.
        """
        there = transaction.image_at(file.key)
        if there and there.row == file.row:
            transaction.put_image(file.key, file.row, file.status)
            return "unchanged"  # it was only touched
        candidates = self._displaced(transaction, file, is_new=is_new)
        if image := max(candidates, key=lambda image: (_common_names(image.key, file.key), -image.id), default=None):
            transaction.missing.set_aside([file.key], self.since_ns)  # the contents of what was there are gone
            return self._take(transaction, image, file)
        return self._record_by_path(transaction, file)

    def _displaced(
        self, transaction: Transaction, file: ReadFile, *, is_new: bool
    ) -> Iterator[MissingImage | FiledImage]:
        """The images with the contents of a file that are no longer where they were."""
        for missing in transaction.missing.with_hash(file.hash):
            if missing.key == file.key or _is_displaced(self._folder, missing, file.hash):
                yield missing
        for edited in transaction.edited_from(file.hash):
            if edited.key != file.key and _has_other_contents(self._folder / edited.key, file.hash):
                yield edited
        if not is_new:
            copies = self._copies.setdefault(file.row, _Copies(self._folder))
            yield from copies.displaced(transaction, file)

    def _take(self, transaction: Transaction, image: MissingImage | FiledImage, file: ReadFile) -> str:
        """Gives an image the file that has its contents now."""
        if isinstance(image, MissingImage):
            transaction.bring_back(image, file.key, file.row, file.status)
            return "renamed" if image.since_ns == self.since_ns and image.key != file.key else "returned"
        transaction.move(image, file.key, file.row, file.status)
        if image.row != file.row:  # it was taken for an edited image; what is there is another one
            transaction.forget_edit(image.id)
            hash_ = transaction.hash_of(image.row)
            self._record_by_path(transaction, ReadFile(image.key, hash_, image.row, image.status))
        return "renamed"

    def _record_by_path(self, transaction: Transaction, file: ReadFile) -> str:
        """Files an image whose contents are those of no other: as the one that is or was there, or as a new one."""
        if there := transaction.image_at(file.key):
            transaction.note_edit(there.id, transaction.hash_of(there.row), now=file.hash)
            transaction.put_image(file.key, file.row, file.status)
            return "updated"
        if last := transaction.missing.last_at(file.key):
            transaction.bring_back(last, file.key, file.row, file.status)
            transaction.note_edit(last.id, last.hash, now=file.hash)
            return "returned"
        transaction.put_image(file.key, file.row, file.status)
        return "added"


@dataclass
class _Copies:
    """The images with the same contents. Whether a file still has them is looked up once in a run."""

    folder: Path
    looked_up: int = 0  # the last id
    found: list[FiledImage] = field(default_factory=list)

    def displaced(self, transaction: Transaction, file: ReadFile) -> list[FiledImage]:
        """Those whose files do not have the contents any more."""
        new = transaction.images_with_row(file.row, after_id=self.looked_up)
        self.looked_up = new[-1].id if new else self.looked_up
        known = (image for image in self.found if transaction.image_at(image.key) == image)
        self.found = [*known, *(image for image in new if _is_displaced(self.folder, image, file.hash))]
        return self.found


def _is_displaced(folder: Path, image: MissingImage | FiledImage, hash_: bytes) -> bool:
    """Whether the file of an image does not have the contents any more that have this SHA-256 and were its own."""
    path = folder / image.key
    with contextlib.suppress(OSError):
        if image.status.is_same(FileStatus.of(path.stat())):
            return False
    return _has_other_contents(path, hash_)


def _has_other_contents(path: Path, hash_: bytes) -> bool:
    """Whether a file is gone or has other contents; one that cannot be read now may have them."""
    try:
        return hashlib.sha256(read(path).data).digest() != hash_
    except ImageError as error:
        return error.lasting or _is_gone(path)


def _is_gone(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


def _common_names(first: str, second: str) -> int:
    """The number of names at the end of two paths that are the same."""
    pairs = zip(reversed(PurePosixPath(first).parts), reversed(PurePosixPath(second).parts), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
