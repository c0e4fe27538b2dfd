"""A generation on the disk: its two files are whole or not there, and any damage is noticed."""

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.errors import CorruptError, StorageError
from lookalike.index import generation
from lookalike.index.faiss_index import Index
from lookalike.index.generation import Generation
from lookalike.index.operating_point import OperatingPoint, SearchParameters
from lookalike.index.spec import IndexSpec
from lookalike.storage.mapped_vectors import Part
from lookalike.storage.records import StoredGeneration
from lookalike.storage.rows import RowSet
from lookalike.storage.vectors import Vectors
from lookalike.system import durable
from tests.support.built_indexes import mapped
from tests.support.vector_collections import clustered

ROWS, DIM = 300, 16
POINTS = (
    OperatingPoint(10, SearchParameters(2, 4), 0.91, 0.9, 0.123456789),
    OperatingPoint(10, SearchParameters(4, 4), 0.99, 0.985, 1 / 3),
    OperatingPoint(100, SearchParameters(4, 2), 0.995, 0.99, 2.0),
)
ABOUT = Generation(
    spec="IVF8,SQ8",
    dim=DIM,
    rows=ROWS,
    trained_rows=290,
    target_recall=0.98,
    reached_recall=0.98,
    asked_spec="IVF8,SQ8",
    asked_memory=None,
    points=POINTS,
    exact_milliseconds=0.1 + 0.2,
)


@dataclass(frozen=True)
class Published:
    """A directory with vectors and generation 3: index/000003.faiss and index/000003.json."""

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
        parameters, row_set = SearchParameters(8, ROWS / 5), RowSet(ROWS)
        _, rows = index.search(self.units[:9], 5, parameters, stored=self.part, row_set=row_set)
        found: list[list[int]] = rows.tolist()
        return found

    def read(self) -> Index:
        return generation.read_index(self.directory, self.stored, generation.read_card(self.directory, self.stored))


def built(units: Vectors, factory: str = ABOUT.spec) -> Index:
    index = Index.trained(IndexSpec(factory, DIM), units)
    index.add(units)
    return index


@pytest.fixture
def published(tmp_path: Path) -> Published:
    units = clustered(ROWS, DIM, seed=1).astype(np.float16).astype(np.float32)
    part = mapped(tmp_path / "v.faiss", units.astype(np.float16)).part(0, ROWS)
    return Published(tmp_path, part, units, generation.write(tmp_path, 3, built(units), ABOUT, part))


def test_a_written_generation_is_read_back(published: Published) -> None:
    card = generation.read_card(published.directory, published.stored)
    content = published.index.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    assert card == replace(ABOUT, bytes=len(content), sha256=sha256)
    assert published.stored == StoredGeneration(
        3, ROWS, bytes.fromhex(sha256), hashlib.sha256(published.card.read_bytes()).digest()
    )
    assert published.search(published.read()) == published.search(built(published.units))
    assert published.names() == ["000003.faiss", "000003.json"]
    generation.check_size(published.directory, published.stored, card)
    assert generation.is_sound(published.directory, published.stored)


