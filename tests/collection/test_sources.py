"""A collection remembers what it was made of, and `update` does the same again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import lookalike
from lookalike import Collection, FileList, Missing, Report
from lookalike.collection import trust
from lookalike.collection.plan import plan
from lookalike.errors import UsageError
from lookalike.storage import made_of as remembered
from tests.support.pictures import ColourEncoder, draw


def keys(collection: Collection) -> set[str]:
    """The keys of all images that can be found."""
    found = collection.search_vector([1, *[0] * (collection.made_by.dim - 1)], k=1000)
    return {match.key for match in found}


def numbers(report: Report) -> dict[str, int]:
    """The numbers of a report that are not 0."""
    names = ("added", "updated", "renamed", "returned", "unchanged", "missing", "missing_before", "excluded")
    found = {name: getattr(report, name) for name in names} | {"skipped": len(report.skipped)}
    return {name: number for name, number in found.items() if number}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of three pictures that is not in the folder of the collection."""
    for seed in range(3):
        draw(tmp_path.resolve() / "elsewhere" / f"e{seed}.png", 100 + seed)
    return tmp_path.resolve() / "elsewhere"


@pytest.fixture
def made(folder: Path, tmp_path: Path, encoder: ColourEncoder) -> Collection:
    """An empty collection of the folder, in a directory beside it."""
    return lookalike.create(folder, directory=tmp_path / "kept", encoder=encoder)


# Folders and single files


def test_the_folders_that_were_added_are_updated(made: Collection, folder: Path, elsewhere: Path) -> None:
    made.add(folder)
    made.add(elsewhere)
    assert made.made_of.folders == ("", str(elsewhere))
    assert numbers(made.update()) == {"unchanged": 15}
    draw(elsewhere / "new.png", 500)
    draw(folder / "new.png", 501)
    (elsewhere / "e0.png").unlink()
    assert numbers(made.update()) == {"added": 2, "unchanged": 14, "missing": 1}


def test_a_new_collection_is_made_of_its_folder_until_it_is_told(made: Collection, listed: FileList) -> None:
    assert numbers(made.update()) == {"added": 12}
    assert numbers(made.update()) == {"unchanged": 12}
    made.remove([made.folder])
    assert len(made) == 0
    assert numbers(made.update()) == {"added": 12}
    shutil.rmtree(made.directory)
    with lookalike.create(made.folder, directory=made.directory, encoder=ColourEncoder()) as other:
        other.exclude(["*.tif"])
        other.add(listed)
        other.remove([listed.path])
        assert numbers(other.update()) == {}


def test_a_part_of_the_folder_is_all_that_is_updated(made: Collection, folder: Path) -> None:
    made.add(folder / "cats")
    assert made.made_of.folders == ("cats",)
    assert numbers(made.update()) == {"unchanged": 4}
    made.add(folder)
    assert made.made_of.folders == ("",)
    assert numbers(made.update()) == {"unchanged": 12}


def test_single_files_are_updated_and_nothing_beside_them(made: Collection, folder: Path, elsewhere: Path) -> None:
    made.add([folder / "cats" / "01.png", elsewhere / "e1.png"])
    made.add(folder / "00.png")
    assert made.made_of == lookalike.MadeOf(single=True, elsewhere=True)
    assert numbers(made.update()) == {"unchanged": 3}
    draw(elsewhere / "e1.png", 77)
    (folder / "00.png").rename(folder / "away.png")
    assert numbers(made.update()) == {"updated": 1, "unchanged": 1, "missing": 1}
    assert numbers(made.update()) == {"unchanged": 2}
    (folder / "away.png").rename(folder / "00.png")
    assert numbers(made.update()) == {"unchanged": 2, "returned": 1}


