"""Output files are written whole or not at all, and replace no file that Lookalike has not written."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from lookalike import demo
from lookalike.display import write_file
from lookalike.display.page import page, write_page
from lookalike.display.report import report, write_report
from lookalike.display.sheet import write_sheet
from lookalike.errors import Hint, StorageError, UsageError
from lookalike.results import Match, Matches
from tests.support.evaluations import EXACT
from tests.support.pictures import draw

OLD, NEW = write_file.PAGE + b"old", write_file.PAGE + b"new"


def write_new(path: Path) -> None:
    write_file.write(path, NEW)


def refused(path: Path, *, says: str) -> None:
    """Both `check` and `write` refuse a path for that reason, and what is there stays as it is."""
    before = {each: each.read_bytes() for each in path.parent.rglob("*") if each.is_file()}
    for attempt in (write_file.check, write_new):
        with pytest.raises(UsageError, match=says) as caught:
            attempt(path)
        assert caught.value.message.startswith(f"{path}: ")
        assert "give another path" in caught.value.message
        assert caught.value.hints == (() if "collection" in says else (Hint("overwrite"),))
    if "collection" in says:
        with pytest.raises(UsageError, match=says):
            write_file.write(path, NEW, overwrite=True)
    assert {each: each.read_bytes() for each in path.parent.rglob("*") if each.is_file()} == before


# How a file is written


def test_the_target_of_a_symlink_is_replaced_and_the_symlink_stays(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(OLD)
    (tmp_path / "link.html").symlink_to("page.html")
    write_file.write(tmp_path / "link.html", NEW)
    assert (tmp_path / "page.html").read_bytes() == NEW
    assert (tmp_path / "link.html").is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "page.html").write_bytes(OLD)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"page\.html.*No space left"):
        write_file.write(tmp_path / "page.html", NEW)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [OLD]


@pytest.mark.timeout(10)
def test_a_path_where_no_file_can_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "to_pipe").symlink_to("pipe")
    os.mkfifo(tmp_path / "pipe")
    unwritable = [tmp_path, Path("/dev/null"), *(tmp_path / name for name in ("pipe", "to_pipe", "loop"))]
    for path in (*unwritable, tmp_path / "no" / "page.html", tmp_path / "file" / "page.html"):
        for overwrite in (False, True):
            with pytest.raises(UsageError, match="give another path") as caught:
                write_file.write(path, NEW, overwrite=overwrite)
            assert caught.value.hints == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop", "pipe", "to_pipe"]
    for path in unwritable:
        with pytest.raises(UsageError, match="not a regular file"):
            write_file.check(path)


def test_a_folder_without_permission_is_refused_before_the_work(public_path: Path) -> None:
    folder = public_path / "read-only"
    folder.mkdir()
    (folder / "page.html").write_bytes(OLD)
    for mode in (0o500, 0):
        folder.chmod(mode)
        for path in (folder / "page.html", folder / "new.html"):
            for attempt in (write_file.check, write_new):
                with pytest.raises(UsageError, match=r"cannot be written there \(Permission denied\)"):
                    attempt(path)
    with pytest.raises(UsageError, match="Permission denied"):
        write_file.check(folder / "sub" / "page.html")
    folder.chmod(0o500)
    assert [path.read_bytes() for path in folder.iterdir()] == [OLD]


# What is not replaced


@pytest.mark.parametrize("name", ["photo.jpg", "photo.JPG", "photo.jpeg", "photo.png", "photo.webp", "my photo 1.tiff"])
def test_an_image_is_not_replaced(tmp_path: Path, name: str) -> None:
    Image.effect_noise((40, 30), 60).save(tmp_path / name)
    refused(tmp_path / name, says="there is a file that Lookalike has not written")


@pytest.mark.parametrize(
    "content",
    [
        b"<!doctype html><title>My diary</title>",
        b"<p>I like Lookalike's pages, which say <!-- Written by -->",
        b"plain text\n",
        b"\n",
        b" " * 300 + NEW,  # somebody else's file that embeds a page
    ],
)
def test_a_page_or_text_of_the_users_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes.html").write_bytes(content)
    refused(tmp_path / "notes.html", says="there is a file that Lookalike has not written")


def test_a_drawing_of_the_demo_is_not_replaced(tmp_path: Path) -> None:
    """Lookalike has drawn it, but as an image to be found and not as an output."""
    first, *_ = demo.write_gallery(tmp_path / "gallery", per_kind=1)
    refused(first, says="Lookalike has not written")


def test_a_link_to_a_file_of_the_users_is_not_followed(tmp_path: Path) -> None:
    photo = draw(tmp_path.resolve() / "photos" / "a.png", 1)
    (tmp_path / "sheet.png").symlink_to(photo)
    (tmp_path / "again.png").symlink_to("sheet.png")
    (tmp_path / "folder").symlink_to("photos")
    for name in ("sheet.png", "again.png"):
        refused(tmp_path / name, says=f"a link to {photo}, which Lookalike has not written")
    refused(tmp_path / "folder" / "a.png", says="there is a file that Lookalike has not written")
    assert (tmp_path / "sheet.png").is_symlink()


def test_another_name_of_the_same_file_is_recognized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = draw(tmp_path / "photos" / "a.png", 1)
    (tmp_path / "hard.png").hardlink_to(photo)
    monkeypatch.chdir(tmp_path / "photos")
    for name in ("a.png", "./a.png", "../photos/a.png", "../hard.png", str(photo)):
        refused(Path(name), says="Lookalike has not written")


def test_a_file_that_cannot_be_read_is_not_replaced(public_path: Path) -> None:
    path = public_path / "page.html"
    path.write_bytes(OLD)
    path.chmod(0)
    for attempt in (write_file.check, write_new):
        with pytest.raises(UsageError, match=r"what is there cannot be read \(Permission denied\)"):
            attempt(path)
    path.chmod(0o600)
    assert path.read_bytes() == OLD


@pytest.mark.parametrize("inside", ["page.html", "index/page.html", "data.000001/index/page.html"])
@pytest.mark.parametrize("other", ["lock", "catalog.sqlite"])
def test_nothing_is_written_into_the_directory_of_a_collection(tmp_path: Path, inside: str, other: str) -> None:
    directory = tmp_path / "kept"
    for name in ("collection.json", other, inside):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).touch()
    (tmp_path / "link").symlink_to(directory)
    refused(directory / inside, says="in the directory of a collection")
    refused(tmp_path / "link" / "new.html", says="in the directory of a collection")
    refused(tmp_path / ".lookalike" / "new.html", says="in the directory of a collection")


def test_a_folder_with_another_programs_collection_json_may_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "collection.json").write_text("{}")
    write_file.write(tmp_path / "page.html", NEW)
    assert (tmp_path / "page.html").read_bytes() == NEW


# What may be replaced


def test_an_empty_file_is_replaced(tmp_path: Path) -> None:
    """As `touch` makes it, or a full disk leaves it."""
    (tmp_path / "page.html").touch()
    write_file.check(tmp_path / "page.html")
    write_file.write(tmp_path / "page.html", NEW)
    assert (tmp_path / "page.html").read_bytes() == NEW


def test_a_link_to_nothing_gets_its_target(tmp_path: Path) -> None:
    (tmp_path / "link.html").symlink_to("page.html")
    write_file.write(tmp_path / "link.html", NEW)
    assert (tmp_path / "page.html").read_bytes() == NEW
    assert (tmp_path / "link.html").is_symlink()


def test_any_regular_file_is_replaced_when_that_is_asked_for(tmp_path: Path) -> None:
    photo = draw(tmp_path / "photo.png", 1)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "link.html").symlink_to("notes.txt")
    for path in (photo, tmp_path / "link.html"):
        write_file.check(path, overwrite=True)
        write_file.write(path, NEW, overwrite=True)
        assert path.read_bytes() == NEW
    assert (tmp_path / "link.html").is_symlink()


# The outputs

MATCHES = Matches([Match(1, "gone.png", Path("gone.png"), 0.5)])


def write_one_page(path: Path, *, overwrite: bool = False) -> None:
    write_page(MATCHES, path, overwrite=overwrite)


def write_one_report(path: Path, *, overwrite: bool = False) -> None:
    write_report(EXACT, path, overwrite=overwrite)


def write_one_sheet(path: Path, *, overwrite: bool = False) -> None:
    write_sheet(MATCHES, path, side=40, overwrite=overwrite)


OUTPUTS: list[tuple[Callable[..., None], str]] = [
    (write_one_page, "a.html"),
    (write_one_report, "a.html"),
    (write_one_sheet, "a.jpg"),
    (write_one_sheet, "a.JPEG"),
    (write_one_sheet, "a.png"),
]


@pytest.mark.parametrize(("write", "name"), OUTPUTS)
def test_each_output_replaces_only_outputs(tmp_path: Path, write: Callable[..., None], name: str) -> None:
    """One of its own, one of another kind, and a file of the user's only when that is asked for."""
    path = tmp_path / name
    write(path)
    first = path.read_bytes()
    write(path)
    assert path.read_bytes() == first
    for other, _ in OUTPUTS[:2]:
        other(path)
        write(path)
        assert path.read_bytes() == first

    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="Lookalike has not written") as caught:
        write(path)
    assert str(caught.value).endswith("; give another path; to write there anyway: overwrite=True")
    assert path.read_bytes() == b"mine"
    write(path, overwrite=True)
    assert path.read_bytes() == first
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("title", [None, "", "a title " * 100, "<!-- \udcff"])
def test_the_mark_of_a_page_does_not_depend_on_its_content(title: str | None) -> None:
    assert write_file.PAGE in page(MATCHES, title=title).encode()[:256]
    assert write_file.PAGE in report(EXACT, title=title).encode()[:256]
