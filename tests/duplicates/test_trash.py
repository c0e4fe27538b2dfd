"""Copies that go to the trash, as other programs find them there, and come back."""

import os
import re
import sys
from pathlib import Path

import pytest

from lookalike import Collection
from lookalike.duplicates import trash
from tests.support.copies_of_files import facts, grouped, mark
from tests.support.pictures import draw

KEY = "b/ä %.png"


@pytest.fixture
def photos(photos: Collection) -> Collection:
    draw(photos.folder / KEY, 100)
    photos.add(photos.folder, threads=2)
    return photos


def throw_away(photos: Collection, key: str = KEY) -> dict[str, str]:
    """Throws a file away; returns the reasons, if it is left."""
    mark(photos, key)
    report = photos.act_on_copies(photos.plan_action(grouped(photos, ("00.png", key)), "trash"))
    assert (photos.folder / key).exists() == bool(report.left)
    return {each.key: each.reason for each in report.left}


def assert_is_there(bin_: Path, name: str, path: str) -> None:
    assert (bin_ / "files" / name).is_file()
    note = (bin_ / "info" / f"{name}.trashinfo").read_text()
    pattern = r"\[Trash Info\]\nPath=(.*)\nDeletionDate=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\n"
    found = re.fullmatch(pattern, note)
    assert found
    assert found[1] == path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home on the disk of the images."""
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def top(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The top of the disk of the images, which is not that of the home."""
    monkeypatch.setattr(trash, "_device", lambda _: -1)
    monkeypatch.setattr(trash, "_top", lambda path, device: tmp_path.resolve())
    return tmp_path.resolve()


def test_the_trash_of_the_home_has_it_and_gives_it_back(photos: Collection, home: Path) -> None:
    before, bin_ = facts(photos.folder), home / ".local/share/Trash"
    assert throw_away(photos) == {}
    quoted = str(photos.folder / "b") + "/%C3%A4%20%25.png"
    assert_is_there(bin_, "ä %.png", quoted)
    assert (bin_ / "files").stat().st_mode & 0o777 == 0o700
    assert photos.undo_action().restored == (KEY,)
    assert facts(photos.folder) == before
    assert facts(bin_) == {}


def test_names_in_the_trash_that_are_taken_get_a_number(
    photos: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    bin_ = tmp_path / "data" / "Trash"
    draw(bin_ / "files" / "ä %.png", 1)
    (bin_ / "info").mkdir()
    (bin_ / "info" / "ä % (2).png.trashinfo").write_text("[Trash Info]\nPath=/elsewhere\n")
    before = facts(bin_)
    assert throw_away(photos) == {}
    assert_is_there(bin_, "ä % (3).png", str(photos.folder / "b") + "/%C3%A4%20%25.png")
    photos.undo_action()
    assert facts(bin_) == before


def test_another_disk_has_a_trash_of_its_own(photos: Collection, top: Path) -> None:
    (top / ".Trash").mkdir()  # without the sticky bit it is not safe
    assert throw_away(photos) == {}
    assert_is_there(top / f".Trash-{os.getuid()}", "ä %.png", "photos/b/%C3%A4%20%25.png")
    photos.undo_action()
    assert facts(top / f".Trash-{os.getuid()}") == {}


def test_a_trash_that_all_users_share_is_used_if_it_is_safe(photos: Collection, top: Path) -> None:
    (top / ".Trash").mkdir()
    (top / ".Trash").chmod(0o1777)
    assert throw_away(photos) == {}
    assert_is_there(top / ".Trash" / str(os.getuid()), "ä %.png", "photos/b/%C3%A4%20%25.png")
    photos.undo_action()
    assert facts(top / ".Trash") == {}


def test_a_trash_behind_a_symlink_is_not_used(photos: Collection, top: Path) -> None:
    elsewhere = top / "elsewhere"
    elsewhere.mkdir()
    (top / f".Trash-{os.getuid()}").symlink_to(elsewhere)
    reason = f"there is no trash on its file system, {top}, and none can be made"
    assert throw_away(photos) == {KEY: reason}
    assert list(elsewhere.iterdir()) == []


def test_an_emptied_trash_is_told(photos: Collection, home: Path) -> None:
    throw_away(photos)
    (home / ".local/share/Trash/files" / "ä %.png").unlink()
    [left] = photos.undo_action().left
    assert left.reason == f"it is not at {home / '.local/share/Trash/files' / 'ä %.png'} any more"


def test_what_the_desktop_has_given_back_is_no_problem(photos: Collection, home: Path) -> None:
    before = facts(photos.folder)
    throw_away(photos)
    (home / ".local/share/Trash/files" / "ä %.png").rename(photos.folder / KEY)
    assert photos.undo_action().restored == (KEY,)
    assert facts(photos.folder) == before


def test_macos_has_files_without_notes(photos: Collection, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    before = facts(photos.folder)
    home.mkdir()
    assert throw_away(photos) == {}
    assert set(facts(home)) == {".Trash/ä %.png"}
    assert photos.undo_action().restored == (KEY,)
    assert facts(photos.folder) == before
    assert facts(home) == {}