def test_a_collection_of_an_earlier_version_is_its_folder(photos: Collection, elsewhere: Path) -> None:
    """It does not say what it was made of; files from elsewhere are not looked at, as before."""
    photos.add(elsewhere)
    (photos.directory / "sources.json").unlink()
    (elsewhere / "e0.png").unlink()
    draw(photos.folder / "new.png", 500)
    assert numbers(photos.update()) == {"added": 1, "unchanged": 12}
    assert len(photos) == 16


def test_a_folder_elsewhere_that_is_away_has_missing_images(made: Collection, folder: Path, elsewhere: Path) -> None:
    made.add(folder)
    made.add(elsewhere)
    elsewhere.rename(elsewhere.with_name("away"))
    report = made.update()
    assert (numbers(report), report.misses_many) == ({"unchanged": 12, "missing": 3}, True)
    elsewhere.with_name("away").rename(elsewhere)
    assert numbers(made.update()) == {"unchanged": 12, "returned": 3}


def test_without_its_own_folder_an_update_says_how_to_follow(made: Collection, folder: Path) -> None:
    made.add(folder)
    folder.rename(folder.with_name("moved"))
    with pytest.raises(UsageError, match=r"no such folder any more.*relocate"):
        made.update()


def test_a_folder_that_is_removed_is_no_source_any_more(made: Collection, folder: Path, elsewhere: Path) -> None:
    made.add(folder)
    made.add(elsewhere)
    assert made.is_source(elsewhere)
    assert not made.is_source(folder)
    assert made.remove([elsewhere]) == 3
    assert made.made_of.folders == ("",)
    assert numbers(made.update()) == {"unchanged": 12}
    assert made.remove([folder / "cats"]) == 4
    assert numbers(made.update()) == {"added": 4, "unchanged": 8}  # as ever


def test_what_it_was_made_of_moves_with_its_images(made: Collection, folder: Path, elsewhere: Path) -> None:
    made.add(folder)
    made.add(elsewhere)
    elsewhere.rename(elsewhere.with_name("moved"))
    assert lookalike.relocate(made.directory, elsewhere, elsewhere.with_name("moved")) == 3
    assert made.made_of.folders == ("", str(elsewhere.with_name("moved")))
    assert numbers(made.update()) == {"unchanged": 15}
    folder.rename(folder.with_name("other"))
    assert lookalike.relocate(made.directory, folder, folder.with_name("other")) == 12
    with lookalike.open(made.directory, encoder=ColourEncoder()) as opened:
        assert opened.made_of.folders == ("", str(elsewhere.with_name("moved")))
        assert numbers(opened.update()) == {"unchanged": 15}


def test_indexing_again_with_another_model_reads_the_same(made: Collection, folder: Path, elsewhere: Path) -> None:
    made.add(folder / "cats")
    made.add(elsewhere)
    draw(elsewhere / "new.png", 500)
    assert lookalike.reindex(made.directory, encoder=ColourEncoder("another")).added == 1
    with lookalike.open(made.directory, encoder=ColourEncoder("another")) as opened:
        assert len(opened) == 8
        assert opened.made_of.folders == ("cats", str(elsewhere))


# Lists


@pytest.fixture
def listed(folder: Path, elsewhere: Path) -> FileList:
    """A list of a folder, three files in it or elsewhere, and one that is not there."""
    path = folder / "list.txt"
    path.write_text(f"cats\n00.png\n{elsewhere}/e0.png\ndogs/nowhere.png\n03.png\n")
    return FileList(path, folder)


def test_a_list_is_remembered_and_read_again(made: Collection, folder: Path, listed: FileList) -> None:
    report = made.add(listed)
    assert (report.added, [str(skip.path) for skip in report.skipped]) == (7, [str(folder / "dogs" / "nowhere.png")])
    assert report.skipped[0].reason == "there is no such file"
    Path(listed.path).write_text("cats\n00.png\ndogs/05.png\n")
    assert numbers(made.update()) == {"added": 1, "unchanged": 5, "excluded": 2}
    assert keys(made) == {"00.png", "dogs/05.png", *(f"cats/{n:02}.png" for n in (1, 4, 7, 10))}
    assert numbers(made.update()) == {"unchanged": 6}
    facts = made.info()
    assert (facts.images, facts.missing, facts.excluded) == (6, 0, 2)
    assert all(image.excluded for image in made.missing())


