"""Images that are in another place now: a drive with another mount point, a folder with another name."""

import shutil
from pathlib import Path

import pytest

import lookalike
from lookalike import Collection
from lookalike.collection.relocation import moved_folder
from lookalike.errors import IncompatibleError, NoCollectionError, UsageError
from tests.support.pictures import ColourEncoder, draw, everything, picture


@pytest.fixture
def kept_elsewhere(tmp_path: Path) -> Collection:
    """The collection of four pictures in `drive`, which is in `catalogue`; each has its name as an attribute."""
    drive = tmp_path.resolve() / "drive"
    for seed in range(4):
        draw(drive / ("", "cats")[seed % 2] / f"{seed}.png", seed)
    photos = lookalike.create(drive, directory=tmp_path / "catalogue", encoder=ColourEncoder())
    photos.add(drive)
    annotate(photos, tmp_path)
    return photos


def annotate(photos: Collection, tmp_path: Path) -> None:
    rows = [f"{match.path},{match.path.name}" for match in everything(photos).values()]
    (tmp_path / "table.csv").write_text("\n".join(["path,was", *rows]))
    assert photos.annotate(tmp_path / "table.csv").images == len(rows)


def known(photos: Collection) -> dict[str, tuple[int, object]]:
    """The id and the attribute of each image, by key."""
    return {key: (match.id, match.attributes.get("was")) for key, match in everything(photos).items()}


def reopened(photos: Collection) -> Collection:
    photos.close()
    return lookalike.open(photos.directory, encoder=ColourEncoder())


def test_the_collection_follows_its_folder(kept_elsewhere: Collection, tmp_path: Path) -> None:
    before = known(kept_elsewhere)
    new = (tmp_path / "drive").rename(tmp_path / "mounted")
    assert lookalike.relocate(kept_elsewhere.directory, tmp_path / "drive", new) == 4
    with reopened(kept_elsewhere) as photos:
        assert photos.folder == new.resolve()
        assert known(photos) == before
        assert photos.add(new).unchanged == 4
        assert all(match.path.exists() for match in photos.search(picture(0)))


def test_a_folder_above_the_collections_takes_it_along(kept_elsewhere: Collection, tmp_path: Path) -> None:
    before = known(kept_elsewhere)
    (tmp_path / "media").mkdir()
    (tmp_path / "drive").rename(tmp_path / "media" / "drive")
    assert lookalike.relocate(kept_elsewhere.directory, tmp_path, tmp_path / "media") == 4
    with reopened(kept_elsewhere) as photos:
        assert (photos.folder, known(photos)) == ((tmp_path / "media" / "drive").resolve(), before)


def test_images_elsewhere_follow_and_may_come_into_the_folder(photos: Collection, tmp_path: Path) -> None:
    elsewhere = tmp_path.resolve() / "elsewhere"
    draw(elsewhere / "a.png", 40)
    photos.add(elsewhere)
    id_ = everything(photos)[f"{elsewhere}/a.png"].id
    new = elsewhere.rename(elsewhere.with_name("card"))
    assert lookalike.relocate(photos.directory, elsewhere, new) == 1
    assert everything(photos)[f"{new}/a.png"].id == id_
    inside = new.rename(photos.folder / "card")
    assert lookalike.relocate(photos.directory, new, inside) == 1
    assert everything(photos)["card/a.png"].id == id_


def test_a_folder_within_the_collections_may_be_renamed(photos: Collection) -> None:
    before = {key.replace("cats/", "kittens/"): match.id for key, match in everything(photos).items()}
    (photos.folder / "cats").rename(photos.folder / "kittens")
    assert lookalike.relocate(photos.folder, photos.folder / "cats", photos.folder / "kittens") == 4
    assert {key: match.id for key, match in everything(photos).items()} == before
    assert {match.label for match in everything(photos).values()} == {None, "kittens", "dogs"}
    assert photos.add(photos.folder).unchanged == 12


def test_images_that_were_indexed_at_both_places_become_one(kept_elsewhere: Collection, tmp_path: Path) -> None:
    """The drive was copied, both copies are in the collection, and the first copy has gone for good."""
    before = known(kept_elsewhere)
    shutil.copytree(tmp_path / "drive", copy := tmp_path.resolve() / "copy")
    draw(copy / "cats" / "1.png", 60)  # another picture under the name of an old one
    kept_elsewhere.add(copy)
    assert len(kept_elsewhere) == 8
    shutil.rmtree(tmp_path / "drive")
    assert lookalike.relocate(kept_elsewhere.directory, tmp_path / "drive", copy) == 4
    with reopened(kept_elsewhere) as photos:
        after = known(photos)
        id_, attribute = after.pop("cats/1.png")
        assert (id_ > 4, attribute) == (True, None)
        expected = dict(before)
        gone = expected.pop("cats/1.png")
        assert after == expected
        assert [missing.id for missing in photos.missing()] == [gone[0]]
        draw(copy / "back.png", 1)
        assert photos.add(copy).returned == 1
        assert known(photos)["back.png"] == gone


