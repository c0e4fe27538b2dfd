"""Decides which image a file is, so that an image keeps its id and attributes wherever its file goes.

The contents come first: an image follows them to another path. If they are nowhere else, a file at a known path is the
image of that path, which has changed. The order in which files are met does not matter, nor that a run is stopped:
every decision is part of the commit that records the file.
"""

from pathlib import Path

from lookalike.ingest.displaced import DisplacedImages, ReadFile
from lookalike.storage.records import FiledImage, MissingImage
from lookalike.storage.transaction import Transaction


class Recognition:
    """Files the images of one run in the catalog.

    Attributes:
        since_ns: when the run began: what it misses is missing since then.
    """

    def __init__(self, folder: Path, since_ns: int) -> None:
        """`folder` is the one that the keys are relative to."""
        self._displaced, self.since_ns = DisplacedImages(folder), since_ns

    def record(self, transaction: Transaction, file: ReadFile, *, is_new: bool) -> str:
        """Files an image, and returns what it is: added, updated, renamed, returned or unchanged.

        `is_new` says that no earlier commit has had its vector.
        """
        there = transaction.image_at(file.key)
        if there and there.row == file.row:
            transaction.put_status(file.key, file.status)
            return "unchanged"  # it was only touched
        if image := self._displaced.take(transaction, file, is_new=is_new):
            transaction.missing.set_aside([file.key], self.since_ns)  # the contents of what was there are gone
            return self._take(transaction, image, file)
        return self._record_by_path(transaction, file, there)

    def _take(self, transaction: Transaction, image: MissingImage | FiledImage, file: ReadFile) -> str:
        """Gives an image the file that has its contents now."""
        if isinstance(image, MissingImage):
            transaction.bring_back(image, file.key, file.row, file.status)
            return "renamed" if image.since_ns == self.since_ns and image.key != file.key else "returned"
        transaction.move(image, file.key, file.row, file.status)
        if image.row != file.row:  # it was taken for an edited image; what is there is another one
            transaction.forget_edit(image.id)
            hash_ = transaction.hash_of(image.row)
            other = ReadFile(image.key, hash_, image.row, image.status)
            self._record_by_path(transaction, other, transaction.image_at(image.key))
        return "renamed"

    def _record_by_path(self, transaction: Transaction, file: ReadFile, there: FiledImage | None) -> str:
        """Files an image whose contents are those of no other: as the one that is or was there, or as a new one."""
        if there:
            transaction.note_edit(there.id, transaction.hash_of(there.row), now=file.hash)
            transaction.move(there, file.key, file.row, file.status)
            return "updated"
        if last := transaction.missing.last_at(file.key):
            transaction.bring_back(last, file.key, file.row, file.status)
            transaction.note_edit(last.id, last.hash, now=file.hash)
            return "returned"
        transaction.put_image(file.key, file.row, file.status)
        return "added"
