"""Which image a file is: contents first, then the path, whatever the order of the files and wherever a run stops."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

import lookalike
from lookalike import Collection
from lookalike.errors import ImageError
from lookalike.images import reading
from lookalike.ingest import displaced
from tests.support.file_history import in_small_steps
from tests.support.noted_images import add_noted, add_with_stops, notes, notes_of_missing
from tests.support.pictures import ColourEncoder, draw, everything
from tests.support.reindexing import stop_after

NOTED = ("a.png", "b.png", "c.png")
A, B, C = NOTED


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Collection]:
    with lookalike.create(tmp_path.resolve(), encoder=ColourEncoder()) as photos:
        add_noted(photos, *NOTED)
        yield photos


def move(folder: Path, *names: str) -> Path:
    """Gives each file the next name."""
    for old, new in zip(names[-2::-1], names[:0:-1], strict=True):
        (folder / old).rename(folder / new)
    return folder


def copy(folder: Path, old: str, new: str) -> Path:
    (folder / new).parent.mkdir(exist_ok=True)
    return Path(shutil.copyfile(folder / old, folder / new))


def halve(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


CHANGES: dict[str, tuple[Callable[[Path], object], dict[str, str | None]]] = {
    "nothing": (lambda folder: None, {A: A, B: B, C: C}),
    "touched": (lambda folder: os.utime(folder / A), {A: A, B: B, C: C}),
    "deleted": (lambda folder: (folder / A).unlink(), {B: B, C: C}),
    "exchanged": (lambda folder: (move(folder, A, "x"), move(folder, B, A), move(folder, "x", B)), {A: B, B: A, C: C}),
    "moved round": (lambda folder: (move(folder, A, B, C, "x"), move(folder, "x", A)), {A: C, B: A, C: B}),
    "renumbered": (lambda folder: move(folder, A, B, C, "d.png"), {B: A, C: B, "d.png": C}),
    "renumbered to the front": (lambda folder: move(folder, C, B, A, "0.png"), {"0.png": A, A: B, B: C}),
    "renamed onto another": (lambda folder: move(folder, A, B), {B: A, C: C}),
    "renamed behind and replaced": (
        lambda folder: (move(folder, A, "z.png"), draw(folder / A, 9)),
        {"z.png": A, A: None, B: B, C: C},
    ),
    "renamed in front and replaced": (
        lambda folder: (move(folder, C, "0.png"), draw(folder / C, 9)),
        {"0.png": C, A: A, B: B, C: None},
    ),
    "edited": (lambda folder: draw(folder / A, 9), {A: A, B: B, C: C}),
    "edited with a backup": (
        lambda folder: (copy(folder, A, "backup/a.png"), draw(folder / A, 9)),
        {"backup/a.png": A, A: None, B: B, C: C},
    ),
    "copied behind": (lambda folder: copy(folder, A, "z.png"), {A: A, B: B, C: C, "z.png": None}),
    "copied in front": (lambda folder: copy(folder, A, "0.png"), {A: A, B: B, C: C, "0.png": None}),
    "copied over another": (lambda folder: copy(folder, A, B), {A: A, B: B, C: C}),
    "renamed": (lambda folder: move(folder, A, "z.png"), {"z.png": A, B: B, C: C}),
    "a placeholder": (lambda folder: (folder / A).write_bytes(b""), {B: B, C: C}),
    "half copied": (lambda folder: halve(folder / A), {B: B, C: C}),
    "half copied elsewhere": (lambda folder: halve(copy(folder, A, "z.png")), {A: A, B: B, C: C}),
    "whole elsewhere": (lambda folder: (copy(folder, A, "z.png"), halve(folder / A)), {"z.png": A, B: B, C: C}),
}


@pytest.mark.parametrize("add", [lambda photos: photos.add(photos.folder), add_with_stops], ids=["at once", "stopped"])
@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
def test_an_image_follows_its_contents_and_else_stays_at_its_path(
    photos: Collection,
    change: Callable[[Path], object],
    expected: dict[str, str | None],
    add: Callable[[Collection], object],
) -> None:
    ids = {key: match.id for key, match in everything(photos).items()}
    change(photos.folder)
    add(photos)
    assert notes(photos) == expected
    assert notes_of_missing(photos) == sorted(set(NOTED) - set(filter(None, expected.values())))
    for key, match in everything(photos).items():
        note = expected[key]
        assert match.id == ids[note] if note else match.id > len(NOTED)


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b""), halve, Path.unlink, Path.mkdir])
@pytest.mark.parametrize("name", ["a.png", "0.png", "later/z.png"])
def test_a_file_that_is_back_runs_later_is_the_image_again(
    photos: Collection, tmp_path_factory: pytest.TempPathFactory, spoil: Callable[[Path], object], name: str
) -> None:
    """Under its own or another name, whatever was there meanwhile."""
    path, aside = photos.folder / A, tmp_path_factory.mktemp("aside") / "kept"
    before = everything(photos)[A]
    shutil.copy(path, aside)
    path.unlink() if spoil is Path.mkdir else None
    spoil(path)
    for _ in range(3):
        photos.add(photos.folder)
    assert notes_of_missing(photos) == [A]
    if path.is_dir():
        path.rmdir()
    (photos.folder / name).parent.mkdir(exist_ok=True)
    shutil.copy(aside, photos.folder / name)
    assert photos.add(photos.folder).returned == 1
    after = everything(photos)[name]
    assert (after.id, dict(after.attributes)) == (before.id, dict(before.attributes))
    assert photos.missing() == []


def test_a_copy_is_an_image_of_its_own_when_the_original_goes(photos: Collection) -> None:
    copy(photos.folder, A, "x.png")
    photos.add(photos.folder)
    copy(photos.folder, "x.png", "y.png")
    photos.add(photos.folder)
    (photos.folder / A).unlink()
    photos.add(photos.folder)
    assert notes(photos) == {B: B, C: C, "x.png": None, "y.png": None}
    copy(photos.folder, "y.png", "z.png")  # the contents of the missing image, at a path where no image is
    photos.add(photos.folder)
    assert notes(photos) == {B: B, C: C, "x.png": None, "y.png": None, "z.png": A}


@pytest.mark.usefixtures("old_files")
@pytest.mark.parametrize("first", [A, B])
def test_of_images_missed_at_one_path_the_contents_tell_which_is_back(
    photos: Collection, tmp_path_factory: pytest.TempPathFactory, first: str
) -> None:
    aside = tmp_path_factory.mktemp("aside")
    (photos.folder / A).rename(aside / A)
    photos.add(photos.folder)
    (photos.folder / B).rename(photos.folder / A)
    photos.add(photos.folder)
    (photos.folder / A).rename(aside / B)
    photos.add(photos.folder)
    assert notes_of_missing(photos) == [A, B]
    (aside / first).rename(photos.folder / A)
    photos.add(photos.folder)
    assert notes(photos) == {A: first, C: C}


def test_another_file_at_the_path_of_missing_images_is_the_last_of_them(photos: Collection) -> None:
    for name in (A, B):
        (photos.folder / name).rename(photos.folder / "x.png")
        photos.add(photos.folder)
        (photos.folder / "x.png").unlink()
        photos.add(photos.folder)
    draw(photos.folder / "x.png", 9)
    photos.add(photos.folder)
    assert notes(photos) == {C: C, "x.png": B}


def test_an_image_that_cannot_be_read_now_keeps_its_place(photos: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy does not take its id meanwhile."""
    copy(photos.folder, A, "0.png")
    read = reading.read

    def refuse(path: Path, **_: int) -> reading.FileBytes:
        if path.name == A:
            raise ImageError("permission denied", str(path), lasting=False)
        return read(path)

    monkeypatch.setattr(reading, "read", refuse)
    os.utime(photos.folder / A)
    photos.add(photos.folder)
    assert (notes(photos), notes_of_missing(photos)) == ({"0.png": None, B: B, C: C}, [A])
    monkeypatch.undo()
    photos.add(photos.folder)
    assert notes(photos) == {A: A, B: B, C: C, "0.png": None}


