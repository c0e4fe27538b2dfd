"""Looks through the images of a collection: one by its id, page after page, counts of what they have, their files."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lookalike import arguments
from lookalike.collection.originals import indexed_bytes
from lookalike.errors import NoImageError
from lookalike.filters import Value, Where, checked_where
from lookalike.results import IndexedImage
from lookalike.storage import browsing, unread
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import StoredImage

_TRIES = 8  # ids that chance picks until one is an image's


@dataclass(frozen=True)
class ValueCount:
    """The number of images that have a value; the value None counts those without any."""

    value: Value | None
    images: int


@dataclass(frozen=True)
class Facets:
    """What the images of a collection, or those that a filter admits, have in common, the most frequent first.

    Attributes:
        images: the number of images that are counted.
        labels: how many have each label.
        folders: how many are directly in each folder; "" is the collection's own.
        attributes: how many have each value of an attribute, by its name. Texts of more than 200 characters are left
            out.
    """

    images: int
    labels: tuple[ValueCount, ...]
    folders: tuple[ValueCount, ...]
    attributes: Mapping[str, tuple[ValueCount, ...]]


@dataclass(frozen=True)
class Original:
    """An image of a collection and the bytes of its file, which are those that were indexed."""

    image: IndexedImage
    data: bytes


class Browsable:
    """Looks through the images of a collection."""

    folder: Path
    _catalog: Catalog

    def image(self, image_id: int) -> IndexedImage:
        """One image.

        Raises:
            NoImageError: there is no image with that id.
        """
        number = arguments.whole(image_id, "image_id")
        if (found := self._catalog.image(number)) is None:
            raise NoImageError(f"there is no image with the id {number}")
        return self._shown(found)

    def images(self, *, where: Where | None = None, after: int = 0, limit: int = 100) -> list[IndexedImage]:
        """The images with a larger id than `after` that a filter admits, by id, at most `limit` of them.

        The id of the last one is the `after` of the next page. Images that are added meanwhile come at the end.

        Raises:
            UsageError: the filter asks for an attribute that no image has.
        """
        start, most = arguments.whole(after, "after", least=0), arguments.whole(limit, "limit", least=1)
        found = self._catalog.images_after(start, where=checked_where(where), limit=most)
        return [self._shown(image) for image in found]

    def random_image(self, where: Where | None = None) -> IndexedImage:
        """An image that chance picks from those that a filter admits.

        All are as likely, but with a filter one after a gap in the ids is more likely: nothing looks at all of them,
        however many there are.

        Raises:
            NoImageError: the filter admits none.
            UsageError: the filter asks for an attribute that no image has.
        """
        last = max(self._catalog.last_id(), 1)
        for _ in range(_TRIES if where is None else 1):
            number = random.randint(1, last)
            found = self.images(where=where, after=number - 1, limit=1)
            if found and found[0].id == number:
                break
        if not found and not (found := self.images(where=where, limit=1)):
            raise NoImageError("there is no image that the filter admits")
        return found[0]

    def facets(self, where: Where | None = None, *, most: int = 20) -> Facets:
        """Counts the images that a filter admits by label, folder and attribute: of each, the `most` frequent values.

        Raises:
            UsageError: the filter asks for an attribute that no image has.
        """
        found = self._catalog.value_counts(checked_where(where), most=arguments.whole(most, "most", least=1))
        return Facets(
            found.images,
            labels=_counts(found.labels),
            folders=_counts(found.folders),
            attributes={name: _counts(counts) for name, counts in found.attributes.items()},
        )

    def attribute_names(self) -> list[str]:
        """The names of the attributes that images have, in order."""
        return self._catalog.attribute_names()

    def original(self, image_id: int) -> Original:
        """An image with the bytes of its file, read only if it is in its folder and is the file that was indexed.

        The collection may come from a stranger, or somebody may have put a symlink into the folder: a file that a
        symlink leads to has to be in the collection's folder, too, or beside an image from elsewhere.

        Raises:
            NoImageError: there is no image with that id.
            ImageError: the file is gone, has changed since it was indexed, or is outside of the folder.
        """
        image = self.image(image_id)
        return Original(image, self._indexed_bytes(image))

    def revision(self) -> str:
        """A text that is another one after every change of the collection's images or index."""
        state = self._catalog.state()
        return f"{state.replacements}.{state.changes}.{state.token % 2**64:016x}"

    def _indexed_bytes(self, image: IndexedImage) -> bytes:
        return indexed_bytes(self.folder, image.key, image.sha256)

    def _shown(self, image: StoredImage) -> IndexedImage:
        facts = image.label, image.width, image.height, image.attributes, image.sha256
        return IndexedImage(image.id, image.key, unread.path_of(image.key, self.folder), *facts)


def _counts(counts: browsing.Counts) -> tuple[ValueCount, ...]:
    return tuple(ValueCount(value, images) for value, images in counts)
