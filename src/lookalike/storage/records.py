"""The rows of the catalog as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from lookalike.filters import Value
from lookalike.images.reading import FileStatus


@dataclass(frozen=True)
class StoredImage:
    """An image of the catalog.

    Attributes:
        id: its number.
        key: its path, relative to the collection's folder if it is inside.
        row: the row of its vector.
        label: its label, or None.
        width: in pixels, after applying the EXIF orientation.
        height: in pixels, likewise.
        attributes: by name.
    """

    id: int
    key: str
    row: int
    label: str | None
    width: int
    height: int
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredGeneration:
    """A generation of the index: its number, the number of rows that it covers, and the SHA-256 of its two files."""

    number: int
    rows: int
    index_sha256: bytes
    card_sha256: bytes


@dataclass(frozen=True)
class State:
    """What a commit says of the collection's other files.

    Attributes:
        changes: a number that is different after every commit.
        count: the number of committed rows of vectors.
        vectors: the name of the file of vectors.
        generation: the generation of the index that serves, or None if there is no index.
    """

    changes: int
    count: int
    vectors: str
    generation: StoredGeneration | None

    @property
    def files(self) -> tuple[str, StoredGeneration | None]:
        """Which files these are. The files never change; a commit that only adds or removes images keeps them."""
        return self.vectors, self.generation


class FileKind(IntEnum):
    """What a file is to the catalog. One that is several things is the first of these."""

    IMAGE = 0
    SKIPPED = 1
    MISSING = 2  # the file of an image that is gone or cannot be used


@dataclass(frozen=True)
class KnownFile:
    """A file that the catalog knows; its status says whether it has changed since."""

    key: str
    status: FileStatus
    kind: FileKind


@dataclass(frozen=True)
class Totals:
    """The number of entries of each kind.

    Attributes:
        images: images that can be found.
        vectors: stored vectors.
        dead: vectors of no image, be it missing or not.
        skipped: files that were left out.
        missing: images whose files are gone or cannot be used.
    """

    images: int
    vectors: int
    dead: int
    skipped: int
    missing: int


@dataclass(frozen=True)
class NamedRows:
    """What one committed state says of some rows.

    Attributes:
        state: the state.
        crc32s: the checksums of at least these rows, by row.
        images: the images of these rows, in the order of the rows.
    """

    state: State
    crc32s: Mapping[int, int]
    images: list[StoredImage]
