"""Measures whether what is expected by chance is found: foreign queries in collections of another kind.

    python benchmarks/calibration.py FOLDER [--drawn 2000] [--queries 300]

FOLDER holds photographs, whose label is the name of the folder that they are in. Beside them, a gallery, textures and
noise are drawn. None of the queries of a line has anything to do with the images of the collection, so that all that is
near is near by chance: of the matches that are expected at most e times, there should be e a query. "photos but its
own" takes the photographs of each label as queries in a collection of all others. Two lines follow on what chance does
not tell: how well the number expected, and the score of the best match, tell whether its label is the query's (AUROC).

Last, a half of the photographs, drawn at random, searches among the others, whose labels have taught the
probabilities: how far these are off (the expected calibration error, fifteen bins of the first ten matches), and how
well the probability of the best match, its centred cosine and its score tell whether its label is the query's.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import lookalike
from lookalike import Collection, Where
from lookalike.demo import KINDS, draw
from lookalike.evaluation.calibration import auroc, calibration_bins, calibration_error

LEVELS = (0.1, 0.3, 1.0, 3.0, 10.0)
PAIRS = (
    ("photos", "gallery"),
    ("photos", "textures"),
    ("photos", "noise"),
    ("gallery", "photos"),
    ("gallery", "textures"),
    ("textures", "photos"),
    ("textures", "gallery"),
    ("noise", "photos"),
    ("noise", "gallery"),
    ("noise", "textures"),
)
_SIDE = 160  # pixels of what is drawn
_K = 500  # more matches than are expected ten times, in any of these collections


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--drawn", default=2000, show_default=True, help="Images of each drawn kind.")
@click.option("--queries", default=300, show_default=True, help="Queries of each line, at most.")
def main(folder: Path, drawn: int, queries: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        collections = {"photos": lookalike.create(folder, directory=Path(place) / "photos.lookalike")}
        collections["photos"].add(folder)
        for kind, picture in DRAWN.items():
            collections[kind] = drawn_collection(Path(place) / kind, picture, drawn)
        click.echo(f"{'queries':<10}{'collection':<20}{'images':>8}" + "".join(f"{f'e = {e:g}':>10}" for e in LEVELS))
        for asked, collection in PAIRS:
            numbers = expected(collections[collection], vectors(collections[asked], queries))
            _print_line(asked, collection, len(collections[collection]), numbers)
        numbers = [each for label in labels(folder) for each in without(folder, label, Path(place), queries)]
        _print_line("photos", "photos but its own", len(collections["photos"]), numbers)
        print_right(collections["photos"])
        print_probabilities(folder, Path(place))


def _print_line(asked: str, name: str, images: int, expected: list[NDArray[np.float64]]) -> None:
    """Prints how many matches a query has found that are expected at most e times."""
    found = (float(np.mean([np.count_nonzero(each <= e) for each in expected])) for e in LEVELS)
    click.echo(f"{asked:<10}{name:<20}{images:>8}" + "".join(f"{each:>10.3f}" for each in found))


def expected(collection: Collection, queries: list[NDArray[np.float32]]) -> list[NDArray[np.float64]]:
    """What is expected as near by chance as each of the nearest images, for each query."""
    found = (collection.search_vector(query, k=_K) for query in queries)
    return [np.array([match.expected for match in matches], np.float64) for matches in found]


def vectors(collection: Collection, most: int) -> list[NDArray[np.float32]]:
    """The vectors of some images of a collection, which are spread over it."""
    images = collection.images(limit=len(collection))
    places = np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).astype(int))
    return [collection.embed(images[place].path) for place in places.tolist()]


def labels(folder: Path) -> list[str]:
    """The names of the folders that hold photographs."""
    return sorted({path.parent.name for path in folder.rglob("*.jpg")})


def without(folder: Path, label: str, place: Path, most: int) -> list[NDArray[np.float64]]:
    """What is expected when the photographs of a label search among all others."""
    with lookalike.create(folder, directory=place / f"without-{label}") as collection:
        collection.add(folder)
        own = collection.images(where=Where(label=label), limit=len(collection))
        queries = [collection.embed(image.path) for image in own][: max(1, most // 10)]
        collection.remove([str(image.path) for image in own])
        return expected(collection, queries)


def print_right(collection: Collection) -> None:
    """Prints how well the best match of each photograph tells whether its label is right."""
    images = collection.images(limit=len(collection))
    best = [(image, collection.search_id(image.id, k=1)[0]) for image in images]
    is_right = np.array([match.label == image.label for image, match in best])
    told = {
        "the number expected": -np.array([match.expected for _, match in best], np.float64),
        "the score": np.array([match.score for _, match in best]),
    }
    click.echo(f"\nthe label of the best match is right: {is_right.mean():.3f}")
    for name, values in told.items():
        click.echo(f"AUROC of {name}: {auroc(values, is_right):.3f}")


def print_probabilities(folder: Path, place: Path) -> None:
    """Prints how far probabilities hold for photographs that are not in the collection."""
    click.echo(f"\n{'queries':>8}{'images':>8}{'right':>8}{'ECE':>8}   AUROC of probability, centred cosine, score")
    for turn in range(3):
        with lookalike.create(folder, directory=place / f"half-{turn}") as collection:
            collection.add(folder)
            images = collection.images(limit=len(collection))
            held_out = [images[place] for place in np.random.default_rng(turn).permutation(len(images))[::2]]
            queries = [(collection.embed(image.path), image.label) for image in held_out]
            collection.remove([str(image.path) for image in held_out])
            collection.evaluate()
            told, right, best = [], [], []
            for vector, label in queries:
                found = collection.search_vector(vector)
                told += [match.probability for match in found]
                right += [match.label == label for match in found]
                facts = found[0].probability, centred_cosine(collection, vector, found[0].id), found[0].score
                best.append((*facts, found[0].label == label))
            error = calibration_error(calibration_bins(np.array(told, np.float64), np.array(right)))
            *values, is_right = np.array(best, np.float64).T
            aurocs = "".join(f"{auroc(each, is_right > 0):>8.3f}" for each in values)
            click.echo(f"{len(queries):>8}{len(collection):>8}{is_right.mean():>8.3f}{error:>8.3f}{aurocs}")


def centred_cosine(collection: Collection, vector: NDArray[np.float32], image_id: int) -> float:
    """The cosine of an image with a unit vector, (1, dim), without the mean of the collection."""
    with collection._snapshots.current() as snapshot:
        centre = snapshot.centre()
    around, left = (centre.taken_off(each)[0] for each in (vector, collection._searcher.vector_of(image_id)))
    return float(around @ left / np.linalg.norm(around) / np.linalg.norm(left))


# What is drawn


def drawn_collection(folder: Path, picture: Callable[[np.random.Generator], Image.Image], count: int) -> Collection:
    """Draws images and indexes them."""
    folder.mkdir()
    for number in range(count):
        picture(np.random.default_rng([number, count])).save(folder / f"{number:05}.png", compress_level=1)
    collection = lookalike.create(folder)
    collection.add(folder)
    return collection


def gallery(rng: np.random.Generator) -> Image.Image:
    """A picture as `lookalike demo` draws them, of any kind."""
    return draw(str(rng.choice(list(KINDS))), rng, _SIDE)


def texture(rng: np.random.Generator) -> Image.Image:
    """Waves, checks, rings, hatching, cells or bricks in two colours, bent a little."""
    across, along = _bent_coordinates(rng)
    fine, coarse = 2 * np.pi * rng.uniform(3, 40, 2)
    shapes = (
        np.sin(fine * across),
        np.sign(np.sin(fine * across) * np.sin(coarse * along)),
        np.sin(fine * np.hypot(across - 0.5, along - 0.5)),
        np.sign(np.sin(fine * across) + np.sin(coarse * along) - rng.uniform(-1, 1)),
        _cells(across, along, rng),
        np.sign(np.sin(fine * along + np.pi * (np.floor(fine * across / np.pi) % 2)))
        * np.sign(np.sin(fine * across) + 0.8),
    )
    share = (shapes[int(rng.integers(len(shapes)))][..., None] + 1) / 2
    first, second = rng.uniform(0, 255, (2, 3))
    return _image(first * share + second * (1 - share) + rng.normal(0, rng.uniform(0, 10), (_SIDE, _SIDE, 3)))


def _bent_coordinates(rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Two coordinates from 0 to 1 of every pixel, turned and bent."""
    y, x = np.mgrid[:_SIDE, :_SIDE] / _SIDE
    turn, bend, period = rng.uniform(0, np.pi), rng.uniform(0, 0.05), rng.uniform(3, 12)
    x, y = x + bend * np.sin(period * y), y + bend * np.sin(period * x + 1)
    yield x * np.cos(turn) + y * np.sin(turn)
    yield y * np.cos(turn) - x * np.sin(turn)


