"""Images in the catalog: shared rows, ids, names, and the look-ups of many at once."""

import os
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from lookalike.errors import UsageError
from lookalike.filters import Between, Where
from lookalike.images.reading import FileStatus
from lookalike.storage import catalog as catalog_module
from lookalike.storage import known_files
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import FiledImage, FileKind, KnownFile
from tests.support.catalogs import STATUS, add_vector, fill, hash_of, images_of, keys_of, put, set_attributes

# Rows and ids


def test_a_row_is_dead_when_the_last_of_its_copies_is_gone(catalog: Catalog) -> None:
    with catalog.writing() as transaction:
        add_vector(transaction, 0)
        for key in ("one", "two"):
            put(transaction, key, 0)
    assert [image.key for image in catalog.images_of_rows([0])] == ["one", "two"]
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
    assert [image.id for image in catalog.images_of_rows([0, 1, 2])] == [1, 3]


def test_a_renamed_image_keeps_its_id_and_has_the_rest_of_the_new_one(catalog: Catalog) -> None:
    fill(catalog, ["old"])
    with catalog.writing() as transaction:
        old = transaction.image_at("old")
        assert old == FiledImage(1, "old", 0, STATUS)
        transaction.move(old, "new/name", 0, FileStatus(7, 8, 9))
    [image] = catalog.images_of_rows([0])
    assert (image.id, image.key, image.label) == (1, "new/name", "new")
    assert list(catalog.known_files()) == [KnownFile("new/name", FileStatus(7, 8, 9), FileKind.IMAGE)]


def test_a_file_that_is_an_image_again_is_no_skipped_one(catalog: Catalog) -> None:
    fill(catalog, ["a", "b"])
    with catalog.writing() as transaction:
        for key in ("a", "c", "d"):
            transaction.put_skipped(key, "truncated", STATUS, since_ns=5)
        b, [a] = transaction.image_at("b"), transaction.missing.with_hash(hash_of(0))
        assert b
        transaction.move(b, "c", 1, STATUS)
        transaction.bring_back(a, "d", 0, STATUS)
        put(transaction, "a", 0)
    assert list(catalog.skipped()) == []
    assert [(image.id, image.key) for image in images_of(catalog)] == [(3, "a"), (1, "d"), (2, "c")]


def test_the_copies_of_a_file_are_listed_by_id(catalog: Catalog) -> None:
    fill(catalog, ["z", "other"])
    with catalog.writing() as transaction:
        put(transaction, "a", 0)
        put(transaction, "m", 0)
        assert [(image.id, image.key) for image in transaction.images_with_row(0)] == [(1, "z"), (3, "a"), (4, "m")]
        assert transaction.images_with_row(2) == []
        assert transaction.image_with_id(3) == FiledImage(3, "a", 0, STATUS)
        assert transaction.image_with_id(5) is None
        assert (transaction.hash_of(0), transaction.hash_of(1)) == (hash_of(0), hash_of(1))


def test_any_sqlite_tool_shows_the_keys(catalog: Catalog) -> None:
    fill(catalog, ["plain.jpg", "with 'quote'.jpg", "ü.jpg"])
    connection = sqlite3.connect(catalog.path)
    assert [key for (key,) in connection.execute("SELECT key FROM images ORDER BY key")] == keys_of(catalog)
    connection.close()


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


# The images of several rows


@pytest.fixture
def shelves(catalog: Catalog) -> Catalog:
    """Seven images of four rows: row 0 has one, row 1 three, row 2 none, row 3 three."""
    fill(catalog, ["n/z", "s/b", "gone", "s/d"])
    with catalog.writing() as transaction:
        for key, row in (("n/a", 1), ("n/c", 1), ("s/a", 3), ("n/d", 3)):
            put(transaction, key, row)
        transaction.remove(["gone"])
    set_attributes(catalog, "n/a", {"price": 5, "shop": "north"})
    set_attributes(catalog, "s/d", {"price": 7})
    return catalog


def found(catalog: Catalog, rows: Sequence[int], **options: Any) -> list[str]:
    return [image.key for image in catalog.images_of_rows(rows, **options)]


def test_images_come_in_the_order_of_the_rows_and_then_of_the_keys(shelves: Catalog) -> None:
    assert found(shelves, [3, 0, 1]) == ["n/d", "s/a", "s/d", "n/z", "n/a", "n/c", "s/b"]
    assert found(shelves, [1, 2, 0]) == ["n/a", "n/c", "s/b", "n/z"]
    assert [image.row for image in shelves.images_of_rows([3, 0, 1])] == [3, 3, 3, 0, 1, 1, 1]
    assert found(shelves, range(3, -1, -3)) == found(shelves, (3, 0)) == ["n/d", "s/a", "s/d", "n/z"]


