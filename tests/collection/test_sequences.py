"""Any sequence of changes to a folder and its collection, against a dictionary and brute force."""

import itertools
import warnings
from collections.abc import Iterator, Sequence
from unittest import mock

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from lookalike import Collection, Maintenance, MaintenancePolicy, Match, Policies, SearchOptions, TuningPolicy
from lookalike.errors import DamagedIndexWarning, UsageError
from lookalike.filters import Where
from lookalike.index import defaults, tuning
from lookalike.index.generation import Generation
from lookalike.index.policies import QueryCounts
from tests.support.file_history import MANY, NAMES, SEEDS, FileHistory
from tests.support.pictures import (
    ColourEncoder,
    assert_best,
    picture,
    stored_vectors,
    unit_of,
)
from tests.support.project import THOROUGH
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
NEIGHBOURS = st.integers(1, 4) | st.integers(1, 14)


class AnySequence(FileHistory):
    """Files come, change and go, and the collection and its index are brought up to date and searched."""

    policies = POLICIES

    def __init__(self) -> None:
        super().__init__()
        self.cleanup.enter_context(one_thread())
        self.cleanup.enter_context(mock.patch.object(tuning, "_MOST_CANDIDATES", ((float("inf"), 2),)))
        self.cleanup.enter_context(mock.patch.object(defaults, "_factories", _default_factories))

    @initialize(seeds=MANY, spec=st.sampled_from(list(SPECS)))
    def create(self, seeds: dict[str, int], spec: str | None) -> None:
        self.make_collection(files_are_young=False)
        self.reader = self.opened()  # as another process has it open
        self.write_and_add_many(seeds)
        self.build(spec, 0.7)

    def teardown(self) -> None:
        if hasattr(self, "reader"):
            assert self.reader.check() == []
            self.reader.close()
        super().teardown()

    # What happens to the index

    @property
    def seeds(self) -> dict[str, int]:
        """The seed of each image that is to be found, by key."""
        return {key: image.contents for key, image in self.images.items()}

    @property
    def pictures(self) -> int:
        """The number of different pictures, those of missing images too."""
        return len({image.contents for image in self.known().by_id.values()})

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
        admitted = {
            key: image.contents
            for key, image in self.images.items()
            if _admits(options.where, key, self.label_of(image))
        }
        self._assert_found(found, seed, admitted, options.k, exact=exact)

    @rule(key=NAMES, k=NEIGHBOURS, exact=st.sampled_from([False, False, False, True]), by_reader=st.booleans())
    def search_an_image(self, key: str, k: int, exact: bool, by_reader: bool) -> None:
        if image := self.images.get(key):
            others = {name: seed for name, seed in self.seeds.items() if name != key}
            collection = self.reader if by_reader else self.photos
            found = collection.search_id(image.id, k=k, exact=exact)
            self._assert_found(found, image.contents, others, k, exact=exact or k > max(QUERIES))

    def _assert_found(self, found: list[Match], seed: int, among: dict[str, int], k: int, *, exact: bool) -> None:
        """The nearest of these images; or, by an index, as many of them, each with its score, best first."""
        index = self.photos.info().index
        vectors = {key: unit_of(of_key) for key, of_key in among.items()}
        if exact or index is None or not index.points:
            assert_best(found, unit_of(seed), vectors, k)
            return
        assert len({match.key for match in found}) == len(found) == min(k, len(among))
        images = self.images
        for match in found:
            assert match.score == pytest.approx(float(unit_of(seed) @ vectors[match.key]), abs=1e-3)
            assert match.id == images[match.key].id
        assert all(first.score >= second.score for first, second in itertools.pairwise(found))

    @invariant()
    def has_the_vectors_of_its_images(self) -> None:
        if not hasattr(self, "photos"):
            return
        seeds, stored = self.seeds, stored_vectors(self.photos.directory)
        assert len(self.photos) == len(seeds)
        assert stored.keys() == seeds.keys()
        for key, vector in stored.items():
            np.testing.assert_allclose(vector, unit_of(seeds[key]), atol=1e-3)
        assert self.photos.info().vectors - self.photos.info().dead == self.pictures


def _default_factories(dim: int, rows: int, dims_per_code: Sequence[int], **_: object) -> Iterator[str]:
    """Stands for the default indexes, which need too many pictures."""
    assert dim == ColourEncoder.dim
    assert rows >= EXACT
    return iter(DEFAULTS[-len(dims_per_code) :])


def _admits(where: Where | None, key: str, label: str | None) -> bool:
    if where is None:
        return True
    within = where.under is None or where.under == "" or key.startswith(f"{where.under}/")
    return within and (where.labels is None or label in where.labels)


TestAnySequence = pytest.mark.timeout(3600)(AnySequence.TestCase)
TestAnySequence.settings = settings(max_examples=10_000 if THOROUGH else 25, stateful_step_count=30, deadline=None)
