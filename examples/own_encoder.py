"""Searches with an encoder of one's own: the mean colours of an image on a grid of 4 x 4 cells.

    python examples/own_encoder.py FOLDER QUERY

The five images of FOLDER that are most similar to QUERY are printed with their scores.
"""

import sys

import numpy as np
from numpy.typing import NDArray

import lookalike
from lookalike.errors import NoCollectionError


class GridColours:
    """Turns pixels, uint8 (n, 32, 32, 3), into vectors, float32 (n, 48): red, green and blue of each cell."""

    name = "grid-colours"
    dim = 4 * 4 * 3
    preprocessing = lookalike.Preprocessing(size=32, crop=1.0, fit="squash")
    fingerprint = "grid-colours-4x4-1"  # to be changed with anything that changes the vectors

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        cells: NDArray[np.float32] = pixels.reshape(-1, 4, 8, 4, 8, 3).mean(axis=(2, 4), dtype=np.float32)
        return cells.reshape(-1, self.dim) - np.float32(127.5)  # so that dark and bright are opposites


def up_to_date(folder: str) -> lookalike.Collection:
    """Opens or makes the collection of this encoder, apart from the default one, and brings it up to date."""
    directory, encoder = f"{folder}/.grid-colours", GridColours()
    try:
        photos = lookalike.open(directory, encoder=encoder)
    except NoCollectionError:
        photos = lookalike.create(folder, directory=directory, encoder=encoder)
    photos.add(folder)
    return photos


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for match in up_to_date(sys.argv[1]).search(sys.argv[2], k=5):
        print(f"{match.score:.3f}\t{match.key}")
