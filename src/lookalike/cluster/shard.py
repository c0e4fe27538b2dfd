"""One shard: a collection, and what its ids and keys are in the whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lookalike.cluster import filters
from lookalike.cluster.numbering import whole_id
from lookalike.collection.collection import Collection
from lookalike.errors import CollectionError, CorruptError, LookalikeError, NoCollectionError, StorageError
from lookalike.filters import Where
from lookalike.results import IndexedImage
from lookalike.search.snapshot import Snapshots


class HasIdAndKey(Protocol):
    """What is told of an image: its id and key."""

    @property
    def id(self) -> int:
        """Its number."""

    @property
    def key(self) -> str:
        """The name that it is stored under."""


@dataclass(frozen=True)
class Shard:
    """An open shard.

    Attributes:
        number: of it, see numbering.py.
        name: its collection's directory, relative to that of the whole.
        collection: the collection.
        prefix: its folder, relative to that of the whole, "" for the same; None if it is elsewhere.
    """

    number: int
    name: str
    collection: Collection
    prefix: str | None

    @classmethod
    def of(cls, number: int, name: str, collection: Collection, folder: Path) -> "Shard":
        """A shard of a whole whose keys are relative to a folder."""
        inside = collection.folder.is_relative_to(folder)
        prefix = collection.folder.relative_to(folder).as_posix() if inside else None
        return cls(number, name, collection, "" if prefix == "." else prefix)

    @property
    def snapshots(self) -> Snapshots:
        """The collection's committed states."""
        return self.collection.snapshots

    def id_of(self, local_id: int) -> int:
        """The id of an image in the whole."""
        return whole_id(self.number, local_id)

    def key_of(self, key: str) -> str:
        """The key of an image in the whole; images from elsewhere keep their absolute ones."""
        if key.startswith("/") or not self.prefix:
            return key if self.prefix == "" or key.startswith("/") else (self.collection.folder / key).as_posix()
        return f"{self.prefix}/{key}" if key else self.prefix

    def shown(self, image: IndexedImage) -> IndexedImage:
        """An image as one of the whole."""
        return replace(image, id=self.id_of(image.id), key=self.key_of(image.key))

    def where(self, where: Where) -> Where | None:
        """What a filter admits of this shard; None if that is nothing."""
        attributes = self.collection.attribute_names
        return filters.of_shard(where, number=self.number, prefix=self.prefix, attributes=attributes)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Has errors within name the shard."""
        try:
            yield
        except (CollectionError, StorageError) as error:
            raise in_shard(self.name, error) from error


def in_shard(name: str, error: LookalikeError) -> LookalikeError:
    """The same error, whose message names the shard; the whole is damaged where a shard is gone."""
    if isinstance(error, NoCollectionError):
        return CorruptError(f"shard {name}: {error.message}")
    return type(error)(f"shard {name}: {error.message}", *error.hints)
