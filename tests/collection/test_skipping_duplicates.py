"""Indexing without the copies of what is there already."""

from pathlib import Path

import pytest

import lookalike
from lookalike import Collection
from tests.support.commands import records, run
from tests.support.edited_pictures import EDITED, scene
from tests.support.pictures import ColourEncoder


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "scenes"
    folder.mkdir()
    for seed in range(3):
        scene(seed).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def collection(scenes: Path) -> Collection:
    created = lookalike.create(scenes, encoder=ColourEncoder())
    created.add(scenes)
    return created


def keys(collection: Collection) -> list[str]:
    return [image.key for image in collection.images()]


def copy_of(seed: int, path: Path) -> Path:
    EDITED["grey"][0](scene(seed)).save(path)
    return path


def test_copies_of_what_is_there_are_skipped_with_the_reason(collection: Collection, scenes: Path) -> None:
    copy_of(1, scenes / "0-first.png")
    scene(7).save(scenes / "7.png")
    report = collection.add(scenes, skip_duplicates=True)
    assert report.added == 1
    assert [(each.path.name, each.reason) for each in report.skipped] == [("0-first.png", "a copy of 1.png")]
    assert sorted(keys(collection)) == ["0.png", "1.png", "2.png", "7.png"]
    assert [each.reason for each in collection.skipped()] == ["a copy of 1.png"]
    assert collection.check() == []


def test_a_skipped_copy_stays_skipped_in_later_runs(collection: Collection, scenes: Path) -> None:
    copy_of(1, scenes / "copy.png")
    collection.add(scenes, skip_duplicates=True)
    later = collection.update()
    assert (later.added, later.skipped_before, later.unchanged) == (0, 1, 3)


def test_a_skipped_copy_is_indexed_once_the_other_one_is_gone(collection: Collection, scenes: Path) -> None:
    copy_of(1, scenes / "copy.png")
    collection.add(scenes, skip_duplicates=True)
    (scenes / "1.png").unlink()
    collection.update()
    collection.update()
    assert sorted(keys(collection)) == ["0.png", "2.png", "copy.png"]


def test_of_new_copies_one_stays(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    scene(5).save(folder / "whole.png")
    EDITED["cropped to two thirds"][0](scene(5)).save(folder / "a-crop.png")
    (folder / "whole-again.png").write_bytes((folder / "whole.png").read_bytes())
    collection = lookalike.create(folder, encoder=ColourEncoder())
    report = collection.add(folder, skip_duplicates=True)
    assert (report.added, len(report.skipped)) == (1, 2)
    assert keys(collection) in (["whole.png"], ["whole-again.png"])


def test_images_that_were_there_before_stay(collection: Collection, scenes: Path) -> None:
    copy_of(1, scenes / "copy.png")
    collection.add(scenes)
    scene(8).save(scenes / "8.png")
    assert collection.add(scenes, skip_duplicates=True).skipped == ()
    assert len(keys(collection)) == 5


def test_the_command_line_skips_them(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    scene(5).save(folder / "5.png")
    scene(6).save(folder / "6.png")
    copy_of(5, folder / "copy.png")
    code, out, _ = run("index", folder, "--skip-duplicates", "--json", cwd=tmp_path)
    [found] = records(out)
    assert (code, found["added"], [each["reason"] for each in found["skipped"]]) == (0, 2, ["a copy of 5.png"])
