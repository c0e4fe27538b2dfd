"""Images whose files cannot be read while a collection is indexed again: they are not taken for deleted ones."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import lookalike
from lookalike import Collection, Hint
from lookalike.collection import migration
from lookalike.collection.reindex import reindex
from lookalike.errors import ImageError, UsageError
from lookalike.images import reading
from lookalike.storage.vectors import VectorWriter
from tests.support.pictures import ColourEncoder, draw, picture, stored_vectors
from tests.support.reindexing import CoarseEncoder, CountingEncoder, annotate, begin, facts_of


@pytest.fixture
def elsewhere(photos: Collection) -> Path:
    """A folder on another disk, with two images that the collection has too, one with an attribute."""
    folder = photos.folder.parent / "other disk"
    photos.add([draw(folder / name, seed) for seed, name in enumerate(("x.png", "y.png"), 30)])
    annotate(photos, f"path,colour\n{folder / 'x.png'},red\n")
    return folder


@pytest.mark.parametrize("moment", ["before", "meanwhile"])
def test_images_on_a_disk_that_is_not_connected_are_not_given_up(
    photos: Collection, coarse: CountingEncoder, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """If the disk goes before the run, nothing is done; otherwise the next run carries on when it is back."""
    before, away = facts_of(photos), elsewhere.with_name("away")

    def take_away_first(*arguments: Any) -> Any:
        elsewhere.rename(away)
        return VectorWriter(*arguments)

    if moment == "before":
        elsewhere.rename(away)
    else:
        monkeypatch.setattr(migration, "VectorWriter", take_away_first)
    with pytest.raises(UsageError) as raised:
        reindex(photos.folder, encoder=coarse)
    monkeypatch.setattr(migration, "VectorWriter", VectorWriter)
    such_as = f"2 images, such as {elsewhere / 'x.png'}, cannot be read; if they are on a removable or network drive"
    assert such_as in raised.value.message
    hint = Hint("remove_images", {"path": str(photos.directory), "image": str(elsewhere / "x.png")})
    assert raised.value.hints == (hint,)
    assert facts_of(photos) == before
    assert coarse.images == (0 if moment == "before" else 12)
    with lookalike.open(photos.folder, encoder=ColourEncoder()) as again:
        assert again.add(photos.folder).unchanged == 12
    away.rename(elsewhere)
    reindex(photos.folder, encoder=coarse)
    assert coarse.images == 14
    with lookalike.open(photos.folder, encoder=coarse) as again:
        assert facts_of(again) == before
        assert facts_of(again)[str(elsewhere / "x.png")][2] == {"colour": "red"}


def test_an_image_without_permission_at_its_turn_is_not_given_up(
    photos: Collection, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = reading.read

    def refuse(path: Path, **_: int) -> object:
        if path.name == "x.png":
            raise ImageError("permission denied", str(path), lasting=False)
        return read(path)

    monkeypatch.setattr(reading, "read", refuse)
    with pytest.raises(UsageError, match=r"the image .*x\.png cannot be read"):
        reindex(photos.folder, encoder=CoarseEncoder())
    monkeypatch.undo()
    before = facts_of(photos)
    reindex(photos.folder, encoder=CoarseEncoder())
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        assert facts_of(again) == before


def test_images_that_are_removed_first_do_not_come_back(photos: Collection, elsewhere: Path) -> None:
    begin(photos, CoarseEncoder())  # by then it has the images from elsewhere
    begun = photos.directory / "data.000001"
    assert str(elsewhere / "x.png") in stored_vectors(begun)
    elsewhere.rename(elsewhere.with_name("away"))
    with pytest.raises(UsageError, match="2 images"):
        reindex(photos.folder, encoder=CoarseEncoder())
    photos.remove([elsewhere])
    before = facts_of(photos)
    assert reindex(photos.folder, encoder=CoarseEncoder()).added == 0
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        assert facts_of(again) == before


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, scandir, lexists = facts_of(photos), os.scandir, os.path.lexists
    shut = photos.folder / "cats"

    def refuse(path: Path) -> Any:
        if Path(path) == shut:
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os.path, "lexists", lambda path: Path(path).parent != shut and lexists(path))
    with pytest.raises(UsageError, match=r"4 images, such as .*cats/01\.png, cannot be read"):
        reindex(photos.folder, encoder=CoarseEncoder())
    monkeypatch.undo()
    assert facts_of(photos) == before
    shutil.rmtree(shut)  # and so `add` would take them for deleted, too
    assert reindex(photos.folder, encoder=CoarseEncoder()).missing == 4


def test_the_collections_own_folder_may_be_on_that_disk_too(folder: Path, tmp_path: Path) -> None:
    directory, elsewhere = tmp_path.resolve() / "collection", tmp_path.resolve() / "other disk"
    with lookalike.create(folder, directory=directory, encoder=ColourEncoder()) as photos:
        photos.add(folder)
        photos.add([draw(elsewhere / "x.png", 30)])
    folder.rename(folder.with_name("away"))
    with pytest.raises(UsageError, match="12 images, such as"):
        reindex(directory, [elsewhere], encoder=CoarseEncoder())


def test_if_all_images_are_deleted_nothing_is_changed(photos: Collection) -> None:
    shutil.move(photos.folder / "cats", photos.folder.parent / "cats")
    shutil.move(photos.folder / "dogs", photos.folder.parent / "dogs")
    for path in photos.folder.glob("*.png"):
        path.unlink()
    with pytest.raises(UsageError, match="none of the 12 images"):
        reindex(photos.folder, encoder=CoarseEncoder())
    assert len(photos.search(picture(0), k=100)) == 12
    photos.remove([photos.folder])
    assert reindex(photos.folder, encoder=CoarseEncoder()).missing == 0  # the collection is empty
