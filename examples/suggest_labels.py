"""Suggests labels for new images, by a vote of the five most similar images that are labelled.

    python examples/suggest_labels.py LABELLED NEW

LABELLED holds a folder of images for each label. For each image in NEW, a line names the label with the most votes and
its share of the votes.
"""

import sys
from collections import Counter
from pathlib import Path

import lookalike
from lookalike.errors import ImageError, NoCollectionError


def up_to_date(folder: str) -> lookalike.Collection:
    """Opens the collection of a folder, or makes it, and brings it up to date with the folder."""
    try:
        photos = lookalike.open(folder)
    except NoCollectionError:
        photos = lookalike.create(folder)
    photos.add(folder)
    return photos


def suggestion(labelled: lookalike.Collection, image: Path) -> str:
    """Returns the label with the most votes and its share of them, or the reason why there is none."""
    try:
        matches = labelled.search(image, k=5)
    except ImageError as error:
        return f"skipped: {error.reason}"
    votes = Counter(match.label for match in matches if match.label)
    if not votes:
        return "no labelled image to compare with"
    [(label, count)] = votes.most_common(1)
    return f"{label}\t{count / votes.total():.2f}"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    labelled = up_to_date(sys.argv[1])
    for path in sorted(path for path in Path(sys.argv[2]).rglob("*") if path.is_file()):
        print(path, suggestion(labelled, path), sep="\t")
