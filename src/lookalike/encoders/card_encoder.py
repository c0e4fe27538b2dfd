"""The part of an encoder that follows from its card: its identity, and the pixels that it accepts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.card import Card
from lookalike.errors import UsageError


class CardEncoder:
    """Base of the encoders that Lookalike loads; each adds `encode`.

    Attributes:
        card: the model's card.
        name: the model's name.
        dim: the number of dimensions of its vectors.
        preprocessing: how an image becomes the pixels that `encode` takes.
        fingerprint: vectors can be compared if, and only if, this is the same.
    """

    def __init__(self, card: Card) -> None:
        self.card = card
        self.name, self.dim = card.name, card.dim
        self.preprocessing, self.fingerprint = card.preprocessing, card.fingerprint

    def check_pixels(self, pixels: NDArray[Any]) -> None:
        """Raises UsageError unless `pixels` are uint8 (n, size, size, 3)."""
        size = self.preprocessing.size
        if not isinstance(pixels, np.ndarray):
            raise UsageError(f"pixels: {type(pixels).__name__}; give an array, uint8 of (n, {size}, {size}, 3)")
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3):
            raise UsageError(f"pixels: {pixels.dtype} of {pixels.shape}; give uint8 of (n, {size}, {size}, 3)")
