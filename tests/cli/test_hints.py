"""A hint is shown as the shell command that does the same, quoted for a shell."""

import shlex
from pathlib import Path

import pytest

from lookalike.cli.hints import as_command
from lookalike.cli.main import cli
from lookalike.errors import Hint
from tests.test_errors import HINTS

COMMANDS = {
    "create": ["lookalike index photos"],
    "maintain": ["lookalike index photos"],
    "reindex": [
        "lookalike index photos --model resnet --precision bf16 --reindex",
        "lookalike.reindex('photos', encoder=...)",
    ],
    "open_with_encoder": ["lookalike.open('photos', encoder=...)"],
    "remove_images": ["lookalike remove -c photos 'a b.jpg'"],
    "import_model": [
        "lookalike models import SOURCE",
        "lookalike models import timm:vit --mean 1.0,2.0,3.0 --name vit",
    ],
    "import_model_again": ["lookalike models remove vit && lookalike models import timm:vit --name vit"],
    "remove_model": ["lookalike models remove vit"],
    "inspect_model": ["lookalike models inspect model.onnx"],
    "find_models": ["lookalike models path"],
    "overwrite": ["--overwrite"],
    "install": ['pip install "lookalike[torch]"'],
    "upgrade": ['pip install --upgrade "lookalike[torch]"'],
}


@pytest.mark.parametrize("action", COMMANDS)
def test_a_hint_is_a_shell_command_or_else_a_python_call(action: str) -> None:
    assert [as_command(hint) for hint, _ in HINTS if hint.action == action] == COMMANDS[action]


def test_every_command_that_a_hint_names_exists_with_its_options() -> None:
    for command in [command for commands in COMMANDS.values() for command in commands if "lookalike " in command]:
        for part in command.split(" && "):
            name, *arguments = shlex.split(part)[1:]
            known = cli.commands[name]
            if name == "models":
                known, arguments = known.commands[arguments[0]], arguments[1:]  # type: ignore[attr-defined]
            options = {option for parameter in known.params for option in parameter.opts}
            assert {argument for argument in arguments if argument.startswith("-")} <= options


def test_a_collection_in_a_directory_of_its_own_is_named_by_it(tmp_path: Path) -> None:
    (tmp_path / "collection.json").touch()
    assert as_command(Hint("maintain", {"path": str(tmp_path)})) == f"lookalike index -c {tmp_path}"


def test_a_path_with_spaces_and_quotes_is_quoted() -> None:
    path = "my photos; rm -r 'x'"
    assert shlex.split(as_command(Hint("create", {"path": path}))) == ["lookalike", "index", path]
