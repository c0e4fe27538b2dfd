"""Groups of images as if they were copies of one another, and what the files of a folder are."""

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike import Collection, IndexedImage
from lookalike.duplicates.names import Grade
from lookalike.duplicates.results import Copy, CopyGroup, Duplicates


@dataclass(frozen=True)
class FileFacts:
    """What undoing has to give back: the contents, the permissions and the time of the last change of a file."""

    sha256: bytes
    mode: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> "FileFacts":
        status = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).digest()
        return cls(digest, stat.S_IMODE(status.st_mode), status.st_mtime_ns)


def facts(folder: Path) -> dict[str, FileFacts]:
    """What the files of a folder are, by their paths in it, without those of the collection in it."""
    found = dict[str, FileFacts]()
    for name, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each != ".lookalike"]
        paths = (Path(name, each) for each in names)
        found |= {str(path.relative_to(folder)): FileFacts.of(path) for path in paths if not path.is_symlink()}
    return found


def by_key(photos: Collection) -> dict[str, IndexedImage]:
    """The images of a collection."""
    return {image.key: image for image in photos.images(limit=1000)}


def grouped(photos: Collection, *groups: Sequence[str], grade: Grade = "edited copy") -> Duplicates:
    """What finds these keys to be copies of one another, the first of each group the one to keep."""
    images = by_key(photos)
    found = []
    for keys in groups:
        keep, *copies = (images[key] for key in keys)
        grades: list[Grade] = ["same bytes" if each.sha256 == keep.sha256 else grade for each in copies]
        told = (Copy(each, of, 1.0, keep) for each, of in zip(copies, grades, strict=True))
        found.append(CopyGroup(keep, "it is the first one", tuple(told)))
    return Duplicates(tuple(found), len(images), 0)


def mark(photos: Collection, *keys: str) -> None:
    """Marks the images of these keys."""
    images = by_key(photos)
    photos.mark_copies([images[key].id for key in keys])
