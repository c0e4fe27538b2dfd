"""The catalog: a dictionary to whoever asks, committed states only, and an error that fits where its file does not."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import CorruptError, IncompatibleError, StorageError, UsageError
from lookalike.filters import Where
from lookalike.storage import catalog as catalog_module
from lookalike.storage import schema, sqlite
from lookalike.storage.catalog import Catalog, Known, State, StoredGeneration, Totals
from lookalike.storage.sqlite import _wal_is_safe
from lookalike.storage.transaction import Transaction, folder_label


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """An empty one."""
    Catalog.create(tmp_path / "catalog.sqlite")
    catalog = Catalog(tmp_path / "catalog.sqlite")
    yield catalog
    catalog.close()


def put(transaction: Transaction, key: str, row: int, *, label: str | None = None) -> None:
    transaction.put_image(key, row, size=1, changed_ns=2, label=label)


def add_vector(transaction: Transaction, row: int) -> None:
    transaction.add_vector(row, bytes([row]) * 32, 1000 + row, width=row, height=row + 1)


def fill(catalog: Catalog, keys: list[str]) -> None:
    """One image with a vector of its own for each key, behind those that are there."""
    first = catalog.count()
    with catalog.writing() as transaction:
        for row, key in enumerate(keys, first):
            add_vector(transaction, row)
            put(transaction, key, row)


def keys_of(catalog: Catalog) -> list[str]:
    return [known.key for known in catalog.known("", limit=10_000)]


# Against a dictionary

ODD_NAMES = (
    *(
        "a",
        "a.b",
        "a/b",
        "a/b.jpg",
        "a/c/d",
        "a0",
        "a!",
        "A",
        "aa",
        "ü",
        "a\nb",
        "a'b",
        'a"b',
        "a;--",
        "a%",
        "a_",
        "a*b",
    ),
    *("/", "/a", "/a/b", "//", " ", "a/ü", "日本", "😀"),
    *map(os.fsdecode, (b"\xff", b"\xff" * 9 + b".jpg", b"a/\xff\xfe", b"a/\xff", b"\x80/b", b"\xed\xa0\x80", b"a\xc3")),
)
KEYS = (
    st.sampled_from(ODD_NAMES[:4])
    | st.sampled_from(ODD_NAMES)
    | st.binary(min_size=1, max_size=5).map(lambda name: os.fsdecode(name.replace(b"\0", b"0")))
)
NUMBERS = st.integers(-1, 2**63 - 1)
PUT = st.tuples(st.just("put"), KEYS, st.integers(0, 5), NUMBERS, NUMBERS, st.none() | KEYS)
SKIP = st.tuples(st.just("skip"), KEYS, st.sampled_from(["truncated", 'it\'s \n "odd"']), NUMBERS, NUMBERS)
REMOVE = st.tuples(st.just("remove"), st.lists(KEYS, max_size=4))
RENAME = st.tuples(st.just("rename"), KEYS)
VALUES = KEYS | st.text() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.sampled_from(["label", "price", "a", "ü", os.fsdecode(b"\xff")])
SET = st.tuples(st.just("set"), KEYS, st.dictionaries(NAMES, st.none() | VALUES, max_size=3))
COMPACT = st.just(("compact",))
OPERATIONS = st.one_of(PUT, PUT, PUT, PUT, SKIP, REMOVE, RENAME, RENAME, SET, SET, COMPACT)
COMMITS = st.lists(st.tuples(st.lists(OPERATIONS, min_size=1, max_size=8), st.booleans()), min_size=1, max_size=6)


@dataclass(frozen=True)
class Entry:
    id: int
    hash: int
    size: int
    changed_ns: int
    label: str | None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Model:
    """What a catalog is to hold."""

    images: dict[str, Entry] = field(default_factory=dict)
    skipped: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    vectors: dict[int, int] = field(default_factory=dict)  # row by hash, in the order of the rows
    ids: set[int] = field(default_factory=set)  # that were ever given
    newest: int = 0

    def known(self) -> list[Known]:
        images = [Known(key, entry.size, entry.changed_ns, False) for key, entry in self.images.items()]
        skipped = [Known(key, size, time, True) for key, (_, size, time) in self.skipped.items()]
        return sorted(images + skipped, key=lambda known: os.fsencode(known.key))

    def dead(self) -> list[int]:
        alive = {entry.hash for entry in self.images.values()}
        return sorted(row for hash_, row in self.vectors.items() if hash_ not in alive)


def apply(operation: tuple[Any, ...], transaction: Transaction, model: Model) -> None:
    """Does the same to both, and compares what comes back."""
    match operation:
        case ("put", key, hash_, size, changed_ns, label):
            row = model.vectors.get(hash_)
            if row is None:
                row = model.vectors[hash_] = len(model.vectors)
                add_vector_with_hash(transaction, row, hash_)
            before = model.images.get(key)
            result = transaction.put_image(key, row, size=size, changed_ns=changed_ns, label=label)
            assert result == (model.vectors[before.hash] if before else None)
            model.skipped.pop(key, None)
            attributes = before.attributes if before else {}
            label = attributes.get("label", label)
            model.images[key] = Entry(before.id if before else 0, hash_, size, changed_ns, label, attributes)
            if not before:
                [(id_,)] = transaction._connection.execute("SELECT MAX(id) FROM images")
                assert id_ not in model.ids
                model.ids.add(id_)
                model.images[key] = replace(model.images[key], id=id_)
        case ("skip", key, reason, size, changed_ns):
            assert transaction.put_skipped(key, reason, size=size, changed_ns=changed_ns) == (key in model.images)
            model.images.pop(key, None)
            model.skipped[key] = (reason, size, changed_ns)
        case ("remove", keys):
            assert transaction.remove(keys) == len(set(keys) & set(model.images))
            for key in keys:
                model.images.pop(key, None)
                model.skipped.pop(key, None)
        case ("rename", key):
            old = model.images.get(key)
            names = [
                (entry.id, name)
                for name, entry in model.images.items()
                if old and entry.hash == old.hash and entry.id > model.newest and name != key
            ]
            assert transaction.rename(key, model.newest) == bool(names)
            if old and names:
                _, name = min(names)
                label = old.attributes.get("label", model.images[name].label)
                model.images[name] = replace(model.images[name], id=old.id, attributes=old.attributes, label=label)
                del model.images[key]
        case ("set", key, values):
            assert transaction.set_attributes(key, values) == (key in model.images)
            if key in model.images:
                model.images[key] = with_attributes(key, model.images[key], values)
        case ("compact",):
            transaction.compact(f"vectors {len(model.vectors)}")
            for hash_ in [hash_ for hash_, row in model.vectors.items() if row in model.dead()]:
                del model.vectors[hash_]
            model.vectors = {hash_: row for row, hash_ in enumerate(model.vectors)}


def with_attributes(key: str, entry: Entry, values: dict[str, Any]) -> Entry:
    attributes, label = dict(entry.attributes), entry.label
    for name, value in values.items():
        if value is not None:
            attributes[name] = str(value) if name == "label" else value
            label = attributes[name] if name == "label" else label
        elif attributes.pop(name, None) is not None and name == "label":
            label = folder_label(key)
    return replace(entry, attributes=attributes, label=label)


def add_vector_with_hash(transaction: Transaction, row: int, hash_: int) -> None:
    transaction.add_vector(row, bytes([hash_]) * 32, 1000 + hash_, width=hash_, height=hash_ + 1)


def pages(catalog: Catalog, within: str, limit: int) -> list[Known]:
    """Everything below `within`, a page at a time."""
    found: list[Known] = []
    while page := catalog.known(within, os.fsencode(found[-1].key) if found else b"", limit=limit):
        assert len(page) <= limit
        found += page
    return found


def assert_same(catalog: Catalog, model: Model) -> None:
    assert catalog.totals() == Totals(
        images=len(model.images), vectors=len(model.vectors), dead=len(model.dead()), skipped=len(model.skipped)
    )
    assert catalog.count() == len(model.vectors)
    assert catalog.dead_rows() == model.dead()
    for limit in (1, 3, 1000):
        assert pages(catalog, "", limit) == [known for known in model.known() if not known.key.startswith("/")]
        for folder in ("a", "/", "/a", os.fsdecode(b"\x80")):
            below = f"{folder.rstrip('/')}/"
            expected = [known for known in model.known() if known.key.startswith(below) and known.key != below]
            assert pages(catalog, folder, limit) == expected
    for known in model.known():
        assert catalog.known_file(known.key) == known
    assert catalog.known_file("nothing of that name") is None
    assert list(catalog.skipped()) == [
        (known.key, model.skipped[known.key][0]) for known in model.known() if known.skipped
    ]
    for hash_, row in model.vectors.items():
        assert catalog.row_of(bytes([hash_]) * 32) == row
        assert catalog.crc32s_of([row]) == {row: 1000 + hash_}
        of_row = sorted((key for key, entry in model.images.items() if entry.hash == hash_), key=os.fsencode)
        assert [image.key for image in catalog.images_of(row)] == of_row
        assert [image.key for image in catalog.images_of(row, limit=1)] == of_row[:1]
    assert catalog.row_of(b"\xff" * 32) is None
    assert catalog.crc32s_of([99]) == {}
    assert catalog.image(10**9) is None
    assert catalog.crc32s(1, 4) == {row: 1000 + hash_ for hash_, row in model.vectors.items() if 1 <= row < 4}
    for key, entry in model.images.items():
        image = catalog.image(entry.id)
        assert image
        row = model.vectors[entry.hash]
        assert (image.id, image.key, image.row, image.label) == (entry.id, key, row, entry.label)
        assert (image.width, image.height) == (entry.hash, entry.hash + 1)
        assert typed(image.attributes) == typed(entry.attributes)
        assert image in catalog.images_of(row)
    assert_same_lists(catalog, model)
    assert catalog.newest_id() == max((entry.id for entry in model.images.values()), default=0)
    assert catalog.damage() is None


def assert_same_lists(catalog: Catalog, model: Model) -> None:
    """What it lists of all images at once."""
    entries = sorted(model.images.values(), key=lambda entry: entry.id)
    expected = [(entry.id, model.vectors[entry.hash], entry.label) for entry in entries]
    assert list(catalog.live_images()) == expected
    labels = Counter(entry.label for entry in entries if entry.label is not None)
    assert catalog.labels() == sorted(labels.items(), key=lambda pair: os.fsencode(pair[0]))
    names = {name for entry in entries for name in entry.attributes}
    assert catalog.attribute_names() == sorted(names, key=os.fsencode)


def typed(attributes: Mapping[str, Any]) -> dict[str, tuple[type, Any]]:
    return {name: (type(value), value) for name, value in attributes.items()}


def set_foreign_keys(connection: sqlite3.Connection) -> None:
    """What a connection needs where loss of power is not what is tried."""
    connection.execute("PRAGMA foreign_keys = ON")


class GivenUpError(Exception):
    """Ends a transaction that is to leave no trace."""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty catalog, to be copied."""
    path = tmp_path_factory.mktemp("catalog") / "empty.sqlite"
    Catalog.create(path)
    return path


