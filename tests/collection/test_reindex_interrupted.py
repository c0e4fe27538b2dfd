"""Runs that are stopped or fail while a collection is indexed again, and what the next run makes of them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import lookalike
from lookalike import Collection
from lookalike.collection.reindex import reindex, unfinished
from lookalike.errors import CorruptError, StorageError, UsageError
from lookalike.storage import directory as directories
from lookalike.storage import manifest
from tests.support.pictures import ColourEncoder, draw, picture, stored_vectors
from tests.support.reindexing import CoarseEncoder, CountingEncoder, annotate, begin, facts_of, names_in


def test_the_next_run_carries_on_with_a_stopped_one(photos: Collection, coarse: CountingEncoder) -> None:
    before = photos.search(picture(0), k=12)
    begin(photos, coarse)
    assert photos.search(picture(0), k=12) == before
    with lookalike.open(photos.folder, encoder=ColourEncoder()) as again:
        assert again.add(photos.folder).unchanged == 12
    stopped = coarse.images
    assert 5 <= stopped < 12
    committed = len(stored_vectors(photos.directory / "data.000001"))
    assert committed == 5
    reindex(photos.folder, encoder=coarse, threads=1)
    assert coarse.images == stopped + 12 - committed
    with lookalike.open(photos.folder, encoder=coarse) as again:
        assert (len(again), again.check()) == (12, [])


def test_changes_of_the_old_collection_meanwhile_are_carried_over(photos: Collection, coarse: CountingEncoder) -> None:
    annotate(photos, "path,price\n00.png,1\n")
    begin(photos, coarse)
    draw(photos.folder / "0 new.png", 60)
    photos.add(photos.folder)  # its id is for now that of another image in the new catalog
    annotate(photos, "path,price,label\n00.png,2,lions\n0 new.png,3,\n")
    (photos.folder / "09.png").unlink()
    photos.add(photos.folder)
    before = facts_of(photos)
    assert before["0 new.png"][0] == 13
    reindex(photos.folder, encoder=coarse)
    with lookalike.open(photos.folder, encoder=coarse) as again:
        assert facts_of(again) == before


@pytest.mark.parametrize("moment", ["carried over", "switched"])
def test_a_failure_just_before_or_after_the_switch_loses_nothing(photos: Collection, moment: str) -> None:
    annotate(photos, "path,price,label\ncats/01.png,5,lions\ndogs/02.png,3,wolves\n")
    name = {"carried over": (manifest, "switch"), "switched": (directories, "sweep")}[moment]
    failing: Any = [None, StorageError("!")] if moment == "switched" else StorageError("!")
    with mock.patch.object(*name, side_effect=failing), pytest.raises(StorageError):
        reindex(photos.folder, encoder=CoarseEncoder())
    if moment == "switched":
        with pytest.raises(UsageError, match="already"):
            reindex(photos.folder, encoder=CoarseEncoder())
    else:
        annotate(photos, "path,price,label\ncats/01.png,6,\ndogs/02.png,,wolves\n")
        draw(photos.folder / "new.png", 60)
        photos.add(photos.folder)
        reindex(photos.folder, encoder=CoarseEncoder())
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        again.maintain()
        found = facts_of(again)
    assert len(found) == 12 if moment == "switched" else 13
    first, second = found["cats/01.png"], found["dogs/02.png"]
    if moment == "switched":
        assert (first, second[1]) == ((5, "lions", {"label": "lions", "price": 5}), "wolves")
    else:
        assert first == (5, "cats", {"price": 6})
        assert second == (9, "wolves", {"label": "wolves"})
        assert found["new.png"][0] == 13
    assert names_in(photos.directory) == {"collection.json", "lock", "sources.json", "data.000001"}


def test_another_model_begins_anew(photos: Collection, coarse: CountingEncoder) -> None:
    begin(photos, coarse)
    reindex(photos.folder, encoder=ColourEncoder("other"))
    with lookalike.open(photos.folder, encoder=ColourEncoder("other")) as again:
        assert (len(again), again.check()) == (12, [])
    assert names_in(photos.directory) == {"collection.json", "lock", "sources.json", "data.000001"}


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwrite(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


@pytest.mark.parametrize("damage", [cut, overwrite, Path.unlink])
@pytest.mark.parametrize("name", ["data.000001/catalog.sqlite", "data.000001/vectors.faiss", "reindexing.json"])
def test_a_damaged_stopped_run_is_begun_anew(
    photos: Collection, coarse: CountingEncoder, name: str, damage: Callable[[Path], None]
) -> None:
    begin(photos, coarse)
    damage(photos.directory / name)
    unfinished(photos.directory)
    stopped = coarse.images
    reindex(photos.folder, encoder=coarse)
    assert coarse.images == stopped + 12
    with lookalike.open(photos.folder, encoder=coarse) as again:
        assert (len(again), again.check()) == (12, [])


def test_a_stopped_run_is_carried_on_after_its_folder_was_moved(photos: Collection, coarse: CountingEncoder) -> None:
    begin(photos, coarse)
    photos.close()
    moved = photos.folder.rename(photos.folder.parent / "moved")
    stopped = coarse.images
    reindex(moved, encoder=coarse)
    assert coarse.images == stopped + 7
    with lookalike.open(moved, encoder=coarse) as again:
        assert (len(again), again.folder) == (12, moved)


def test_a_collection_that_lost_its_manifest_is_not_made_anew(photos: Collection) -> None:
    reindex(photos.folder, encoder=CoarseEncoder())
    (photos.directory / "collection.json").unlink()
    with pytest.raises(CorruptError, match=r"collection\.json: it is missing"):
        lookalike.create(photos.folder, encoder=CoarseEncoder())


@pytest.mark.parametrize("name", ["..", "/tmp", "data.1", "data.000001/..", 7, "index"])
def test_a_manifest_that_names_another_directory_is_damaged(photos: Collection, name: object) -> None:
    path = photos.directory / "collection.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": name}))
    with pytest.raises(CorruptError, match=r"collection\.json"):
        lookalike.open(photos.folder, encoder=ColourEncoder())
