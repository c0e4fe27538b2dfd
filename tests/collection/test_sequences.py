"""Any sequence of changes to a folder and its collection, against a dictionary and brute force."""

import contextlib
import itertools
import os
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import lookalike
from lookalike import Collection, Maintenance, MaintenancePolicy, Match, Policies, SearchOptions, TuningPolicy
from lookalike.errors import DamagedIndexWarning, UsageError
from lookalike.filters import Where
from lookalike.index import defaults, tuning
from lookalike.index.generation import Generation
from lookalike.index.policies import QueryCounts
from lookalike.ingest import embedding, pipeline
from lookalike.storage import sqlite
from tests.support.pictures import (
    ColourEncoder,
    assert_best,
    counts,
    draw,
    picture,
    stored_vectors,
    unit_of,
)
from tests.support.vector_collections import one_thread

# The index is measured for one and for four neighbours, so that more are searched for exactly.
QUERIES = dict.fromkeys((1, 4), QueryCounts(20, 20, 10))
# How many different pictures each can be made of at least; None is the default, which is one of those below.
SPECS = {None: 0, "Flat": 0, "SQ8": 0, "IVF2,Flat": 2, "IVF2,SQ8": 2, "HNSW4": 0, "RaBitQ": 0, "PCA3,IVF1,SQ8": 3}
DEFAULTS = ("IVF2,SQ4", "IVF2_HNSW4,SQ6", "IVF2,SQ8", "HNSW4,SQ8")
EXACT, YOUNG, GROWTH, DEAD = 6, 2, 3, 0.4
POLICIES = Policies(
    TuningPolicy(EXACT * ColourEncoder.dim, QUERIES, exact_milliseconds=1e3),
    MaintenancePolicy(DEAD, GROWTH, young_rows=YOUNG, check_queries=20),
)
FILTERS: list[Where | None] = [
    None,
    Where(label="a"),
    Where(label=["b", "c"]),
    Where(under="b"),
    Where(label="c", under="b"),
    Where(label="nobody"),
    Where(under=""),
]
NAMES = st.sampled_from([f"{folder}{name}.png" for folder in ("", "a/", "b/", "b/c/") for name in ("x", "y", "z")])
SEEDS = st.integers(0, 15)
NEIGHBOURS = st.integers(1, 4) | st.integers(1, 14)
MANY = st.dictionaries(NAMES, SEEDS, min_size=8) | st.dictionaries(NAMES, SEEDS)


@dataclass
class Known:
    """A file that the collection has to know: the seed of its picture (None: it is no image), its time and its id."""

    seed: int | None
    time: int
    id: int = 0