def _cells(x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Dark where two of some random points are as near as each other."""
    points = rng.uniform(-1, 1, (int(rng.integers(20, 150)), 2))
    distances = np.hypot(x[..., None] - points[:, 0], y[..., None] - points[:, 1])
    first, second = np.moveaxis(np.partition(distances, 1, axis=2)[..., :2], 2, 0)
    walls: NDArray[np.float64] = np.clip((second - first) * 30 - 1, -1, 1)
    return walls


def noise(rng: np.random.Generator) -> Image.Image:
    """One to three layers of noise of any spectrum, each in a colour, bent to any contrast."""
    count = int(rng.integers(1, 4))
    layers = sum(_spectral(rng)[..., None] * rng.uniform(-1, 1, 3) for _ in range(count))
    grain = rng.random((_SIDE, _SIDE, 1)) < rng.uniform(0, 0.5)
    contrasts = (
        np.tanh(layers * rng.uniform(0.3, 3)),
        np.sign(layers) * np.abs(layers) ** 0.3,
        np.floor(layers * rng.uniform(0.5, 3)),
        np.where(grain, rng.normal(size=(_SIDE, _SIDE, 3)), layers),
    )
    return _image(rng.uniform(20, 235, 3) + contrasts[int(rng.integers(len(contrasts)))] * rng.uniform(10, 80))


def _spectral(rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise with a power law for its spectrum, stretched in one direction, perhaps of one scale only."""
    down, right = np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None]
    turn, stretch = rng.uniform(0, np.pi), 2.0 ** rng.uniform(-1.5, 1.5)
    along, across = right * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - right * np.sin(turn)
    frequency = np.hypot(along * stretch, across / stretch) + 1 / _SIDE
    strength = frequency ** -rng.uniform(0, 2.5)
    if rng.random() < 0.4:
        strength *= np.exp(-(np.log(frequency / rng.uniform(0.02, 0.4)) ** 2) / 0.1)
    made = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(_SIDE, _SIDE))) * strength, (_SIDE, _SIDE))
    standard: NDArray[np.float64] = (made - made.mean()) / made.std()
    return standard


def _image(pixels: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


DRAWN = {"gallery": gallery, "textures": texture, "noise": noise}

if __name__ == "__main__":
    main()
