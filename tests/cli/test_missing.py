"""What a person sees of missing images: index, info --missing, prune, and index --prune."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from lookalike.cli.main import cli
from lookalike.demo import write_gallery
from lookalike.errors import UsageError
from tests.support.commands import records, run

MAY_BE_AWAY = (
    "Many files are missing: perhaps a drive is away. What is known of their images is kept, and they are as before"
    " when the files are back. If they are gone for good, run: lookalike prune\n"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder `photos` with 12 pictures, one of each kind, and their collection `kept` beside it."""
    write_gallery(tmp_path.resolve() / "photos", per_kind=1)
    assert run("index", "-c", "kept", "photos", cwd=tmp_path)[0] == 0
    return tmp_path.resolve()


def said(home: Path, command: str, *arguments: str) -> str:
    """What a command that needs no model prints, in this process."""
    done = CliRunner().invoke(cli, [command, "-c", str(home / "kept"), *arguments], standalone_mode=False)
    assert done.exception is None
    return done.stdout


def test_a_drive_that_is_away_is_told_with_exit_code_3_and_nothing_is_lost(home: Path) -> None:
    (home / "photos").rename(home / "away")
    (home / "photos").mkdir()
    code, out, err = run("index", "-c", "kept", "photos", "--prune", cwd=home)
    assert (code, err) == (3, f"{MAY_BE_AWAY}12 missing images are kept, since a drive may be away.\n")
    assert out.startswith("12 missing in ")
    (home / "photos").rmdir()
    (home / "away").rename(home / "photos")
    code, out, err = run("index", "-c", "kept", "photos", cwd=home)
    assert (code, err) == (0, "")
    assert out.startswith("12 returned in ")


def test_missing_images_are_listed_and_pruned_by_age_or_all(home: Path) -> None:
    gone = home / "photos" / "mug" / "mug-01.jpg"
    gone.unlink()
    assert run("index", "-c", "kept", "photos", cwd=home)[1].startswith("11 unchanged, 1 missing in ")
    again = run("index", "-c", "kept", "photos", cwd=home)
    assert again[1].startswith("11 unchanged, 1 missing before and not back in ")
    assert again[::2] == (0, "")
    assert "missing     1, see: lookalike info --missing\n" in said(home, "info")
    assert said(home, "info", "--missing").startswith(f"{gone}: since 20")
    [listed] = records(said(home, "info", "--missing", "--json"))
    assert (listed["path"], listed["since"].endswith("+00:00")) == (str(gone), True)
    error = CliRunner().invoke(cli, ["search", "-c", str(home / "kept"), "--id", str(listed["id"])]).exception
    assert f"is missing; its file {gone} is gone or cannot be used" in str(error)
    assert said(home, "prune", "--missing-for", "1h") == "Forgot 0 missing images.\n"
    assert said(home, "prune", "--json") == '{"pruned": 1}\n'
    assert said(home, "info", "--missing") == ""


def test_index_never_forgets_many_that_an_earlier_run_has_missed(home: Path) -> None:
    """Nor those of a folder that this run does not look at."""
    kinds = sorted((home / "photos").iterdir())
    for path in kinds[:3]:
        path.rename(home / path.name)
    assert run("index", "-c", "kept", "photos", cwd=home)[::2] == (3, MAY_BE_AWAY)
    for folder in ("photos", kinds[-1]):
        code, _, err = run("index", "-c", "kept", folder, "--prune", cwd=home)
        assert (code, err) == (0, "3 missing images are kept, since a drive may be away.\n")
    assert said(home, "prune") == "Forgot 3 missing images.\n"


@pytest.mark.parametrize("age", ["", "5", "d", "-1d", "1.5d", "1m", "2 w", "99999999999w", "999999999w"])
def test_an_age_that_is_none_is_refused(age: str) -> None:
    error = CliRunner().invoke(cli, ["prune", "--missing-for", age]).exception
    assert isinstance(error, UsageError)
    assert str(error) == f"--missing-for {age}: give a number of hours, days or weeks: 12h, 30d or 4w"
