"""Looks through the images of all shards: one by its id, page after page, counts of what they have, their files."""

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from lookalike import arguments
from lookalike.cluster.numbering import parts_of
from lookalike.cluster.shard import Shard
from lookalike.cluster.shards import Shards
from lookalike.cluster.snapshot import refuse_unknown_names
from lookalike.collection.browsing import Facets, Original, ValueCount
from lookalike.collection.missing import Missing
from lookalike.duplicates.marks import Decision
from lookalike.errors import CollectionError, NoImageError
from lookalike.filters import Value, Where, checked_where
from lookalike.results import IndexedImage, Skipped

_COUNTED = 1000  # values of each facet that a shard is asked for, at least


class Browsable:
    """Looks through the images of all shards."""

    folder: Path
    _shards: Shards

    def __len__(self) -> int:
        """The number of images."""
        return sum(len(shard.collection) for shard in self._present())

    def image(self, image_id: int) -> IndexedImage:
        """One image.

        Raises:
            NoImageError: there is no image with that id.
        """
        shard, local = self._shard_of(image_id)
        try:
            return shard.shown(shard.collection.image(local))
        except NoImageError:
            raise NoImageError(f"there is no image with the id {image_id}") from None

    def images(self, *, where: Where | None = None, after: int = 0, limit: int = 100) -> list[IndexedImage]:
        """The images with a larger id than `after` that a filter admits, by id, at most `limit` of them.

        The id of the last one is the `after` of the next page. They come shard by shard.

        Raises:
            UsageError: the filter asks for an attribute that no image has.
        """
        start, most = arguments.whole(after, "after", least=0), arguments.whole(limit, "limit", least=1)
        first, local = divmod(start, 2**32) if start else (0, 0)
        found = list[IndexedImage]()
        for shard, own in sorted(self._filtered(where), key=lambda each: each[0].number):
            if shard.number < first or len(found) == most:
                continue
            begun = local if shard.number == first else 0
            page = shard.collection.images(where=own, after=begun, limit=most - len(found))
            found += map(shard.shown, page)
        return found

    def random_image(self, where: Where | None = None) -> IndexedImage:
        """An image that chance picks from those that a filter admits.

        Raises:
            NoImageError: the filter admits none.
            UsageError: the filter asks for an attribute that no image has.
        """
        counted = [(shard, own, shard.collection.count(own or Where())) for shard, own in self._filtered(where)]
        if not any(count for *_, count in counted):
            raise NoImageError("there is no image that the filter admits")
        [(shard, own, _)] = random.choices(counted, [count for *_, count in counted])
        return shard.shown(shard.collection.random_image(own))

    def facets(self, where: Where | None = None, *, most: int = 20) -> Facets:
        """Counts the images that a filter admits by label, folder and attribute: of each, the `most` frequent values.

        Of each shard the 1,000 most frequent values are counted; where it has more, a rare one may be missed.

        Raises:
            UsageError: the filter asks for an attribute that no image has.
        """
        wanted = arguments.whole(most, "most", least=1)
        images, labels, folders = 0, Counter[Value | None](), Counter[Value | None]()
        attributes = dict[str, Counter[Value | None]]()
        for shard, own in self._filtered(where):
            found = shard.collection.facets(own, most=max(wanted, _COUNTED))
            images += found.images
            labels.update({each.value: each.images for each in found.labels})
            folders.update({shard.key_of(str(each.value)): each.images for each in found.folders})
            for name, counts in found.attributes.items():
                attributes.setdefault(name, Counter()).update({each.value: each.images for each in counts})
        named = {name: _most(counts, wanted) for name, counts in sorted(attributes.items())}
        return Facets(images, _most(labels, wanted), _most(folders, wanted), named)

    def count(self, where: Where) -> int:
        """The number of images that a filter admits; raises UsageError for an attribute that no image has."""
        found = self._filtered(checked_where(where) or Where())
        return sum(shard.collection.count(own or Where()) for shard, own in found)

    def attribute_names(self) -> list[str]:
        """The names of the attributes that images have, in order."""
        return sorted({name for shard in self._present() for name in shard.collection.attribute_names()})

    def original(self, image_id: int) -> Original:
        """An image with the bytes of its file, as its shard gives it.

        Raises:
            NoImageError: there is no image with that id.
            ImageError: the file is gone, has changed since it was indexed, or is outside of the folder.
        """
        self.image(image_id)  # whose error has the id as it was given
        shard, local = self._shard_of(image_id)
        original = shard.collection.original(local)
        return replace(original, image=shard.shown(original.image))

    def revision(self) -> str:
        """A text that is another one after every change of the images or indexes."""
        told = [f"{shard.number} {shard.collection.revision()}" for shard in self._present()]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]

    def skipped(self) -> list[Skipped]:
        """The files that were left out, with the reasons."""
        return [skipped for shard in self._present() for skipped in shard.collection.skipped()]

    def other_files(self) -> int:
        """The number of files in the folders of the shards that are no images."""
        return sum(shard.collection.other_files() for shard in self._present())

    def missing(self) -> list[Missing]:
        """The images whose files are gone or cannot be used."""
        return [
            replace(image, id=shard.id_of(image.id))
            for shard in self._present()
            for image in shard.collection.missing()
        ]

    # Copies, of which each shard knows its own

    def copies_revision(self) -> str:
        """A text that is another one after every change of what is known of copies."""
        return repr([(shard.number, shard.collection.copies_revision()) for shard in self._present()])

    def copy_groups(self) -> Mapping[bytes, bytes]:
        """Which images are copies of one another, as `duplicates` of each shard has found; see `Collection`."""
        groups: dict[bytes, bytes] = {}
        for shard in self._present():
            groups |= shard.collection.copy_groups()
        return groups

    def copy_marks(self) -> dict[int, Decision]:
        """What was decided on images, "marked" or "kept", by id, as far as their files are the same."""
        return {
            shard.id_of(local): decision
            for shard in self._present()
            for local, decision in shard.collection.copy_marks().items()
        }

    # Shards

    def _present(self) -> tuple[Shard, ...]:
        return self._shards.present()

    def _shard_of(self, image_id: int) -> tuple[Shard, int]:
        """The shard of an image, and the image's id there.

        Raises:
            NoImageError: no shard has such ids.
            CollectionError: the shard is missing at the moment.
        """
        number, local = parts_of(arguments.whole(image_id, "image_id"))
        if (shard := self._shards.with_number(number)) is not None:
            return shard, local
        for name, problem in self._shards.missing().items():
            if self._shards.number_of(name) == number:
                raise CollectionError(f"the image with the id {image_id} is in a shard that is missing: {problem}")
        raise NoImageError(f"there is no image with the id {image_id}")

    def _filtered(self, where: Where | None) -> Iterator[tuple[Shard, Where | None]]:
        """The shards in which a filter admits something, each with its own filter.

        Raises:
            UsageError: the filter asks for an attribute that no image of any shard has.
        """
        if (where := checked_where(where)) is None:
            return iter([(shard, None) for shard in self._present()])
        if where.conditions:
            refuse_unknown_names(where, self.attribute_names())
        own = [(shard, shard.where(where)) for shard in self._present()]
        return iter([(shard, each) for shard, each in own if each is not None])


def _most(counts: Counter[Value | None], most: int) -> tuple[ValueCount, ...]:
    """The most frequent values."""
    return tuple(ValueCount(value, images) for value, images in counts.most_common(most))
