"""An index on the disk: whole or not there, whatever happens to its files."""

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from lookalike.errors import CorruptError, StorageError
from lookalike.index import generation
from lookalike.index.faiss_index import Effort, Index
from lookalike.index.generation import Generation
from lookalike.index.spec import IndexSpec
from lookalike.index.tuning import OperatingPoint
from lookalike.storage import vectors
from lookalike.storage.catalog import StoredGeneration
from lookalike.storage.rows import RowSet
from lookalike.storage.vectors import Part, VectorReader, Vectors, VectorWriter
from lookalike.system import durable
from tests.support.vector_collections import clustered, one_thread

ROWS, DIM = 300, 16
POINTS = (
    OperatingPoint(10, Effort(2, 4), 0.91, 0.9, 0.123456789),
    OperatingPoint(10, Effort(4, 4), 0.99, 0.985, 1 / 3),
    OperatingPoint(100, Effort(4, 2), 0.995, 0.99, 2.0),
)
ABOUT = Generation(
    spec="IVF8,SQ8",
    dim=DIM,
    rows=ROWS,
    trained_rows=290,
    promise=0.98,
    reached=0.98,
    asked_spec="IVF8,SQ8",
    asked_memory=None,
    points=POINTS,
    exact_milliseconds=0.1 + 0.2,
)


@dataclass(frozen=True)
class Place:
    """A directory with vectors and the generation 3, which is index/000003.faiss and index/000003.json."""

    directory: Path
    part: Part
    units: Vectors
    stored: StoredGeneration

    @property
    def index(self) -> Path:
        return self.directory / "index" / "000003.faiss"

    @property
    def card(self) -> Path:
        return self.directory / "index" / "000003.json"

    def names(self) -> list[str]:
        return sorted(path.name for path in (self.directory / "index").iterdir())

    def search(self, index: Index) -> list[list[int]]:
        effort, row_set = Effort(8, ROWS / 5), RowSet(ROWS)
        _, rows = index.search(self.units[:9], 5, effort=effort, stored=self.part, row_set=row_set)
        found: list[list[int]] = rows.tolist()
        return found

    def read(self) -> Index:
        return generation.read_index(self.directory, self.stored, generation.read_about(self.directory, self.stored))


def built(units: Vectors, factory: str = ABOUT.spec) -> Index:
    index = Index.trained(IndexSpec(factory, DIM), units)
    index.add(units)
    return index


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    units = clustered(ROWS, DIM, seed=1).astype(np.float16).astype(np.float32)
    vectors.create(tmp_path / "v.faiss", DIM)
    writer = VectorWriter(tmp_path / "v.faiss", DIM, 0)
    writer.append(units.astype(np.float16))
    writer.close()
    part = VectorReader(tmp_path / "v.faiss", DIM).part(0, ROWS)
    with one_thread(), mock.patch.object(os, "fsync"):  # power is not lost here
        yield Place(tmp_path, part, units, generation.write(tmp_path, 3, built(units), ABOUT, part))


def test_what_was_written_comes_back(place: Place) -> None:
    about = generation.read_about(place.directory, place.stored)
    content = place.index.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    assert about == replace(ABOUT, bytes=len(content), sha256=sha256)
    assert place.stored == StoredGeneration(
        3, ROWS, bytes.fromhex(sha256), hashlib.sha256(place.card.read_bytes()).digest()
    )
    assert place.search(place.read()) == place.search(built(place.units))
    assert place.names() == ["000003.faiss", "000003.json"]
    generation.check_is_there(place.directory, place.stored, about)
    assert generation.is_sound(place.directory, place.stored)


def test_the_card_is_strict_json_that_people_can_read(place: Place) -> None:
    card = json.loads(place.card.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert card["format"] == 1
    assert card["spec"] == "IVF8,SQ8"
    assert card["points"][0]["effort"] == {"breadth": 2, "candidates": 4}


# Damage


def test_every_flipped_bit_of_a_sample_is_noticed_before_faiss_sees_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Index, "read", lambda *_: pytest.fail("FAISS was given a damaged file"))
    about = generation.read_about(place.directory, place.stored)
    for path, read in (
        (place.index, lambda: generation.read_index(place.directory, place.stored, about)),
        (place.card, lambda: generation.read_about(place.directory, place.stored)),
    ):
        sound = path.read_bytes()
        for bit in random.Random(0).sample(range(len(sound) * 8), 300):
            damaged = bytearray(sound)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            with pytest.raises(CorruptError, match=rf"{path.name}: the file is damaged"):
                read()
        path.write_bytes(sound)