def test_the_card_is_strict_json(published: Published) -> None:
    card = json.loads(published.card.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert card["format"] == 1
    assert card["spec"] == "IVF8,SQ8"
    assert card["points"][0]["effort"] == {"breadth": 2, "candidates": 4}


# The card of ABOUT as every version has written it.
CARD = """{
  "format": 1,
  "spec": "IVF8,SQ8",
  "dim": 16,
  "rows": 300,
  "trained_rows": 290,
  "promise": 0.98,
  "reached": 0.98,
  "asked_spec": "IVF8,SQ8",
  "asked_memory": null,
  "points": [
    {
      "depth": 10,
      "effort": {
        "breadth": 2,
        "candidates": 4
      },
      "recall": 0.91,
      "recall_low": 0.9,
      "milliseconds": 0.123456789
    },
    {
      "depth": 10,
      "effort": {
        "breadth": 4,
        "candidates": 4
      },
      "recall": 0.99,
      "recall_low": 0.985,
      "milliseconds": 0.3333333333333333
    },
    {
      "depth": 100,
      "effort": {
        "breadth": 4,
        "candidates": 2
      },
      "recall": 0.995,
      "recall_low": 0.99,
      "milliseconds": 2.0
    }
  ],
  "exact_milliseconds": 0.30000000000000004,
  "bytes": BYTES,
  "sha256": "SHA256"
}
"""


def test_a_card_is_written_byte_for_byte_as_ever(published: Published) -> None:
    content = published.index.read_bytes()
    expected = CARD.replace("BYTES", str(len(content))).replace("SHA256", hashlib.sha256(content).hexdigest())
    assert published.card.read_text() == expected


@pytest.mark.parametrize(("spec", "memory"), [("IVF8,SQ8", None), (None, 10**6), (None, None)])
def test_a_card_of_an_earlier_version_is_read(published: Published, spec: str | None, memory: int | None) -> None:
    text = CARD.replace("BYTES", "4321").replace("SHA256", "ab" * 32).replace('"reached": 0.98', '"reached": 0.97')
    text = text.replace('"asked_spec": "IVF8,SQ8"', f'"asked_spec": {json.dumps(spec)}')
    text = text.replace('"asked_memory": null', f'"asked_memory": {json.dumps(memory)}')
    published.card.write_text(text)
    stored = replace(published.stored, card_sha256=hashlib.sha256(text.encode()).digest())
    card = replace(ABOUT, reached_recall=0.97, asked_spec=spec, asked_memory=memory, bytes=4321, sha256="ab" * 32)
    assert generation.read_card(published.directory, stored) == card


def test_the_facts_of_a_generation_have_the_keys_of_its_card() -> None:
    """They are what `--json` prints, too."""
    facts = json.loads(CARD.replace("BYTES", "0").replace("SHA256", ""))
    del facts["format"]
    assert generation.as_facts(ABOUT) == facts
    assert list(generation.as_facts(ABOUT)) == list(facts)


# Damage


def test_a_flipped_bit_is_noticed_before_faiss_reads_the_file(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Index, "read", lambda *_: pytest.fail("FAISS was given a damaged file"))
    card = generation.read_card(published.directory, published.stored)
    for path, read in (
        (published.index, lambda: generation.read_index(published.directory, published.stored, card)),
        (published.card, lambda: generation.read_card(published.directory, published.stored)),
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
def test_a_file_of_another_size_is_damaged(published: Published, size: int) -> None:
    for path in (published.index, published.card):
        sound = path.read_bytes()
        path.write_bytes(sound[:size])
        with pytest.raises(CorruptError, match=path.name):
            published.read()
        path.write_bytes(sound + b"\n")
        with pytest.raises(CorruptError, match=path.name):
            published.read()
        path.write_bytes(sound)
    published.read()


def test_a_missing_file_is_damage(published: Published) -> None:
    card = generation.read_card(published.directory, published.stored)
    published.card.unlink()
    with pytest.raises(CorruptError, match=r"000003\.json: the file is missing"):
        generation.read_card(published.directory, published.stored)
    published.index.unlink()
    with pytest.raises(CorruptError, match=r"000003\.faiss: the file is missing"):
        generation.read_index(published.directory, published.stored, card)
    with pytest.raises(CorruptError, match=r"000003\.faiss: the file is missing"):
        generation.check_size(published.directory, published.stored, card)
    assert not generation.is_sound(published.directory, published.stored)


def test_the_files_of_another_collection_are_damage(published: Published, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    generation.write(other, 3, built(published.units[::-1].copy()), ABOUT, published.part)
    card = generation.read_card(published.directory, published.stored)
    (other / "index" / "000003.faiss").replace(published.index)
    generation.check_size(published.directory, published.stored, card)  # it is of the same size
    assert not generation.is_sound(published.directory, published.stored)
    with pytest.raises(CorruptError, match=r"000003\.faiss: the file is damaged"):
        published.read()
    (other / "index" / "000003.json").replace(published.card)
    with pytest.raises(CorruptError, match=r"000003\.json: the file is damaged"):
        published.read()


def with_changed_card(published: Published, change: Callable[[dict[str, Any]], object]) -> StoredGeneration:
    """Changes the card, and returns the catalog's entry with its new checksum."""
    facts = json.loads(published.card.read_text())
    change(facts)
    published.card.write_text(json.dumps(facts))
    return replace(published.stored, card_sha256=hashlib.sha256(published.card.read_bytes()).digest())


def places(facts: Any) -> Iterator[tuple[Any, Any]]:
    """Every object and list of a card, with each of its keys."""
    for key, value in facts.items() if isinstance(facts, dict) else enumerate(facts):
        yield facts, key
        if isinstance(value, dict | list):
            yield from places(value)


def test_every_value_of_a_card_of_another_type_is_damage(published: Published) -> None:
    """JSON has seven types; only what was asked for may be null, and a whole number is a number."""
    whole, tried = published.card.read_text(), 0
    for number, (_, key) in enumerate(places(json.loads(whole))):
        for value in (None, True, 7, 2.5, "text", ["text"], {"text": 1}):
            facts = json.loads(whole)
            where, _ = list(places(facts))[number]
            may_be_float = isinstance(where[key], float) or key == "candidates"  # a mean, which may be whole
            is_number = may_be_float and type(value) in (int, float)
            if type(value) is type(where[key]) or is_number or str(key).startswith("asked_"):
                continue
            where[key] = value
            published.card.write_text(json.dumps(facts))
            stored = replace(published.stored, card_sha256=hashlib.sha256(published.card.read_bytes()).digest())
            with pytest.raises(CorruptError, match=r"000003\.json"):
                generation.read_card(published.directory, stored)
            tried += 1
    assert tried > 100


@pytest.mark.parametrize("value", [True, 2.5, ["text"], {"text": 1}])
@pytest.mark.parametrize("name", ["asked_spec", "asked_memory"])
def test_what_was_asked_for_is_null_or_of_its_type(published: Published, name: str, value: Any) -> None:
    stored = with_changed_card(published, lambda facts: facts.update({name: value}))
    with pytest.raises(CorruptError, match=r"000003\.json: the file is damaged"):
        generation.read_card(published.directory, stored)


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
def test_a_card_of_another_layout_is_damage(published: Published, change: Callable[[dict[str, Any]], object]) -> None:
    stored = with_changed_card(published, change)
    with pytest.raises(CorruptError, match=r"000003\.json"):
        generation.read_card(published.directory, stored)


@pytest.mark.parametrize(
    "facts", [{"spec": "IVF8,SQ4"}, {"dim": 17}, {"spec": "IVF8,NewCode7"}, {"spec": "PQ8x4fs"}], ids=str
)
def test_an_index_that_contradicts_its_card_is_damage(published: Published, facts: dict[str, Any]) -> None:
    stored = with_changed_card(published, lambda card: card.update(facts))
    card = generation.read_card(published.directory, stored)
    with pytest.raises(CorruptError, match=r"000003\.faiss"):
        generation.read_index(published.directory, stored, card)


def test_an_index_of_another_number_of_rows_is_damage(published: Published) -> None:
    card = generation.read_card(published.directory, published.stored)
    with pytest.raises(CorruptError, match="it covers 300 vectors instead of 299"):
        generation.read_index(published.directory, replace(published.stored, rows=299), card)


# The disk


@pytest.mark.parametrize("at", range(8))
def test_if_the_disk_is_full_the_previous_generation_still_serves(
    published: Published, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """At the first, the second, ... call that writes to the disk."""
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
        generation.write(published.directory, 4, built(published.units), ABOUT, published.part)
    monkeypatch.undo()
    assert published.search(published.read()) == published.search(built(published.units))
    generation.sweep(published.directory, [3])
    assert published.names() == ["000003.faiss", "000003.json"]


@pytest.mark.parametrize("after", [0, 1, 200, 5000])
def test_a_disk_that_fills_up_while_faiss_writes_is_reported(
    published: Published, monkeypatch: pytest.MonkeyPatch, after: int
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
        generation.write(published.directory, 4, built(published.units), ABOUT, published.part)
    assert not (published.directory / "index" / "000004.faiss").exists()
    monkeypatch.undo()
    published.read()


def test_a_disk_that_returns_other_bytes_is_reported(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    write = durable.write

    def flips_a_bit(path: Path, source: Callable[[Callable[[bytes], int]], object]) -> durable.Written:
        written = write(path, source)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        return written

    monkeypatch.setattr(durable, "write", flips_a_bit)
    with pytest.raises(StorageError, match="something else than was written"):
        generation.write(published.directory, 4, built(published.units), ABOUT, published.part)
    assert not (published.directory / "index" / "000004.faiss").exists()


def test_an_index_that_faiss_reads_differently_is_not_published(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = built(published.units[::-1].copy())
    monkeypatch.setattr(Index, "read", lambda *_: other)
    with pytest.raises(StorageError, match="FAISS reads something else"):
        generation.write(published.directory, 4, built(published.units), ABOUT, published.part)


def test_sweep_removes_all_generations_but_one(published: Published) -> None:
    generation.write(published.directory, 4, built(published.units), ABOUT, published.part)
    for name in ("000005.faiss.new", "000005.json.new", "000002.faiss", "junk"):
        (published.directory / "index" / name).write_bytes(b"left")
    generation.sweep(published.directory, [4])
    assert published.names() == ["000004.faiss", "000004.json"]
    generation.sweep(published.directory, [])
    assert published.names() == []
    (published.directory / "index").rmdir()
    generation.sweep(published.directory, [])  # without a folder of indexes there is nothing to do


def test_sweep_reports_what_it_cannot_remove(published: Published) -> None:
    (published.directory / "index" / "folder").mkdir()
    with pytest.raises(CorruptError, match="folder: it is a directory"):
        generation.sweep(published.directory, [3])


# How to search it


@pytest.mark.parametrize(
    ("k", "recall", "expected"),
    [
        (10, None, SearchParameters(4, 4)),
        (10, 0.9, SearchParameters(2, 4)),
        (10, 0.95, SearchParameters(4, 4)),
        (10, 0.99, None),
        (1, 0.9, SearchParameters(2, 40)),
        (4, 0.9, SearchParameters(2, 10)),
        (100, None, SearchParameters(4, 2)),
        (50, 0.9, SearchParameters(4, 4)),
        (12.5, 0.9, SearchParameters(4, 16)),
        (101, 0.5, None),
    ],
)
def test_as_many_candidates_are_reranked_as_when_it_was_measured(
    k: float, recall: float | None, expected: SearchParameters | None
) -> None:
    """A few candidates for each of fewer neighbours would miss the recall that was measured."""
    assert ABOUT.parameters(k=k, recall=recall) == expected


def test_the_chosen_point_is_the_cheapest_at_the_reached_recall() -> None:
    assert ABOUT.chosen == POINTS[1]
    assert replace(ABOUT, reached_recall=0.9).chosen == POINTS[0]
    assert replace(ABOUT, points=()).chosen is None
    assert replace(ABOUT, points=()).parameters(k=1, recall=None) is None


def test_below_the_target_an_index_serves_only_if_it_is_faster() -> None:
    milliseconds = POINTS[0].milliseconds
    for reached, exact, serves in ((0.9, milliseconds * 2, True), (0.9, milliseconds, False), (0.9, 0.01, False)):
        card = replace(ABOUT, reached_recall=reached, exact_milliseconds=exact)
        assert (card.parameters(k=10, recall=None) is not None) == serves
    kept = replace(ABOUT, exact_milliseconds=0.01)
    assert kept.parameters(k=10, recall=None) is not None  # it was asked for, and reaches its target


@pytest.mark.parametrize(("exact", "better"), [(0.01, True), (100.0, False)])
def test_below_the_target_it_says_whether_searches_are_exact(exact: float, better: bool) -> None:
    """That is what `info` and reports mark as in use."""
    missed = replace(ABOUT, target_recall=0.99, reached_recall=0.9, exact_milliseconds=exact)
    assert missed.is_exact_better == better
    assert (missed.parameters(k=10, recall=None) is None) == better
    assert not replace(missed, target_recall=0.9).is_exact_better
    assert replace(missed, points=()).is_exact_better