@settings(max_examples=150, deadline=None)
@given(commits=COMMITS)
def test_it_holds_what_a_dictionary_would(empty: Path, commits: list[tuple[list[Any], bool]]) -> None:
    """Put, replace, remove, skip, rename, set attributes and compact, in transactions that are kept or given up."""
    path = empty.with_name("catalog.sqlite")
    shutil.copyfile(empty, path)
    model = Model()
    with mock.patch.object(sqlite, "_set_durability", set_foreign_keys):
        catalog = Catalog(path)
        for operations, kept in commits:
            changes, draft = catalog.changes(), copy(model)
            draft.newest = catalog.newest_id()
            try:
                with catalog.writing() as transaction:
                    for operation in operations:
                        apply(operation, transaction, draft)
                    if not kept:
                        raise GivenUpError
            except GivenUpError:
                assert catalog.changes() == changes
            else:
                model = draft
                assert catalog.changes() > changes
            assert_same(catalog, model)
        catalog.close()


def copy(model: Model) -> Model:
    return Model(dict(model.images), dict(model.skipped), dict(model.vectors), set(model.ids), model.newest)


def test_copies_share_a_row_which_is_dead_when_the_last_of_them_is_gone(catalog: Catalog) -> None:
    with catalog.writing() as transaction:
        add_vector(transaction, 0)
        for key in ("one", "two"):
            put(transaction, key, 0)
    assert [image.key for image in catalog.images_of(0)] == ["one", "two"]
    for key, dead in (("one", []), ("two", [0])):
        with catalog.writing() as transaction:
            transaction.remove([key])
        assert catalog.dead_rows() == dead
    with catalog.writing() as transaction:
        put(transaction, "three", 0)
    assert catalog.dead_rows() == []