def test_missing_images_follow_and_are_found_at_the_new_place(kept_elsewhere: Collection, tmp_path: Path) -> None:
    """A run while the drive was away has missed them all."""
    before = known(kept_elsewhere)
    new = (tmp_path / "drive").rename(tmp_path / "mounted")
    (tmp_path / "drive").mkdir()
    report = kept_elsewhere.add(tmp_path / "drive")
    assert (report.missing, report.misses_many, len(kept_elsewhere)) == (4, True, 0)
    assert lookalike.relocate(kept_elsewhere.directory, tmp_path / "drive", new) == 4
    with reopened(kept_elsewhere) as photos:
        assert photos.add(new).returned == 4
        assert known(photos) == before


def test_it_can_be_done_again_and_back(kept_elsewhere: Collection, tmp_path: Path) -> None:
    before = known(kept_elsewhere)
    old, new = tmp_path / "drive", tmp_path / "mounted"
    for _ in range(2):
        old.rename(new)
        assert lookalike.relocate(kept_elsewhere.directory, old, new) == 4
        old, new = new, old
    with reopened(kept_elsewhere) as photos:
        assert known(photos) == before


def test_what_is_open_meanwhile_has_to_be_opened_again_to_write(kept_elsewhere: Collection, tmp_path: Path) -> None:
    new = (tmp_path / "drive").rename(tmp_path / "mounted")
    lookalike.relocate(kept_elsewhere.directory, tmp_path / "drive", new)
    with pytest.raises(IncompatibleError, match=r"its images have moved from .*drive to .*mounted; open it again"):
        kept_elsewhere.add(new)


@pytest.mark.parametrize(("old", "new"), [("nothing", "drive"), ("catalogue", "drive"), ("drive", "nothing")])
def test_a_folder_without_images_or_that_is_not_there_is_refused(
    kept_elsewhere: Collection, tmp_path: Path, old: str, new: str
) -> None:
    before = known(kept_elsewhere)
    with pytest.raises(UsageError, match=r"no images in it|there is no such folder"):
        lookalike.relocate(kept_elsewhere.directory, tmp_path / old, tmp_path / new)
    assert known(kept_elsewhere) == before


def test_without_a_collection_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoCollectionError):
        lookalike.relocate(tmp_path, tmp_path / "a", tmp_path)


# Whether the contents leave no doubt


def test_a_folder_with_the_same_contents_is_recognised(kept_elsewhere: Collection, tmp_path: Path) -> None:
    new = (tmp_path / "drive").rename(tmp_path / "mounted")
    assert moved_folder(kept_elsewhere.directory, new) == tmp_path.resolve() / "drive"
    (tmp_path / "drive").mkdir()  # the mount point is still there, and empty
    assert moved_folder(kept_elsewhere.directory, new) == tmp_path.resolve() / "drive"


def test_a_copy_beside_the_folder_has_not_taken_its_place(kept_elsewhere: Collection, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "drive", tmp_path / "copy")
    assert moved_folder(kept_elsewhere.directory, tmp_path / "copy") is None
    assert moved_folder(kept_elsewhere.directory, tmp_path / "drive") is None
    assert moved_folder(kept_elsewhere.directory, tmp_path / "drive" / "cats") is None


def test_another_picture_under_an_old_name_leaves_doubt(kept_elsewhere: Collection, tmp_path: Path) -> None:
    new = (tmp_path / "drive").rename(tmp_path / "mounted")
    draw(new / "cats" / "1.png", 99)
    assert moved_folder(kept_elsewhere.directory, new) is None
    (new / "cats" / "1.png").unlink()
    assert moved_folder(kept_elsewhere.directory, new) is None


def test_an_empty_collection_follows_nothing(tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    (tmp_path / "other").mkdir()
    with lookalike.create(tmp_path / "drive", directory=tmp_path / "kept", encoder=ColourEncoder()) as photos:
        assert moved_folder(photos.directory, tmp_path / "other") is None
