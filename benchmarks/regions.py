"""Measures how well things that fill a part of an image are found, with and without vectors of parts of the images.

    python benchmarks/regions.py FOLDER [--images 713]

Into each image another one is pasted at a random place, scaled so that it fills a quarter or a ninth of the area. The
pasted images, whole and as they are, are the queries: a query is found if the image that it was pasted into is among
the ten nearest. Then parts of the images with pasted things are the queries, and the images that were pasted are looked
for among all of them, with and without cutting the queries.
"""

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from PIL import Image
from rich.console import Console
from rich.table import Table

import lookalike
from lookalike import Collection, Matches
from lookalike.images.decode import thumbnail
from lookalike.images.grid import COUNTS
from lookalike.storage import layout

AREAS = {"1/4": 1 / 4, "1/9": 1 / 9}
_SIDE = 800  # pixels of the longer side of an image
_SEED = 5
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class Measured:
    """What one way of searching finds, and takes.

    Attributes:
        way: its name.
        first: the share of queries whose image is the nearest, by the area that it fills.
        among_ten: the share whose image is among the ten nearest.
        search_ms: the mean time of a search, without encoding the query where that is possible.
        seconds: what indexing took for each image, of all areas together.
        bytes: the size of the collection for each image.
    """

    way: str
    first: dict[str, float]
    among_ten: dict[str, float]
    search_ms: float
    seconds: float
    bytes: float


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--images", default=713, show_default=True, help="The number of images.")
def main(folder: Path, images: int) -> None:
    """Measures the images of FOLDER."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)[:images]
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        scenes = {area: pasted(files, share, Path(name, area.replace("/", "-"))) for area, share in AREAS.items()}
        console.print(table("Things that fill a part of an image", things(scenes)))
        originals = Path(name, "originals")
        with whole_images(files, originals) as collection:
            console.print(table("Images of a thing that is a part of the query", queries(collection, scenes)))


@dataclass(frozen=True)
class Scene:
    """An image that another one was pasted into, and that one: its number among the files, and its pixels."""

    path: Path
    number: int
    thing: Image.Image


def pasted(files: Sequence[Path], share: float, folder: Path) -> list[Scene]:
    """Images in a new folder, each with another one pasted into it that fills a share of its area."""
    rng = random.Random(_SEED)
    others = list(range(len(files)))
    rng.shuffle(others)
    folder.mkdir()
    return [paste(files, at, other, share, folder, rng) for at, other in enumerate(others)]


def paste(files: Sequence[Path], at: int, other: int, share: float, folder: Path, rng: random.Random) -> Scene:
    image, thing = (thumbnail(files[each], _SIDE) for each in (at, other))
    area, ratio = share * image.width * image.height, thing.width / thing.height
    width = min(int((area * ratio) ** 0.5), image.width)
    height = min(int(area / width), image.height)
    place = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    image.paste(thing.resize((width, height), Image.Resampling.BICUBIC), place)
    path = folder / f"{at:05}.jpg"
    image.save(path, quality=92)
    return Scene(path, other, thing)


def things(scenes: dict[str, list[Scene]]) -> list[Measured]:
    """How well the pasted images are found in the others, by whole images and by each number of parts."""
    collections, rows, begun = {}, [], time.perf_counter()
    for area, each in scenes.items():
        collections[area] = lookalike.create(each[0].path.parent)
        collections[area].add(each[0].path.parent)
    count = sum(map(len, scenes.values()))
    whole = (time.perf_counter() - begun) / count
    for parts in (0, *COUNTS):
        begun = time.perf_counter()
        for collection in collections.values():
            collection.keep_regions(parts)
            collection.update()
        seconds = (time.perf_counter() - begun) / count if parts else whole
        size = sum(layout.size(each.directory) for each in collections.values()) / count
        rows.append(_found(f"{parts} parts" if parts else "whole images", scenes, collections, parts, seconds, size))
    return rows


def _found(
    way: str,
    scenes: dict[str, list[Scene]],
    collections: dict[str, Collection],
    parts: int,
    seconds: float,
    size: float,
) -> Measured:
    first, ten, times = {}, {}, []
    for area, each in scenes.items():
        ranks = []
        for scene in each:
            vector = collections[area].embed(scene.thing)
            begun = time.perf_counter()
            found = collections[area].search_vector(vector, regions=parts > 0)
            times.append(time.perf_counter() - begun)
            ranks.append(rank(found, scene.path.name))
        first[area], ten[area] = shares(ranks)
    return Measured(way, first, ten, 1000 * sum(times) / len(times), seconds, size)


def queries(collection: Collection, scenes: dict[str, list[Scene]]) -> list[Measured]:
    """How well images are found by queries that they are pasted into."""
    ways: dict[str, Callable[[Path], Matches]] = {
        "whole query": lambda path: collection.search(path),
        "and its parts": lambda path: collection.search(path, crops=True),
    }
    rows = []
    for way, search in ways.items():
        first, ten, begun = {}, {}, time.perf_counter()
        for area, each in scenes.items():
            first[area], ten[area] = shares([rank(search(scene.path), f"{scene.number:05}.jpg") for scene in each])
        milliseconds = 1000 * (time.perf_counter() - begun) / sum(map(len, scenes.values()))
        rows.append(Measured(way, first, ten, milliseconds, 0, layout.size(collection.directory) / len(collection)))
    return rows


def whole_images(files: Sequence[Path], folder: Path) -> Collection:
    """The collection of the images that were pasted, each with its number as its name."""
    folder.mkdir()
    for number, path in enumerate(files):
        thumbnail(path, _SIDE).save(folder / f"{number:05}.jpg", quality=92)
    collection = lookalike.create(folder)
    collection.add(folder)
    return collection


def rank(found: Matches, name: str) -> int:
    """The place of a file among matches, from 0 on; 10 if it is not among them."""
    return next((place for place, match in enumerate(found) if match.key == name), 10)


def shares(ranks: Sequence[int]) -> tuple[float, float]:
    """The shares of those that are first, and that are there at all."""
    return sum(each == 0 for each in ranks) / len(ranks), sum(each < 10 for each in ranks) / len(ranks)


def table(title: str, rows: Sequence[Measured]) -> Table:
    shown = Table(title=title)
    for name in ("", *(f"first, {area}" for area in AREAS), *(f"among 10, {area}" for area in AREAS)):
        shown.add_column(name, justify="right" if name else "left")
    for name in ("ms a search", "ms to index", "kB an image"):
        shown.add_column(name, justify="right")
    for row in rows:
        found = [f"{share:.3f}" for share in (*row.first.values(), *row.among_ten.values())]
        cost = [f"{row.search_ms:.1f}", f"{1000 * row.seconds:.1f}" if row.seconds else "", f"{row.bytes / 1000:.1f}"]
        shown.add_row(row.way, *found, *cost)
    return shown


if __name__ == "__main__":
    main()