class AnySequence(RuleBasedStateMachine):
    """Files come, change, go and are renamed, and the collection is brought up to date and searched."""

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = contextlib.ExitStack()
        self.cleanup.enter_context(mock.patch.object(sqlite, "_set_durability", _set_little_durability))
        self.cleanup.enter_context(mock.patch.object(os, "fsync"))
        self.cleanup.enter_context(one_thread())
        self.cleanup.enter_context(mock.patch.object(tuning, "_MOST_CANDIDATES", ((float("inf"), 2),)))
        self.cleanup.enter_context(mock.patch.object(defaults, "_factories", _default_factories))

    @initialize(seeds=MANY, spec=st.sampled_from(list(SPECS)))
    def create(self, seeds: dict[str, int], spec: str | None) -> None:
        self.folder = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory())).resolve()
        self.photos = lookalike.create(self.folder, encoder=ColourEncoder(), policies=POLICIES)
        self.reader = self._opened()  # as another process has it open
        self.there: dict[str, Known] = {}
        self.known: dict[str, Known] = {}
        self.time = 4 * 10**18  # later than the time that the system gives files, so that these count
        self.newest = 0
        self.write_and_add_many(seeds)
        self.build(spec, 0.7)

    def teardown(self) -> None:
        if hasattr(self, "photos"):
            for collection in (self.photos, self.reader):
                assert collection.check() == []
                collection.close()
        self.cleanup.close()

    @property
    def images(self) -> dict[str, int]:
        """The seed of each image that is to be found, by key."""
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

    @rule(seeds=MANY)
    def write_and_add_many(self, seeds: dict[str, int]) -> None:
        for key, seed in seeds.items():
            self.write(key, seed)
        self.add("", threads=1, batch=100, group=100)

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
            with mock.patch.object(pipeline, "_COMMIT_IMAGES", batch), mock.patch.object(embedding, "GROUP", group):
                report = self.photos.add(self.folder / part, threads=threads)
            within = f"{part}/" if part else ""
            updated = {key for key in self.there.keys() | self.known.keys() if key.startswith(within)}
            assert counts(report) == self._brought_up_to_date(updated)

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
        self.photos = self._opened()

    def _opened(self) -> Collection:
        return lookalike.open(self.folder, encoder=ColourEncoder(), policies=POLICIES)

    # What happens to the index

    @property
    def pictures(self) -> int:
        """The number of different pictures."""
        return len(set(self.images.values()))

    @rule(spec=st.sampled_from(list(SPECS)), recall=st.sampled_from([0.3, 0.7, 0.98]))
    def build(self, spec: str | None, recall: float) -> None:
        if self.pictures < SPECS[spec]:
            before = self._index_files()
            with pytest.raises(UsageError, match=spec):
                self.photos.build(spec=spec, recall=recall)
            assert self._index_files() == before
            return
        made = self.photos.build(spec=spec, recall=recall)
        assert (made is None) == (self.pictures == 0 or (spec is None and self.pictures < EXACT))
        if made:
            assert made.rows == made.trained_rows == self.pictures
            assert made.target_recall == recall >= made.reached_recall
            assert made.spec == spec if spec else made.spec in DEFAULTS
        self._is_current(made)

    @rule()
    def maintain(self) -> None:
        done = self.photos.maintain()
        made = self.photos.info().index
        assert done.built is None or done.built == made
        assert done.joined == 0 or done.joined >= YOUNG
        if self.pictures >= EXACT:
            assert made is not None
        if made:
            assert self.photos.info().young < YOUNG
            assert self.pictures < GROWTH * made.trained_rows
        assert self.photos.info().dead == 0 or self.photos.info().dead < DEAD * self.photos.info().vectors
        assert self.photos.maintain() == Maintenance()
        self._is_current(made, dead=None)

    @rule(seeds=st.dictionaries(NAMES, SEEDS, min_size=2))
    def grow_and_maintain(self, seeds: dict[str, int]) -> None:
        self.write_and_add_many(seeds)
        self.maintain()

    @rule(place=st.floats(0, 1, exclude_max=True), suffix=st.sampled_from(["faiss", "json"]), seed=SEEDS)
    def damage_the_index(self, place: float, suffix: str, seed: int) -> None:
        """A collection that is opened then searches exactly, until the index is built again."""
        made = self.photos.info().index
        if made is None:
            return
        [path] = (self.photos.directory / "index").glob(f"*.{suffix}")
        content = bytearray(path.read_bytes())
        content[int(place * len(content))] ^= 1
        path.write_bytes(content)
        self.reopen()
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always")
            self._search(self.photos, seed, SearchOptions(3), exact=True)
        assert [each.category for each in raised] == [DamagedIndexWarning]
        assert [str(path) in damage for damage in self.photos.check()] == [True]
        self.reader.close()  # else it would go on with what it had read
        self._is_current(self.photos.build(spec="Flat"))

    def _is_current(self, made: Generation | None, *, dead: int | None = 0) -> None:
        """Both open collections know the index, and there are no files but those that count."""
        for collection in (self.photos, self.reader):
            assert collection.info().index == made
        state = self.photos._catalog.state()
        assert dead is None or self.photos.info().dead == dead
        assert [path.name for path in self.photos.directory.glob("vectors*")] == [state.vectors]
        numbers = [f"{state.generation.number:06}"] if state.generation else []
        assert sorted(self._index_files()) == [
            f"{number}.{suffix}" for number in numbers for suffix in ("faiss", "json")
        ]

    def _index_files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.photos.directory.glob("index/*")}

    def _brought_up_to_date(self, keys: set[str]) -> dict[str, int]:
        """Updates the known files as adding does, and returns the counts that its report has to have."""
        names = ("added", "updated", "renamed", "unchanged", "removed", "skipped", "skipped_before")
        expected = dict.fromkeys(names, 0)
        images_before, known_before = self.images, dict(self.known)
        for key in sorted(keys & self.there.keys()):
            there, known = self.there[key], self.known.get(key)
            was_image = known is not None and known.seed is not None
            if known and (known.seed, known.time) == (there.seed, there.time):
                expected["skipped_before" if known.seed is None else "unchanged"] += 1
                continue
            self.known[key] = Known(there.seed, there.time, known.id if known and was_image else 0)
            if there.seed is None:
                expected["skipped"] += 1
                expected["removed"] += was_image
            elif known and was_image:
                expected["unchanged" if known.seed == there.seed else "updated"] += 1
            else:
                expected["added"] += 1
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
                expected["renamed"] += 1
                expected["added"] -= 1
            else:
                expected["removed"] += 1
        self._learn_ids()
        return {name: number for name, number in expected.items() if number}

    def _learn_ids(self) -> None:
        """New images have ids that were never used; all others keep theirs."""
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

    @rule(
        seed=st.integers(0, 20),
        k=NEIGHBOURS,
        where=st.sampled_from(FILTERS),
        exact=st.sampled_from([False, False, False, True]),
        recall=st.sampled_from([None, None, 0.5, 1.0]),
        by_reader=st.booleans(),
    )
    def search(
        self, seed: int, k: int, where: Where | None, exact: bool, recall: float | None, by_reader: bool
    ) -> None:
        options = SearchOptions(k, where=where, exact=exact, recall=recall)
        has_to_be_exact = exact or recall == 1 or k > max(QUERIES)
        self._search(self.reader if by_reader else self.photos, seed, options, exact=has_to_be_exact)

    def _search(self, collection: Collection, seed: int, options: SearchOptions, *, exact: bool) -> None:
        found = collection.search(picture(seed), **vars(options))
        admitted = {key: of_key for key, of_key in self.images.items() if _admits(options.where, key)}
        self._assert_found(found, seed, admitted, options.k, exact=exact)

    @rule(key=NAMES, k=NEIGHBOURS, exact=st.sampled_from([False, False, False, True]), by_reader=st.booleans())
    def search_an_image(self, key: str, k: int, exact: bool, by_reader: bool) -> None:
        if key in self.images:
            others = {name: seed for name, seed in self.images.items() if name != key}
            collection = self.reader if by_reader else self.photos
            found = collection.search_id(self.known[key].id, k=k, exact=exact)
            self._assert_found(found, self.images[key], others, k, exact=exact or k > max(QUERIES))

    def _assert_found(self, found: list[Match], seed: int, among: dict[str, int], k: int, *, exact: bool) -> None:
        """The nearest of these images; or, by an index, as many of them, each with its score, best first."""
        index = self.photos.info().index
        vectors = {key: unit_of(of_key) for key, of_key in among.items()}
        if exact or index is None or not index.points:
            assert_best(found, unit_of(seed), vectors, k)
            return
        assert len({match.key for match in found}) == len(found) == min(k, len(among))
        for match in found:
            assert match.score == pytest.approx(float(unit_of(seed) @ vectors[match.key]), abs=1e-3)
            assert match.id == self.known[match.key].id
        assert all(first.score >= second.score for first, second in itertools.pairwise(found))

    @invariant()
    def knows_all_files_and_their_vectors(self) -> None:
        if not hasattr(self, "photos"):
            return
        assert len(self.photos) == len(self.images)
        unusable = sorted(key for key, known in self.known.items() if known.seed is None)
        assert [skipped.path for skipped in self.photos.skipped()] == [self.folder / key for key in unusable]
        stored = stored_vectors(self.photos.directory)
        assert stored.keys() == self.images.keys()
        for key, vector in stored.items():
            np.testing.assert_allclose(vector, unit_of(self.images[key]), atol=1e-3)
        assert self.photos.info().vectors - self.photos.info().dead == self.pictures


def _set_little_durability(connection: sqlite3.Connection) -> None:
    """No test loses power."""
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA foreign_keys = ON")


def _default_factories(dim: int, rows: int, dims_per_code: Sequence[int]) -> Iterator[str]:
    """Stands for the default indexes, which need too many pictures."""
    assert dim == ColourEncoder.dim
    assert rows >= EXACT
    return iter(DEFAULTS[-len(dims_per_code) :])


def _admits(where: Where | None, key: str) -> bool:
    if where is None:
        return True
    label = key.rpartition("/")[0].rpartition("/")[2] or None
    within = where.under is None or where.under == "" or key.startswith(f"{where.under}/")
    return within and (where.labels is None or label in where.labels)


TestAnySequence = pytest.mark.timeout(3600)(AnySequence.TestCase)
TestAnySequence.settings = settings(
    max_examples=10_000 if os.environ.get("LOOKALIKE_THOROUGH") == "1" else 25, stateful_step_count=30, deadline=None
)
