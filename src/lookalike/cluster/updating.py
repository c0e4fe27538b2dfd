"""Adds images to shards, and removes them: each image belongs to one shard."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from lookalike import arguments
from lookalike.cluster.browsing import Browsable
from lookalike.cluster.shard import Shard
from lookalike.errors import UsageError
from lookalike.ingest.pipeline import Progress, Report, combined
from lookalike.results import IndexedImage
from lookalike.sources.folder import absolute
from lookalike.sources.lists import FileList
from lookalike.storage.made_of import MadeOf


class Updatable(Browsable):
    """Adds images to shards, and removes them.

    Attributes:
        directory: that of the manifest.
        folder: the folder that the keys of the images are relative to.
    """

    directory: Path
    folder: Path

    def add(
        self,
        source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | FileList,
        *,
        skip_duplicates: bool = False,
        threads: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Report:
        """Brings shards up to date with a folder, a file, or several files; see `Collection.add`.

        Each file or folder belongs to the shard that has images of it, else to the one in whose folder it is, else to
        that with the fewest images.

        Args:
            source: a folder, a file, or files. A list belongs to one shard, and is added there.
            skip_duplicates: leaves out new images that are copies of others of their shard.
            threads: the number of images to process at once; by default one for each core.
            progress: called after each image; an exception that it raises ends the run after a commit.

        Raises:
            UsageError: there is nothing at the source, or it holds the folders of several shards.
            LockedError: another process is writing to the shard.
            StorageError: the disk is full or failing.
        """
        if isinstance(source, FileList):
            raise UsageError(f"{source.path}: a list belongs to one shard; add it to the collection of that")
        is_one = isinstance(source, str | os.PathLike)
        paths = [arguments.path(source, "source")] if is_one else arguments.several(source, "source")  # type: ignore[arg-type]
        of_shard = defaultdict[int, list[Any]](list)
        for path in paths:
            of_shard[self._shard_for(arguments.path(path, "source")).number].append(path)
        options: dict[str, Any] = {"skip_duplicates": skip_duplicates, "threads": threads, "progress": progress}
        reports = []
        for shard in self._present():
            if given := of_shard.get(shard.number):
                with shard.named():
                    reports.append(shard.collection.add(given[0] if is_one else given, **options))
        return combined(reports)

    def update(
        self,
        *,
        skip_duplicates: bool = False,
        threads: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Report:
        """Brings every shard up to date with what it was made of, one after the other; see `Collection.update`.

        Raises:
            UsageError: a folder is gone, or a shard names what is not trusted.
            LockedError: another process is writing to a shard.
            StorageError: the disk is full or failing.
        """
        options: dict[str, Any] = {"skip_duplicates": skip_duplicates, "threads": threads, "progress": progress}
        reports = []
        for shard in self._present():
            with shard.named():
                reports.append(shard.collection.update(**options))
        return combined(reports)

    @property
    def made_of(self) -> MadeOf:
        """What the whole was made of besides the shards, which is nothing; each shard knows what it was made of."""
        return MadeOf()

    def remove(self, paths: Iterable[str | os.PathLike[str]]) -> int:
        """Forgets images, named by their paths, the paths of folders, or keys; returns the number of images forgotten.

        The files stay.

        Raises:
            LockedError: another process is writing to a shard.
            StorageError: the disk is full or failing.
        """
        given, count = arguments.several(paths, "paths"), 0
        for shard in self._present():
            if wanted := [own for path in given if (own := self._in_shard(shard, path)) is not None]:
                with shard.named():
                    count += shard.collection.remove(wanted)
        return count

    def named(self, paths: Iterable[str | os.PathLike[str]]) -> int:
        """The number of images that paths, the paths of folders, or keys name, as `remove` takes them."""
        given = arguments.several(paths, "paths")
        found = (
            shard.collection.named([own for path in given if (own := self._in_shard(shard, path)) is not None])
            for shard in self._present()
        )
        return sum(found)

    def is_source(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path is one of the lists, or of the folders outside of its own, that a shard was made of."""
        return any(shard.collection.is_source(path) for shard in self._present())

    def prune(self, *, missing_for: timedelta | float = 0) -> int:
        """Forgets the images whose files have been missing for that long, and returns their number.

        Raises:
            UsageError: the time is negative.
            LockedError: another process is writing to a shard.
            StorageError: the disk is full or failing.
        """
        return sum(shard.collection.prune(missing_for=missing_for) for shard in self._present())

    def put(self, key: str, data: bytes) -> IndexedImage:
        """Writes an image file into the folder of a shard, and indexes it; see `Collection.put`.

        It is that shard in whose folder the key is; of several, the one that has it, else that with the fewest images.

        Raises:
            UsageError: the name is not safe, or in the folder of no shard.
            NameTakenError: there is another file of that name.
            ImageError: the image cannot be used.
            LockedError: another process is writing to the shard.
            StorageError: the disk is full or failing.
        """
        name = PurePosixPath(arguments.text(key, "key"))
        inside = [shard for shard in self._present() if shard.prefix is not None and name.is_relative_to(shard.prefix)]
        if not inside:
            raise UsageError(f"{key!r}: in the folder of no shard; give one such as {self._example()}")
        deepest = max(_depth(shard) for shard in inside)
        shard = self._with_room([each for each in inside if _depth(each) == deepest], self.folder / name)
        with shard.named():
            return shard.shown(shard.collection.put(name.relative_to(shard.prefix or "").as_posix(), data))

    def delete(self, image_id: int, *, file: bool = False) -> IndexedImage:
        """Forgets an image, and deletes its file if that is wanted; see `Collection.delete`.

        Raises:
            NoImageError: there is no image with that id.
            ImageError: its file is not deleted, since it has changed or is elsewhere; the image stays.
            LockedError: another process is writing to the shard.
            StorageError: the disk is full or failing.
        """
        shard, local = self._shard_of(image_id)
        with shard.named():
            return shard.shown(shard.collection.delete(local, file=file))

    def mark_copies(self, image_ids: Iterable[int]) -> None:
        """Marks images as copies to act upon; see `Collection.mark_copies`."""
        for shard, local in map(self._shard_of, arguments.several(image_ids, "image_ids")):
            shard.collection.mark_copies([local])

    def keep_copies(self, image_ids: Iterable[int]) -> None:
        """Decides that images are to be kept, although they may be copies; see `Collection.keep_copies`."""
        for shard, local in map(self._shard_of, arguments.several(image_ids, "image_ids")):
            shard.collection.keep_copies([local])

    def unmark_copies(self, image_ids: Iterable[int]) -> None:
        """Takes back what was decided on images; see `Collection.unmark_copies`."""
        for shard, local in map(self._shard_of, arguments.several(image_ids, "image_ids")):
            shard.collection.unmark_copies([local])

    def _shard_for(self, path: Path) -> Shard:
        """The shard that a file or folder belongs to."""
        place = absolute(path)
        below = [shard for shard in self._present() if shard.collection.folder.is_relative_to(place)]
        if len(below) > 1 and place.is_dir() and len({shard.collection.folder for shard in below}) > 1:
            raise UsageError(f"{path}: it holds the folders of {len(below)} shards; update them, or add to one of them")
        inside = [shard for shard in self._present() if place.is_relative_to(shard.collection.folder)]
        deepest = max((_depth(shard) for shard in inside), default=0)
        return self._with_room([each for each in inside if _depth(each) == deepest] or [*self._present()], place)

    def _with_room(self, shards: list[Shard], place: Path) -> Shard:
        """Of several shards the one that has images of a file or folder, else the one with the fewest."""
        if len(shards) == 1:
            return shards[0]
        known = [shard for shard in shards if shard.collection.named([place])]
        return min(known or shards, key=lambda shard: len(shard.collection))

    def _in_shard(self, shard: Shard, path: str | os.PathLike[str]) -> Path | None:
        """What a path or key names in a shard: a path that is there, else a key; None if that is nothing of it."""
        checked, own = arguments.path(path, "path"), shard.collection.folder
        for place in [absolute(checked), *([self.folder / checked] if checked.name else [])]:
            if own.is_relative_to(place) and place.is_dir() and own != place:
                return own
            if shard.collection.named([place]) or shard.collection.is_source(place):
                return place
        return None

    def _example(self) -> str:
        folders = sorted(shard.prefix for shard in self._present() if shard.prefix)
        return f"{folders[0]}/cat.jpg" if folders else "cat.jpg"


def _depth(shard: Shard) -> int:
    return len(shard.collection.folder.parts)
