"""Drawn pictures, an encoder that costs nothing, and brute force to compare answers with."""

import itertools
import os
import sqlite3
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike import Collection, Match, Preprocessing, Report
from lookalike.images.decode import prepare


class ColourEncoder:
    """The mean colours of a 2 x 4 grid and a constant, 25 dimensions: pictures that look alike are near."""

    name = "colours"
    dim = 25
    preprocessing = Preprocessing(size=8, crop=1.0)

    def __init__(self, fingerprint: str = "c0105001") -> None:
        self.fingerprint = fingerprint

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        cells = pixels.reshape(len(pixels), 2, 4, 4, 2, 3).mean(axis=(2, 4)).reshape(len(pixels), -1)
        return np.hstack([cells - 127, np.full((len(pixels), 1), 32)]).astype(np.float32)


def picture(seed: int) -> NDArray[np.uint8]:
    """A picture of 16 x 16 pixels: eight colours, which are others for every seed."""
    colours = np.random.default_rng(seed).integers(0, 256, (2, 4, 3), dtype=np.uint8)
    return colours.repeat(8, axis=0).repeat(4, axis=1)


def draw(path: Path, seed: int) -> Path:
    """Writes `picture(seed)` as a PNG or whatever the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed)).save(path)
    return path


def stored_vectors(directory: Path) -> dict[str, NDArray[np.float32]]:
    """The vector of each key of a collection, as SQLite and FAISS read it without Lookalike."""
    connection = sqlite3.connect(directory / "catalog.sqlite")
    connection.text_factory = os.fsdecode
    try:
        rows = dict(connection.execute("SELECT key, row FROM images").fetchall())
        (name,) = connection.execute("SELECT vectors FROM storage").fetchone()
    finally:
        connection.close()
    index = faiss.read_index(str(directory / name))
    return {key: index.reconstruct(row) for key, row in rows.items()}


def counts(report: Report) -> dict[str, int]:
    """What is not zero in a report."""
    changed = "added", "updated", "renamed", "returned", "reencoded"
    names = *changed, "unchanged", "missing", "missing_before", "skipped_before"
    numbers = {name: getattr(report, name) for name in names} | {"skipped": len(report.skipped)}
    return {name: number for name, number in numbers.items() if number}


def everything(collection: Collection) -> dict[str, Match]:
    """All images by key."""
    found = {match.key: match for match in collection.search(picture(0), k=10**6)}
    assert len(found) == len(collection)
    return found


def unit_of(seed: int) -> NDArray[np.float64]:
    """The vector of `picture(seed)`, by NumPy alone."""
    return cosines_ready(ColourEncoder().encode(prepare(picture(seed), ColourEncoder.preprocessing).pixels[None])[0])


def cosines_ready(vector: NDArray[Any]) -> NDArray[np.float64]:
    return vector.astype(np.float64) / np.linalg.norm(vector.astype(np.float64))


def assert_best(
    found: list[Match], query: NDArray[np.float64], vectors: dict[str, NDArray[np.float64]], k: int
) -> None:
    """They are the k of these vectors that have the largest cosine to the query, best first."""
    exact = {key: float(query @ cosines_ready(vector)) for key, vector in vectors.items()}
    assert [match.score for match in found] == pytest.approx(sorted(exact.values(), reverse=True)[:k], abs=1e-3)
    for match in found:
        assert match.score == pytest.approx(exact[match.key], abs=1e-3)
        assert -1 <= match.score <= 1
        assert match.id >= 1
    assert len({match.key for match in found}) == len({match.id for match in found}) == len(found)
    assert all(first.score >= second.score for first, second in itertools.pairwise(found))


def path_keys(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*.png")]
