"""Makes edited copies of images of a collection, and tells which of its other images are copies of them already."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.copies import thumbnails
from lookalike.copies.verification import compare, prepare
from lookalike.errors import ImageError, IncompatibleError, ModelError, UsageError
from lookalike.evaluation import edits
from lookalike.storage.vectors import Vectors
from lookalike.system.blas import one_thread

# The file is gone, or cannot be used any more; the image has been removed; the encoder is not on this machine.
_UNUSABLE = (ImageError, UsageError, IncompatibleError, ModelError)


@dataclass(frozen=True)
class Copied:
    """Edited copies of an image.

    Attributes:
        image_id: of the image.
        sha256: of its file.
        vectors: the unit vectors of its copies, float32 (1, dim) each.
        kept: its small picture (`thumbnails.pack`).
    """

    image_id: int
    sha256: bytes
    vectors: Sequence[Vectors]
    kept: bytes


class CopiedImages:
    """The edited copies of a collection's images."""

    def __init__(self, data_of: Callable[[int], bytes], embed: Callable[[Any], Vectors]) -> None:
        """Both may raise what an image, a model or a collection raises that cannot be used.

        Args:
            data_of: the bytes of the file of an image, by its id.
            embed: makes the unit vector of an image, float32 (1, dim).
        """
        self._data_of, self._embed = data_of, embed

    def of(self, image_id: int) -> Copied | None:
        """The edited copies of an image; None if its file, or the encoder, cannot be used."""
        try:
            data = self._data_of(image_id)
            vectors = [self._embed(copy) for copy in edits.edited_copies(data)]
            return Copied(image_id, hashlib.sha256(data).digest(), vectors, thumbnails.pack(data))
        except _UNUSABLE:
            return None

    def is_copy(self, copied: Copied, image_id: int) -> bool:
        """Whether another image is a copy of one, as far as their files can be read."""
        try:
            other = thumbnails.pack(self._data_of(image_id))
        except _UNUSABLE:
            return False
        with one_thread():
            found = compare(*(prepare(thumbnails.unpack(kept)) for kept in (other, copied.kept)))
        return found.grade == "edited copy"