def test_a_listed_file_that_goes_is_a_missing_image(made: Collection, folder: Path, listed: FileList) -> None:
    made.add(listed)
    (match,) = [match for match in made.search(folder / "00.png", k=100) if match.key == "00.png"]
    (folder / "00.png").rename(folder / "away.png")
    assert numbers(made.update())["missing"] == 1
    assert [image.id for image in made.missing()] == [match.id]
    (folder / "away.png").rename(folder / "00.png")
    assert numbers(made.update())["returned"] == 1
    assert made.missing() == []


def test_many_listed_files_that_are_gone_may_be_on_a_drive(made: Collection, folder: Path, listed: FileList) -> None:
    Path(listed.path).write_text("00.png\n03.png\n06.png\n")
    made.add(listed)
    (folder / "03.png").unlink()
    report = made.update()
    assert (numbers(report), report.misses_many) == ({"unchanged": 2, "missing": 1, "skipped": 1}, True)


def test_a_file_that_is_on_the_list_no_more_comes_back_as_it_was(
    made: Collection, folder: Path, listed: FileList
) -> None:
    made.add(listed)
    before = {match.key: match.id for match in made.search(folder / "00.png", k=100)}
    whole = Path(listed.path).read_text()
    Path(listed.path).write_text("03.png\n")
    report = made.add(listed)
    assert (numbers(report), report.misses_many) == ({"unchanged": 1, "excluded": 6}, False)
    Path(listed.path).write_text(whole)
    assert numbers(made.add(listed)) == {"unchanged": 1, "returned": 6, "skipped": 1}
    assert {match.key: match.id for match in made.search(folder / "00.png", k=100)} == before


def test_beside_other_sources_a_list_takes_nothing_away(made: Collection, folder: Path, listed: FileList) -> None:
    made.add(listed)
    made.add(folder / "dogs")
    Path(listed.path).write_text("03.png\n")
    assert numbers(made.add(listed)) == {"unchanged": 1}
    assert len(made) == 11
    assert numbers(made.update()) == {"unchanged": 5, "excluded": 6}


def test_a_list_that_is_removed_is_no_source_any_more(made: Collection, listed: FileList) -> None:
    made.add(listed)
    assert made.is_source(listed.path)
    assert made.remove([listed.path]) == 0
    assert made.made_of.lists == ()
    assert len(made) == 7


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_list_is_refused_and_nothing_is_left_out(made: Collection, listed: FileList, text: str) -> None:
    made.add(listed)
    Path(listed.path).write_text(text)
    updates: list[Callable[[], object]] = [made.update, lambda: made.add(listed)]
    for update in updates:
        with pytest.raises(UsageError, match="names no file"):
            update()
    assert len(made) == 7


def test_a_list_that_is_gone_is_named(made: Collection, listed: FileList) -> None:
    made.add(listed)
    Path(listed.path).unlink()
    with pytest.raises(UsageError, match=r"list\.txt: the list cannot be read: no such file"):
        made.update()
    assert len(made) == 7


# What is left out


def test_what_is_excluded_later_is_kept_and_comes_back(photos: Collection) -> None:
    photos.add(photos.folder)
    before = {match.key: match.id for match in photos.search(photos.folder / "00.png", k=100)}
    photos.exclude(["cats", "0[0-3].png"])
    report = photos.update()
    assert (numbers(report), report.misses_many) == ({"unchanged": 5, "excluded": 7}, False)
    assert keys(photos) == {"06.png", "09.png", "dogs/05.png", "dogs/08.png", "dogs/11.png"}
    assert numbers(photos.update()) == {"unchanged": 5}
    facts = photos.info()
    assert (facts.images, facts.excluded, facts.missing) == (5, 7, 0)
    assert all(image.excluded for image in photos.missing())
    photos.include(["cats", "0[0-3].png"])
    assert numbers(photos.update()) == {"unchanged": 5, "returned": 7}
    assert {match.key: match.id for match in photos.search(photos.folder / "00.png", k=100)} == before