def test_no_rows_and_unknown_rows_have_no_images(shelves: Catalog) -> None:
    assert found(shelves, []) == found(shelves, [2]) == found(shelves, [99, -1]) == []
    assert found(shelves, [99, 0, 2]) == ["n/z"]


def test_images_of_several_rows_have_their_own_attributes(shelves: Catalog) -> None:
    attributes = {image.key: dict(image.attributes) for image in shelves.images_of_rows([1, 3])}
    expected = {"n/a": {"price": 5, "shop": "north"}, "s/d": {"price": 7}}
    assert attributes == {key: {} for key in ("n/a", "n/c", "s/b", "n/d", "s/a", "s/d")} | expected


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 4, 5, 7, 100, -1])
def test_a_limit_counts_images_across_rows_whatever_their_attributes(shelves: Catalog, limit: int) -> None:
    """An image with two attributes is one image; a negative limit is none."""
    everything = ["n/a", "n/c", "s/b", "n/d", "s/a", "s/d", "n/z"]
    assert found(shelves, [1, 3, 0], limit=limit) == (everything[:limit] if limit >= 0 else everything)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Where(), ["n/d", "s/a", "s/d", "n/a", "n/c", "s/b"]),
        (Where(label="n"), ["n/d", "n/a", "n/c"]),
        (Where(under="s"), ["s/a", "s/d", "s/b"]),
        (Where(attributes={"price": Between(low=6)}), ["s/d"]),
        (Where(attributes={"price": Between(low=5)}), ["s/d", "n/a"]),
        (Where(label="n", attributes={"shop": "north"}), ["n/a"]),
        (Where(attributes={"nothing": 1}), []),
    ],
    ids=str,
)
def test_only_images_that_match_come_back(shelves: Catalog, where: Where, expected: list[str]) -> None:
    assert found(shelves, [3, 1], where=where) == expected
    for limit in range(len(expected)):
        assert found(shelves, [3, 1], where=where, limit=limit) == expected[:limit]


def test_a_filter_by_ids_keeps_the_order_of_rows_and_keys(shelves: Catalog) -> None:
    ids = {image.key: image.id for image in images_of(shelves)}
    wanted = {ids[key] for key in ("s/b", "n/d", "s/d", "n/z")}
    assert found(shelves, [3, 1], where=Where(ids=wanted)) == ["n/d", "s/d", "s/b"]
    assert found(shelves, [3, 1], where=Where(ids=wanted), limit=2) == ["n/d", "s/d"]
    assert found(shelves, [3, 1], where=Where(ids=wanted, label="s")) == ["s/d", "s/b"]
    assert found(shelves, [3, 1], where=Where(ids=wanted | set(range(1000, 50_000)))) == ["n/d", "s/d", "s/b"]
    assert found(shelves, [3, 1], where=Where(ids=[])) == found(shelves, [3, 1], where=Where(ids=[10**9])) == []


def test_the_images_of_very_many_rows_are_found_in_one_question(catalog: Catalog) -> None:
    """There are more of them than a statement of SQLite can have parameters."""
    count = 40_000
    with catalog.writing() as transaction:
        for row in range(0, count, 1000):
            transaction.add_vector(row, row.to_bytes(32, "little"), 0, width=1, height=1)
            put(transaction, f"{row:05}", row)
    assert found(catalog, list(range(count))[::-1]) == [f"{row:05}" for row in range(0, count, 1000)][::-1]


# Rows by hash, checksums by row


@pytest.mark.parametrize("parameters", [1, 2, 3, 1000])
def test_rows_are_found_by_many_hashes(catalog: Catalog, monkeypatch: pytest.MonkeyPatch, parameters: int) -> None:
    """However many a statement takes at once; dead rows too, and no hash that is unknown."""
    monkeypatch.setattr(catalog_module, "_PARAMETERS", parameters)
    fill(catalog, list("abcde"))
    with catalog.writing() as transaction:
        transaction.remove(["c"])
    hashes = [hash_of(number) for number in (4, 2, 99, 0, 4)]
    assert catalog.rows_of(hashes) == catalog.rows_of(iter(hashes)) == {hash_of(4): 4, hash_of(2): 2, hash_of(0): 0}
    assert catalog.rows_of([]) == catalog.rows_of([hash_of(99)]) == {}
    assert catalog.rows_of(map(hash_of, range(5))) == {hash_of(number): number for number in range(5)}