def test_the_id_of_an_image_that_was_removed_is_not_given_again(catalog: Catalog) -> None:
    fill(catalog, ["a", "b"])
    with catalog.writing() as transaction:
        transaction.remove(["b"])
    fill(catalog, ["c"])
    assert [image.id for row in range(3) for image in catalog.images_of(row)] == [1, 3]


def test_a_renamed_image_keeps_its_id_and_has_the_rest_of_the_new_one(catalog: Catalog) -> None:
    fill(catalog, ["old"])
    newest = catalog.newest_id()
    with catalog.writing() as transaction:
        transaction.put_image("new/name", 0, size=7, changed_ns=8, label="new")
        assert transaction.rename("old", newest)
    [image] = catalog.images_of(0)
    assert (image.id, image.key, image.label) == (1, "new/name", "new")
    assert catalog.known("") == [Known("new/name", 7, 8, skipped=False)]


def test_an_image_that_is_new_itself_is_not_taken_for_the_one_that_it_was_renamed_to(catalog: Catalog) -> None:
    with catalog.writing() as transaction:
        add_vector(transaction, 0)
        put(transaction, "new", 0)
        assert not transaction.rename("new", 0)
    assert keys_of(catalog) == ["new"]


def test_any_sqlite_tool_shows_the_keys(catalog: Catalog) -> None:
    fill(catalog, ["plain.jpg", "with 'quote'.jpg", "ü.jpg"])
    connection = sqlite3.connect(catalog.path)
    assert [key for (key,) in connection.execute("SELECT key FROM images ORDER BY key")] == keys_of(catalog)
    connection.close()


# Attributes and labels


def attributes_of(catalog: Catalog, key: str) -> dict[str, Any]:
    [image] = [image for row in range(catalog.count()) for image in catalog.images_of(row) if image.key == key]
    return dict(image.attributes)


def label_of(catalog: Catalog, key: str) -> str | None:
    [image] = [image for row in range(catalog.count()) for image in catalog.images_of(row) if image.key == key]
    return image.label


def test_attributes_are_set_and_deleted_one_by_one_and_keep_their_types(catalog: Catalog) -> None:
    fill(catalog, ["a", "b"])
    with catalog.writing() as transaction:
        assert transaction.set_attributes("a", {"price": 7, "weight": 7.0, "colour": "7"})
        assert transaction.set_attributes("a", {"price": None, "colour": "red", "new": -1, "never there": None})
        assert not transaction.set_attributes("c", {"price": 7})
    assert typed(attributes_of(catalog, "a")) == typed({"weight": 7.0, "colour": "red", "new": -1})
    assert attributes_of(catalog, "b") == {}
    assert catalog.attribute_names() == ["colour", "new", "weight"]


