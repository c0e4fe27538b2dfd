"""The demo: drawn images, or a folder of the user's, and what to type next."""

import shlex
import sys
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lookalike.cli.main import cli
from lookalike.demo import write_gallery
from tests.support.pictures import draw


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder, and a gallery of two images of each kind instead of 25."""
    monkeypatch.setattr("lookalike.demo.write_gallery", partial(write_gallery, per_kind=2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def demo(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["demo", *arguments])


@pytest.mark.parametrize("found", [True, False])
def test_it_ends_with_two_lines_to_type_next(found: bool, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the shell does not find lookalike, the first line makes it callable."""
    environment = here / "my env"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "activate").touch()
    monkeypatch.setattr(sys, "prefix", str(environment))
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/lookalike" if found else None)
    lines = demo().stdout.splitlines()
    activation = "" if found else ". 'my env/bin/activate' && "
    assert lines[-3:] == [
        "Next, with a folder of your own, type:",
        f"  {activation}lookalike index FOLDER",
        "  lookalike search FOLDER/PHOTO.jpg",
    ]


def test_what_it_says_to_have_searched_is_what_it_searched(here: Path) -> None:
    result = demo()
    command = next(line for line in result.stdout.splitlines() if line.startswith("$ "))
    again = CliRunner().invoke(cli, shlex.split(command)[2:])
    rows = [line for line in result.stdout.splitlines() if line.count("\t") == 5]
    assert again.stdout.splitlines() == rows
    assert len(rows) == 10


@pytest.mark.parametrize("absolute", [True, False])
def test_a_folder_with_images_is_searched_and_nothing_is_drawn(
    absolute: bool, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/lookalike")
    for seed in range(5):
        draw(here / "my photos" / "cats" / f"{seed}.png", seed)
    before = {path: path.read_bytes() for path in here.rglob("*.*")}
    result = demo(str(here / "my photos") if absolute else "my photos")
    assert result.exit_code == 0
    assert "5 added" in result.stdout
    assert "$ lookalike search 'my photos/cats/2.png'" in result.stdout
    assert result.stdout.splitlines()[-2:] == [
        "  lookalike search 'my photos/cats/2.png' --open",
        "  lookalike index 'my photos'",
    ]
    images = {path: path.read_bytes() for path in here.rglob("*.*") if ".lookalike" not in path.parts}
    assert images == before
    assert "5 unchanged" in demo("my photos").stdout


def test_a_folder_with_images_that_is_a_part_of_a_collection_stays_one(here: Path) -> None:
    for name in ("photos/1.png", "photos/cats/2.png"):
        draw(here / name, int(name[-5]))
    assert demo("photos").exit_code == 0
    assert demo("photos/cats").exit_code == 0
    assert [path.parent.name for path in here.rglob(".lookalike")] == ["photos"]


def test_other_files_are_no_images_of_yours(here: Path) -> None:
    (here / "notes").mkdir()
    (here / "notes" / "a.txt").touch()
    result = CliRunner().invoke(cli, ["demo", "notes"])
    assert "holds a.txt, which is not a picture of the gallery" in str(result.exception)
    assert [path.name for path in (here / "notes").iterdir()] == ["a.txt"]
