"""Whether a state is the newest one, and images that are named by one statement, while others commit."""

import time
from pathlib import Path

import pytest

from lookalike.storage import sqlite
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import State
from tests.support.catalogs import fill


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """A catalog of three images."""
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path)
    catalog = Catalog(path)
    fill(catalog, ["a.jpg", "b.jpg", "c.jpg"])
    return catalog


@pytest.fixture
def rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written a moment ago counts as at rest."""
    monkeypatch.setattr(sqlite, "_SETTLED_NS", -(10**18))


def statements(catalog: Catalog, state: State) -> int:
    """The number of SQL statements that it takes to tell whether a state is the newest one."""
    seen = list[str]()
    with catalog._database.connection() as connection:
        connection.set_trace_callback(seen.append)
        assert catalog.is_at(state)
        connection.set_trace_callback(None)
    return len(seen)


@pytest.mark.usefixtures("rested")
def test_a_file_that_rests_is_asked_once(catalog: Catalog) -> None:
    state = catalog.state()
    assert [statements(catalog, state) for _ in range(3)] == [1, 0, 0]


def test_a_file_that_is_young_is_asked_each_time(catalog: Catalog) -> None:
    """Another commit might leave its size and its times as they are."""
    state = catalog.state()
    assert [statements(catalog, state) for _ in range(3)] == [1, 1, 1]


@pytest.mark.usefixtures("rested")
def test_each_commit_of_another_process_is_noticed(catalog: Catalog) -> None:
    other = Catalog(catalog.path)
    for number in range(5):
        state = catalog.state()
        assert catalog.is_at(state)
        assert catalog.is_at(state)
        time.sleep(0.02)  # the times of files go in steps of up to 10 ms, for which `_SETTLED_NS` waits
        fill(other, [f"{number}.jpg"])
        assert not catalog.is_at(state)


@pytest.mark.usefixtures("rested")
def test_a_catalog_that_takes_its_place_is_noticed(catalog: Catalog, tmp_path: Path) -> None:
    state = catalog.state()
    assert catalog.is_at(state)
    Catalog.create(tmp_path / "new.sqlite")
    fill(Catalog(tmp_path / "new.sqlite"), ["a.jpg", "b.jpg", "c.jpg"])
    (tmp_path / "new.sqlite").replace(catalog.path)
    assert not catalog.is_at(state)


def test_named_images_are_of_the_newest_state(catalog: Catalog) -> None:
    """By one statement if that is known, by a transaction if it is not: the same images, and the state they are of."""
    other = Catalog(catalog.path)
    first = catalog.state()
    named = catalog.named([2, 0], where=None, limit=-1)
    assert (named.state, [image.key for image in named.images]) == (first, ["c.jpg", "a.jpg"])
    fill(other, ["d.jpg"])
    with other.writing() as transaction:
        transaction.remove(["a.jpg"])
    named = catalog.named([3, 2, 0], where=None, limit=-1)
    assert (named.state, [image.key for image in named.images]) == (other.state(), ["d.jpg", "c.jpg"])
    assert named.state != first
    with catalog.reading() as state:
        inside = catalog.named([3, 2, 0], where=None, limit=1)
        assert (inside.state, [image.key for image in inside.images]) == (state, ["d.jpg"])
        assert inside.crc32s.items() <= catalog.crc32s([2, 3]).items()


def test_rows_of_no_image_name_none(catalog: Catalog) -> None:
    named = catalog.named([7, 8], where=None, limit=-1)
    assert (named.state, named.images, dict(named.crc32s)) == (catalog.state(), [], {})