def test_copies_of_a_file_have_attributes_of_their_own(catalog: Catalog) -> None:
    fill(catalog, ["one"])
    with catalog.writing() as transaction:
        put(transaction, "two", 0)
        put(transaction, "three", 0)
        transaction.set_attributes("one", {"shop": "north", "price": 1})
        transaction.set_attributes("two", {"shop": "south"})
    found = {image.key: dict(image.attributes) for image in catalog.images_of(0)}
    assert found == {"one": {"shop": "north", "price": 1}, "three": {}, "two": {"shop": "south"}}
    assert [image.key for image in catalog.images_of(0, limit=2)] == ["one", "three"]
    assert [image.key for image in catalog.images_of(0, where=Where(attributes={"shop": "south"}))] == ["two"]


def test_attributes_stay_when_the_file_changes_or_is_renamed_and_go_with_the_image(catalog: Catalog) -> None:
    fill(catalog, ["a", "b"])
    with catalog.writing() as transaction:
        for key in ("a", "b"):
            transaction.set_attributes(key, {"price": 7})
        put(transaction, "a", 1)  # the file is another image now
    assert attributes_of(catalog, "a") == {"price": 7}
    newest = catalog.newest_id()
    with catalog.writing() as transaction:
        put(transaction, "new", 1)
        assert transaction.rename("a", newest)
        transaction.put_skipped("b", "truncated", size=1, changed_ns=1)
    assert attributes_of(catalog, "new") == {"price": 7}
    with catalog.writing() as transaction:
        transaction.remove(["new"])
        put(transaction, "b", 1)
    assert attributes_of(catalog, "b") == {}
    assert catalog.attribute_names() == []


def test_a_label_that_is_given_wins_over_the_folder_until_it_is_taken_away(catalog: Catalog) -> None:
    with catalog.writing() as transaction:
        add_vector(transaction, 0)
        put(transaction, "cats/a", 0, label="cats")
        transaction.set_attributes("cats/a", {"label": "lion"})
    assert label_of(catalog, "cats/a") == "lion"
    with catalog.writing() as transaction:
        put(transaction, "cats/a", 0, label="cats")
    assert label_of(catalog, "cats/a") == "lion"
    newest = catalog.newest_id()
    with catalog.writing() as transaction:
        put(transaction, "pets/a", 0, label="pets")
        assert transaction.rename("cats/a", newest)
    assert label_of(catalog, "pets/a") == "lion"
    assert catalog.labels() == [("lion", 1)]
    with catalog.writing() as transaction:
        transaction.set_attributes("pets/a", {"label": None})
    assert label_of(catalog, "pets/a") == "pets"


def test_a_label_is_text_whatever_was_given(catalog: Catalog) -> None:
    fill(catalog, ["a"])
    with catalog.writing() as transaction:
        transaction.set_attributes("a", {"label": 7})
    assert label_of(catalog, "a") == "7"
    assert attributes_of(catalog, "a") == {"label": "7"}


@pytest.mark.parametrize(
    ("key", "label"),
    [("a.jpg", None), ("a/b.jpg", "a"), ("a/b/c.jpg", "b"), ("/a/b.jpg", "a"), ("/a.jpg", None), ("ü/ä/x", "ä")],
)
def test_the_label_of_an_image_is_the_name_of_its_folder(key: str, label: str | None) -> None:
    assert folder_label(key) == label


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"price": float("nan")}, "price: nan is not finite"),
        ({"price": float("inf")}, "price: inf is not finite"),
        ({"price": 2**63}, "price: 9223372036854775808 has more than 64 bits"),
        ({"price": True}, "price: True is of the type bool"),
        ({"price": b"7"}, "price: b'7' is of the type bytes"),
        ({"price": "\ud800"}, "price: .* half a character"),
        ({"": 7}, "'' is not a name of an attribute"),
        ({7: 7}, "7 is not a name of an attribute"),
    ],
)
def test_what_cannot_be_the_value_of_an_attribute_is_refused(
    catalog: Catalog, values: dict[Any, Any], message: str
) -> None:
    fill(catalog, ["a"])
    with pytest.raises(UsageError, match=message):
        set_attributes(catalog, "a", {"fine": 1} | values)
    assert catalog.attribute_names() == []


def set_attributes(catalog: Catalog, key: str, values: dict[str, Any]) -> None:
    with catalog.writing() as transaction:
        assert transaction.set_attributes(key, values)


