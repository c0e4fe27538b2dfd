"""The rows of the catalog as values, which are what Lookalike writes or raise InvalidRecordError.

The tables are STRICT, but only for what SQLite itself writes: in a stranger's file, a column may hold anything.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol, TypeAlias

from lookalike.filters import Value, is_value
from lookalike.images import revisions
from lookalike.images.reading import FileStatus
from lookalike.storage import layout

_MAX_KEY = 4096  # characters; no longer path can be opened
_GOES_UP = re.compile(r"(?:^|/)\.\.(?:/|$)")
_IDS = range(1, 2**63)
_COUNT = range(2**48)  # rows, generations, bytes
_SIDE = range(2**31)  # pixels
_PARTS = range(1, 65)  # of an image


class InvalidRecordError(Exception):
    """A record is not what Lookalike writes; the message says which."""


def is_key(value: object) -> bool:
    """Whether it can be the key of an image: a path, absolute or relative, that never goes up."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_KEY:
        return False
    return "\0" not in value and (".." not in value or not _GOES_UP.search(value))


def is_count(value: object) -> bool:
    """Whether it can be a number of rows, of a generation, or of bytes."""
    return _is_in(value, _COUNT)


def checked_count(value: object, what: str) -> int:
    """A number of rows, of a generation, or of a revision, unless it is none; then it raises InvalidRecordError."""
    if not (isinstance(value, int) and is_count(value)):
        raise InvalidRecordError(f"{what} is no number")
    return value


def checked_hash(value: object) -> bytes:
    """A SHA-256, unless it cannot be one; then it raises InvalidRecordError."""
    if not isinstance(value, bytes):
        raise InvalidRecordError("invalid hash of a file")
    return value


def _check(record: object, *valid: bool) -> None:
    if not all(valid):
        raise _invalid(record)


def _invalid(record: object) -> InvalidRecordError:
    return InvalidRecordError(f"invalid record ({type(record).__name__})")


def _is_status(status: FileStatus) -> bool:
    return all(map(_is_int, (status.size, status.mtime_ns, status.ctime_ns or 0)))


def _is_int(value: object) -> bool:
    return type(value) is int