def test_excluded_images_can_be_pruned(photos: Collection) -> None:
    photos.exclude(["cats/"])
    photos.update()
    assert photos.prune() == 4
    assert photos.info().excluded == 0


def test_a_skipped_file_that_is_left_out_is_forgotten(photos: Collection) -> None:
    (photos.folder / "broken.png").write_text("no image")
    assert len(photos.update().skipped) == 1
    photos.exclude(["broken*"])
    photos.update()
    assert photos.skipped() == []


def test_gone_and_excluded_are_told_apart(photos: Collection) -> None:
    photos.exclude(["cats"])
    photos.update()
    (photos.folder / "00.png").unlink()
    report = photos.update()
    assert numbers(report) == {"unchanged": 7, "missing": 1}
    assert {(image.path.name, image.excluded) for image in photos.missing()} == {
        ("00.png", False),
        *((f"{n:02}.png", True) for n in (1, 4, 7, 10)),
    }


def test_thumbnails_of_an_earlier_version_leave_the_answers(photos: Collection) -> None:
    """They were images of the collection before they were left out by default."""
    draw(photos.folder / "@eaDir" / "thumb.png", 50)
    photos.include(["@eaDir"])
    assert numbers(photos.update()) == {"unchanged": 12, "added": 1}
    (photos.directory / "sources.json").unlink()
    assert numbers(photos.update()) == {"unchanged": 12, "excluded": 1}


def test_a_path_of_the_disk_is_the_key_of_what_is_there(photos: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.folder.parent)
    photos.exclude(["photos/cats/", "photos/dogs/*.png", "photos"])
    assert [*photos.made_of.exclude] == ["cats/", "photos/dogs/*.png", "photos"]
    photos.include(["photos/cats/"])
    assert [*photos.made_of.exclude] == ["photos/dogs/*.png", "photos"]


def test_what_is_not_left_out_cannot_be_included(photos: Collection) -> None:
    photos.exclude(["*.tif"])
    with pytest.raises(UsageError, match=r"'\*\.png' is not what the collection leaves out, which is: \*\.tif"):
        photos.include(["*.png"])
    with pytest.raises(UsageError, match="no glob"):
        photos.exclude([""])
    assert photos.made_of.exclude == ("*.tif",)


def test_a_plan_counts_what_would_be_indexed(photos: Collection) -> None:
    photos.exclude(["cats"])
    assert plan(photos.folder, encoder=ColourEncoder()).census.files == 8


# A collection from a stranger


