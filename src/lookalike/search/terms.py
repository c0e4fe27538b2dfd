"""The terms of a query: images, texts and vectors, each of which counts for or against."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.images.preprocessing import ImageSource
from lookalike.results import Region, region_of


@dataclass(frozen=True)
class Term:
    """A part of a query: an image, a text, an image of the collection, or a vector, with a weight.

    Attributes:
        image: a path, the bytes of an image file, an open file, a PIL image or an array, uint8 (h, w, 3).
        text: a description, for a collection whose model takes text.
        id: the id of an image of the collection, which is not searched for itself.
        vector: a vector of the collection's dimension, of any length, shape (dim,) or (1, dim).
        weight: how much the term counts; a negative one searches for images that are less like it.
        region: the part of the image that counts; None is all of it.

    Raises:
        UsageError: none of these is given, or several, or the weight is 0 or not finite.
    """

    image: ImageSource | None = None
    text: str | None = None
    weight: float = 1.0
    id: int | None = field(default=None, kw_only=True)
    vector: ArrayLike | None = field(default=None, kw_only=True, repr=False)
    region: Region | None = field(default=None, kw_only=True)

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
                object.__setattr__(self, "image", _reusable(self.image))
            except UsageError as error:
                raise UsageError(f"image: {error}") from None
        object.__setattr__(self, "region", region_of(self.region))
        if self.region is not None and self.image is None:
            raise UsageError("a region is a part of an image; give the image, too")


def checked_images(queries: Iterable[ImageSource], name: str) -> list[ImageSource]:
    """Several images, each of which can be decoded more than once; an array may hold them, (n, h, w, 3) or (n, h, w).

    Raises:
        ImageError: an open file is empty or too large.
        UsageError: it is one image, or something in it is no image.
    """
    if isinstance(queries, np.ndarray) and queries.dtype.kind not in "OU" and _is_one_image(queries):
        raise UsageError(f"{name}: expected a list of images, got one array of shape {queries.shape}; give [array]")
    return [checked_image(query, name) for query in arguments.several(queries, name)]


def checked_image(query: ImageSource, name: str) -> ImageSource:
    """One image, which can be decoded more than once; raises as `checked_images` does."""
    try:
        return _reusable(query)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def signed_terms(query: ImageSource, plus: Iterable[ImageSource], minus: Iterable[ImageSource]) -> list[Term]:
    """The terms of a search for an image, perhaps with more examples, and with negative ones.

    Raises:
        ImageError: an open file is empty or too large.
        UsageError: something in it is no image.
    """
    alike = [checked_image(query, "query"), *checked_images(plus, "plus")]
    unlike = checked_images(minus, "minus")
    return [*(Term(each) for each in alike), *(Term(each, weight=-1) for each in unlike)]


def checked_terms(given: Iterable[Term]) -> list[Term]:
    """The terms of a query; raises UsageError for anything else."""
    found = arguments.several(given, "terms")
    for term in found:
        if not isinstance(term, Term):
            raise UsageError(f"terms: {arguments.shown(term)} is no term; give lookalike.Term(image) or Term(text=...)")
    return found


def _is_one_image(array: NDArray[Any]) -> bool:
    return array.ndim < 3 or (array.ndim == 3 and array.shape[2] == 3)


def _reusable(source: ImageSource) -> ImageSource:
    """The same image, which can be read more than once."""
    from lookalike.images.decode import reusable_source  # the decoders; a query of vectors does not need them

    return reusable_source(source)
