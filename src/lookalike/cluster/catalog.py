"""Knows the images of the rows of all shards."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np

from lookalike.cluster.numbering import parts_of
from lookalike.cluster.parts import JoinedState, Part
from lookalike.cluster.rows import Bases
from lookalike.filters import Where
from lookalike.storage.records import MissingImage, NamedRows, State, StoredImage


@dataclass(frozen=True)
class JoinedCatalog:
    """Knows the images of the rows of all shards.

    Attributes:
        parts: the shards.
        bases: where their rows begin.
    """

    parts: tuple[Part, ...]
    bases: Bases

    def reading(self) -> AbstractContextManager[object]:
        """Nothing has to be held: `named` reads each shard in one state of it."""
        return nullcontext()

    def named(self, rows: Sequence[int], *, where: Where | None, limit: int) -> NamedRows:
        """The images of rows, in their order, and the checksums of their vectors; each shard in one committed state."""
        wanted = {place: local for place, _, local in self.bases.split(np.array(rows, np.int64))}
        states, images, crc32s = list[State](), list[StoredImage](), dict[int, int]()
        for place, part in enumerate(self.parts):
            found = _named(part, wanted[place].tolist(), where, limit) if place in wanted else None
            if found is None:
                seen, catalog = part.snapshot.state, part.snapshot.catalog
                states.append(seen if catalog.is_at(seen) else catalog.state())
                continue
            assert isinstance(found.state, State)
            states.append(found.state)
            images += [self._of_whole(place, image) for image in found.images]
            start = int(self.bases.starts[place])
            crc32s |= {start + row: crc32 for row, crc32 in found.crc32s.items()}
        order = {row: position for position, row in enumerate(rows)}
        images.sort(key=lambda image: order[image.row])
        return NamedRows(JoinedState(tuple(states)), images[:limit] if limit >= 0 else images, crc32s)

    def image(self, id_: int, /) -> StoredImage | None:
        """The image of that number, or None."""
        number, local = parts_of(id_)
        for place, part in enumerate(self.parts):
            if part.shard.number == number and (found := part.snapshot.catalog.image(local)):
                return self._of_whole(place, found)
        return None

    def missing(self, id_: int, /) -> list[MissingImage]:
        """The missing image of that number, if there is one."""
        number, local = parts_of(id_)
        return [
            replace(image, id=id_, key=part.shard.key_of(image.key))
            for part in self.parts
            if part.shard.number == number
            for image in part.snapshot.catalog.missing(local)
        ]

    def live_images(self) -> Iterable[tuple[int, int, str | None]]:
        """(id, row, label) of the images, by shard and id."""
        for place, part in enumerate(self.parts):
            start = int(self.bases.starts[place])
            for id_, row, label in part.snapshot.catalog.live_images():
                yield part.shard.id_of(id_), start + row, label

    def _of_whole(self, place: int, image: StoredImage) -> StoredImage:
        shard, row = self.parts[place].shard, int(self.bases.starts[place]) + image.row
        return image.renamed(id_=shard.id_of(image.id), key=shard.key_of(image.key), row=row)


def _named(part: Part, rows: Sequence[int], where: Where | None, limit: int) -> NamedRows | None:
    """The images of rows of a shard; None if a filter of the whole admits none of that."""
    with part.shard.named():
        own = part.shard.where(where) if where else None
        if where and own is None:
            return None
        return part.snapshot.catalog.named(rows, where=own, limit=limit)
