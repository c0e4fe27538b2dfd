"""The catalog against a dictionary, over random sequences of transactions that are kept or given up."""

import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.filters import Where
from lookalike.images.reading import FileStatus
from lookalike.sources.keys import folder_label
from lookalike.storage import known_files
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import FiledImage, FileKind, KnownFile, MissingImage, Totals
from lookalike.storage.transaction import Transaction
from tests.support.catalogs import GivenUpError, add_vector, hash_of, labels_of, typed
from tests.support.project import THOROUGH

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
STATUSES = st.builds(FileStatus, NUMBERS, NUMBERS, st.none() | NUMBERS)
PUT = st.tuples(st.just("put"), KEYS, st.integers(0, 5), STATUSES)
SKIP = st.tuples(st.just("skip"), KEYS, st.sampled_from(["truncated", 'it\'s \n "odd"']), STATUSES)
REMOVE = st.tuples(st.just("remove"), st.lists(KEYS, max_size=4))
MOVE = st.tuples(st.just("move"), KEYS, KEYS, st.integers(0, 5), STATUSES)
MISS = st.tuples(st.just("miss"), st.lists(KEYS, max_size=4))
RETURN = st.tuples(st.just("return"), st.integers(0, 9), KEYS, st.integers(0, 5), STATUSES)
FORGET = st.tuples(st.just("forget"), st.integers(0, 20))
VALUES = KEYS | st.text() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.sampled_from(["label", "price", "a", "ü", os.fsdecode(b"\xff")])
SET = st.tuples(st.just("set"), KEYS, st.dictionaries(NAMES, st.none() | VALUES, max_size=3))
COMPACT = st.just(("compact",))
OPERATIONS = st.one_of(PUT, PUT, PUT, PUT, SKIP, REMOVE, MOVE, MISS, MISS, RETURN, RETURN, FORGET, SET, SET, COMPACT)
COMMITS = st.lists(st.tuples(st.lists(OPERATIONS, min_size=1, max_size=8), st.booleans()), min_size=1, max_size=6)


@dataclass(frozen=True)
class Entry:
    """What a catalog is to hold of an image; `hash` is the number of its file."""

    id: int
    hash: int
    status: FileStatus
    label: str | None
    attributes: dict[str, Any] = field(default_factory=dict)
    since_ns: int = 0  # since when it is missing


@dataclass
class Model:
    """What a catalog is to hold."""

    images: dict[str, Entry] = field(default_factory=dict)
    skipped: dict[str, tuple[str, FileStatus]] = field(default_factory=dict)
    missing: dict[int, tuple[str, Entry]] = field(default_factory=dict)  # key and entry by id
    vectors: dict[int, int] = field(default_factory=dict)  # row by hash, in the order of the rows
    ids: set[int] = field(default_factory=set)  # that were ever given
    clock: int = 0  # of what goes missing

    def copy(self) -> "Model":
        return Model(
            dict(self.images), dict(self.skipped), dict(self.missing), dict(self.vectors), set(self.ids), self.clock
        )

    def known(self) -> list[KnownFile]:
        missing = sorted(self.missing.values(), key=lambda keyed: (keyed[1].since_ns, keyed[1].id))
        files = {key: KnownFile(key, entry.status, FileKind.MISSING) for key, entry in missing}
        files |= {key: KnownFile(key, status, FileKind.SKIPPED) for key, (_, status) in self.skipped.items()}
        files |= {key: KnownFile(key, entry.status, FileKind.IMAGE) for key, entry in self.images.items()}
        return sorted(files.values(), key=lambda known: os.fsencode(known.key))

    def hidden(self) -> list[int]:
        alive = {entry.hash for entry in self.images.values()}
        return sorted(row for hash_, row in self.vectors.items() if hash_ not in alive)

    def dead(self) -> list[int]:
        kept = {self.vectors[entry.hash] for _, entry in self.missing.values()}
        return sorted(set(self.hidden()) - kept)

    def keys_of(self, hash_: int) -> list[str]:
        """The keys of the images of one file, in the order of their bytes."""
        return sorted((key for key, entry in self.images.items() if entry.hash == hash_), key=os.fsencode)


