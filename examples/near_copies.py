"""Prints groups of images that look nearly the same: re-compressed, resized or slightly edited copies.

    python examples/near_copies.py FOLDER [--threshold 0.95]

A group is an image and all others whose score with it, the cosine similarity, is at least the threshold.
"""

import argparse
from collections.abc import Iterator

import numpy as np

import lookalike
from lookalike.errors import NoCollectionError


def up_to_date(folder: str) -> lookalike.Collection:
    """Opens the collection of a folder, or makes it, and brings it up to date with the folder."""
    try:
        photos = lookalike.open(folder)
    except NoCollectionError:
        photos = lookalike.create(folder)
    photos.add(folder)
    return photos


def near_copies(photos: lookalike.Collection, threshold: float) -> Iterator[list[lookalike.Match]]:
    """Yields images with their near copies, at most 50, the most similar first; no image is in two groups."""
    # Any vector lists them all.
    everything = photos.search_vector(np.ones(photos.made_by.dim), k=len(photos) or 1, exact=True)
    grouped: set[int] = set()
    for image in sorted(everything, key=lambda match: match.key):
        found = photos.search_id(image.id, k=50, min_score=threshold) if image.id not in grouped else []
        if copies := [match for match in found if match.id not in grouped]:
            grouped.update(match.id for match in [image, *copies])
            yield [image, *copies]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Prints groups of images that look nearly the same.")
    parser.add_argument("folder")
    parser.add_argument("--threshold", type=float, default=0.95, help="lowest score of a copy (default: 0.95)")
    options = parser.parse_args()
    for first, *copies in near_copies(up_to_date(options.folder), options.threshold):
        print(first.key, *(f"{copy.key} ({copy.score:.3f})" for copy in copies), sep="\t")
