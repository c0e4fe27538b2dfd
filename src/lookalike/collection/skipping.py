"""Leaves out images that are copies of others: their files are skipped, with the reason, as if they were unusable."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import ImageError
from lookalike.images.reading import FileStatus
from lookalike.results import IndexedImage, Skipped
from lookalike.sources import places
from lookalike.storage.catalog import Catalog

if TYPE_CHECKING:
    from lookalike.duplicates.results import Duplicates

_REASON = "a copy of "


@dataclass(frozen=True)
class _Left:
    """An image that is left out: the key of its file, why, and the status of the file."""

    key: str
    reason: str
    status: FileStatus


def skip_copies(catalog: Catalog, folder: Path, found: "Duplicates", after: int) -> list[Skipped]:
    """Skips the files of those images that are copies of others; the lock has to be held.

    Args:
        catalog: the catalog.
        folder: what the keys are relative to.
        found: the copies.
        after: only images with larger ids are left out. Where all of a group are such, the one to keep stays.
    """
    left = [each for copy, of in _copies(found, after) if (each := _left(copy, of))]
    now_ns = time.time_ns()
    with catalog.writing() as transaction:
        for each in left:
            transaction.remove([each.key])
            transaction.put_skipped(each.key, each.reason, each.status, since_ns=now_ns)
    return [Skipped(places.place_of(folder, each.key), each.reason) for each in left]


def forget_orphans(catalog: Catalog) -> None:
    """Forgets which files were skipped as copies of images that are not there any more, so that they are indexed."""
    copies = [(key, reason.removeprefix(_REASON)) for key, reason in catalog.skipped() if reason.startswith(_REASON)]
    if copies:
        with catalog.writing() as transaction:
            transaction.forget_skipped([key for key, of in copies if transaction.image_at(of) is None])


def _copies(found: "Duplicates", after: int) -> Iterator[tuple[IndexedImage, IndexedImage]]:
    """Each image that is left out, with the one of its group that stays."""
    for group in found.groups:
        stays = [image for image in group if image.id <= after] or [group.keep]
        for image in group:
            if image.id > after and image.id != stays[0].id:
                yield image, stays[0]


def _left(image: IndexedImage, of: IndexedImage) -> _Left | None:
    """What is recorded of a copy; None if its file is not the one that was indexed any more."""
    try:
        file = places.read(image.path)
    except ImageError:
        return None
    if hashlib.sha256(file.data).digest() != image.sha256:
        return None
    return _Left(image.key, _REASON + of.key, file.status.settled(time.time_ns()))