@pytest.mark.parametrize("size", [0, 1, 100, -1])
def test_a_truncated_file_is_damage(place: Place, size: int) -> None:
    for path in (place.index, place.card):
        sound = path.read_bytes()
        path.write_bytes(sound[:size])
        with pytest.raises(CorruptError, match=path.name):
            place.read()
        path.write_bytes(sound + b"\n")
        with pytest.raises(CorruptError, match=path.name):
            place.read()
        path.write_bytes(sound)
    place.read()


def test_a_missing_file_is_damage(place: Place) -> None:
    about = generation.read_about(place.directory, place.stored)
    place.card.unlink()
    with pytest.raises(CorruptError, match=r"000003\.json: the file is missing"):
        generation.read_about(place.directory, place.stored)
    place.index.unlink()
    with pytest.raises(CorruptError, match=r"000003\.faiss: the file is missing"):
        generation.read_index(place.directory, place.stored, about)
    with pytest.raises(CorruptError, match="No such file"):
        generation.check_is_there(place.directory, place.stored, about)
    assert not generation.is_sound(place.directory, place.stored)


def test_the_index_of_another_collection_is_damage(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    generation.write(other, 3, built(place.units[::-1].copy()), ABOUT, place.part)
    about = generation.read_about(place.directory, place.stored)
    (other / "index" / "000003.faiss").replace(place.index)
    generation.check_is_there(place.directory, place.stored, about)  # it is of the same size
    assert not generation.is_sound(place.directory, place.stored)
    with pytest.raises(CorruptError, match=r"000003\.faiss: the file is damaged"):
        place.read()
    (other / "index" / "000003.json").replace(place.card)
    with pytest.raises(CorruptError, match=r"000003\.json: the file is damaged"):
        place.read()


def renamed_in_catalog(place: Place, change: Callable[[dict[str, Any]], object]) -> StoredGeneration:
    """A card that says something else, and a catalog that goes with it."""
    facts = json.loads(place.card.read_text())
    change(facts)
    place.card.write_text(json.dumps(facts))
    return replace(place.stored, card_sha256=hashlib.sha256(place.card.read_bytes()).digest())


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.update(format=2),
        lambda facts: facts.pop("format"),
        lambda facts: facts.pop("points"),
        lambda facts: facts.update(points=[{"depth": 10}]),
        lambda facts: facts.update(points=7),
        lambda facts: facts.update(something="else"),
    ],
)
def test_a_card_of_another_version_is_damage_and_no_surprise(
    place: Place, change: Callable[[dict[str, Any]], object]
) -> None:
    stored = renamed_in_catalog(place, change)
    with pytest.raises(CorruptError, match=r"000003\.json"):
        generation.read_about(place.directory, stored)


@pytest.mark.parametrize(
    "facts", [{"spec": "IVF8,SQ4"}, {"dim": 17}, {"spec": "IVF8,NewCode7"}, {"spec": "PQ8x4fs"}], ids=str
)
def test_an_index_that_is_not_what_its_card_says_or_that_faiss_does_not_know_is_damage(
    place: Place, facts: dict[str, Any]
) -> None:
    stored = renamed_in_catalog(place, lambda card: card.update(facts))
    about = generation.read_about(place.directory, stored)
    with pytest.raises(CorruptError, match=r"000003\.faiss"):
        generation.read_index(place.directory, stored, about)


def test_an_index_of_another_number_of_vectors_than_the_catalog_says_is_damage(place: Place) -> None:
    about = generation.read_about(place.directory, place.stored)
    with pytest.raises(CorruptError, match="it covers 300 vectors instead of 299"):
        generation.read_index(place.directory, replace(place.stored, rows=299), about)


# The disk


@pytest.mark.parametrize("at", [0, 1, 2, 3, 5])
def test_a_full_disk_is_told_and_what_was_there_still_serves(
    place: Place, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """At the first, the second, ... thing that reaches for the disk."""
    calls = 0

    def fails_in_time(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > at:
                raise OSError(28, "No space left on device")
            return function(*given, **options)

        return call

    for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "mkdir")):
        monkeypatch.setattr(owner, name, fails_in_time(getattr(owner, name)))
    with pytest.raises(StorageError, match=r"000004\.faiss: No space left on device"):
        generation.write(place.directory, 4, built(place.units), ABOUT, place.part)
    monkeypatch.undo()
    assert place.search(place.read()) == place.search(built(place.units))
    generation.sweep(place.directory, 3)
    assert place.names() == ["000003.faiss", "000003.json"]


