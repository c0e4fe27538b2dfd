"""From files to unit vectors: read, decode, encode, a group of files at a time.

Any number of threads may do so at once, one on each core; what comes of it is committed by somebody else.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders import Encoder, TextEncoder
from lookalike.errors import ImageError, ModelError, UsageError
from lookalike.images import decode
from lookalike.sources.folder import Found
from lookalike.storage.vectors import Vectors, unit

# A thread decodes so many images and then encodes them: taking turns image by image is a tenth slower, since the
# processor's caches then fill anew each time.
GROUP = 16


@dataclass(frozen=True)
class Embedded:
    """A file's hash and, unless its vector was there already, its picture's size and vector.

    The size and the time are those of what was read. The bytes themselves are let go: many wait to be committed.

    Attributes:
        found: the file.
        hash: the SHA-256 of its bytes.
        size: their number.
        changed_ns: when they were changed, as `files.changed_ns` has it.
        width: of the picture as it is seen, in pixels.
        height: of the picture as it is seen, in pixels.
        stored: the unit vector in half precision, (dim,), or None.
    """

    found: Found
    hash: bytes
    size: int
    changed_ns: int
    width: int = 0
    height: int = 0
    stored: NDArray[np.float16] | None = None


@dataclass(frozen=True)
class Failed:
    """A file that cannot be used.

    The error itself is not kept: by its traceback, it would keep the pictures of the whole group.

    Attributes:
        found: the file.
        reason: why, in a few words.
        lasting: whether that is the file's own fault, so that it need not be tried again until it changes.
    """

    found: Found
    reason: str
    lasting: bool


Outcome = Embedded | Failed


@dataclass(frozen=True)
class _Decoded:
    """What has no vector yet."""

    outcome: Embedded
    picture: decode.DecodedImage


class Embedder:
    """Makes vectors of files. Threads may share it."""

    def __init__(self, encoder: Encoder, row_of: Callable[[bytes], int | None]) -> None:
        """`row_of` tells by a file's hash whether its vector is there already, which is then not made again."""
        self._encoder, self._row_of = encoder, row_of

    def outcomes(self, group: Sequence[Found]) -> list[Outcome]:
        """What comes of each file of a group.

        Raises:
            ModelError: the network does not give one vector of its dimension for each.
        """
        outcomes = [self._decode(found) for found in group]
        pictures = [outcome.picture for outcome in outcomes if isinstance(outcome, _Decoded)]
        embeddings = iter(_embeddings(self._encoder, pictures) if pictures else ())
        return [
            self._embedded(outcome, next(embeddings)) if isinstance(outcome, _Decoded) else outcome
            for outcome in outcomes
        ]

    def _decode(self, found: Found) -> Outcome | _Decoded:
        try:
            file = decode.read(found.path)
            outcome = Embedded(found, hashlib.sha256(file.data).digest(), file.size, file.changed_ns)
            if self._row_of(outcome.hash) is not None:
                return outcome
            return _Decoded(outcome, decode.decode(file.data, self._encoder.preprocessing, name=found.key))
        except ImageError as error:
            return Failed(found, error.reason, error.lasting)

    def _embedded(self, decoded: _Decoded, embedding: NDArray[np.float32]) -> Outcome:
        try:
            stored = _unit(self._encoder, embedding)[0].astype(np.float16)
        except ImageError as error:
            return Failed(decoded.outcome.found, error.reason, error.lasting)
        return replace(decoded.outcome, width=decoded.picture.width, height=decoded.picture.height, stored=stored)


def embed(encoder: Encoder, picture: decode.DecodedImage) -> Vectors:
    """A picture's unit vector, (1, dim).

    Raises:
        ImageError: the network gives zero or anything that is not finite for it.
        ModelError: it does not give one vector of its dimension.
    """
    [embedding] = _embeddings(encoder, [picture])
    return _unit(encoder, embedding)


def embed_text(encoder: TextEncoder, dim: int, text: str) -> Vectors:
    """The unit vector of words, (1, dim).

    Raises:
        UsageError: the network gives zero or anything that is not finite for them.
        ModelError: it does not give one vector of that dimension.
    """
    embedding = encoder.encode_text([text])
    if embedding.shape != (1, dim):
        raise ModelError(f"the network gives {embedding.shape} for a text; it should be {(1, dim)}")
    try:
        return unit(embedding)
    except UsageError:
        raise UsageError(f"text: the network gives no usable vector for {text!r}; say it in other words") from None


def _embeddings(encoder: Encoder, pictures: Sequence[decode.DecodedImage]) -> NDArray[np.float32]:
    embeddings = encoder.encode(np.stack([picture.pixels for picture in pictures]))
    expected = (len(pictures), encoder.dim)
    if embeddings.shape != expected:
        raise ModelError(f"{encoder.name} gives {embeddings.shape} for {len(pictures)} images; it should be {expected}")
    return embeddings


def _unit(encoder: Encoder, embedding: NDArray[np.float32]) -> Vectors:
    try:
        return unit(embedding)
    except UsageError:
        raise ImageError(f"{encoder.name} gives no usable vector for it") from None