def test_all_images_are_listed_a_page_at_a_time(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(catalog, [f"{number:02}" for number in range(20)])
    with catalog.writing() as transaction:
        transaction.remove(["03", "04", "19"])
    expected = [(id_, id_ - 1, None) for id_ in range(1, 20) if id_ not in (4, 5)]
    for page in (1, 2, 17, 18, 100):
        monkeypatch.setattr(catalog_module, "_PAGE", page)
        assert list(catalog.live_images()) == expected
        assert list(catalog.live_images(6)) == expected[4:]
        for limit in (0, 1, 2, 3, 17, 99):
            assert list(catalog.live_images(2, limit=limit)) == expected[2:][:limit]


# The index and the file of vectors


def test_the_newest_generation_is_the_one_and_its_number_is_never_given_again(catalog: Catalog) -> None:
    assert catalog.state().generation is None
    assert catalog.next_generation() == 1
    for number in (1, 2):
        with catalog.writing() as transaction:
            transaction.put_generation(catalog.next_generation(), 5 * number, b"index", b"card")
        assert catalog.state().generation == StoredGeneration(number, 5 * number, b"index", b"card")
    with catalog.writing() as transaction:
        transaction.drop_generation()
    assert catalog.state().generation is None
    assert catalog.next_generation() == 3


def test_a_generation_that_is_given_up_leaves_the_one_before(catalog: Catalog) -> None:
    with catalog.writing() as transaction:
        transaction.put_generation(1, 5, b"index", b"card")
    with contextlib.suppress(GivenUpError), catalog.writing() as transaction:
        transaction.put_generation(2, 6, b"other", b"other")
        raise GivenUpError
    assert catalog.state().generation == StoredGeneration(1, 5, b"index", b"card")


def test_the_state_names_the_other_files_as_of_the_last_commit(catalog: Catalog) -> None:
    assert catalog.state() == State(changes=0, count=0, vectors="vectors.faiss", generation=None)
    fill(catalog, ["a", "b"])
    with catalog.writing() as transaction:
        transaction.put_generation(1, 2, b"index", b"card")
    assert catalog.state() == State(2, 2, "vectors.faiss", StoredGeneration(1, 2, b"index", b"card"))
    with catalog.writing() as transaction:
        transaction.remove(["a"])
        transaction.compact("vectors.000001.faiss")
    assert catalog.state() == State(changes=3, count=1, vectors="vectors.000001.faiss", generation=None)


def test_compacting_numbers_the_living_rows_anew_in_their_order(catalog: Catalog) -> None:
    fill(catalog, list("abcdef"))
    with catalog.writing() as transaction:
        put(transaction, "copy of e", 4)
        transaction.set_attributes("e", {"price": 7})
        transaction.remove(["a", "c", "f"])
    before = {image.key: image for row in range(6) for image in catalog.images_of(row)}
    with catalog.writing() as transaction:
        transaction.compact("new")
    after = {image.key: image for row in range(3) for image in catalog.images_of(row)}
    rows = {"b": 0, "d": 1, "e": 2, "copy of e": 2}
    assert after == {key: replace(image, row=rows[key]) for key, image in before.items()}
    assert catalog.crc32s(0, 9) == {0: 1001, 1: 1003, 2: 1004}
    assert [catalog.row_of(bytes([hash_]) * 32) for hash_ in range(6)] == [None, 0, None, 1, 2, None]
    assert catalog.totals() == Totals(images=4, vectors=3, dead=0, skipped=0)
    assert catalog.damage() is None


def test_after_compacting_rows_die_and_are_revived_as_before(catalog: Catalog) -> None:
    fill(catalog, list("abc"))
    with catalog.writing() as transaction:
        transaction.remove(["a"])
        transaction.compact("new")
    with catalog.writing() as transaction:
        transaction.remove(["b"])
    assert catalog.dead_rows() == [0]
    with catalog.writing() as transaction:
        put(transaction, "c", 0)
    assert catalog.dead_rows() == [1]
    with catalog.writing() as transaction:
        transaction.compact("newer")
        add_vector_with_hash(transaction, 1, 9)
        put(transaction, "c", 1)
    assert (catalog.dead_rows(), catalog.count()) == ([0], 2)
    assert catalog.damage() is None


def test_compacting_what_has_nothing_dead_or_nothing_at_all_changes_no_row(catalog: Catalog) -> None:
    with catalog.writing() as transaction:
        transaction.compact("empty")
    assert catalog.count() == 0
    fill(catalog, ["a", "b"])
    with catalog.writing() as transaction:
        transaction.compact("same")
    assert [image.key for row in range(2) for image in catalog.images_of(row)] == ["a", "b"]


def test_compacting_that_is_given_up_leaves_everything_as_it_was(catalog: Catalog) -> None:
    fill(catalog, list("abc"))
    with catalog.writing() as transaction:
        transaction.remove(["a"])
    before = (catalog.state(), catalog.dead_rows(), list(catalog.live_images()), schema_of(catalog))
    for _ in range(2):
        with contextlib.suppress(GivenUpError), catalog.writing() as transaction:
            transaction.compact("new")
            raise GivenUpError
        assert (catalog.state(), catalog.dead_rows(), list(catalog.live_images()), schema_of(catalog)) == before
    with catalog.writing() as transaction:
        transaction.compact("new")
    assert schema_of(catalog) == before[-1]


def schema_of(catalog: Catalog) -> set[tuple[str, str, str | None]]:
    with catalog._database.connection() as connection:
        return set(
            connection.execute(
                "SELECT type, name, sql FROM sqlite_schema UNION SELECT * FROM ("
                "SELECT type, name, sql FROM sqlite_temp_schema)"
            )
        )


# Several connections


@pytest.fixture(params=["wal", "delete"])
def journaled(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """A catalog with either journal, holding one image."""
    monkeypatch.setattr(sqlite, "_WAL_IS_SAFE", request.param == "wal")
    Catalog.create(tmp_path / "catalog.sqlite")
    catalog = Catalog(tmp_path / "catalog.sqlite")
    fill(catalog, ["first"])
    with catalog._database.connection() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == (request.param,)
    yield catalog
    catalog.close()


def test_whoever_reads_sees_one_state_while_another_commits(journaled: Catalog) -> None:
    other = Catalog(journaled.path)
    with journaled.reading():
        before = (journaled.count(), journaled.changes(), keys_of(journaled))
        commit = threading.Thread(target=fill, args=(other, ["second"]))
        commit.start()
        commit.join(0.3)  # with a rollback journal it waits for this reader
        assert (journaled.count(), journaled.changes(), keys_of(journaled)) == before == (1, 1, ["first"])
    commit.join()
    assert (journaled.count(), journaled.changes(), keys_of(journaled)) == (2, 2, ["first", "second"])
    other.close()


def test_what_is_not_committed_is_seen_by_nobody_else(journaled: Catalog) -> None:
    with ThreadPoolExecutor(1) as another:
        with contextlib.suppress(GivenUpError), journaled.writing() as transaction:
            transaction.remove(["first"])
            assert another.submit(keys_of, journaled).result() == ["first"]
            raise GivenUpError
        assert keys_of(journaled) == another.submit(keys_of, journaled).result() == ["first"]


@pytest.mark.parametrize("work", ["compact", "set_attributes"])
def test_a_transaction_larger_than_the_cache_shuts_no_reader_out_before_its_end(journaled: Catalog, work: str) -> None:
    fill_many(journaled, 5000)
    with journaled._database.connection() as connection:
        connection.execute("PRAGMA cache_size = 10")  # pages
    before, other = journaled.totals(), Catalog(journaled.path)
    with other._database.connection() as connection:
        connection.execute("PRAGMA busy_timeout = 0")
    with journaled.writing() as transaction:
        if work == "compact":
            transaction.compact("new")
        else:
            for number in range(5000):
                transaction.set_attributes(f"{number:04}", {"text": "long " * 20})
        assert other.totals() == before
        assert other.state().vectors == "vectors.faiss"
    assert other.totals() == journaled.totals()
    assert journaled.damage() is None
    other.close()


def fill_many(catalog: Catalog, number: int) -> None:
    """Images with vectors of their own, of which every fifth is then removed."""
    first = catalog.count()
    with catalog.writing() as transaction:
        for each in range(1, number):
            transaction.add_vector(first + each - 1, each.to_bytes(32, "little"), each, width=1, height=1)
            put(transaction, f"{each:04}", first + each - 1)
        transaction.remove(f"{each:04}" for each in range(1, number, 5))


def test_each_commit_is_on_the_disk_when_it_returns(journaled: Catalog) -> None:
    """SQLite calls that EXTRA; the connection of every thread has it."""
    with ThreadPoolExecutor(1) as another:
        for synchronous in (_synchronous(journaled), another.submit(_synchronous, journaled).result()):
            assert synchronous == 3


def _synchronous(catalog: Catalog) -> int:
    with catalog._database.connection() as connection:
        return int(connection.execute("PRAGMA synchronous").fetchone()[0])


def test_threads_write_and_read_through_connections_of_their_own(journaled: Catalog) -> None:
    connections: dict[int, sqlite3.Connection] = {}

    def work(number: int) -> None:
        with journaled._database.connection() as connection:
            connections[number] = connection
        for turn in range(3):
            with journaled.writing() as transaction:
                put(transaction, f"{number}/{turn}", 0)
            assert f"{number}/{turn}" in keys_of(journaled)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, connections.values()))) == 4
    assert len(keys_of(journaled)) == 1 + 4 * 3
    assert journaled.changes() == 1 + 4 * 3


