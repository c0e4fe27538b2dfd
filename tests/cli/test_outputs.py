"""No output of the command line replaces a file of the user's, unless that is asked for."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

import lookalike
from lookalike.demo import write_gallery
from tests.support.commands import run
from tests.support.pictures import ColourEncoder, draw

SUFFIXES = {".jpg", ".jpeg", ".png"}


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a collection of four images, which tests must not change."""
    home = tmp_path_factory.mktemp("home").resolve()
    for seed, name in enumerate(("a.jpg", "b.JPG", "my photo.jpeg", "sub/c.png")):
        draw(home / "photos" / name, seed)
    with lookalike.create(home / "photos", encoder=ColourEncoder()) as photos:
        photos.add(home / "photos")
    return home


@pytest.fixture
def home(indexed: Path) -> Iterator[Path]:
    """The same, checked afterwards: each image is as it was."""
    images = {path: path.read_bytes() for path in (indexed / "photos").rglob("*.*") if path.suffix.lower() in SUFFIXES}
    yield indexed
    assert {path: path.read_bytes() for path in images} == images


def test_a_sheet_that_is_taken_for_a_switch_replaces_no_photograph(tmp_path: Path) -> None:
    """`lookalike search --sheet *.jpg`: the shell puts the photographs behind it."""
    for seed, name in enumerate(("fish.jpg", "lighthouse.jpg", "mug.jpg")):
        draw(tmp_path / name, seed)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert run("index", ".", cwd=tmp_path)[0] == 0
    code, out, err = run("search", "--sheet", "fish.jpg", "lighthouse.jpg", "mug.jpg", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert err == (
        "Error: fish.jpg: there is a file that Lookalike has not written; give another path;"
        " to write there anyway: --overwrite\n"
    )
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    "path",
    [
        "photos/a.jpg",
        "photos/b.JPG",
        "photos/my photo.jpeg",
        "photos/../photos/sub/c.png",
        "photos/.lookalike/sheet.jpg",
        "photos/sub/../.lookalike/sheet.png",
    ],
)
@pytest.mark.parametrize("option", ["--html", "--sheet"])
def test_an_image_or_a_place_of_the_collections_is_refused(home: Path, path: str, option: str) -> None:
    for name in (path, str(home / path)):
        code, out, err = run("search", "--id", "1", option, name, cwd=home)
        assert (code, out) == (2, "")
        assert err.startswith(f"Error: {name}: ")
        hint = "" if ".lookalike" in name else "; to write there anyway: --overwrite"
        assert err.endswith(f"; give another path{hint}\n")
        assert err.count("\n") == 1
    assert not list((home / "photos" / ".lookalike").glob("sheet.*"))


def test_the_query_itself_is_refused(home: Path) -> None:
    code, _, err = run("search", "photos/a.jpg", "--sheet", "photos/a.jpg", cwd=home)
    assert code == 2
    assert "photos/a.jpg: there is a file that Lookalike has not written" in err


def foreign_page(path: Path) -> None:
    path.write_text("<!doctype html><title>My diary</title>")


def foreign_text(path: Path) -> None:
    path.write_text("mine")


def foreign_link(path: Path) -> None:
    foreign_text(path.with_name("target.txt"))
    path.symlink_to("target.txt")


@pytest.mark.parametrize("make", [foreign_page, foreign_text, foreign_link])
@pytest.mark.parametrize("command", [["search", "--id", "1"], ["evaluate"]])
def test_a_file_of_the_users_is_refused_before_the_work(
    home: Path, tmp_path: Path, command: list[str], make: Callable[[Path], None]
) -> None:
    path = tmp_path / "my page.html"
    make(path)
    before = path.read_bytes()
    code, out, err = run(*command, "-c", "photos", "--html", path, cwd=home)
    assert (code, out) == (2, "")
    reason = f"a link to {path.resolve()}, which" if path.is_symlink() else "there is a file that"
    assert err == (
        f"Error: {path}: {reason} Lookalike has not written; give another path; to write there anyway: --overwrite\n"
    )
    assert path.read_bytes() == before
    code, _, err = run(*command, "-c", "photos", "--html", path, "--overwrite", cwd=home)
    assert (code, err) == (0, f"Wrote {path}\n")
    assert path.read_text().startswith("<!doctype html>\n")
    assert path.is_symlink() == (make is foreign_link)


def test_the_same_command_replaces_its_own_outputs(home: Path, tmp_path: Path) -> None:
    page, report, sheet = tmp_path / "page.html", tmp_path / "report.html", tmp_path / "sheet.jpg"
    for k in ("1", "3"):
        code, *_ = run("search", "--id", "1", "-k", k, "--html", page, "--sheet", sheet, "-c", "photos", cwd=home)
        assert code == 0
        assert page.read_text().count('<li class="match">') == int(k)
        assert run("evaluate", "--html", report, "-c", "photos", cwd=home)[0] == 0
    with Image.open(sheet) as image:
        assert image.format == "JPEG"