@pytest.fixture
def stranger(made: Collection, folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Collection:
    """A collection of the folder and one elsewhere, as another user has left it."""
    made.add(folder)
    made.add(elsewhere)
    monkeypatch.setenv("LOOKALIKE_TRUST", str(folder.parent / "trust"))
    monkeypatch.setattr(trust, "_TRUSTED", set())
    return made


def read_again(collection: Collection) -> dict[str, Callable[[], object]]:
    """Whatever reads what a collection names by itself."""
    return {
        "update": collection.update,
        "reindex": lambda: lookalike.reindex(collection.directory, encoder=ColourEncoder("another")),
    }


@pytest.mark.parametrize("name", ["update", "reindex"])
def test_a_stranger_names_nothing_to_read(stranger: Collection, folder: Path, elsewhere: Path, name: str) -> None:
    draw(folder / "new.png", 500)
    with pytest.raises(UsageError, match=r"says that it was made of .*photos, .*elsewhere") as raised:
        read_again(stranger)[name]()
    assert str(folder) in raised.value.message
    assert str(elsewhere) in raised.value.message
    assert [hint.action for hint in raised.value.hints] == ["trust"]
    assert len(stranger) == 15


def test_what_is_trusted_is_remembered_until_something_else_is_named(stranger: Collection, tmp_path: Path) -> None:
    stranger.trust()
    assert numbers(stranger.update()) == {"unchanged": 15}
    made_of = stranger.made_of
    remembered.write(stranger.directory, made_of.with_folder(str(tmp_path.resolve() / "private")))
    with pytest.raises(UsageError, match="private"):
        stranger.update()
    remembered.write(stranger.directory, made_of)
    assert numbers(stranger.update()) == {"unchanged": 15}


def test_naming_a_folder_trusts_that_one_only(stranger: Collection, folder: Path) -> None:
    assert numbers(stranger.add(folder)) == {"unchanged": 12}
    with pytest.raises(UsageError, match="elsewhere"):
        stranger.update()


def test_naming_all_that_there_is_trusts_it(folder: Path, made: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    made.add(folder)
    monkeypatch.setenv("LOOKALIKE_TRUST", str(folder.parent / "trust"))
    monkeypatch.setattr(trust, "_TRUSTED", set())
    with pytest.raises(UsageError, match="photos"):
        made.update()
    made.add(folder)
    assert numbers(made.update()) == {"unchanged": 12}


def test_a_collection_in_its_folder_needs_no_trust(photos: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_TRUST", "/nowhere/trust")
    assert numbers(photos.update()) == {"unchanged": 12}
    photos.exclude(["cats"])
    assert numbers(photos.update()) == {"unchanged": 8, "excluded": 4}


def test_a_folder_that_is_a_link_leads_outside(photos: Collection, elsewhere: Path) -> None:
    (photos.folder / "link").symlink_to(elsewhere)
    remembered.write(photos.directory, lookalike.MadeOf(folders=("link",)))
    with pytest.raises(UsageError, match="photos/link"):
        photos.update()


def test_a_list_of_a_stranger_is_not_read(photos: Collection, elsewhere: Path) -> None:
    """It may be in the folder, and name anything."""
    (photos.folder / "list.txt").write_text(f"{elsewhere}/e0.png\n")
    made_of = lookalike.MadeOf(lists=(remembered.ListSource("list.txt", ""),))
    remembered.write(photos.directory, made_of)
    with pytest.raises(UsageError, match=r"list\.txt"):
        photos.update()


def test_files_elsewhere_of_a_catalog_are_not_read(photos: Collection, elsewhere: Path) -> None:
    photos.add([elsewhere / "e0.png"])
    (photos.directory / "sources.json").unlink()
    draw(elsewhere / "e0.png", 7)
    assert numbers(photos.update()) == {"unchanged": 12}
    with pytest.raises(UsageError, match=r"e0\.png"):
        lookalike.reindex(photos.directory, encoder=ColourEncoder("another"))
    photos.trust()
    assert lookalike.reindex(photos.directory, encoder=ColourEncoder("another")).unchanged == 13


def test_without_a_folder_for_notes_trust_lasts_for_the_process(
    stranger: Collection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOOKALIKE_TRUST", str(tmp_path / "file"))
    stranger.trust()
    assert numbers(stranger.update()) == {"unchanged": 15}
    monkeypatch.setattr(trust, "_TRUSTED", set())  # as in another process
    with pytest.raises(UsageError, match="elsewhere"):
        stranger.update()


def test_a_copy_of_a_collection_is_the_same_to_its_user(made: Collection, folder: Path) -> None:
    made.add(folder)
    shutil.copytree(made.directory, folder.parent / "copy")
    with lookalike.open(folder.parent / "copy", encoder=ColourEncoder()) as copy:
        assert numbers(copy.update()) == {"unchanged": 12}
    assert Missing.__doc__
    assert os.sep == "/"