def test_connections_of_threads_that_have_ended_are_closed(catalog: Catalog) -> None:
    used: list[sqlite3.Connection] = []

    def work() -> None:
        with catalog._database.connection() as connection:
            used.append(connection)

    for _ in range(10):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    still_open = [connection for connection in used if _is_open(connection)]
    assert len(still_open) <= 1  # the last one's, until there is another


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def test_a_closed_catalog_lets_go_of_its_file_and_opens_it_again_when_it_is_used(catalog: Catalog) -> None:
    fill(catalog, ["a"])
    with catalog._database.connection() as before:
        pass
    catalog.close()
    assert not _is_open(before)
    assert keys_of(catalog) == ["a"]


def test_what_is_closed_while_it_is_used_is_not_called_damaged(catalog: Catalog) -> None:
    with catalog._database.connection() as connection:
        connection.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        catalog.count()


def test_a_forked_process_gets_connections_of_its_own(tmp_path: Path) -> None:
    """In the midst of the parent's transaction it reads what is committed, and its end disturbs nothing."""
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path)
    program = """if True:
        import os, sys
        from pathlib import Path
        from lookalike.storage.catalog import Catalog
        catalog = Catalog(Path(sys.argv[1]))

        def put(key):
            with catalog.writing() as transaction:
                transaction.put_image(key, 0, size=1, changed_ns=1, label=None)

        with catalog.writing() as transaction:
            transaction.add_vector(0, b"0" * 32, 0, width=1, height=1)
        with catalog.writing() as transaction:
            transaction.put_image("parent", 0, size=1, changed_ns=1, label=None)
            if not os.fork():
                assert catalog.totals().images == 0
                os._exit(0)  # as multiprocessing does
            assert os.wait()[1] == 0
            assert catalog.totals().images == 1
        if not os.fork():
            assert catalog.totals().images == 1
            put("child")
            sys.exit(0)  # with all that Python does at the end
        assert os.wait()[1] == 0
        put("parent again")
        print([known.key for known in catalog.known("")], catalog.damage())
    """
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert (done.stderr, done.stdout) == ("", "['child', 'parent', 'parent again'] None\n")