# Operations


def apply(operation: tuple[Any, ...], transaction: Transaction, model: Model) -> None:
    """Does the same to both, and compares what comes back."""
    match operation:
        case ("put", key, hash_, status):
            apply_put(transaction, model, Entry(0, hash_, status, folder_label(key)), key)
        case ("skip", key, reason, status):
            model.clock += 1
            transaction.put_skipped(key, reason, status, since_ns=model.clock)
            set_aside(model, [key])
            model.skipped[key] = (reason, status)
        case ("remove", keys):
            apply_remove(transaction, model, keys)
        case ("move", old, key, hash_, status):
            apply_move(transaction, model, old, key, Entry(0, hash_, status, folder_label(key)))
        case ("miss", keys):
            model.clock += 1
            present = set(keys) & set(model.images)
            assert transaction.missing.set_aside(keys, model.clock) == len(present)
            set_aside(model, keys)
        case ("return", place, key, hash_, status):
            apply_return(transaction, model, place, Entry(0, hash_, status, folder_label(key)), key)
        case ("forget", until):
            forgotten = [id_ for id_, (_, entry) in model.missing.items() if entry.since_ns <= until]
            assert transaction.missing.forget(until_ns=until) == len(forgotten)
            for id_ in forgotten:
                del model.missing[id_]
        case ("set", key, values):
            missing = [id_ for id_, (old, _) in model.missing.items() if old == key]
            assert transaction.set_attributes(key, values) == (key in model.images or bool(missing))
            if key in model.images:
                model.images[key] = with_attributes(key, model.images[key], values)
            elif missing:
                last = max(missing, key=lambda id_: (model.missing[id_][1].since_ns, id_))
                model.missing[last] = (key, with_attributes(key, model.missing[last][1], values))
        case ("compact",):
            transaction.compact(f"vectors.{len(model.vectors):06}.faiss")
            for hash_ in [hash_ for hash_, row in model.vectors.items() if row in model.dead()]:
                del model.vectors[hash_]
            model.vectors = {hash_: row for row, hash_ in enumerate(model.vectors)}


def row_of(transaction: Transaction, model: Model, hash_: int) -> int:
    if hash_ not in model.vectors:
        model.vectors[hash_] = len(model.vectors)
        add_vector(transaction, model.vectors[hash_], hash_)
    return model.vectors[hash_]


def apply_put(transaction: Transaction, model: Model, entry: Entry, key: str) -> None:
    row, before = row_of(transaction, model, entry.hash), model.images.get(key)
    there = transaction.image_at(key)
    assert (there is None) == (before is None)
    transaction.put_image(key, row, entry.status)
    model.skipped.pop(key, None)
    if before:
        assert there == FiledImage(before.id, key, model.vectors[before.hash], before.status)
        label = before.attributes.get("label", entry.label)
        model.images[key] = replace(entry, id=before.id, label=label, attributes=before.attributes)
        return
    [(id_,)] = transaction._connection.execute("SELECT MAX(id) FROM images")
    assert id_ not in model.ids
    model.ids.add(id_)
    model.images[key] = replace(entry, id=id_)


def apply_remove(transaction: Transaction, model: Model, keys: list[str]) -> None:
    gone = [id_ for id_, (key, _) in model.missing.items() if key in keys]
    assert transaction.remove(keys) == len(set(keys) & set(model.images)) + len(gone)
    for id_ in gone:
        del model.missing[id_]
    for key in keys:
        model.images.pop(key, None)
        model.skipped.pop(key, None)


