"""The process that is recorded: it makes a collection and changes it, and notes each state that was committed."""

import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import lookalike
from lookalike import Collection
from lookalike.collection.reindex import reindex
from lookalike.ingest import pipeline
from lookalike.storage import manifest, sqlite
from lookalike.storage.catalog import Catalog
from tests.campaigns.power import record
from tests.campaigns.power.state import ENCODERS, State, read
from tests.support.pictures import draw
from tests.support.small_policies import small_policies

POLICIES = small_policies(exact=16, young=3, growth=1.5)
IMAGES, DISK, COLLECTION = "photos", "disk", "collection"  # the disk loses power, and holds nothing but the collection
SPECS = (None, "IVF2,SQ8", "Flat", "HNSW4,SQ8")
BEGUN, COMMITTED = "begun", "committed"  # the notes: what has begun; a number of states are committed


class Victim:
    """Changes a folder and its collection at random."""

    def __init__(self, folder: Path, directory: Path, seed: int) -> None:
        self._folder, self._directory = folder, directory
        self._random, self._drawn = random.Random(seed), 0
        self.states = [State()]
        self._model = "colours"

    def run(self, steps: int) -> None:
        """Makes a collection, and takes that many steps."""
        (self._folder / "text.png").write_bytes(b"text")
        self._draw(8)
        record.note(f"{BEGUN} create")
        self._photos = lookalike.create(
            self._folder, directory=self._directory, encoder=ENCODERS["colours"], policies=POLICIES
        )
        self._take("add")
        for _ in range(steps):
            names = ("add", "add", "annotate", "remove", "build", "maintain", "maintain", "reopen", "reindex")
            self._take(self._random.choice(names))
        self._take("close")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Notes the state after each commit, and after each change of the manifest."""
        with ExitStack() as patches:
            patches.enter_context(mock.patch.object(Catalog, "writing", self._noting_writing(Catalog.writing)))
            for name in ("write", "switch"):
                noting = self._noting(getattr(manifest, name))
                patches.enter_context(mock.patch.object(manifest, name, noting))
            yield

    def _noting_writing(self, writing: Callable[[Catalog], Any]) -> Callable[[Catalog], Any]:
        @contextmanager
        def noting(catalog: Catalog) -> Iterator[Any]:
            with writing(catalog) as transaction:
                yield transaction
            self._note()

        return noting

    def _noting(self, act: Callable[..., None]) -> Callable[..., None]:
        def noting(*arguments: Any) -> None:
            act(*arguments)
            self._note()

        return noting

    def _note(self) -> None:
        self.states.append(read(self._directory))
        record.note(f"{COMMITTED} {len(self.states) - 1}")

    # Steps

    def _take(self, step: str) -> None:
        record.note(f"{BEGUN} {step}")
        getattr(self, f"_{step}")(self._photos)

    def _add(self, photos: Collection) -> None:
        self._draw(self._random.randrange(3, 6))
        for path in self._some(2):
            path.unlink()
        for path in self._some(2):
            draw(path, self._drawn + 1000)
        moved = self._random.choice(self._images())
        moved.rename(moved.with_name(f"moved {self._drawn}.png"))
        photos.add(self._folder, threads=1)

    def _annotate(self, photos: Collection) -> None:
        table = self._folder.parent / "table.csv"
        rows = [f"{path.name},{self._random.randrange(1000)},{self._random.choice('ab')}" for path in self._some(5)]
        table.write_text("\n".join(["path,price,label", *rows]))
        photos.annotate(table)

    def _remove(self, photos: Collection) -> None:
        found = photos.search_vector(np.ones(photos.made_by.dim), k=1000)
        photos.remove([match.key for match in self._random.sample(found, 4 if len(found) > 10 else 0)])

    def _build(self, photos: Collection) -> None:
        photos.build(spec=self._random.choice(SPECS), recall=0.9)

    def _maintain(self, photos: Collection) -> None:
        photos.maintain()

    def _reopen(self, photos: Collection) -> None:
        photos.close()
        self._photos = lookalike.open(self._directory, encoder=ENCODERS[self._model], policies=POLICIES)

    def _reindex(self, photos: Collection) -> None:
        photos.close()
        self._model = "coarse" if self._model == "colours" else "colours"
        reindex(self._directory, encoder=ENCODERS[self._model], policies=POLICIES, threads=1)
        self._reopen(photos)

    def _close(self, photos: Collection) -> None:
        photos.close()

    # Images

    def _draw(self, count: int) -> None:
        for _ in range(count):
            draw(self._folder / f"{self._drawn}.png", self._drawn)
            self._drawn += 1

    def _images(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("*.png") if path.name != "text.png")

    def _some(self, count: int) -> list[Path]:
        images = self._images()
        return self._random.sample(images, min(count, len(images)))


def run(root: Path, *, seed: int, wal: bool, steps: int) -> None:
    """Changes a folder and its collection, each commit with two files, and saves the states."""
    victim = Victim(root / IMAGES, root / DISK / COLLECTION, seed)
    with (
        mock.patch.object(pipeline, "_COMMIT_IMAGES", 2),
        mock.patch.object(pipeline, "_COMMIT_SECONDS", 1e9),
        mock.patch.object(sqlite, "_WAL_IS_SAFE", wal),
        victim.watched(),
    ):
        victim.run(steps)
    (root / "states").write_bytes(pickle.dumps(victim.states))
