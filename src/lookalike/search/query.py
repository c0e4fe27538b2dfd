"""What is looked for: images and words, each of which counts for or against."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from lookalike.errors import UsageError
from lookalike.images.decode import ImageSource, kept
from lookalike.storage.vectors import Vectors, unit


@dataclass(frozen=True)
class Term:
    """A part of a query: an image, or words.

    Attributes:
        image: a path, the bytes of an image file, an open file, a PIL image or an array, uint8 (h, w, 3).
        text: words, for a collection whose model knows some.
        weight: how much it counts; what it shows is looked for less, where that is negative.

    Raises:
        UsageError: it is neither or both, or the weight is 0 or not finite.
    """

    image: ImageSource | None = None
    text: str | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if (self.image is None) == (self.text is None):
            raise UsageError("a term of a query is an image or a text, one of the two")
        if not math.isfinite(self.weight) or self.weight == 0:
            raise UsageError(f"weight={self.weight}: give a number that is not 0")
        if self.image is not None:
            object.__setattr__(self, "image", kept(self.image))


def weighted(text: str) -> tuple[str, float]:
    """What is asked for, and its weight, which may stand behind it as in "red dress^0.5".

    Raises:
        UsageError: the weight is not above 0.
    """
    asked, mark, number = text.rpartition("^")
    if not mark:
        return text, 1.0
    try:
        weight = float(number)
    except ValueError:
        return text, 1.0
    if not (math.isfinite(weight) and weight > 0):
        raise UsageError(f"{text}: a weight has to be above 0; to look for less of it, use --minus or --minus-text")
    return asked, weight


def direction(
    terms: Iterable[Term], of_image: Callable[[ImageSource], Vectors], of_text: Callable[[str], Vectors]
) -> Vectors:
    """The unit vector (1, dim) that points where the terms' own unit vectors do, by their weights.

    Raises:
        UsageError: there are none, or they cancel each other out.
    """
    vectors = [term.weight * _vector(term, of_image, of_text) for term in terms]
    if not vectors:
        raise UsageError("there is nothing to look for: give an image or words")
    total: Vectors = np.sum(vectors, axis=0)
    try:
        return unit(total)
    except UsageError:
        raise UsageError("the queries cancel each other out; nothing is left to look for") from None


def _vector(term: Term, of_image: Callable[[ImageSource], Vectors], of_text: Callable[[str], Vectors]) -> Vectors:
    if term.text is not None:
        return of_text(term.text)
    assert term.image is not None
    return of_image(term.image)