# Catalogs of earlier versions


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A catalog of the first version with two images, one of them with a name that is not UTF-8."""
    return write_earlier(tmp_path / "catalog.sqlite")


def write_earlier(path: Path) -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        pragmas = f"PRAGMA application_id = {0x4C6B416C}; PRAGMA user_version = 1;"
        connection.executescript(f"BEGIN; {schema.MIGRATIONS[0]} {pragmas} COMMIT;")
        for row, key in enumerate((b"cats/a.jpg", b"\xff.jpg", b"gone")):
            connection.execute("INSERT INTO vectors VALUES (?, ?, ?, 4, 3)", (row, bytes([row]) * 32, 1000 + row))
            values = (row + 1, key, row, "cats" if row == 0 else None)
            connection.execute("INSERT INTO images VALUES (?, CAST(? AS TEXT), ?, 5, 6, ?)", values)
        connection.execute("DELETE FROM images WHERE key = 'gone'")
        connection.execute("INSERT INTO skipped VALUES ('bad.jpg', 1, 2, 'truncated')")
        connection.execute("UPDATE changes SET count = 5")
    return path


def assert_brought_up_to_date(catalog: Catalog) -> None:
    assert list(catalog.live_images()) == [(1, 0, "cats"), (2, 1, None)]
    assert keys_of(catalog) == ["bad.jpg", "cats/a.jpg", os.fsdecode(b"\xff.jpg")]
    assert catalog.dead_rows() == [2]
    assert list(catalog.skipped()) == [("bad.jpg", "truncated")]
    assert catalog.state() == State(changes=5, count=3, vectors="vectors.faiss", generation=None)
    assert catalog.damage() is None


def test_a_catalog_of_an_earlier_version_is_brought_up_to_date_when_it_is_opened(earlier: Path) -> None:
    for _ in range(2):
        with closing(Catalog(earlier)) as catalog:
            assert_brought_up_to_date(catalog)
    with closing(Catalog(earlier)) as catalog, catalog.writing() as transaction:
        assert transaction.set_attributes("cats/a.jpg", {"price": 7})
        transaction.compact("new")


def test_what_was_brought_up_to_date_is_as_what_is_made_today(earlier: Path, tmp_path: Path) -> None:
    Catalog.create(tmp_path / "today.sqlite")
    with closing(Catalog(earlier)) as catalog, closing(Catalog(tmp_path / "today.sqlite")) as today:
        assert schema_of(catalog) == schema_of(today)
        with catalog._database.connection() as connection, today._database.connection() as other:
            query = "PRAGMA user_version"
            assert connection.execute(query).fetchone() == other.execute(query).fetchone() == (2,)


def test_several_that_open_a_catalog_of_an_earlier_version_at_once_do_not_get_in_each_others_way(
    earlier: Path,
) -> None:
    barrier = threading.Barrier(6)

    def work(_: int) -> None:
        barrier.wait()
        with closing(Catalog(earlier)) as catalog:
            assert_brought_up_to_date(catalog)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


def test_a_catalog_that_another_process_brought_up_to_date_meanwhile_is_left_as_it_is(
    earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is read once more when nobody else can change it."""
    writing = sqlite.Database.writing

    def too_late(self: sqlite.Database) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        monkeypatch.undo()
        Catalog(earlier).close()
        return writing(self)

    monkeypatch.setattr(sqlite.Database, "writing", too_late)
    with closing(Catalog(earlier)) as catalog:
        assert_brought_up_to_date(catalog)


def test_bringing_a_catalog_up_to_date_is_all_or_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE new (a);\nCREATE TABLE images (a);"))
    with pytest.raises(CorruptError, match=r"catalog\.sqlite.*images"):
        Catalog(catalog.path)
    monkeypatch.undo()
    with closing(Catalog(catalog.path)) as again:
        assert "new" not in {name for _, name, _ in schema_of(again)}


def test_a_catalog_of_an_earlier_version_that_cannot_be_written_says_what_to_do(
    public_path: Path,
) -> None:
    folder = public_path / "folder"
    folder.mkdir()
    path = write_earlier(folder / "catalog.sqlite")
    for of_file, of_folder in ((0o444, 0o555), (0o444, 0o777), (0o666, 0o555)):
        path.chmod(of_file)
        folder.chmod(of_folder)
        with pytest.raises(StorageError, match=r"catalog\.sqlite.*opened once with permission to write"):
            Catalog(path)
    path.chmod(0o666)
    folder.chmod(0o777)
    Catalog(path).close()
    path.chmod(0o444)
    folder.chmod(0o555)
    with closing(Catalog(path)) as catalog:
        assert_brought_up_to_date(catalog)


