"""A query: images, texts and vectors, each of which counts for or against, and the vector that they add up to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.images.decode import ImageSource, reusable_source
from lookalike.storage.vectors import Vectors, unit

_ROUNDING = 1e-6  # of the weights: what single precision leaves of terms that cancel each other out


@dataclass(frozen=True)
class Term:
    """A part of a query: an image, a text, an image of the collection, or a vector, with a weight.

    Attributes:
        image: a path, the bytes of an image file, an open file, a PIL image or an array, uint8 (h, w, 3).
        text: a description, for a collection whose model takes text.
        id: the id of an image of the collection, which is not searched for itself.
        vector: a vector of the collection's dimension, of any length, shape (dim,) or (1, dim).
        weight: how much the term counts; a negative one searches for images that are less like it.

    Raises:
        UsageError: none of these is given, or several, or the weight is 0 or not finite.
    """

    image: ImageSource | None = None
    text: str | None = None
    weight: float = 1.0
    id: int | None = field(default=None, kw_only=True)
    vector: ArrayLike | None = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.image, self.text, self.id, self.vector)) != 1:
            raise UsageError("a term of a query is one of these: an image, a text, an id or a vector")
        object.__setattr__(self, "weight", arguments.number(self.weight, "weight"))
        if self.weight == 0:
            raise UsageError("weight=0: give a number that is not 0")
        if self.text is not None:
            arguments.text(self.text, "text")
        if self.id is not None:
            object.__setattr__(self, "id", arguments.whole(self.id, "id"))
        if self.image is not None:
            try:
                object.__setattr__(self, "image", reusable_source(self.image))
            except UsageError as error:
                raise UsageError(f"image: {error}") from None


def query_vector(terms: Sequence[Term], vectors: Sequence[Vectors]) -> Vectors:
    """The unit vector of a query, float32 (1, dim): the weighted sum of its terms' unit vectors, each (1, dim).

    Raises:
        UsageError: there are no terms, or they cancel each other out.
    """
    if not terms:
        raise UsageError("there is nothing to search for: give an image or a text")
    weights = np.array([term.weight for term in terms])
    weights = np.ldexp(weights, -np.frexp(np.abs(weights).max())[1])  # at most 1, so that no sum overflows
    total = weights @ np.concatenate(vectors).astype(np.float64)
    if np.linalg.norm(total) <= _ROUNDING * np.abs(weights).sum():
        raise UsageError("the terms of the query cancel each other out; nothing is left to search for")
    return unit(total)
