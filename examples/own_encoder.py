"""Searches with an encoder of one's own: the mean colours of an image on a grid of 4 x 4.

    python examples/own_encoder.py FOLDER QUERY
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import lookalike
from lookalike.errors import NoCollectionError


class GridColours:
    """Turns images into vectors of 48 numbers: red, green and blue in each cell of the grid.

    The fingerprint has to change whenever `encode` or `preprocessing` does, so that vectors are never mixed.
    """

    name = "grid-colours"
    dim = 4 * 4 * 3
    preprocessing = lookalike.Preprocessing(size=32, crop=1.0, fit="squash")
    fingerprint = "grid-colours 4x4, 1"

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns vectors, float32 (n, 48), for pixels, uint8 (n, 32, 32, 3)."""
        cells = pixels.reshape(len(pixels), 4, 8, 4, 8, 3).mean(axis=(2, 4))
        return (cells - 127.5).reshape(len(pixels), self.dim).astype(np.float32)


def up_to_date(folder: Path) -> lookalike.Collection:
    """Opens or makes a collection with that encoder, beside any that another made, and adds what is new."""
    directory, encoder = folder / ".grid-colours", GridColours()
    try:
        photos = lookalike.open(directory, encoder=encoder)
    except NoCollectionError:
        photos = lookalike.create(folder, directory=directory, encoder=encoder)
    photos.add(folder)
    return photos


if __name__ == "__main__":
    for match in up_to_date(Path(sys.argv[1])).search(sys.argv[2], k=5):
        print(f"{match.score:.3f}\t{match.key}")
