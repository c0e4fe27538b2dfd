"""The part of an encoder that follows from its card: its identity, and the pixels that it accepts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.card import Card
from lookalike.errors import UsageError
from lookalike.images.decode import Preprocessing


class CardEncoder:
    """Base of the encoders that Lookalike loads; each adds `encode`."""

    def __init__(self, card: Card) -> None:
        self.card = card

    @property
    def name(self) -> str:
        """The model's name."""
        return self.card.name

    @property
    def dim(self) -> int:
        """The number of dimensions of its vectors."""
        return self.card.dim

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image becomes the pixels that `encode` takes."""
        return self.card.preprocessing

    @property
    def fingerprint(self) -> str:
        """Vectors can be compared if, and only if, this is the same."""
        return self.card.fingerprint

    def check_pixels(self, pixels: NDArray[Any]) -> None:
        """Raises UsageError unless `pixels` are uint8 (n, size, size, 3)."""
        size = self.preprocessing.size
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3):
            raise UsageError(f"pixels: {pixels.dtype} of {pixels.shape}; give uint8 of (n, {size}, {size}, 3)")
