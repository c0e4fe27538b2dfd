"""Damaged catalogs, full disks and locks that are held for too long: an error that says which."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import CorruptError, StorageError
from lookalike.storage import sqlite
from lookalike.storage.catalog import Catalog
from tests.support.catalogs import fill, fill_copies, keys_of, put


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
    with pytest.raises(CorruptError, match=r"catalog\.sqlite: this is not a Lookalike catalog"):
        Catalog(path)


def full(catalog: Catalog) -> bytes:
    """The bytes of the file of a catalog of many pages."""
    fill(catalog, [f"folder/{number:05}.jpg" for number in range(200)])
    with catalog.writing() as transaction:
        for number in range(3000):
            put(transaction, f"copies/{number:05}.jpg", number % 200)
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
    before = (keys_of(catalog), catalog.totals(), catalog.state().changes)
    with pytest.raises(StorageError, match=r"catalog\.sqlite: database or disk is full"):
        fill_copies(catalog, 3000)
    assert (keys_of(catalog), catalog.totals(), catalog.state().changes) == before
    with catalog._database.connection() as connection:
        connection.execute("PRAGMA max_page_count = 10000")
    fill_copies(catalog, 3000)
    assert catalog.totals().images == 3002
    assert catalog.damage() is None


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


def test_a_folder_where_no_catalog_can_be_made_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"catalog\.sqlite"):
        Catalog.create(tmp_path / "missing" / "catalog.sqlite")
