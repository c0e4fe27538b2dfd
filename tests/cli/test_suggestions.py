"""What is suggested for commands, options and numbers that there are not."""

from pathlib import Path

import click
import pytest

from lookalike.cli import suggestions
from lookalike.cli.main import cli
from tests.support.commands import run


def message(*arguments: str) -> str:
    """The message of a command line that cannot be understood."""
    with pytest.raises(click.ClickException) as refused:
        cli.main(arguments, prog_name="lookalike", standalone_mode=False)
    improved = suggestions.improved(refused.value)
    assert improved.exit_code == 2
    return improved.format_message()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("find", "search"),
        ("query", "search"),
        ("Similar", "search"),
        ("delete", "remove"),
        ("rm", "remove"),
        ("ls", "info"),
        ("list", "info"),
        ("status", "info"),
        ("add", "index"),
        ("sync", "index"),
        ("tag", "attributes"),
        ("verify", "check"),
        ("eval", "evaluate"),
        ("mv", "relocate"),
        ("help", "--help"),
        ("version", "--version"),
        ("models delete", "remove"),
        ("models ls", "list"),
        ("models add", "import"),
        ("models download", "import"),
        ("models info", "show"),
    ],
)
def test_a_word_of_another_program_is_understood(given: str, meant: str) -> None:
    words = given.split()
    path = " ".join(["lookalike", *words[:-1], meant])
    assert message(*words) == f"No such command '{words[-1]}'. Did you mean: {path}"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("search a.jpg --top 5", "-k"),
        ("search a.jpg -n 5", "-k"),
        ("search a.jpg --limit=5", "-k"),
        ("search a.jpg --filter a=b", "--where"),
        ("search a.jpg --threshold 0.5", "--min-score"),
        ("search a.jpg --folder cats", "--under"),
        ("search a.jpg -o page.html", "--html"),
        ("search a.jpg --force", "--overwrite"),
        ("index photos -j 4", "--threads"),
        ("index photos --gpu", "--device"),
        ("remove a.jpg --yes", "--all"),
        ("info --db photos", "--collection"),
    ],
)
def test_an_option_of_another_program_is_understood(given: str, meant: str) -> None:
    assert message(*given.split()).endswith(f" Did you mean: {meant}")


@pytest.mark.parametrize(("given", "meant"), [("serach", "search"), ("idnex", "index"), ("chekc", "check")])
def test_a_typing_error_is_understood(given: str, meant: str) -> None:
    assert message(given) == f"No such command '{given}'. Did you mean '{meant}'?"


def test_a_typing_error_in_an_option_is_understood() -> None:
    assert "'--reindex'" in message("index", "--reindx")


def test_what_nobody_can_guess_gets_no_suggestion() -> None:
    assert message("xyzzy") == "No such command 'xyzzy'."
    assert message("search", "--xyzzy") == "No such option '--xyzzy'."
    assert message("info", "--top") == "No such option '--top'."
    assert message("models", "mv") == "No such command 'mv'."


def test_a_file_or_a_folder_is_searched_for_or_indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my photos").mkdir()
    (tmp_path / "query.jpg").touch()
    assert message("query.jpg").endswith("Did you mean: lookalike search query.jpg")
    assert message("my photos").endswith("Did you mean: lookalike index 'my photos'")
    assert message("models", "query.jpg") == "No such command 'query.jpg'."


def test_every_suggestion_is_a_command_or_an_option() -> None:
    groups = [command for command in [cli, *cli.commands.values()] if isinstance(command, click.Group)]
    commands = {name: command for group in groups for name, command in group.commands.items()}
    options = {name for command in [cli, *commands.values()] for each in command.params for name in each.opts}
    named = {name for name in suggestions._COMMANDS if not name.startswith("--")}
    assert named <= commands.keys()
    assert suggestions._OPTIONS.keys() <= options


@pytest.mark.parametrize("number", ["0", "-3", "+0"])
def test_a_number_of_images_below_1_is_refused_with_what_to_give(number: str) -> None:
    assert "give at least 1; for all images, a number that is large enough" in message("search", "a.jpg", "-k", number)
    assert "not a valid integer" in message("search", "a.jpg", "-k", "all")


def test_a_suggestion_acts_on_no_terminal(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m\nb").touch()
    code, _, err = run("a\x1b[31m\nb", cwd=tmp_path)
    assert code == 2
    assert "\x1b" not in err
    assert run("find", cwd=tmp_path)[::2] == (
        2,
        "Usage: lookalike [OPTIONS] COMMAND [ARGS]...\nTry 'lookalike --help' for help.\n\n"
        "Error: No such command 'find'. Did you mean: lookalike search\n",
    )
