"""Contact sheets that Lookalike wrote into a folder of images do not become images of the collection."""

import shutil
from pathlib import Path

import pytest

from lookalike import Collection
from lookalike.collection.plan import plan
from lookalike.display.sheet import write_sheet
from tests.support.commands import run
from tests.support.pictures import ColourEncoder, counts, draw, everything, picture


@pytest.mark.parametrize("name", ["sheet.jpg", "cats/sheet.JPEG", "sheet.png", "sheet.webp"])
def test_a_contact_sheet_in_the_folder_is_left_out_silently(photos: Collection, name: str) -> None:
    """Whatever its name is later, and again by each run."""
    matches = photos.search(picture(1), k=3)
    write_sheet(matches, photos.folder / "written.png" if name.endswith(".webp") else photos.folder / name)
    if name.endswith(".webp"):
        (photos.folder / "written.png").rename(photos.folder / name)
    for _ in range(2):
        assert counts(photos.add(photos.folder)) == {"unchanged": 12}
    assert photos.skipped() == []
    assert len(everything(photos)) == 12


def test_a_contact_sheet_named_among_files_is_left_out_too(photos: Collection) -> None:
    """As a shell names it that expands *.png."""
    write_sheet(photos.search(picture(1)), photos.folder / "sheet.png")
    draw(photos.folder / "new.png", 30)
    assert counts(photos.add(sorted(photos.folder.glob("*.png")))) == {"added": 1, "unchanged": 4}


def test_an_image_that_a_sheet_has_replaced_is_missing(photos: Collection) -> None:
    before = everything(photos)
    write_sheet(photos.search(picture(1)), photos.folder / "00.png", overwrite=True)
    assert counts(photos.add(photos.folder)) == {"missing": 1, "unchanged": 11}
    assert "00.png" not in everything(photos)
    assert photos.skipped() == []
    draw(photos.folder / "00.png", 0)
    assert counts(photos.add(photos.folder)) == {"returned": 1, "unchanged": 11}
    assert everything(photos) == before


def test_a_contact_sheet_may_be_a_query(photos: Collection, tmp_path: Path) -> None:
    write_sheet(photos.search(picture(1)), tmp_path / "sheet.png")
    assert len(photos.search(tmp_path / "sheet.png", k=3)) == 3


def test_a_damaged_file_beside_a_sheet_is_still_reported(photos: Collection) -> None:
    write_sheet(photos.search(picture(1)), photos.folder / "sheet.jpg")
    (photos.folder / "broken.jpg").write_bytes(b"broken")
    report = photos.add(photos.folder)
    assert [skip.path.name for skip in report.skipped] == ["broken.jpg"]


def test_a_plan_says_why_a_contact_sheet_is_not_counted(photos: Collection, encoder: ColourEncoder) -> None:
    write_sheet(photos.search(picture(1)), photos.folder / "sheet.jpg")
    shutil.rmtree(photos.directory)
    planned = plan(photos.folder, encoder=encoder)
    assert [skip.reason for skip in planned.trial.skipped] == ["a contact sheet of Lookalike's"]
    assert planned.images == 12


def test_the_command_ends_with_0_and_says_nothing_of_the_sheet(tmp_path: Path) -> None:
    for seed in range(3):
        draw(tmp_path / "photos" / f"{seed}.jpg", seed)
    assert run("index", "photos", cwd=tmp_path)[0] == 0
    assert run("search", "--id", "1", "--sheet", "photos/sheet.jpg", cwd=tmp_path)[0] == 0
    for _ in range(2):
        code, out, err = run("index", "photos", cwd=tmp_path)
        assert (code, err) == (0, "")
        assert out.startswith("3 unchanged in ")
