"""The undamaged collections, each with another one that is made in the same way of other pictures."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import lookalike
from lookalike import Collection
from tests.support.pictures import ColourEncoder, draw
from tests.support.small_policies import quick_policies

INDEXED, YOUNGER = 200, 40  # pictures that are added before and after the index is built
REMOVED = 12  # pictures that are removed before the index is built, and again after it
OTHER = 1000  # the seeds of the other collection's pictures begin here
SPECS = ("IVF4,SQ8", "Pad28,IVF4,PQ7x4fs", "HNSW8", "Flat")
COMPACTED = SPECS[1::2]  # their dead vectors are removed once
POLICIES = quick_policies()

INDEX, CARD, VECTORS, CATALOG, IDENTITY = "index", "card", "vectors", "catalog", "collection.json"


@dataclass(frozen=True)
class Original:
    """A collection's files.

    Attributes:
        spec: the FAISS factory string of its index.
        files: their bytes, by name.
    """

    spec: str
    files: Mapping[str, bytes]

    @cached_property
    def names(self) -> dict[str, str]:
        """The name of the file of each kind."""
        return {_kind(name): name for name in self.files}

    def copy_to(self, directory: Path) -> None:
        """Writes the files to a directory, which holds nothing else then."""
        shutil.rmtree(directory, ignore_errors=True)
        for name, data in self.files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(data)


def _kind(name: str) -> str:
    if name.startswith("index/"):
        return CARD if name.endswith(".json") else INDEX
    return {"vectors": VECTORS, "catalog": CATALOG}.get(name.partition(".")[0], name)


def make(root: Path) -> None:
    """Makes, for each spec, a collection and another one of other pictures."""
    for folder, first in ((root / "this", 0), (root / "other", OTHER)):
        base, photos_folder = folder / "base", _drawn(folder / "photos", first)
        with lookalike.create(photos_folder, directory=base, encoder=ColourEncoder(), policies=POLICIES) as photos:
            photos.add(folder / "photos" / "first", threads=1)
            photos.annotate(_table(folder))
        for number, spec in enumerate(SPECS):
            shutil.copytree(base, folder / str(number))
            with open_collection(folder / str(number)) as photos:
                _age(photos, first, spec)


def read_pairs(root: Path) -> list[tuple[Original, Original]]:
    """Reads each collection that `make` has made, and its other one."""
    return [
        (_read(root / "this" / str(number), spec), _read(root / "other" / str(number), spec))
        for number, spec in enumerate(SPECS)
    ]


def open_collection(directory: Path) -> Collection:
    """Opens a collection as every part of this campaign does."""
    return lookalike.open(directory, encoder=ColourEncoder(), policies=POLICIES)


def _read(directory: Path, spec: str) -> Original:
    names = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    return Original(spec, {name: (directory / name).read_bytes() for name in names if name != "lock"})


def _drawn(folder: Path, first: int) -> Path:
    for seed in range(first, first + INDEXED + YOUNGER):
        part = "first" if seed < first + INDEXED else "younger"
        path = draw(folder / part / "abc"[seed % 3] / f"{seed}.png", seed)
        if seed % 25 == 0:
            shutil.copy(path, path.with_name(f"{seed} copy.png"))
    return folder


def _table(folder: Path) -> Path:
    table = folder / "table.csv"
    keys = [path.relative_to(folder / "photos") for path in sorted((folder / "photos" / "first").rglob("*.png"))]
    table.write_text("\n".join(["path,price", *(f"{key},{number}" for number, key in enumerate(keys))]))
    return table


def _age(photos: Collection, first: int, spec: str) -> None:
    """Removes some images, builds the index, adds younger images, and removes some more."""
    gone = [f"first/{'abc'[seed % 3]}/{seed}.png" for seed in range(first + 1, first + 1 + 2 * REMOVED)]
    if spec in COMPACTED:
        assert photos.remove(gone[::2]) == REMOVED
    photos.build(spec=spec)
    photos.add(photos.folder / "younger", threads=1)
    assert photos.remove(gone[1::2]) == REMOVED
    assert ("vectors.000001.faiss" in os.listdir(photos.directory)) == (spec in COMPACTED)
