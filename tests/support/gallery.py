"""A collection of drawn pictures in which a page has something to do: ratios, labels, attributes, copies, odd names."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import lookalike
from lookalike import Collection
from lookalike.images.decode import prepare
from tests.support.pictures import ColourEncoder, picture
from tests.support.reindexing import annotate

COUNT = 240
FOLDERS = ("", "birds", "cats", "dogs", "trips/2024")
SHAPES = ((64, 48), (48, 48), (36, 64), (90, 40), (40, 100), (120, 36))  # width and height in pixels
COLOURS = ("red", "green", "blue")
ODD_NAMES = {  # by seed
    7: '<img src=x onerror="window.hacked=1">.png',
    11: "\u202egnp.\u05e9\u05dc\u05d5\u05dd 100%&amp;.png",
    13: "a name that is much longer than any tile is wide, so that it has to be shortened somewhere.png",
}
COPIED = 3  # the seed of the picture that there are three files of


class NamingEncoder(ColourEncoder):
    """An encoder that knows the pictures by the names of their seeds, such as "picture 9"."""

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.concatenate([self._encoded(text) for text in texts])

    def _encoded(self, text: str) -> NDArray[np.float32]:
        seed = int("".join(filter(str.isdigit, text)) or "0")
        return self.encode(prepare(picture(seed), self.preprocessing).pixels[None])


def pixels(seed: int) -> NDArray[np.uint8]:
    """The picture of a seed in the shape that it has in the gallery."""
    return np.asarray(Image.fromarray(picture(seed)).resize(SHAPES[seed % len(SHAPES)], Image.Resampling.NEAREST))


def write_pictures(folder: Path, count: int = COUNT) -> None:
    """Writes the files, in the order of their seeds."""
    for seed in range(count):
        path = folder / FOLDERS[seed % len(FOLDERS)] / ODD_NAMES.get(seed, f"{seed:03}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(seed)).save(path, compress_level=1)
    original = folder / FOLDERS[COPIED % len(FOLDERS)] / f"{COPIED:03}.png"
    for name in ("copy.png", "birds/copy of it.png"):
        (folder / name).write_bytes(original.read_bytes())


def make_gallery(folder: Path, count: int = COUNT, encoder: ColourEncoder | None = None) -> Collection:
    """The collection of these pictures, with a year and, most of them, a colour."""
    write_pictures(folder, count)
    collection = lookalike.create(folder, encoder=encoder or NamingEncoder())
    collection.add(folder, threads=2)
    rows = []
    for image in collection.images(limit=count + 10):
        colour = "" if image.id % 7 == 0 else COLOURS[image.id % 3]
        rows.append(f'"{image.key.replace(chr(34), chr(34) * 2)}",{colour},{2020 + image.id % 4}')
    annotate(collection, "\n".join(["path,colour,year", *rows]))
    return collection