@pytest.mark.parametrize("after", [0, 1, 200, 5000])
def test_a_disk_that_fills_up_while_faiss_writes_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    write = durable.write

    def fills_up(path: Path, source: Callable[[Callable[[bytes], int]], object]) -> durable.Written:
        taken = 0

        def limited(take: Callable[[bytes], int]) -> object:
            def take_some(piece: bytes) -> int:
                nonlocal taken
                taken += len(piece)
                if taken > after:
                    raise OSError(28, "No space left on device")
                return take(piece)

            return source(take_some)

        return write(path, limited)

    monkeypatch.setattr(durable, "write", fills_up)
    with pytest.raises(StorageError, match="No space left on device"):
        generation.write(place.directory, 4, built(place.units), ABOUT, place.part)
    assert not (place.directory / "index" / "000004.faiss").exists()
    monkeypatch.undo()
    place.read()


def test_a_disk_that_gives_back_something_else_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    write = durable.write

    def flips_a_bit(path: Path, source: Callable[[Callable[[bytes], int]], object]) -> durable.Written:
        written = write(path, source)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        return written

    monkeypatch.setattr(durable, "write", flips_a_bit)
    with pytest.raises(StorageError, match="something else than was written"):
        generation.write(place.directory, 4, built(place.units), ABOUT, place.part)
    assert not (place.directory / "index" / "000004.faiss").exists()


def test_an_index_that_faiss_reads_otherwise_than_it_has_written_it_is_not_published(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = built(place.units[::-1].copy())
    monkeypatch.setattr(Index, "read", lambda *_: other)
    with pytest.raises(StorageError, match="FAISS reads something else"):
        generation.write(place.directory, 4, built(place.units), ABOUT, place.part)


def test_all_but_one_generation_are_swept_away(place: Place) -> None:
    generation.write(place.directory, 4, built(place.units), ABOUT, place.part)
    for name in ("000005.faiss.new", "000005.json.new", "000002.faiss", "junk"):
        (place.directory / "index" / name).write_bytes(b"left")
    generation.sweep(place.directory, 4)
    assert place.names() == ["000004.faiss", "000004.json"]
    generation.sweep(place.directory, None)
    assert place.names() == []
    (place.directory / "index").rmdir()
    generation.sweep(place.directory, None)  # where there has never been any, there is nothing to do


def test_what_cannot_be_swept_away_is_told(place: Place) -> None:
    (place.directory / "index" / "folder").mkdir()
    with pytest.raises(StorageError, match="index"):
        generation.sweep(place.directory, 3)


# What is known of it


@pytest.mark.parametrize(
    ("depth", "recall", "expected"),
    [
        (10, None, Effort(4, 4)),
        (10, 0.9, Effort(2, 4)),
        (10, 0.95, Effort(4, 4)),
        (10, 0.99, None),
        (1, 0.9, Effort(2, 40)),
        (4, 0.9, Effort(2, 10)),
        (100, None, Effort(4, 2)),
        (50, 0.9, Effort(4, 4)),
        (12.5, 0.9, Effort(4, 16)),
        (101, 0.5, None),
    ],
)
def test_an_effort_ranks_as_many_candidates_as_when_it_was_measured(
    depth: float, recall: float | None, expected: Effort | None
) -> None:
    """A few candidates for each of fewer neighbours would find less than was promised."""
    assert ABOUT.effort(depth=depth, recall=recall) == expected


def test_what_a_search_does_unless_it_is_told_otherwise_is_known() -> None:
    assert ABOUT.chosen == POINTS[1]
    assert replace(ABOUT, reached=0.9).chosen == POINTS[0]
    assert replace(ABOUT, points=()).chosen is None
    assert replace(ABOUT, points=()).effort(depth=1, recall=None) is None


def test_an_index_that_misses_its_promise_serves_only_where_it_takes_less_time_than_an_exact_search() -> None:
    milliseconds = POINTS[0].milliseconds
    for reached, exact, serves in ((0.9, milliseconds * 2, True), (0.9, milliseconds, False), (0.9, 0.01, False)):
        about = replace(ABOUT, reached=reached, exact_milliseconds=exact)
        assert (about.effort(depth=10, recall=None) is not None) == serves
    kept = replace(ABOUT, exact_milliseconds=0.01)
    assert kept.effort(depth=10, recall=None) is not None  # it was asked for, and keeps its promise
