"""Measures what a refined order is good for, and what not: things of a kind, and copies of one thing.

    python benchmarks/likeness.py FOLDER [--copied 200]

The label of an image is the name of the folder that it is in. Each image searches for the others: by its cosine, by the
cosine when the collection's mean is taken off ("centred"), in the refined order, and with each vector replaced by the
mean of its nearest ("augmented"). Then two edited copies of some images join the collection, and these images search
again: the share of those whose first answer is one of their copies is "copy first". Times are medians of a search for
ten images on one thread, the ways taking turns.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

import lookalike
from lookalike import Collection, metrics
from lookalike.evaluation.edits import EDITS, edited_copies

Vectors = NDArray[np.float32]
Labels = NDArray[np.str_]

WAYS, AUGMENTED = ("cosine", "refined"), "augmented"  # refined by augmented vectors, which the collection keeps then
_TIMED = 200  # searches


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--copied", default=200, show_default=True, help="Images that get two edited copies each.")
def main(folder: Path, copied: int) -> None:
    with (
        tempfile.TemporaryDirectory() as place,
        lookalike.create(folder, directory=Path(place) / "collection") as collection,
    ):
        collection.add(folder)
        found = {way: kinds(collection, way) for way in WAYS}
        found["centred"] = kinds_by_cosine(*centred(collection))
        times = milliseconds(collection, WAYS)
        collection.keep_augmented()
        found[AUGMENTED] = kinds(collection, AUGMENTED)
        times[AUGMENTED] = milliseconds(collection, [AUGMENTED])[AUGMENTED]
        collection.keep_augmented(False)
        pictures = copies(collection, copied, Path(place) / "copies")
        collection.add(pictures)
        first = {way: copies_first(collection, pictures, way) for way in WAYS}
        collection.keep_augmented()
        first[AUGMENTED] = copies_first(collection, pictures, AUGMENTED)
    click.echo(f"{'order':<10}{'mAP':>8}{'P@1':>8}{'P@10':>8}{'copy first':>12}{'ms':>8}")
    for way in ("cosine", "centred", "refined", AUGMENTED):
        numbers = "".join(f"{number:>8.4f}" for number in found[way])
        copy_first = f"{first[way]:>12.4f}{times[way]:>8.2f}" if way in first else ""
        click.echo(f"{way:<10}{numbers}{copy_first}")


def kinds(collection: Collection, way: str) -> tuple[float, float, float]:
    """mAP, P@1 and P@10 by label, each image a query that is left out of its own answer."""
    count, relevant = len(collection), []
    for image in collection.images(limit=count):
        matches = collection.search_id(image.id, k=count - 1, refine=way != "cosine")
        relevant.append([match.label == image.label for match in matches])
    return _quality(np.array(relevant))


def centred(collection: Collection) -> tuple[Vectors, Labels]:
    """The images' vectors without their mean, of length 1, and their labels."""
    images = collection.images(limit=len(collection))
    vectors = np.concatenate([collection.embed(image.path) for image in images])
    return _unit(vectors - vectors.mean(axis=0)), np.array([image.label for image in images])


def kinds_by_cosine(vectors: Vectors, labels: Labels) -> tuple[float, float, float]:
    """mAP, P@1 and P@10 by label, of a ranking by the products of these vectors."""
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -2)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :-1]
    return _quality(labels[order] == labels[:, None])


def _unit(vectors: Vectors) -> Vectors:
    found: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found


def _quality(relevant: NDArray[np.bool_]) -> tuple[float, float, float]:
    at = [float(np.mean(metrics.precision(relevant, k))) for k in (1, 10)]
    return float(np.nanmean(metrics.average_precision(relevant))), at[0], at[1]


def copies(collection: Collection, count: int, folder: Path) -> Path:
    """Writes two edited copies of some images, which are spread over the collection, as `ID-EDIT.png`."""
    folder.mkdir()
    images, names = collection.images(limit=len(collection)), list(EDITS)
    for number, place in enumerate(np.linspace(0, len(images) - 1, min(count, len(images))).astype(int).tolist()):
        edited = dict(zip(names, edited_copies(images[place].path.read_bytes()), strict=True))
        for name in (names[number % len(names)], names[(number + 1) % len(names)]):
            edited[name].save(folder / f"{images[place].id}-{name}.png")
    return folder


def copies_first(collection: Collection, pictures: Path, way: str) -> float:
    """The share of the copied images whose first answer is one of their copies."""
    originals = sorted({int(path.name.partition("-")[0]) for path in pictures.iterdir()})
    return float(np.mean([_is_copy(collection, original, way) for original in originals]))


def _is_copy(collection: Collection, original: int, way: str) -> bool:
    [match] = collection.search_id(original, k=1, refine=way != "cosine")
    return Path(match.key).name.startswith(f"{original}-")


def milliseconds(collection: Collection, ways: Sequence[str]) -> dict[str, float]:
    """The median time of a search by id for ten images, the ways taking turns."""
    ids: Sequence[int] = [image.id for image in collection.images(limit=_TIMED)]
    times: dict[str, list[float]] = {way: [] for way in ways}
    for image_id in ids:
        for way in ways:
            begun = time.perf_counter()
            collection.search_id(image_id, k=10, refine=way != "cosine")
            times[way].append(time.perf_counter() - begun)
    return {way: float(np.median(seconds)) * 1000 for way, seconds in times.items()}


if __name__ == "__main__":
    main()