@pytest.mark.parametrize(
    "rows", [[], [0], [3, 1, 2], [9, 0], [0, 5, 9, 4], [9, 77], [77], [-1, 3], range(0, 12, 3)], ids=str
)
def test_checksums_are_those_of_at_least_the_rows(catalog: Catalog, rows: Sequence[int]) -> None:
    fill(catalog, list("abcdefghij"))
    found = catalog.crc32s(rows)
    assert {row: found.get(row) for row in rows} == {row: 1000 + row if 0 <= row < 10 else None for row in rows}
    assert found == {row: 1000 + row for row in found}


# Files by name


@pytest.fixture
def files(catalog: Catalog) -> Catalog:
    """Images and skipped files in folders, one of them with a name that is not UTF-8."""
    fill(catalog, ["a", "a/b", "a/c/d", "a0", "top.jpg", "/elsewhere/x", os.fsdecode(b"\xff/y")])
    with catalog.writing() as transaction:
        transaction.put_skipped("a/bad", "truncated", FileStatus(3, 4, 5), since_ns=6)
    return catalog


def test_what_is_known_of_files_comes_in_the_order_asked(files: Catalog) -> None:
    odd = os.fsdecode(b"\xff/y")
    asked = ["top.jpg", odd, "nothing", "a/bad", "a"]
    expected = [
        KnownFile("top.jpg", STATUS, FileKind.IMAGE),
        KnownFile(odd, STATUS, FileKind.IMAGE),
        KnownFile("a/bad", FileStatus(3, 4, 5), FileKind.SKIPPED),
        KnownFile("a", STATUS, FileKind.IMAGE),
    ]
    assert list(files.known_among(asked)) == list(files.known_among(iter(asked))) == expected
    assert list(files.known_among([])) == list(files.known_among(["nothing", "a/c"])) == []
    assert files.known_file("a/bad") == expected[2]
    assert files.known_file("a/c") is None


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (["top.jpg"], ["top.jpg"]),
        (["a/bad"], ["a/bad"]),
        (["a"], ["a"]),  # the file goes before the folder of the same name
        (["a/"], ["a/b", "a/bad", "a/c/d"]),
        (["a/c"], ["a/c/d"]),
        (["/elsewhere"], ["/elsewhere/x"]),
        (["/"], ["/elsewhere/x"]),
        (["."], ["a", "a/b", "a/bad", "a/c/d", "a0", "top.jpg", os.fsdecode(b"\xff/y")]),
        ([os.fsdecode(b"\xff")], [os.fsdecode(b"\xff/y")]),
        (["nothing", "a/c", "top.jpg"], ["a/c/d"]),
        (["nothing"], []),
        ([], []),
    ],
    ids=str,
)
def test_a_name_stands_for_its_file_or_else_for_all_below_it(files: Catalog, names: list[str], keys: list[str]) -> None:
    assert files.keys_named(names) == files.keys_named(iter(names)) == keys


def test_the_files_below_a_folder_are_listed_in_pages(files: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    for page in (1, 2, 3, 1000):
        monkeypatch.setattr(known_files, "_PAGE", page)
        assert [known.key for known in files.known_files("a")] == ["a/b", "a/bad", "a/c/d"]
        assert [known.key for known in files.known_files("/")] == ["/elsewhere/x"]
        assert [known.key for known in files.known_files()][-1] == os.fsdecode(b"\xff/y")


def test_files_that_are_added_behind_while_listing_are_listed(files: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_files, "_PAGE", 1)
    listed = files.known_files("a")
    assert next(listed).key == "a/b"
    with files.writing() as transaction:
        put(transaction, "a/a", 0)  # in front
        put(transaction, "a/e", 0)
    assert [known.key for known in listed] == ["a/bad", "a/c/d", "a/e"]


def test_a_filter_by_an_attribute_that_no_image_has_is_refused(shelves: Catalog) -> None:
    with pytest.raises(UsageError, match="no image has an attribute 'prize'; there are: price, shop"):
        shelves.rows_where(Where(attributes={"prize": 5}))
    with pytest.raises(UsageError, match="'prize'"):
        shelves.count_where(Where(attributes={"prize": 5}))