# Faults


def test_a_file_that_is_missing_is_damage(tmp_path: Path) -> None:
    with pytest.raises(CorruptError, match=r"nothing\.sqlite.*missing"):
        Catalog(tmp_path / "nothing.sqlite")
    assert not (tmp_path / "nothing.sqlite").exists()


@pytest.mark.parametrize("content", [b"", b"some text", b"\0" * 5000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_damage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(content)
    with pytest.raises(CorruptError, match=r"catalog\.sqlite"):
        Catalog(path)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE images (id)")
    connection.commit()
    connection.close()
    with pytest.raises(CorruptError, match=r"catalog\.sqlite: this is not a catalog"):
        Catalog(path)


def test_a_newer_format_asks_for_an_upgrade(catalog: Catalog) -> None:
    catalog.close()
    connection = sqlite3.connect(catalog.path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(IncompatibleError, match=r"catalog\.sqlite.*format 9.*upgrade"):
        Catalog(catalog.path)


@pytest.mark.parametrize("version", [0, -1])
def test_a_format_that_never_was_is_damage(catalog: Catalog, version: int) -> None:
    catalog.close()
    connection = sqlite3.connect(catalog.path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(CorruptError, match=rf"catalog\.sqlite.*format {version}"):
        Catalog(catalog.path)


def full(catalog: Catalog) -> bytes:
    """The bytes of the file of a catalog of many pages."""
    fill(catalog, [f"folder/{number:05}.jpg" for number in range(200)])
    with catalog.writing() as transaction:
        for number in range(3000):
            put(transaction, f"copies/{number:05}.jpg", number % 200, label="copies")
    catalog.close()
    return catalog.path.read_bytes()


def is_damaged(path: Path) -> bool:
    """Opening it or reading it is refused, or SQLite's own check finds something."""
    try:
        with closing(Catalog(path)) as catalog:
            return catalog.damage() is not None
    except CorruptError as error:
        return path.name in str(error)


def test_a_truncated_file_is_damage_wherever_it_ends(catalog: Catalog) -> None:
    sound = full(catalog)
    assert not is_damaged(catalog.path)
    sizes = [10, 99, 100, 1000, 4095, *range(4096, len(sound), 4096 * 5), len(sound) - 4096]
    for size in sizes:
        catalog.path.write_bytes(sound[:size])
        assert is_damaged(catalog.path), size


def test_every_page_that_is_overwritten_with_garbage_is_found(catalog: Catalog) -> None:
    sound = full(catalog)
    garbage = np.random.default_rng(0).bytes(4096)
    for start in range(0, len(sound), 4096):
        catalog.path.write_bytes(sound[:start] + garbage + sound[start + 4096 :])
        assert is_damaged(catalog.path), start


def test_a_row_that_an_image_names_and_that_is_not_there_is_found(catalog: Catalog) -> None:
    fill(catalog, ["a"])
    with catalog._database.connection() as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("UPDATE images SET row = 77")
    assert "images" in str(catalog.damage())


def test_a_full_disk_is_a_fault_of_the_disk_and_leaves_what_was_committed(catalog: Catalog) -> None:
    fill(catalog, ["a", "b"])
    with catalog._database.connection() as connection:
        connection.execute("PRAGMA max_page_count = 1")  # which SQLite takes as: no more than there are
    before = (keys_of(catalog), catalog.totals(), catalog.changes())
    with pytest.raises(StorageError, match=r"catalog\.sqlite: database or disk is full"):
        fill_copies(catalog, 3000)
    assert (keys_of(catalog), catalog.totals(), catalog.changes()) == before
    with catalog._database.connection() as connection:
        connection.execute("PRAGMA max_page_count = 10000")
    fill_copies(catalog, 3000)
    assert catalog.totals().images == 3002
    assert catalog.damage() is None


def fill_copies(catalog: Catalog, number: int) -> None:
    with catalog.writing() as transaction:
        for each in range(number):
            put(transaction, f"copy {each}", 0)


def test_a_lock_that_is_held_for_too_long_is_a_fault_of_the_disk(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_TIMEOUT_S", 0.05)
    other = Catalog(catalog.path)
    with catalog.writing():
        with pytest.raises(StorageError, match=r"catalog\.sqlite: database is locked"):
            fill(other, ["a"])
        assert keys_of(other) == []
    other.close()


def test_a_place_where_no_catalog_can_be_made_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"catalog\.sqlite"):
        Catalog.create(tmp_path / "missing" / "catalog.sqlite")


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 7, 0), False),
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 44, 9), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_wal_is_used_only_where_sqlite_has_the_fix_of_its_reset(version: tuple[int, int, int], safe: bool) -> None:
    assert _wal_is_safe(version) is safe


def test_the_journal_is_wal_where_that_is_safe_with_the_sqlite_that_is_here(catalog: Catalog) -> None:
    with catalog._database.connection() as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    assert mode == ("wal" if _wal_is_safe(sqlite3.sqlite_version_info) else "delete")
