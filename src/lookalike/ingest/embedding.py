"""From files to unit vectors: read, decode, encode, a group of files at a time.

Any number of threads may do so at once, one on each core; another one commits the results.
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders import Encoder, TextEncoder
from lookalike.errors import ImageError, ModelError, UsageError
from lookalike.images import marks, revisions
from lookalike.images.decode import MAX_PIXELS, DecodedImage, decode
from lookalike.images.reading import UNKNOWN, FileStatus
from lookalike.ingest.changes import Unchanged
from lookalike.ingest.suspects import UnderWay
from lookalike.ingest.takeover import OtherCollections
from lookalike.sources import places
from lookalike.sources.folder import Found
from lookalike.sources.places import Place
from lookalike.sources.shards.base import Facts
from lookalike.storage.vectors import StoredVectors, Vectors, unit
from lookalike.system import regular_file

# A thread decodes this many images and then encodes them. Alternating image by image is a tenth slower, since the
# processor's caches then fill anew each time.
GROUP = 16


@dataclass(frozen=True)
class Embedded:
    """A file's hash and, unless its vector is stored already, its image's size and vector.

    The bytes themselves are let go: many wait to be committed.

    Attributes:
        found: the file.
        hash: the SHA-256 of its bytes.
        status: the file's size and times when they were read.
        width: of the image in pixels, after applying the EXIF orientation.
        height: likewise.
        stored: the unit vector in half precision, (dim,), or None.
        facts: the attributes that a shard has for the image.
    """

    found: Found
    hash: bytes
    status: FileStatus
    width: int = 0
    height: int = 0
    stored: NDArray[np.float16] | None = None
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """A file that cannot be used.

    The error itself is not kept: its traceback would keep the images of the whole group.

    Attributes:
        found: the file.
        reason: a short phrase.
        lasting: whether that is the file's own fault, so that it need not be tried again until it changes.
        own: whether Lookalike itself has written the file, so that nobody expects it among the images.
    """

    found: Found
    reason: str
    lasting: bool
    own: bool = False


Outcome = Embedded | Failed | Unchanged


@dataclass(frozen=True)
class _Decoded:
    """A file that has no vector yet."""

    outcome: Embedded
    image: DecodedImage


class Embedder:
    """Makes vectors of files. Threads may share it."""

    def __init__(
        self,
        encoder: Encoder,
        decoding_of: Callable[[bytes], int | None],
        max_pixels: int = MAX_PIXELS,
        under_way: UnderWay | None = None,
        others: OtherCollections | None = None,
    ) -> None:
        """Makes vectors of images with an encoder.

        Args:
            encoder: makes the vectors.
            decoding_of: looks up, by a file's hash, the revision of the decoders that its vector was made with. Unless
                it is None, the vector is not made again, or only if the file is decoded otherwise now.
            max_pixels: the most pixels of an image.
            under_way: is told what is decoded, and knows what to decode in a process of its own.
            others: collections from which vectors are taken over, where they have them.
        """
        self._encoder, self._decoding_of, self._max_pixels = encoder, decoding_of, max_pixels
        self._under_way = under_way or UnderWay(None, frozenset())
        self._others = others or OtherCollections()

    def take_count(self) -> int:
        """The number of vectors that have been taken over since it was last asked."""
        return self._others.take_count()

    def outcomes(self, group: Sequence[Found | Unchanged]) -> list[Outcome]:
        """The outcome for each file of a group.

        An unchanged file was read by earlier decoders; it remains what it is unless it is decoded otherwise now.

        Raises:
            ModelError: the encoder does not return one vector of its dimension for each image.
        """
        outcomes = [self._outcome(file) for file in group]
        images = [outcome.image for outcome in outcomes if isinstance(outcome, _Decoded)]
        vectors = self._stored(images) if images else iter(())
        return [
            self._embedded(outcome, next(vectors)) if isinstance(outcome, _Decoded) else outcome for outcome in outcomes
        ]

    def _outcome(self, file: Found | Unchanged) -> Outcome | _Decoded:
        if isinstance(file, Unchanged):
            return self._decoded(file.found) if self._may_differ(file) else file
        return self._decoded(file)

    def _may_differ(self, file: Unchanged) -> bool:
        """Whether a file is decoded otherwise now, as far as its header tells."""
        key = file.found.key
        try:
            with self._under_way.decoding(key), _opened(file.found.path) as opened:
                return key in self._under_way.suspects or revisions.may_differ(opened, file.known.decoding)
        except (OSError, ImageError):  # reading the whole file will give the reason
            return True

    def _decoded(self, found: Found) -> Outcome | _Decoded:
        try:
            file = places.read(found.path)
            if marks.has_mark(file.data, marks.SHEET):
                return Failed(found, "a contact sheet of Lookalike's", lasting=True, own=True)
            outcome = Embedded(found, hashlib.sha256(file.data).digest(), file.status, facts=places.facts(found.path))
            decoding = self._decoding_of(outcome.hash)
            if decoding is not None and not revisions.may_differ(io.BytesIO(file.data), decoding):
                return outcome
            if taken := self._taken(outcome, file.data):
                return taken
            return _Decoded(outcome, self._image(file.data, found.key))
        except ImageError as error:
            is_there = found.status != UNKNOWN or places.is_there(found.path)
            return Failed(found, error.reason if is_there else "there is no such file", error.lasting)

    def _taken(self, outcome: Embedded, data: bytes) -> Embedded | None:
        """The outcome with the vector of another collection, unless there is none or it was decoded otherwise."""
        found = self._others.vector_of(outcome.hash)
        if found is None or revisions.may_differ(io.BytesIO(data), found.decoding):
            return None
        self._others.taken()
        return replace(outcome, width=found.width, height=found.height, stored=found.stored)

    def _image(self, data: bytes, key: str) -> DecodedImage:
        preprocessing, suspect = self._encoder.preprocessing, key in self._under_way.suspects
        with self._under_way.decoding(key):
            return decode(data, preprocessing, name=key, max_pixels=self._max_pixels, apart=suspect)

    def _stored(self, images: Sequence[DecodedImage]) -> Iterator[StoredVectors | ImageError]:
        """The unit vector of each image in half precision, (1, dim), or the reason why there is none."""
        embeddings = _embeddings(self._encoder, images)
        try:
            vectors = unit(embeddings)
        except UsageError:  # of one image, mostly
            yield from (self._stored_or_error(embedding) for embedding in embeddings)
        else:
            yield from vectors.astype(np.float16)[:, None]

    def _stored_or_error(self, embedding: NDArray[np.float32]) -> StoredVectors | ImageError:
        try:
            return _unit(self._encoder, embedding).astype(np.float16)
        except ImageError as error:
            return error

    def _embedded(self, decoded: _Decoded, stored: StoredVectors | ImageError) -> Outcome:
        if isinstance(stored, ImageError):
            return Failed(decoded.outcome.found, stored.reason, stored.lasting)
        return replace(decoded.outcome, width=decoded.image.width, height=decoded.image.height, stored=stored[0])


def _opened(place: Place) -> BinaryIO:
    """An image file, or a member of a shard, opened to be read."""
    file = places.file_of(place)
    return regular_file.open_to_read(file) if file else io.BytesIO(places.read(place).data)


def embed(encoder: Encoder, image: DecodedImage) -> Vectors:
    """The unit vector of an image, float32 (1, dim).

    Raises:
        ImageError: the encoder's vector is zero or not finite.
        ModelError: the encoder does not return one vector of its dimension.
    """
    return embed_all(encoder, [image])


def embed_all(encoder: Encoder, images: Sequence[DecodedImage]) -> Vectors:
    """The unit vectors of images, float32 (n, dim).

    Raises:
        ImageError: one of the encoder's vectors is zero or not finite.
        ModelError: the encoder does not return one vector of its dimension for each.
    """
    return _unit(encoder, _embeddings(encoder, images))


def embed_text(encoder: TextEncoder, dim: int, text: str) -> Vectors:
    """The unit vector of a text, float32 (1, dim).

    Raises:
        UsageError: the encoder's vector is zero or not finite.
        ModelError: the encoder does not return one vector of that dimension.
    """
    embedding = encoder.encode_text([text])
    if embedding.shape != (1, dim):
        raise ModelError(f"the encoder returns {embedding.shape} for a text; it should be {(1, dim)}")
    try:
        return unit(embedding)
    except UsageError:
        raise UsageError(f"text: the encoder returns no usable vector for {text!r}; describe it otherwise") from None


def _embeddings(encoder: Encoder, images: Sequence[DecodedImage]) -> NDArray[np.float32]:
    embeddings = encoder.encode(np.stack([image.pixels for image in images]))
    expected = (len(images), encoder.dim)
    if embeddings.shape != expected:
        raise ModelError(f"{encoder.name} returns {embeddings.shape} for {len(images)} images; it should be {expected}")
    return embeddings


def _unit(encoder: Encoder, embedding: NDArray[np.float32]) -> Vectors:
    try:
        return unit(embedding)
    except UsageError:
        raise ImageError(f"{encoder.name} returns no usable vector for it") from None