def apply_move(transaction: Transaction, model: Model, old: str, key: str, entry: Entry) -> None:
    image = transaction.image_at(old)
    if image is None or key in model.images:
        return
    transaction.move(image, key, row_of(transaction, model, entry.hash), entry.status)
    before = model.images.pop(old)
    model.skipped.pop(key, None)
    label = before.attributes.get("label", entry.label)
    model.images[key] = replace(entry, id=before.id, label=label, attributes=before.attributes)


def set_aside(model: Model, keys: list[str]) -> None:
    for key in dict.fromkeys(keys):
        if entry := model.images.pop(key, None):
            model.missing[entry.id] = (key, replace(entry, since_ns=model.clock))


def apply_return(transaction: Transaction, model: Model, place: int, entry: Entry, key: str) -> None:
    if not model.missing or key in model.images:
        return
    id_ = sorted(model.missing)[place % len(model.missing)]
    old, before = model.missing.pop(id_)
    last = transaction.missing.last_at(old)
    assert last
    assert last.since_ns >= before.since_ns
    assert id_ in [each.id for each in transaction.missing.with_hash(hash_of(before.hash))]
    [image] = [each for each in transaction.missing.all() if each.id == id_]
    row = model.vectors[before.hash]
    assert image == MissingImage(id_, old, hash_of(before.hash), row, before.status, before.since_ns)
    transaction.bring_back(image, key, row_of(transaction, model, entry.hash), entry.status)
    model.skipped.pop(key, None)
    label = before.attributes.get("label", entry.label)
    model.images[key] = replace(entry, id=id_, label=label, attributes=before.attributes)


def with_attributes(key: str, entry: Entry, values: dict[str, Any]) -> Entry:
    attributes, label = dict(entry.attributes), entry.label
    for name, value in values.items():
        if value is not None:
            attributes[name] = str(value) if name == "label" else value
            label = attributes[name] if name == "label" else label
        elif attributes.pop(name, None) is not None and name == "label":
            label = folder_label(key)
    return replace(entry, attributes=attributes, label=label)


# Comparisons


def assert_same(catalog: Catalog, model: Model) -> None:
    assert catalog.totals() == Totals(
        images=len(model.images),
        vectors=len(model.vectors),
        dead=len(model.dead()),
        skipped=len(model.skipped),
        missing=len(model.missing),
    )
    assert catalog.state().count == len(model.vectors)
    assert (catalog.dead_rows(), catalog.hidden_rows()) == (model.dead(), model.hidden())
    assert_same_files(catalog, model)
    assert_same_vectors(catalog, model)
    assert_same_images(catalog, model)
    assert_same_lists(catalog, model)
    assert catalog.damage() is None


def assert_same_files(catalog: Catalog, model: Model) -> None:
    """What it knows of files, however many it reads at a time."""
    for page in (1, 3, 1000):
        with mock.patch.object(known_files, "_PAGE", page):
            expected = [known for known in model.known() if not known.key.startswith("/")]
            assert known_in_pages(catalog, "", page) == list(catalog.known_files()) == expected
            for folder in ("a", "/", "/a", os.fsdecode(b"\x80")):
                below = f"{folder.rstrip('/')}/"
                expected = [known for known in model.known() if known.key.startswith(below) and known.key != below]
                assert known_in_pages(catalog, folder, page) == list(catalog.known_files(folder)) == expected
    for known in model.known():
        assert catalog.known_file(known.key) == known
    assert catalog.known_file("nothing of that name") is None
    backwards = model.known()[::-1]
    keys = ["nothing of that name", *(known.key for known in backwards)]
    assert list(catalog.known_among(keys)) == backwards
    assert list(catalog.skipped()) == [
        (key, reason) for key, (reason, _) in sorted(model.skipped.items(), key=lambda item: os.fsencode(item[0]))
    ]


def known_in_pages(catalog: Catalog, folder: str, size: int) -> list[KnownFile]:
    """What it knows of the files below a folder, a page at a time."""
    found: list[KnownFile] = []
    while page := catalog.known_page(folder, os.fsencode(found[-1].key) if found else b""):
        assert len(page) <= size
        found += page
    return found