def test_a_run_over_another_folder_ends_no_stopped_one(photos: Collection) -> None:
    """An image whose edit was noticed still follows its earlier contents when the run is carried on."""
    move(photos.folder, A, "z.png")
    draw(photos.folder / A, 9)
    draw(photos.folder / "other" / "x.png", 8)
    with in_small_steps(1, 1), pytest.raises(KeyboardInterrupt):
        photos.add(photos.folder, threads=1, progress=stop_after(1))
    photos.add(photos.folder / "other")
    photos.add([photos.folder / B])
    photos.add(photos.folder)
    assert notes(photos) == {A: None, B: B, C: C, "z.png": A, "other/x.png": None}


def test_an_image_edited_in_an_earlier_run_follows_no_earlier_contents(photos: Collection) -> None:
    copy(photos.folder, A, "kept.txt")
    draw(photos.folder / A, 9)
    photos.add(photos.folder)
    move(photos.folder, "kept.txt", "z.png")
    photos.add(photos.folder)
    assert notes(photos) == {A: A, B: B, C: C, "z.png": None}


def test_whether_copies_are_still_there_is_looked_up_once_in_a_run(photos: Collection) -> None:
    """However many there are, and whether they are there or gone."""
    for number in range(300):
        (photos.folder / f"{number:03}.png").hardlink_to(photos.folder / A)
    photos.add(photos.folder)
    for number in range(0, 300, 2):
        (photos.folder / f"{number:03}.png").unlink()
    for number in range(200):
        (photos.folder / f"new {number:03}.png").hardlink_to(photos.folder / A)
    spy = mock.patch.object(displaced, "_is_displaced", side_effect=displaced._is_displaced)
    with in_small_steps(10, 5), spy as looked_up:
        report = photos.add(photos.folder)
    assert (report.renamed, report.added, report.missing) == (150, 50, 0)
    assert looked_up.call_count <= 301 + 200
