"""Takes image files that programs send, and deletes images that they name, as a service does.

A file that is put lands in the collection's folder under a safe name, and never replaces another file.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lookalike import arguments
from lookalike.collection.updating import Updatable
from lookalike.errors import ImageError, LookalikeError, NameTakenError, NoImageError, UsageError
from lookalike.images.reading import read
from lookalike.results import IndexedImage
from lookalike.sources import keys
from lookalike.sources.image_files import IMAGE_SUFFIXES
from lookalike.system import durable

_MAX_SEGMENT, _MAX_KEY = 200, 1000  # bytes of a name, which some file systems limit to 255, and of a key
# File systems of other machines refuse them and shells act upon them; the last stands for bytes that are not UTF-8.
_UNSAFE = frozenset('\\:*?"<>|\ufffd')


def checked_key(key: str) -> str:
    """The key that a file may be put under: names without anything that a file system or a shell may act upon.

    Raises:
        UsageError: it has a folder or name that is empty, hidden, too long, or has other than printable characters, or
            it does not end like an image.
    """
    names = key.split("/")
    if len(os.fsencode(key)) > _MAX_KEY or not all(map(_is_safe, names)):
        raise UsageError(
            f"{key[:_MAX_SEGMENT]!r}: not a safe name; give one such as 2024/cat.jpg, without hidden folders, special"
            " characters, or spaces at an end"
        )
    if Path(key).suffix.lower() not in IMAGE_SUFFIXES:
        raise UsageError(f"{key!r}: give it the ending of an image, such as .jpg, .png or .webp")
    return key


def _is_safe(name: str) -> bool:
    ends = not name.startswith((".", "-", "~", " ")) and not name.endswith((".", " "))
    return bool(name) and ends and name.isprintable() and not _UNSAFE & set(name) and _fits(name)


def _fits(name: str) -> bool:
    try:
        return len(name.encode()) <= _MAX_SEGMENT
    except UnicodeEncodeError:  # half a character
        return False


class Uploadable(Updatable):
    """Takes image files and deletes images."""

    def put(self, key: str, data: bytes) -> IndexedImage:
        """Writes an image file into the collection's folder, and indexes it.

        When it returns, the file is on the disk and searches find the image. If it raises, there is no such file.
        Putting the same bytes again changes nothing.

        Args:
            key: the name, with folders if wanted: `2024/cat.jpg`. Folders are made; the last one becomes the label.
            data: the bytes of the file.

        Raises:
            UsageError: the name is not safe, or a folder of it is a symlink or a file.
            NameTakenError: there is another file of that name.
            ImageError: the image cannot be used.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        path = self._place_for(checked_key(arguments.text(key, "key")))
        data = arguments.instance(data, bytes, "data", "the bytes of an image file")
        is_new = self._put_new(path, key, data)
        with _undone(path if is_new else None):
            report = self.add([path], threads=1)
            if report.skipped:
                if is_new:
                    self.remove([path])
                raise ImageError(report.skipped[0].reason, key)
        found = self._catalog.image_at(key)
        if found is None:
            raise NoImageError(f"{key}: it was removed while it was being added")
        return self._shown(found)

    def delete(self, image_id: int, *, file: bool = False) -> IndexedImage:
        """Forgets an image, and deletes its file if that is wanted. Otherwise indexing its folder brings it back.

        Only a file in the collection's folder is deleted, and only if it is the one that was indexed.

        Raises:
            NoImageError: there is no image with that id.
            ImageError: its file is not deleted, since it has changed or is elsewhere; the image stays.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        image, file = self.image(image_id), arguments.flag(file, "file")
        if file and keys.in_shard(image.key):
            raise ImageError("in an archive, so that it cannot be deleted alone", image.key)
        if file and keys.is_elsewhere(image.key):
            raise ImageError("not in the collection's folder, so its file is not deleted", image.key)
        if file:
            self._indexed_bytes(image)
        path = self.folder / image.key
        if not self.remove([image.key]):
            raise NoImageError(f"there is no image with the id {image_id}")
        if file:
            with durable.storage_errors(path):
                path.unlink(missing_ok=True)
        return image

    def _place_for(self, key: str) -> Path:
        """The path for a key, whose folders are made; none of them is a symlink."""
        *folders, name = key.split("/")
        place = self.folder
        for each in folders:
            place = place / each
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                raise UsageError(f"{key!r}: {each} is not a folder; give another name")
            if place == self.directory:
                raise UsageError(f"{key!r}: {each} is the directory of the collection; give another name")
            with durable.storage_errors(place):
                place.mkdir(exist_ok=True)
        return place / name

    def _put_new(self, path: Path, key: str, data: bytes) -> bool:
        """Whether the file had to be written; raises NameTakenError if there is another one."""
        try:
            with durable.storage_errors(path):
                durable.put_new(path, data)
        except LookalikeError as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
        else:
            return True
        with suppress(ImageError):
            if not path.is_symlink() and read(path).data == data:
                return False
        raise NameTakenError(f"{key}: there is another file of that name; give another name, or delete that one")


@contextmanager
def _undone(path: Path | None) -> Iterator[None]:
    """Deletes a file if something is raised within."""
    try:
        yield
    except BaseException:
        if path:
            path.unlink(missing_ok=True)
        raise
