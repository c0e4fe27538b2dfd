"""A card says what a network is: where it comes from and how pictures have to be prepared for it."""

import hashlib
import json
from dataclasses import asdict, dataclass

from lookalike.images import Recipe


@dataclass(frozen=True)
class Card:
    """What tells one encoder from another.

    Attributes:
        name: what the user calls it.
        source: where its weights come from.
        licence: of the weights, as an SPDX identifier.
        sha256: of the weights' file, in hexadecimal.
        dim: the number of dimensions of its vectors.
        recipe: how an image becomes pixels for it.
        precision: the numbers that it computes with.
        revision: whatever else changes its vectors: a number that is raised when its graph is built in another
            way, and the calibration of its quantization.
    """

    name: str
    source: str
    licence: str
    sha256: str
    dim: int
    recipe: Recipe
    precision: str
    revision: str

    @property
    def fingerprint(self) -> str:
        """The first 32 hexadecimal digits of a SHA-256 over everything on the card.

        Vectors can be compared when, and only when, their encoders' fingerprints are the same.
        """
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]
