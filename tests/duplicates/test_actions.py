"""Acting on copies: what is done, what is left, and that all of it can be undone."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike import Collection
from lookalike.duplicates.actions import ActionPlan
from lookalike.duplicates.names import ActionName
from lookalike.errors import LockedError, StorageError, UsageError
from lookalike.system import durable
from tests.support.copies_of_files import by_key, facts, grouped, mark
from tests.support.pictures import draw

SAME = "cats/01.png", "dogs/02.png", "extra/same.png"  # the last one has the bytes of the first


@pytest.fixture
def photos(photos: Collection) -> Collection:
    """Twelve pictures, and another file with the bytes of one of them, with a time and permissions of its own."""
    same = photos.folder / SAME[2]
    same.parent.mkdir()
    shutil.copy(photos.folder / SAME[0], same)
    os.utime(same, ns=(1_500_000_000_123_456_789, 1_400_000_000_987_654_321))
    same.chmod(0o604)
    photos.add(photos.folder, threads=2)
    return photos


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    return tmp_path.resolve() / "elsewhere" / "copies"


@pytest.fixture
def trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path.resolve() / "data" / "Trash"


def planned(photos: Collection, elsewhere: Path, *groups: tuple[str, ...]) -> ActionPlan:
    return photos.plan_action(grouped(photos, *groups), "move", to=elsewhere)


def reasons(plan: ActionPlan) -> dict[str, str]:
    return {each.key: each.reason for each in plan.left}


def test_marked_copies_are_moved_with_their_folders_and_come_back(photos: Collection, elsewhere: Path) -> None:
    before, ids = facts(photos.folder), {key: image.id for key, image in by_key(photos).items()}
    mark(photos, *SAME[1:])
    plan = planned(photos, elsewhere, SAME)
    assert [(each.image.key, each.grade) for each in plan.actions] == [
        (SAME[1], "edited copy"),
        (SAME[2], "same bytes"),
    ]
    assert facts(photos.folder) == before
    assert not elsewhere.exists()
    report = photos.act_on_copies(plan)
    assert {each.key: each.place for each in report.done} == {key: elsewhere / key for key in SAME[1:]}
    assert report.left == ()
    assert facts(elsewhere) == {key: before[key] for key in SAME[1:]}
    assert facts(photos.folder) == {key: found for key, found in before.items() if key not in SAME[1:]}
    assert set(by_key(photos)) == set(before) - set(SAME[1:])
    assert {str(each.path.relative_to(photos.folder)) for each in photos.missing()} == set(SAME[1:])
    undone = photos.undo_action()
    assert sorted(undone.restored) == sorted(SAME[1:])
    assert facts(photos.folder) == before
    assert not elsewhere.exists()
    assert {key: image.id for key, image in by_key(photos).items()} == ids
    report_ = photos.update(threads=2)
    assert (report_.added, report_.missing, len(photos)) == (0, 0, len(before))


def test_nothing_that_is_not_marked_is_touched(photos: Collection, elsewhere: Path) -> None:
    images = by_key(photos)
    mark(photos, SAME[1], SAME[2])
    photos.keep_copies([images[SAME[1]].id])
    photos.unmark_copies([images[SAME[2]].id])
    plan = planned(photos, elsewhere, SAME)
    assert (plan.actions, plan.left) == ((), ())
    mark(photos, "03.png")
    assert reasons(planned(photos, elsewhere, SAME)) == {"03.png": "not among the copies that were found"}
    report = photos.act_on_copies(plan)
    assert (report.run, report.done) == (None, ())
    assert photos.action_runs() == []


def test_what_is_unmarked_after_planning_is_left(photos: Collection, elsewhere: Path) -> None:
    mark(photos, *SAME[1:])
    plan = planned(photos, elsewhere, SAME)
    photos.keep_copies([by_key(photos)[SAME[1]].id])
    report = photos.act_on_copies(plan)
    assert [each.key for each in report.done] == [SAME[2]]
    assert [(each.key, each.reason) for each in report.left] == [(SAME[1], "not marked any more")]


def test_a_group_that_is_marked_as_a_whole_is_left(photos: Collection, elsewhere: Path) -> None:
    mark(photos, *SAME, "03.png")
    plan = planned(photos, elsewhere, SAME, ("00.png", "03.png"))
    assert [each.image.key for each in plan.actions] == ["03.png"]
    assert set(reasons(plan)) == set(SAME)
    assert set(reasons(plan).values()) == {"all images of its group are marked; one has to stay"}


def test_another_image_may_stay_than_the_one_that_is_suggested(photos: Collection, elsewhere: Path) -> None:
    mark(photos, SAME[0], SAME[2])
    report = photos.act_on_copies(planned(photos, elsewhere, SAME))
    assert {each.key for each in report.done} == {SAME[0], SAME[2]}
    assert (photos.folder / SAME[1]).exists()


CHANGES: dict[str, Callable[[Path], object]] = {
    "changed since it was indexed": lambda path: draw(path, 777),
    "gone": lambda path: path.unlink(),
    "a symlink": lambda path: path.symlink_to(path.rename(path.with_name("x"))),
    "a directory": lambda path: os.mkdir(path.rename(path.with_name("x")) and path),  # noqa: PTH102
}


@pytest.mark.parametrize("reason", CHANGES)
def test_a_copy_that_is_not_what_was_indexed_is_left(photos: Collection, elsewhere: Path, reason: str) -> None:
    mark(photos, *SAME[1:])
    plan = planned(photos, elsewhere, SAME)
    CHANGES[reason](photos.folder / SAME[1])
    report = photos.act_on_copies(plan)
    assert [(each.key, each.reason) for each in report.left] == [(SAME[1], reason)]
    assert os.path.lexists(photos.folder / SAME[1]) == (reason != "gone")
    assert [each.key for each in report.done] == [SAME[2]]


@pytest.mark.parametrize("reason", CHANGES)
def test_a_copy_is_left_if_what_stays_is_not_there(photos: Collection, elsewhere: Path, reason: str) -> None:
    mark(photos, SAME[1])
    plan = planned(photos, elsewhere, SAME)
    CHANGES[reason](photos.folder / SAME[0])
    report = photos.act_on_copies(plan)
    assert report.done == ()
    [left] = report.left
    assert left.reason == f"what it is a copy of cannot be made sure of ({SAME[0]}: {reason})"
    assert (photos.folder / SAME[1]).exists()


def test_the_same_bytes_elsewhere_in_the_group_are_enough(photos: Collection, elsewhere: Path) -> None:
    group = "00.png", SAME[0], SAME[2]
    mark(photos, SAME[2])
    plan = planned(photos, elsewhere, group)
    (photos.folder / "00.png").unlink()
    assert [each.key for each in photos.act_on_copies(plan).done] == [SAME[2]]
    photos.undo_action()
    mark(photos, SAME[2])
    (photos.folder / SAME[0]).unlink()  # and these are gone now
    assert photos.act_on_copies(planned(photos, elsewhere, group)).done == ()


def test_a_folder_behind_a_symlink_is_left(photos: Collection, elsewhere: Path) -> None:
    mark(photos, *SAME[1:])
    plan = planned(photos, elsewhere, SAME)
    outside = photos.folder.with_name("outside")
    (photos.folder / "dogs").rename(outside)
    (photos.folder / "dogs").symlink_to(outside)
    report = photos.act_on_copies(plan)
    assert [(each.key, each.reason) for each in report.left] == [(SAME[1], "in a folder behind a symlink")]
    assert (outside / "02.png").exists()


def test_images_outside_of_the_folder_are_left(photos: Collection, elsewhere: Path, tmp_path: Path) -> None:
    other = draw(tmp_path.resolve() / "other.png", 500)
    photos.add([other])
    mark(photos, str(other))
    plan = planned(photos, elsewhere, ("00.png", str(other)))
    assert reasons(plan) == {str(other): "not in the collection's folder"}


def test_names_that_are_taken_get_a_number(photos: Collection, elsewhere: Path) -> None:
    taken = draw(elsewhere / SAME[1], 900)
    mark(photos, SAME[1])
    plan = planned(photos, elsewhere, SAME)
    assert [each.to for each in plan.actions] == [elsewhere / "dogs/02 (2).png"]
    draw(elsewhere / "dogs/02 (2).png", 901)  # after planning
    (elsewhere / "dogs/02 (2) (2).png").symlink_to("nowhere")
    before = facts(elsewhere)
    [done] = photos.act_on_copies(plan).done
    assert done.place == elsewhere / "dogs/02 (2) (3).png"
    assert facts(elsewhere).items() >= before.items()
    photos.undo_action()
    assert facts(elsewhere) == before
    assert taken.exists()


def test_a_link_replaces_the_same_bytes_only(photos: Collection) -> None:
    before = facts(photos.folder)
    mark(photos, *SAME[1:])
    plan = photos.plan_action(grouped(photos, SAME), "link")
    assert reasons(plan) == {SAME[1]: "no image that stays has the same bytes: a link would lose a picture"}
    [done] = photos.act_on_copies(plan).done
    assert (done.key, done.place) == (SAME[2], photos.folder / SAME[0])
    assert (photos.folder / SAME[2]).samefile(photos.folder / SAME[0])
    assert len(photos) == len(before)
    again = photos.act_on_copies(plan)
    assert [each.reason for each in again.left[1:]] == [f"it is a link to {photos.folder / SAME[0]} already"]
    assert photos.undo_action(1).restored == (SAME[2],)
    assert not (photos.folder / SAME[2]).samefile(photos.folder / SAME[0])
    assert facts(photos.folder) == before
    assert photos.update(threads=2).missing == 0


def test_a_link_is_undone_from_its_own_bytes(photos: Collection) -> None:
    before = facts(photos.folder)
    mark(photos, SAME[2])
    photos.act_on_copies(photos.plan_action(grouped(photos, SAME), "link"))
    (photos.folder / SAME[0]).unlink()
    draw(photos.folder / SAME[0], 900)
    assert photos.undo_action().restored == (SAME[2],)
    assert facts(photos.folder)[SAME[2]] == before[SAME[2]]


def test_a_linked_file_that_was_edited_is_left(photos: Collection) -> None:
    mark(photos, SAME[2])
    photos.act_on_copies(photos.plan_action(grouped(photos, SAME), "link"))
    (photos.folder / SAME[0]).write_bytes(b"edited in place")
    [left] = photos.undo_action().left
    assert (left.key, left.reason) == (SAME[2], "changed since")


def test_an_action_that_is_none_and_a_missing_folder_are_refused(photos: Collection, elsewhere: Path) -> None:
    found = grouped(photos, SAME)
    with pytest.raises(UsageError, match="move"):
        photos.plan_action(found, "delete")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="to=None"):
        photos.plan_action(found, "move")
    with pytest.raises(UsageError, match="for a move only"):
        photos.plan_action(found, "trash", to=elsewhere)


def test_a_folder_that_is_indexed_is_refused(photos: Collection, tmp_path: Path) -> None:
    found = grouped(photos, SAME)
    for folder in (photos.folder, photos.folder / "cats", photos.folder / "new" / "folder", photos.directory / "x"):
        with pytest.raises(UsageError, match="to="):
            photos.plan_action(found, "move", to=folder)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not a folder"):
        photos.plan_action(found, "move", to=tmp_path / "file")
    photos.exclude(["copies/"])
    for folder in (photos.folder / ".copies", photos.folder / "copies", photos.folder.parent):
        assert photos.plan_action(found, "move", to=folder).actions == ()


def test_nothing_is_done_while_another_process_writes(photos: Collection, elsewhere: Path) -> None:
    mark(photos, SAME[1])
    plan = planned(photos, elsewhere, SAME)
    with photos._write_access.locked(), pytest.raises(LockedError):
        photos.act_on_copies(plan)
    assert (photos.folder / SAME[1]).exists()


def test_a_disk_that_fills_up_ends_it_and_what_was_done_is_known(
    photos: Collection, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = facts(photos.folder)
    mark(photos, *SAME[1:])
    plan, link, calls = planned(photos, elsewhere, SAME), os.link, list[int]()

    def full(old: Path, new: Path) -> None:
        calls.append(0)
        if len(calls) == 2:
            raise OSError(28, "No space left on device", str(new))
        link(old, new)

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(StorageError, match=r"No space left.*1 of 2 copies .* run 1, which can be undone"):
        photos.act_on_copies(plan)
    monkeypatch.undo()
    [run] = photos.action_runs()
    assert (run.number, run.done, run.undone) == (1, 1, 1)
    assert {str(each.path.relative_to(photos.folder)) for each in photos.missing()} == {SAME[1]}
    photos.undo_action()
    assert facts(photos.folder) == before


def test_a_folder_that_may_not_be_written_to_loses_nothing(
    photos: Collection, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = facts(photos.folder)
    mark(photos, SAME[1])
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == photos.folder / SAME[1]:
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    report = photos.act_on_copies(planned(photos, elsewhere, SAME))
    assert [each.reason for each in report.left] == ["permission denied"]
    assert facts(photos.folder) == before
    assert facts(elsewhere) == {}


def test_a_hard_link_of_what_stays_may_go(photos: Collection, elsewhere: Path) -> None:
    before = facts(photos.folder)
    mark(photos, SAME[2])
    photos.act_on_copies(photos.plan_action(grouped(photos, SAME), "link"))
    [done] = photos.act_on_copies(planned(photos, elsewhere, SAME)).done
    assert done.place.samefile(photos.folder / SAME[0])
    photos.undo_action(2)
    photos.undo_action(1)
    assert facts(photos.folder) == before


def test_with_a_reference_collection_its_image_stays(photos: Collection, elsewhere: Path) -> None:
    """Its images have ids of their own: that one of them is marked here says nothing about it."""
    images = by_key(photos)
    here = grouped(photos, ("00.png", SAME[2]))
    outside = elsewhere.parent / "reference" / "x.png"
    outside.parent.mkdir(parents=True)
    shutil.copy(photos.folder / SAME[2], outside)
    theirs = replace(images[SAME[2]], key="x.png", path=outside)
    found = replace(here, groups=(replace(here.groups[0], keep=theirs),), against=outside.parent)
    mark(photos, SAME[2])
    plan = photos.plan_action(found, "link")
    assert [each.stays for each in plan.actions] == [(theirs,)]
    [done] = photos.act_on_copies(plan).done
    assert done.place == outside
    assert outside.samefile(photos.folder / SAME[2])


def test_the_very_same_file_does_not_stay_instead_of_itself(photos: Collection, elsewhere: Path) -> None:
    here = grouped(photos, ("00.png", SAME[2]))
    found = replace(here, groups=(replace(here.groups[0], keep=by_key(photos)[SAME[2]]),), against=photos.folder)
    mark(photos, SAME[2])
    report = photos.act_on_copies(photos.plan_action(found, "move", to=elsewhere))
    [left] = report.left
    assert left.reason.endswith(f"the same file as {photos.folder / SAME[2]})")
    assert (photos.folder / SAME[2]).exists()


@pytest.mark.parametrize("action", ["move", "link"])
def test_a_disk_that_fails_at_the_end_does_not_hide_what_was_done(
    photos: Collection, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, action: ActionName
) -> None:
    before, folder = facts(photos.folder), (photos.folder / SAME[2]).parent
    mark(photos, SAME[2])
    plan = photos.plan_action(grouped(photos, SAME), action, to=elsewhere if action == "move" else None)
    sync_folder = durable.sync_folder

    def fail(path: Path) -> None:
        if path == folder:  # after the file has gone from it, or the link has come to it
            raise OSError(5, "Input/output error", str(path))
        sync_folder(path)

    with monkeypatch.context() as patched:
        patched.setattr(durable, "sync_folder", fail)
        with pytest.raises(StorageError, match="Input/output error"):
            photos.act_on_copies(plan)
    assert facts(photos.folder) != before
    assert [(run.done, run.undone) for run in photos.action_runs()] == [(1, 0)]
    assert photos.undo_action().restored == (SAME[2],)
    assert facts(photos.folder) == before