def assert_same_vectors(catalog: Catalog, model: Model) -> None:
    for hash_, row in model.vectors.items():
        assert catalog.rows_of([hash_of(hash_)]) == {hash_of(hash_): row}
        assert catalog.crc32s([row]) == {row: 1000 + hash_}
        assert [image.key for image in catalog.images_of_rows([row])] == model.keys_of(hash_)
        assert [image.key for image in catalog.images_of_rows([row], limit=1)] == model.keys_of(hash_)[:1]
    assert catalog.rows_of([b"\xff" * 32]) == {}
    expected = {hash_of(hash_): row for hash_, row in model.vectors.items()}
    assert catalog.rows_of([b"\xff" * 32, *expected]) == expected
    assert catalog.crc32s([99]) == {}
    assert catalog.crc32s([1, 2, 3]) == {row: 1000 + hash_ for hash_, row in model.vectors.items() if 1 <= row < 4}
    ordered = sorted(model.vectors, key=lambda hash_: -model.vectors[hash_])
    found = catalog.images_of_rows([model.vectors[hash_] for hash_ in ordered])
    assert [image.key for image in found] == [key for hash_ in ordered for key in model.keys_of(hash_)]


def assert_same_images(catalog: Catalog, model: Model) -> None:
    assert catalog.image(10**9) is None
    for key, entry in model.images.items():
        image = catalog.image(entry.id)
        assert image
        row = model.vectors[entry.hash]
        assert (image.id, image.key, image.row, image.label) == (entry.id, key, row, entry.label)
        assert (image.width, image.height) == (entry.hash, entry.hash + 1)
        assert typed(image.attributes) == typed(entry.attributes)
        assert image in catalog.images_of_rows([row])
    assert sorted(image.id for image in catalog.missing()) == sorted(model.missing)
    for id_, (_, entry) in model.missing.items():
        assert catalog.image(id_) is None
        with catalog._database.connection() as connection:
            query = "SELECT name, value FROM missing_attributes WHERE image = ?"
            assert typed(dict(connection.execute(query, (id_,)))) == typed(entry.attributes)


def assert_same_lists(catalog: Catalog, model: Model) -> None:
    """What it lists of all images at once."""
    entries = sorted(model.images.values(), key=lambda entry: entry.id)
    expected = [(entry.id, model.vectors[entry.hash], entry.label) for entry in entries]
    assert list(catalog.live_images()) == expected
    labels = [entry.label for entry in entries if entry.label is not None]
    assert labels_of(catalog) == {label: labels.count(label) for label in labels}
    for label in labels:
        assert catalog.count_where(Where(label=label)) == labels.count(label)
    names = {name for entry in entries for name in entry.attributes}
    assert catalog.attribute_names() == sorted(names, key=os.fsencode)


# The test


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty catalog, to be copied."""
    path = tmp_path_factory.mktemp("catalog") / "empty.sqlite"
    Catalog.create(path)
    return path


@settings(max_examples=1500 if THOROUGH else 60, deadline=None)
@given(commits=COMMITS)
def test_it_holds_what_a_dictionary_would(empty: Path, commits: list[tuple[list[Any], bool]]) -> None:
    """Put, replace, remove, skip, rename, set attributes and compact, in transactions that are kept or given up."""
    path = empty.with_name("catalog.sqlite")
    shutil.copyfile(empty, path)
    model = Model()
    catalog = Catalog(path)
    for operations, kept in commits:
        changes, draft = catalog.state().changes, model.copy()
        try:
            with catalog.writing() as transaction:
                for operation in operations:
                    apply(operation, transaction, draft)
                if not kept:
                    raise GivenUpError
        except GivenUpError:
            assert catalog.state().changes == changes
        else:
            model = draft
            assert catalog.state().changes > changes
        assert_same(catalog, model)
    catalog.close()