def _is_in(value: object, numbers: range) -> bool:
    return isinstance(value, int) and value in numbers


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
        sha256: of the file that was indexed.
        attributes: by name.
    """

    id: int
    key: str
    row: int
    label: str | None
    width: int
    height: int
    sha256: bytes
    attributes: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:  # of every image that is found, so it is quick
        numbers = self.id, self.row, self.width, self.height
        if not (
            is_key(self.key)
            and (self.label is None or (isinstance(self.label, str) and is_value(self.label)))
            and all(map(_is_int, numbers))
            and (self.id in _IDS and self.row in _COUNT and self.width in _SIDE and self.height in _SIDE)
            and isinstance(self.sha256, bytes)
        ):
            raise _invalid(self)
        if self.attributes:
            _check(self, all(map(is_value, [*self.attributes, *self.attributes.values()])))

    def renamed(self, *, id_: int, key: str, row: int) -> "StoredImage":
        """The same image as a whole knows it that its collection is part of; what was valid is not checked again."""
        other = object.__new__(StoredImage)
        other.__dict__.update(self.__dict__, id=id_, key=key, row=row)
        return other


@dataclass(frozen=True)
class StoredVector:
    """The row of a vector and its CRC-32, the size of its image in pixels, and the revision of the decoders."""

    row: int
    crc32: int
    width: int
    height: int
    decoding: int

    def __post_init__(self) -> None:
        _check(self, is_count(self.row), _is_int(self.crc32), _is_int(self.decoding))
        _check(self, _is_in(self.width, _SIDE), _is_in(self.height, _SIDE))


@dataclass(frozen=True)
class FiledImage:
    """An image as it is filed: its id, its key, the row of its vector, and the status of its file."""

    id: int
    key: str
    row: int
    status: FileStatus

    def __post_init__(self) -> None:
        _check(self, _is_in(self.id, _IDS), is_key(self.key), is_count(self.row), _is_status(self.status))


@dataclass(frozen=True)
class MissingImage:
    """A missing image.

    Attributes:
        id: that of the image.
        key: under which it was.
        hash: the SHA-256 of its file.
        row: of its vector, or None if another model made it.
        status: its file's when it was read.
        since_ns: when the run began that missed it first.
    """

    id: int
    key: str
    hash: bytes
    row: int | None
    status: FileStatus
    since_ns: int

    def __post_init__(self) -> None:
        _check(self, _is_in(self.id, _IDS), is_key(self.key), isinstance(self.hash, bytes), _is_status(self.status))
        _check(self, self.row is None or is_count(self.row), isinstance(self.since_ns, int))


@dataclass(frozen=True)
class StoredGeneration:
    """A generation of the index: its number, the number of rows that it covers, and the SHA-256 of its two files."""

    number: int
    rows: int
    index_sha256: bytes
    card_sha256: bytes

    def __post_init__(self) -> None:
        _check(self, _is_in(self.number, _COUNT), _is_in(self.rows, _COUNT))
        _check(self, all(isinstance(sha256, bytes) for sha256 in (self.index_sha256, self.card_sha256)))


@dataclass(frozen=True)
class RegionState:
    """What a commit says of the vectors of parts of the images.

    Attributes:
        per_image: how many parts an image has; see `lookalike.images.regions`.
        vectors: the name of the file of their vectors.
        count: the number of committed rows in it, `per_image` for each image that is there.
        generation: of the index that serves, or None if there is none.
    """

    per_image: int
    vectors: str
    count: int
    generation: StoredGeneration | None

    def __post_init__(self) -> None:
        _check(self, _is_in(self.per_image, _PARTS), _is_in(self.count, _COUNT), self.count % self.per_image == 0)
        _check(self, isinstance(self.vectors, str) and layout.is_regions(self.vectors))
        _check(self, self.generation is None or self.generation.rows <= self.count)

    @property
    def places(self) -> int:
        """The number of images whose parts have rows in it."""
        return self.count // self.per_image


@dataclass(frozen=True)
class AugmentedState:
    """What a commit says of augmented vectors.

    Attributes:
        vectors: the name of their file.
        count: the number of the rows of vectors, from 0, that have one; 0 if they are still to be made.
        live: how many of these were those of images.
    """

    vectors: str
    count: int
    live: int

    def __post_init__(self) -> None:
        _check(self, isinstance(self.vectors, str) and layout.is_augmented(self.vectors))
        _check(self, _is_in(self.count, _COUNT), _is_in(self.live, _COUNT))

    @property
    def generation(self) -> None:
        """They have no index."""


IndexKey: TypeAlias = tuple[int, StoredGeneration]
"""What tells an index from every other: which catalog names it, and what this says of it."""


@dataclass(frozen=True)
class State:
    """What a commit says of the collection's other files.

    Attributes:
        changes: the number of commits.
        count: the number of committed rows of vectors.
        vectors: the name of the file of vectors.
        generation: the generation of the index that serves, or None if there is no index.
        token: a random number that every commit replaces: a backup may have as many commits as what it has replaced.
        replacements: how often another file has taken the catalog's place since it was opened.
        regions: the same of the vectors of parts of the images, or None if there are none.
        augmented: the same of augmented vectors, or None if none are wanted.
    """

    changes: int
    count: int
    vectors: str
    generation: StoredGeneration | None
    token: int = 0
    replacements: int = 0
    regions: RegionState | None = None
    augmented: AugmentedState | None = None

    def __post_init__(self) -> None:
        _check(self, isinstance(self.changes, int), isinstance(self.token, int), _is_in(self.count, _COUNT))
        _check(self, isinstance(self.vectors, str) and layout.is_vectors(self.vectors))
        _check(self, self.generation is None or self.generation.rows <= self.count)

    @property
    def files(self) -> tuple[object, ...]:
        """Which files these are. The files never change; a commit that only adds or removes images keeps them."""
        regions = self.regions and (self.regions.vectors, self.regions.generation)
        return self.replacements, self.vectors, self.generation, regions

    @property
    def index(self) -> IndexKey | None:
        """Which index this is, or None if there is none."""
        return (self.replacements, self.generation) if self.generation else None


class FileKind(IntEnum):
    """What a file is to the catalog. One that is several things is the first of these."""

    IMAGE = 0
    SKIPPED = 1
    MISSING = 2  # the file of an image that is gone or cannot be used


@dataclass(frozen=True)
class KnownFile:
    """A file that the catalog knows; its status says whether it has changed since.

    Attributes:
        key: its key.
        status: its status.
        kind: what it is.
        decoding: the revision of the decoders that it was read with.
    """

    key: str
    status: FileStatus
    kind: FileKind
    decoding: int = revisions.CURRENT

    def __post_init__(self) -> None:
        _check(self, is_key(self.key), _is_status(self.status), _is_int(self.decoding))

    @property
    def is_outdated(self) -> bool:
        """Whether it was read by earlier decoders."""
        return self.decoding < revisions.CURRENT


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


class CommittedState(Protocol):
    """What a commit says of the files; see `State`, which is that of one collection. States can be compared."""

    @property
    def files(self) -> tuple[object, ...]:
        """Which files these are."""

    @property
    def count(self) -> int:
        """The number of committed rows of vectors."""


@dataclass(frozen=True)
class NamedRows:
    """What one committed state says of some rows.

    Attributes:
        state: the state.
        images: the images of these rows, in the order of the rows.
        crc32s: the checksums of their vectors, by row.
    """

    state: CommittedState
    images: list[StoredImage]
    crc32s: Mapping[int, int]
