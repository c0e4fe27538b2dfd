"""Which copies are found in a collection, how they are grouped, and that nothing is compared twice."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike
from lookalike import Collection
from lookalike.copies.changes import Changes
from lookalike.copies.probability import copy_probability
from lookalike.duplicates import comparing
from lookalike.duplicates.names import Grade
from lookalike.duplicates.results import CopyGroup, Duplicates
from lookalike.errors import IncompatibleError, UsageError
from tests.support.edited_pictures import EDITED, DimEncoder, scene
from tests.support.pictures import ColourEncoder

SCENES = 8


EDITS = {0: "grey", 1: "cropped to two thirds", 2: "mirrored", 3: "framed"}


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Eight scenes, four of them with an edited copy, one with the same bytes and one with the same pixels."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    for seed in range(SCENES):
        scene(seed).save(folder / f"{seed}.png")
    for seed, edit in EDITS.items():
        EDITED[edit][0](scene(seed)).save(folder / f"{seed}-{edit.split()[0]}.png")
    shutil.copy(folder / "4.png", folder / "4-bytes.png")
    scene(5).save(folder / "5-pixels.bmp")
    return folder


@pytest.fixture
def collection(scenes: Path) -> Iterator[Collection]:
    with lookalike.create(scenes, encoder=DimEncoder()) as created:
        created.add(scenes)
        yield created


def told(found: Duplicates) -> dict[str, list[tuple[str, str]]]:
    """The copies of each image that is to be kept, with their grades."""
    return {group.keep.key: [(copy.image.key, copy.grade) for copy in group.copies] for group in found.groups}


ALL = {
    "0.png": [("0-grey.png", "edited copy")],
    "1.png": [("1-cropped.png", "edited copy")],
    "2.png": [("2-mirrored.png", "edited copy")],
    "3.png": [("3-framed.png", "edited copy")],
    "4.png": [("4-bytes.png", "same bytes")],
    "5.png": [("5-pixels.bmp", "same pixels")],
}


def test_copies_are_found_with_grade_reason_and_the_one_to_keep(collection: Collection) -> None:
    found = collection.duplicates()
    assert told(found) == ALL
    assert (found.images, found.unread, found.pending, found.against) == (14, (), 0, None)
    groups = {group.keep.key: group for group in found.groups}
    reasons = {group.copies[0].reason for group in found.groups}
    assert reasons == {
        "0-grey.png is 0.png, in grey",
        "1-cropped.png is a crop of 1.png",
        "2-mirrored.png is 2.png, mirrored",
        "3-framed.png shows 3.png within a frame or other content",
        "4-bytes.png has the same bytes as 4.png",
        "5-pixels.bmp shows the same pixels as 5.png",
    }
    assert groups["1.png"].why == "the whole picture"
    assert groups["3.png"].why == "nothing was added to it"  # though its copy has more pixels
    assert [copy.score for copy in groups["4.png"].copies] == [1.0]
    assert all(0.65 <= copy.score <= 1 for group in found.groups for copy in group.copies)
    for copy in (copy for group in found.groups for copy in group.copies):
        assert copy.probability == copy_probability(copy.score)


@pytest.mark.parametrize(
    ("grade", "wanted"),
    [("same bytes", ["4.png"]), ("same pixels", ["4.png", "5.png"]), ("edited copy", sorted(ALL))],
)
def test_a_grade_leaves_out_what_is_looser(grade: Grade, wanted: list[str], collection: Collection) -> None:
    assert sorted(told(collection.duplicates(grade=grade))) == wanted


def test_what_only_looks_alike_is_told_if_asked(collection: Collection, scenes: Path) -> None:
    bright = scene(6).point([min(255, value + 3) for value in range(256)] * 3)
    bright.paste(scene(7).resize((400, 300)).crop((0, 0, 330, 300)).resize((330, 300)), (0, 0))
    bright.save(scenes / "6-other.png")
    collection.add(scenes)
    strict, loose = told(collection.duplicates()), told(collection.duplicates(grade="alike"))
    grades = {grade for copies in loose.values() for _, grade in copies}
    assert grades <= {"same bytes", "same pixels", "edited copy", "same scene", "alike"}
    assert {copy for copies in strict.values() for copy, _ in copies} <= {
        name for keep, copies in loose.items() for name in [keep, *(copy for copy, _ in copies)]
    }


def test_a_second_run_compares_nothing_and_finds_the_same(collection: Collection) -> None:
    first, second = collection.duplicates(), collection.duplicates()
    assert first.compared > 20
    assert second.compared == 0
    assert first.groups == second.groups
    assert collection.duplicates(processes=0).groups == first.groups


def test_what_has_not_been_compared_is_counted(collection: Collection, scenes: Path) -> None:
    before = collection.duplicates(processes=0)
    assert (before.pending, list(told(before))) == (14, ["4.png"])
    collection.duplicates()
    scene(30).save(scenes / "30.png")
    collection.add(scenes)
    assert collection.duplicates(processes=0).pending == 1


def test_only_what_is_new_is_compared(collection: Collection, scenes: Path) -> None:
    before = collection.duplicates().compared
    EDITED["cropped to a quarter"][0](scene(7)).save(scenes / "7-quarter.png")
    collection.add(scenes)
    later = collection.duplicates()
    assert 0 < later.compared <= 14
    assert told(later) == ALL | {"7.png": [("7-quarter.png", "edited copy")]}
    (collection.directory / "pictures.sqlite").unlink()
    anew = collection.duplicates()
    assert anew.groups == later.groups
    assert anew.compared > max(before, later.compared)


def test_more_candidates_are_looked_for_if_asked(collection: Collection) -> None:
    few = collection.duplicates(nearest=1)
    assert 7 <= few.compared <= 14
    assert told(few).items() <= ALL.items()
    assert told(collection.duplicates(nearest=13)) == ALL
    assert collection.duplicates(nearest=5).compared == 0


def test_an_image_that_is_gone_is_in_no_group(collection: Collection, scenes: Path) -> None:
    collection.duplicates()
    (scenes / "0.png").unlink()
    collection.add(scenes)
    assert sorted(told(collection.duplicates())) == sorted(ALL.keys() - {"0.png"})


def test_an_image_whose_file_has_changed_is_named(collection: Collection, scenes: Path) -> None:
    scene(99).save(scenes / "6.png")
    found = collection.duplicates()
    assert [image.key for image in found.unread] == ["6.png"]
    assert told(found) == ALL


@pytest.mark.parametrize("data", [b"", b"no database", b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_file_of_comparisons_is_made_anew(data: bytes, collection: Collection) -> None:
    path = collection.directory / "pictures.sqlite"
    path.write_bytes(data)
    assert told(collection.duplicates()) == ALL
    assert path.stat().st_size > 10_000


def test_processes_find_what_one_does(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    from lookalike.duplicates import comparing

    alone = collection.duplicates(processes=1)
    (collection.directory / "pictures.sqlite").unlink()
    monkeypatch.setattr(comparing, "_FEW", 0)
    steps: list[tuple[int, int]] = []
    shared = collection.duplicates(processes=2, progress=lambda done, total: steps.append((done, total)))
    assert shared.groups == alone.groups
    assert shared.compared == alone.compared
    assert steps == sorted(steps)
    assert steps[-1] == (1000, 1000)


def test_stopping_keeps_what_was_found(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    from lookalike.duplicates import comparing

    monkeypatch.setattr(comparing, "_FEW", 0)
    monkeypatch.setattr(comparing, "_AT_ONCE", 10)

    def stop(done: int, _total: int) -> None:
        if done > 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collection.duplicates(processes=1, progress=stop)
    rest = collection.duplicates(processes=1)
    (collection.directory / "pictures.sqlite").unlink()
    assert rest.compared < collection.duplicates(processes=1).compared
    assert told(rest) == ALL


def test_images_with_copies_in_another_collection(collection: Collection, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    for seed in (0, 6, 20):
        EDITED["mirrored"][0](scene(seed)).save(folder / f"new-{seed}.png")
    scene(7).save(folder / "new-7.png")
    with lookalike.create(folder, encoder=DimEncoder()) as new:
        new.add(folder)
        found = new.duplicates(against=collection)
    assert told(found) == {
        "0.png": [("new-0.png", "edited copy")],
        "6.png": [("new-6.png", "edited copy")],
        "7.png": [("new-7.png", "same bytes")],
    }
    assert found.against == collection.folder
    assert {group.keep.path for group in found.groups} == {collection.folder / f"{seed}.png" for seed in (0, 6, 7)}


def test_a_file_of_both_collections_is_no_copy_of_itself(collection: Collection, tmp_path: Path) -> None:
    directory = tmp_path / "another"
    with lookalike.create(collection.folder, directory=directory, encoder=DimEncoder()) as other:
        other.add(collection.folder)
        assert other.duplicates(against=collection).groups == ()


def test_collections_of_other_models_are_not_compared(collection: Collection, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with (
        lookalike.create(tmp_path / "other", encoder=ColourEncoder("c0105002")) as other,
        pytest.raises(IncompatibleError, match="made with the model colours"),
    ):
        collection.duplicates(against=other)


def test_a_collection_that_cannot_be_written_is_compared_all_the_same(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as forbidden:
        forbidden.setattr(os, "access", lambda *_: False)
        assert told(collection.duplicates()) == ALL
    path = collection.directory / "pictures.sqlite"
    assert not path.exists()
    collection.duplicates()
    before = path.read_bytes()
    monkeypatch.setattr(os, "access", lambda *_: False)
    known = collection.duplicates()
    assert (told(known), known.compared) == (ALL, 0)
    assert path.read_bytes() == before


def test_wrong_arguments_are_refused(collection: Collection) -> None:
    for wrong in ({"grade": "copies"}, {"processes": -1}, {"nearest": 0}, {"against": "folder"}, {"progress": 3}):
        with pytest.raises(UsageError):
            collection.duplicates(**wrong)


def test_an_empty_collection_has_no_copies(tmp_path: Path) -> None:
    with lookalike.create(tmp_path, encoder=DimEncoder()) as empty:
        assert empty.duplicates() == Duplicates((), 0, 0)


def test_a_group_gives_all_of_its_images(collection: Collection) -> None:
    group: CopyGroup = collection.duplicates(grade="same bytes").groups[0]
    assert [image.key for image in group] == ["4.png", "4-bytes.png"]


@pytest.mark.parametrize("area", ["NaN", "Infinity", "-1", "0", "1e9", '"x"', "null", "[]", "true"])
def test_a_kept_comparison_with_an_area_that_no_picture_has_is_none(area: str) -> None:
    kept = '{"extent": "crop", "mirrored": false, "angle": 0.0, "stretched": false, "tone": "", "area": %s}'
    assert comparing.changes_of(kept % "0.25") == Changes(
        "crop", mirrored=False, angle=0, stretched=False, tone="", area=0.25
    )
    assert comparing.changes_of(kept % area) is None
