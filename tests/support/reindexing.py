"""A second encoder, and collections whose images are indexed again with it."""

import os
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike import Collection, Progress
from lookalike.collection.reindex import reindex
from lookalike.ingest import embedding
from lookalike.storage import manifest
from tests.support.pictures import ColourEncoder


class CoarseEncoder(ColourEncoder):
    """The mean colour and a constant: 4 dimensions."""

    name = "coarse"
    dim = 4

    def __init__(self, fingerprint: str = "c0a45e01") -> None:
        super().__init__(fingerprint)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        means = pixels.mean(axis=(1, 2)) - 127
        return np.hstack([means, np.full((len(pixels), 1), 32)]).astype(np.float32)


class CountingEncoder(CoarseEncoder):
    """A coarse encoder that counts the images that it has encoded."""

    def __init__(self, fingerprint: str = "c0a45e01") -> None:
        super().__init__(fingerprint)
        self.images = 0

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.images += len(pixels)
        return super().encode(pixels)


def data_directory(directory: Path) -> Path:
    """Where a collection's catalog, vectors and index are."""
    return manifest.read(directory).data_directory(directory)


def names_in(directory: Path) -> set[str]:
    """The names of a collection's files and directories."""
    return set(os.listdir(directory))


def stop_after(done: int) -> Callable[[Progress], None]:
    """A callback that stops a run as Ctrl-C does."""

    def stop(progress: Progress) -> None:
        if progress.done == done:
            raise KeyboardInterrupt

    return stop


def begin(photos: Collection, encoder: CoarseEncoder, done: int = 5) -> None:
    """Begins to index the images again, and is stopped after a few of them."""
    with mock.patch.object(embedding, "GROUP", 1), pytest.raises(KeyboardInterrupt):
        reindex(photos.folder, encoder=encoder, threads=1, progress=stop_after(done))


def facts_of(photos: Collection) -> dict[str, tuple[int, str | None, dict[str, object]]]:
    """The id, label and attributes of each image, by key."""
    found = photos.search_vector(np.ones(photos.made_by.dim), k=1000)
    assert len(found) == len(photos)
    return {match.key: (match.id, match.label, dict(match.attributes)) for match in found}


def annotate(photos: Collection, table: str) -> None:
    """Gives images the attributes of a CSV table."""
    path = photos.folder.parent / "table.csv"
    path.write_text(table)
    photos.annotate(path)
