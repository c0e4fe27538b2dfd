"""Paths as people and shells give them: the current folder, none at all, the root, with slashes at the end."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import pytest

import lookalike
from lookalike.cli import options
from lookalike.cli.main import cli
from lookalike.demo import KINDS, write_gallery
from lookalike.errors import UsageError
from tests.cli.conftest import Run
from tests.support.pictures import ColourEncoder, draw


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a collection of six images in photos/, of three in photos/cats/."""
    home = tmp_path.resolve() / "home"
    for seed in range(6):
        draw(home / "photos" / ("", "cats")[seed % 2] / f"{seed}.png", seed)
    with lookalike.create(home / "photos", encoder=ColourEncoder()) as photos:
        photos.add(home / "photos")
    monkeypatch.chdir(home)
    return home


def parameters(command: click.Command) -> Iterator[click.Parameter]:
    """All parameters of a command and of its sub-commands."""
    yield from command.params
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from parameters(each)


def test_every_path_of_the_command_line_refuses_an_empty_one() -> None:
    paths = [each for each in parameters(cli) if isinstance(each.type, click.Path)]
    assert len(paths) > 15
    assert [each.name for each in paths if not isinstance(each.type, options.FilePath)] == []


@pytest.mark.parametrize(
    "command",
    [
        ["index", ""],
        ["index", "photos", ""],
        ["index", "-c", ""],
        ["plan", ""],
        ["search", ""],
        ["search", "photos/0.png", ""],
        ["search", "--id", "1", "--html", ""],
        ["search", "--id", "1", "--minus", ""],
        ["info", "-c", ""],
        ["attributes", ""],
        ["remove", ""],
        ["relocate", "", "photos"],
        ["relocate", "photos", ""],
        ["remove", "photos/0.png", ""],
        ["demo", ""],
        ["models", "inspect", ""],
        ["models", "compare", "efficientnet-lite0", ""],
    ],
    ids=" ".join,
)
def test_an_empty_path_is_refused_before_anything_is_done(home: Path, call: Run, command: list[str]) -> None:
    before = {*home.rglob("*")}
    code, out, err = call(*command)
    assert (code, out) == (2, "")
    assert "the path is empty; is a variable of the shell not set?" in err
    assert {*home.rglob("*")} == before
    with lookalike.open("photos") as photos:
        assert len(photos) == 6


@pytest.mark.parametrize(
    "path", [".", "./", "..", "../", "/", "//", "photos/", "photos//cats/", "photos/.", "photos/../photos"]
)
@pytest.mark.parametrize(
    "command",
    [
        ["search"],
        ["info", "-c"],
        ["attributes"],
        ["models", "inspect"],
        ["search", "--id", "1", "-c"],
        ["remove", "-c"],
    ],
    ids=" ".join,
)
def test_a_folder_in_the_place_of_anything_is_never_a_traceback(
    home: Path, call: Run, command: list[str], path: str
) -> None:
    more = ["x.png"] if command[0] == "remove" else []
    code, _, err = call(*command, path, *more)
    assert code in (0, 1, 2, 3, 4)  # 4, as the collection was made by another model than the command line has
    assert "Traceback" not in err


def test_demo_draws_in_the_current_folder_too(tmp_path: Path, call: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its page is beside that folder, as for any other."""
    monkeypatch.setattr("lookalike.demo.write_gallery", partial(write_gallery, per_kind=1))
    (tmp_path / "here").mkdir()
    code, _, err = call("demo", ".", cwd=tmp_path / "here")
    assert (code, err.splitlines()[-1]) == (0, f"Wrote {tmp_path / 'here.html'}")
    assert {path.parent.name for path in (tmp_path / "here").glob("*/*.jpg")} == {*KINDS}


def test_demo_does_not_draw_at_the_root(call: Run) -> None:
    assert call("demo", "/") == (2, "", "Error: /: choose another folder\n")


# Removing


def test_removing_every_image_has_to_be_said(home: Path, call: Run) -> None:
    for paths in (["photos"], ["photos/"], ["photos/cats", *(f"photos/{seed}.png" for seed in (0, 2, 4))]):
        code, out, err = call("remove", *paths)
        assert (code, out) == (2, "")
        assert err == "Error: this would remove all 6 images of the collection; if it should, add --all\n"
    assert call("remove", "photos", "--all") == (0, "Removed 6 images.\n", "")


def test_removing_a_folder_or_the_last_image_needs_no_more(home: Path, call: Run) -> None:
    assert call("remove", "photos/cats") == (0, "Removed 3 images.\n", "")
    assert call("remove", "photos/0.png", "photos/2.png") == (0, "Removed 2 images.\n", "")
    assert call("remove", "photos/4.png") == (0, "Removed 1 image.\n", "")


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 130, 6), ("\n", 130, 6)])
def test_a_person_is_asked(
    home: Path, call: Run, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: int
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: answer.strip())
    assert call("remove", "photos")[0] == code
    with lookalike.open("photos") as photos:
        assert len(photos) == left


def test_the_current_folder_elsewhere_is_no_image(home: Path, call: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """ "." is also what the collection calls its own folder; from elsewhere it does not mean that."""
    monkeypatch.chdir(home.parent)
    code, _, err = call("remove", "-c", "home/photos", ".", "--all")
    assert (code, err) == (
        2,
        ".: not in the collection\nError: nothing was removed; give paths as they are on the disk\n",
    )
    with lookalike.open(home / "photos") as photos:
        assert (len(photos), photos.named(["."]), photos.named([home / "photos"])) == (6, 0, 6)


def test_removing_nothing_removes_nothing(home: Path) -> None:
    with lookalike.open("photos") as photos:
        with pytest.raises(UsageError, match="path=''"):
            photos.remove(["0.png", ""])
        assert (photos.remove([]), len(photos)) == (0, 6)
        assert photos.named(["0.png", "0.png", "cats", "cats/1.png", "nothing"]) == 4
