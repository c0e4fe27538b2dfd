"""Makes one collection of several, or several of one. No image is encoded again."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

from lookalike import arguments
from lookalike.errors import IncompatibleError, UsageError
from lookalike.exchange import copying
from lookalike.exchange.blocks import BlockReader
from lookalike.storage import layout, making
from lookalike.storage import made_of as remembered
from lookalike.storage import manifest as manifests
from lookalike.storage.catalog import Catalog
from lookalike.storage.made_of import MadeOf
from lookalike.storage.manifest import Manifest

_MOST_PARTS = 100_000


@dataclass(frozen=True)
class MergeReport:
    """What merging has made.

    Attributes:
        directory: of the new collection.
        images: the number of its images.
        vectors: the number of its vectors: images of the same file share one.
        repeated: the number of images that an earlier one of the collections has had, too, at the same path.
        missing: the number of missing images of the collections, which were left out.
    """

    directory: Path
    images: int
    vectors: int
    repeated: int
    missing: int


@dataclass(frozen=True)
class SplitReport:
    """What splitting has made.

    Attributes:
        directories: of the new collections.
        images: the number of images of each.
        missing: the number of missing images, which were left out.
    """

    directories: tuple[Path, ...]
    images: tuple[int, ...]
    missing: int


@dataclass(frozen=True)
class _Opened:
    """A collection that is read."""

    directory: Path
    manifest: Manifest
    catalog: Catalog

    def reader(self) -> BlockReader:
        place = self.manifest.data_directory(self.directory)
        return BlockReader(self.catalog, place, self.manifest.made_by.dim, with_files=True)


def merge(
    collections: Iterable[str | os.PathLike[str]],
    *,
    directory: str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MergeReport:
    """Makes one collection of several of the same model.

    The images keep their labels and attributes, and get new ids, in the order of the collections and then of their
    earlier ids. Of images at the same path, the first stays. Images of the same file share one vector. Missing images,
    indexes, vectors of parts and what was found of copies are not taken over.

    Args:
        collections: their folders or directories.
        directory: of the new collection.
        folder: that its images are relative to (default: the one that the directory is in); those outside have absolute
            paths.
        progress: called with the number of images that are done, and of all; an exception that it raises ends the work,
            and there is no new collection.

    Raises:
        UsageError: there is something in the directory.
        NoCollectionError: there is none at a path.
        IncompatibleError: two were made with different models.
        CorruptError: a record or a vector is damaged.
        StorageError: the disk is full or failing.
    """
    given = [arguments.path(each, "collections") for each in arguments.several(collections, "collections")]
    place, here = places(directory, folder)
    report = arguments.callback(progress, "progress")
    if not given:
        raise UsageError("collections: name the collections to merge")
    making.check(place)
    done = repeated = 0
    with ExitStack() as closings:
        opened = [closings.enter_context(_opened(path)) for path in given]
        _check_models(opened)
        totals = [each.catalog.totals() for each in opened]
        total = sum(each.images for each in totals)
        manifest = Manifest(opened[0].manifest.made_by, here)
        with making.making(place, manifest, _made_of(opened, here)) as collection:
            for each in opened:
                new_key = partial(copying.moved_key, old=each.manifest.folder, new=here)
                for block in each.reader().blocks():
                    repeated += len(block.images) - copying.add(block, collection, new_key)
                    done += len(block.images)
                    if report:
                        report(done, max(total, done))
    return MergeReport(place, collection.images, collection.rows, repeated, sum(each.missing for each in totals))


def split(
    path: str | os.PathLike[str],
    *,
    directory: str | os.PathLike[str],
    parts: int | None = None,
    images: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SplitReport:
    """Makes several collections of one, in the order of the ids: `000`, `001` and so on in a new directory.

    The images keep their keys, labels and attributes, and get new ids in each part. Missing images, indexes, vectors of
    parts and what was found of copies are not taken over. A part does not remember what the collection was made of, so
    that `update` adds nothing to it.

    Args:
        path: the folder or the directory of the collection.
        directory: the new directory, which has a directory for each part.
        parts: how many parts, of about the same number of images; fewer if there are fewer images.
        images: or how many images each part has, but for the last.
        progress: called with the number of images that are done, and of all; an exception that it raises ends the work,
            and there is no new directory.

    Raises:
        UsageError: there is something in the directory, or neither or both of `parts` and `images` are given.
        NoCollectionError: there is none at the path.
        CorruptError: a record or a vector is damaged.
        StorageError: the disk is full or failing.
    """
    place, _ = places(directory, None)
    report = arguments.callback(progress, "progress")
    with _opened(arguments.path(path, "path")) as opened:
        totals = opened.catalog.totals()
        size = _part_size(parts, images, totals.images)
        digits, done, counts = max(3, len(str(totals.images // size))), 0, list[int]()
        manifest = Manifest(opened.manifest.made_by, opened.manifest.folder)
        with making.publishing(place) as inner:
            for number, blocks in groupby(copying.parts(opened.reader(), size), lambda found: found[0]):
                part = inner / f"{number:0{digits}}"
                part.mkdir()
                with making.filling(part, manifest, MadeOf(), parent=place) as collection:
                    for _, block in blocks:
                        copying.add(block, collection)
                        done += len(block.images)
                        if report:
                            report(done, max(totals.images, done))
                counts.append(collection.images)
    names = tuple(place / f"{number:0{digits}}" for number in range(len(counts)))
    return SplitReport(names, tuple(counts), totals.missing)


def places(directory: str | os.PathLike[str], folder: str | os.PathLike[str] | None) -> tuple[Path, Path]:
    """The directory of a new collection, and the folder that its images are relative to."""
    place = arguments.path(directory, "directory").absolute()
    place = place.parent.resolve() / place.name
    return place, place.parent if folder is None else arguments.path(folder, "folder").resolve()


def _part_size(parts: int | None, images: int | None, total: int) -> int:
    if (parts is None) == (images is None):
        raise UsageError("parts, images: give the number of parts, or that of the images of each; one of them")
    if images is not None:
        size = arguments.whole(images, "images", least=1)
    else:
        size = max(1, -(-total // arguments.whole(parts, "parts", least=1)))
    if total == 0:
        raise UsageError("there are no images to split")
    if total / size > _MOST_PARTS:
        raise UsageError(f"this would make {total // size:,} collections; give larger parts")
    return size


@contextmanager
def _opened(path: Path) -> Iterator[_Opened]:
    directory = layout.find_or_raise(path)
    manifest = manifests.read(directory)
    with closing(Catalog(manifest.data_directory(directory) / layout.CATALOG)) as catalog:
        yield _Opened(directory, manifest, catalog)


def _check_models(opened: Sequence[_Opened]) -> None:
    first = opened[0]
    for each in opened[1:]:
        made_by = each.manifest.made_by
        if made_by != first.manifest.made_by:
            raise IncompatibleError(
                f"{each.directory}: its vectors were made by {made_by}, and cannot be compared with those of"
                f" {first.directory}, which were made by {first.manifest.made_by}"
            )


def _made_of(opened: Sequence[_Opened], folder: Path) -> MadeOf:
    """What the collections were made of, together; nothing if they do not leave out the same."""
    each_made_of = [remembered.read(each.directory) for each in opened]
    if len({(each.exclude, each.include) for each in each_made_of}) > 1:
        return MadeOf()
    found = MadeOf(exclude=each_made_of[0].exclude, include=each_made_of[0].include)
    for one, made_of in zip(opened, each_made_of, strict=True):
        moved = made_of.moved(partial(_moved, old=one.manifest.folder, new=folder))
        for key in moved.folders:
            found = found.with_folder(key)
        for listed in moved.lists:
            found = found.with_list(listed)
        is_elsewhere = moved.elsewhere or (moved.single and one.manifest.folder != folder)
        found = replace(found, single=found.single or moved.single, elsewhere=found.elsewhere or is_elsewhere)
    return found


def _moved(key: str, old: Path, new: Path) -> str:
    found = copying.moved_key(key, old, new)
    return "" if found == "." else found
