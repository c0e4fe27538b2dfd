"""Any sequence of changes to a folder and its collection, against a dictionary and brute force."""

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import lookalike
from conftest import (
    ColourEncoder,
    assert_best,
    counts,
    draw,
    picture,
    stored_vectors,
    unit_of,
)
from lookalike import database, embedding, ingest

NAMES = st.sampled_from([f"{folder}{name}.png" for folder in ("", "a/", "b/", "b/c/") for name in ("x", "y", "z")])
SEEDS = st.integers(0, 7)


@dataclass
class Known:
    """What the collection is to know of a file: of which picture it is (None: it is none), and its time."""

    seed: int | None
    time: int
    id: int = 0


class AnySequence(RuleBasedStateMachine):
    """Files come, change, go and are renamed, and the collection is brought up to date and searched."""

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = contextlib.ExitStack()
        self.cleanup.enter_context(mock.patch.object(database, "_set_durability"))  # power is not lost here
        self.cleanup.enter_context(mock.patch.object(os, "fsync"))

    @initialize()
    def create(self) -> None:
        self.folder = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory())).resolve()
        self.photos = lookalike.create(self.folder, encoder=ColourEncoder())
        self.there: dict[str, Known] = {}
        self.known: dict[str, Known] = {}
        self.time = 4 * 10**18  # later than the time that the system gives files, so that these count
        self.newest = 0

    def teardown(self) -> None:
        if hasattr(self, "photos"):
            assert self.photos.check() == []
            self.photos.close()
        self.cleanup.close()

    @property
    def images(self) -> dict[str, int]:
        """The pictures that are to be found."""
        return {key: known.seed for key, known in self.known.items() if known.seed is not None}

    # What happens to the files

    def _stamp(self, key: str, seed: int | None) -> None:
        self.time += 1
        os.utime(self.folder / key, ns=(self.time, self.time))
        self.there[key] = Known(seed, self.time)

    @rule(key=NAMES, seed=SEEDS)
    def write(self, key: str, seed: int) -> None:
        draw(self.folder / key, seed)
        self._stamp(key, seed)

    @rule(key=NAMES)
    def write_what_is_no_image(self, key: str) -> None:
        (self.folder / key).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / key).write_bytes(b"text")
        self._stamp(key, None)

    @rule(key=NAMES)
    def touch(self, key: str) -> None:
        if key in self.there:
            self._stamp(key, self.there[key].seed)

    @rule(key=NAMES)
    def delete(self, key: str) -> None:
        if self.there.pop(key, None):
            (self.folder / key).unlink()

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        if old in self.there:
            (self.folder / new).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / old).rename(self.folder / new)
            self.there[new] = self.there.pop(old)

    # What happens to the collection

    @rule(
        part=st.sampled_from(["", "a", "b", "b/c"]),
        threads=st.integers(1, 3),
        batch=st.integers(1, 4),
        group=st.integers(1, 4),
    )
    def add(self, part: str, threads: int, batch: int, group: int) -> None:
        if (self.folder / part).is_dir():
            with mock.patch.object(ingest, "_COMMIT_IMAGES", batch), mock.patch.object(embedding, "GROUP", group):
                report = self.photos.add(self.folder / part, threads=threads)
            within = f"{part}/" if part else ""
            looked_at = {key for key in self.there.keys() | self.known.keys() if key.startswith(within)}
            assert counts(report) == self._brought_up_to_date(looked_at)

    @rule(keys=st.sets(NAMES, min_size=1, max_size=4))
    def add_files(self, keys: set[str]) -> None:
        keys &= self.there.keys()
        report = self.photos.add([self.folder / key for key in keys])
        assert counts(report) == self._brought_up_to_date(keys)

    @rule(keys=st.sets(NAMES, max_size=3))
    def remove(self, keys: set[str]) -> None:
        removed = self.photos.remove(sorted(keys))
        assert removed == len(keys & self.images.keys())
        for key in keys:
            self.known.pop(key, None)

    @rule()
    def reopen(self) -> None:
        self.photos.close()
        self.photos = lookalike.open(self.folder, encoder=ColourEncoder())

    def _brought_up_to_date(self, keys: set[str]) -> dict[str, int]:
        """Does the same to what is known, and gives the report that is due."""
        told = dict.fromkeys(("added", "updated", "renamed", "unchanged", "removed", "skipped", "skipped_before"), 0)
        images_before, known_before = self.images, dict(self.known)
        for key in sorted(keys & self.there.keys()):
            there, known = self.there[key], self.known.get(key)
            was_image = known is not None and known.seed is not None
            if known and (known.seed, known.time) == (there.seed, there.time):
                told["skipped_before" if known.seed is None else "unchanged"] += 1
                continue
            self.known[key] = Known(there.seed, there.time, known.id if known and was_image else 0)
            if there.seed is None:
                told["skipped"] += 1
                told["removed"] += was_image
            elif known and was_image:
                told["unchanged" if known.seed == there.seed else "updated"] += 1
            else:
                told["added"] += 1
        gone = [key for key in sorted(keys - self.there.keys()) if self.known.pop(key)]
        new = [key for key in sorted(self.images) if key not in images_before]
        for key in gone:
            seed = images_before.get(key)
            if seed is None:
                continue
            again = next((name for name in new if self.images[name] == seed), None)
            if again:  # it was renamed, and keeps its id
                new.remove(again)
                self.known[again].id = known_before[key].id
                told["renamed"] += 1
                told["added"] -= 1
            else:
                told["removed"] += 1
        self._learn_ids()
        return {name: number for name, number in told.items() if number}

    def _learn_ids(self) -> None:
        """Those that are new have ids that were never used; all others keep theirs."""
        ids = {match.key: match.id for match in self.photos.search(picture(0), k=1000)}
        for key in self.images:
            known = self.known[key]
            if known.id:
                assert ids[key] == known.id
            else:
                assert ids[key] > self.newest
                known.id = ids[key]
        self.newest = max([self.newest, *ids.values()])

    # What is found

    @rule(seed=st.integers(0, 12), k=st.integers(1, 14))
    def search(self, seed: int, k: int) -> None:
        vectors = {key: unit_of(of_key) for key, of_key in self.images.items()}
        assert_best(self.photos.search(picture(seed), k=k), unit_of(seed), vectors, k)

    @rule(key=NAMES, k=st.integers(1, 14))
    def search_an_image(self, key: str, k: int) -> None:
        if key in self.images:
            others = {name: unit_of(seed) for name, seed in self.images.items() if name != key}
            found = self.photos.search_id(self.known[key].id, k=k)
            assert_best(found, unit_of(self.images[key]), others, k)

    @invariant()
    def knows_what_it_was_told(self) -> None:
        if not hasattr(self, "photos"):
            return
        assert len(self.photos) == len(self.images)
        unusable = sorted(key for key, known in self.known.items() if known.seed is None)
        assert [skipped.path for skipped in self.photos.skipped()] == [self.folder / key for key in unusable]
        stored = stored_vectors(self.photos.directory)
        assert stored.keys() == self.images.keys()
        for key, vector in stored.items():
            np.testing.assert_allclose(vector, unit_of(self.images[key]), atol=1e-3)


TestAnySequence = pytest.mark.timeout(3600)(AnySequence.TestCase)
TestAnySequence.settings = settings(
    max_examples=10_000 if os.environ.get("LOOKALIKE_THOROUGH") == "1" else 60, stateful_step_count=30, deadline=None
)