def test_an_empty_file_is_replaced(home: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").touch()
    assert run("search", "--id", "1", "--html", tmp_path / "page.html", "-c", "photos", cwd=home)[0] == 0
    assert (tmp_path / "page.html").stat().st_size > 1000


def test_overwrite_replaces_a_photograph(tmp_path: Path) -> None:
    for seed in range(3):
        draw(tmp_path / f"{seed}.jpg", seed)
    with lookalike.create(tmp_path, encoder=ColourEncoder()) as photos:
        photos.add(tmp_path)
    before = (tmp_path / "0.jpg").read_bytes()
    assert run("search", "--id", "2", "--sheet", "0.jpg", "--overwrite", cwd=tmp_path)[0] == 0
    assert (tmp_path / "0.jpg").read_bytes() != before


def test_what_is_no_file_is_refused_even_with_overwrite(home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.html")
    for path in (tmp_path / "pipe.html", Path("/dev/null")):
        for options in ([], ["--overwrite"]):
            code, out, err = run("search", "--id", "1", "--html", path, *options, "-c", "photos", cwd=home)
            assert (code, out, err) == (2, "", f"Error: {path}: not a regular file; give another path\n")


def test_the_page_and_the_sheet_have_different_paths(home: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.jpg"
    code, out, err = run("search", "--id", "1", "--html", both, "--sheet", both, "-c", "photos", cwd=home)
    assert (code, out) == (2, "")
    assert "give two paths" in err
    assert not both.exists()


def test_the_demo_refuses_to_replace_a_page_before_it_draws(tmp_path: Path) -> None:
    (tmp_path / "gallery.html").write_text("mine")
    code, _, err = run("demo", "gallery", cwd=tmp_path)
    assert code == 2
    assert err.endswith("Error: gallery.html: there is a file that Lookalike has not written; choose another folder\n")
    assert [path.name for path in tmp_path.iterdir()] == ["gallery.html"]


def test_a_drawing_of_the_demo_is_refused_as_an_output(tmp_path: Path) -> None:
    first, *_ = write_gallery(tmp_path / "gallery", per_kind=1)
    before = first.read_bytes()
    with lookalike.create(tmp_path / "gallery", encoder=ColourEncoder()) as photos:
        photos.add(tmp_path / "gallery")
    assert run("search", "--id", "1", "--sheet", first, "-c", "gallery", cwd=tmp_path)[0] == 2
    assert first.read_bytes() == before


@pytest.mark.parametrize("option", ["--html", "--sheet"])
def test_overwrite_admits_nothing_in_the_directory_of_a_collection(home: Path, option: str) -> None:
    collection = home / "photos" / ".lookalike"
    before = {path: path.read_bytes() for path in collection.iterdir()}
    for name in ("sheet.jpg", "catalog.sqlite", "vectors.faiss"):
        path = collection / (name if option == "--html" else "sheet.jpg")
        code, out, err = run("search", "--id", "1", option, path, "--overwrite", "-c", "photos", cwd=home)
        assert (code, out) == (2, "")
        assert err == f"Error: {path}: in the directory of a collection; give another path\n"
    assert {path: path.read_bytes() for path in collection.iterdir()} == before


def test_an_output_to_where_the_program_prints_is_refused(home: Path, tmp_path: Path) -> None:
    """Else the file would be replaced, and what is printed would go into the one that is gone."""
    printed = tmp_path / "printed.txt"
    for path in ("/dev/stdout", str(printed), "/dev/fd/1"):
        with printed.open("w") as file:
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "lookalike",
                    "search",
                    "--id",
                    "1",
                    "-c",
                    "photos",
                    "--html",
                    path,
                    "--overwrite",
                ],
                cwd=home,
                stdout=file,
                stderr=subprocess.PIPE,
                text=True,
            )
        reason = "where this program reads from or prints to"
        assert (done.returncode, done.stderr) == (2, f"Error: {path}: {reason}; give another path\n")
        assert printed.read_text() == ""


@pytest.mark.parametrize("path", ["-", "page/", "./", "", "/", ".", ".."])
@pytest.mark.parametrize("option", ["--html", "--sheet"])
def test_what_names_no_file_is_no_output(home: Path, path: str, option: str) -> None:
    before = {*home.rglob("*")}
    code, out, err = run("search", "--id", "1", option, path, "-c", "photos", cwd=home)
    assert (code, out) == (2, "")
    assert f"'{option}'" in err
    assert {*home.rglob("*")} == before
