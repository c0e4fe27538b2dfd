"""A hint is shown as the shell command that does the same, quoted for a shell."""

import shlex
from pathlib import Path

import pytest

from lookalike.cli.hints import as_command
from lookalike.cli.main import cli
from lookalike.errors import Action, Hint
from tests.test_errors import HINTS

COMMANDS = {
    "create": ["lookalike index photos"],
    "maintain": ["lookalike index photos"],
    "reindex": [
        "lookalike index photos --model resnet --precision bf16 --reindex",
        "lookalike.reindex('photos', encoder=...)",
    ],
    "open_with_encoder": ["lookalike.open('photos', encoder=...)"],
    "trust": ["lookalike index -c photos --trust"],
    "forget_sources": ["rm photos/.lookalike/sources.json"],
    "relocate": ["lookalike relocate -c kept photos NEW"],
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


STRANGE = [
    "; rm -rf ~",
    "$(reboot)",
    "`reboot`",
    "' || reboot || '",
    "a\\b",
    "a b",
    "*",
    "!!",
    "~",
    "#",
    "é 🐈",
    "&&",
    ">x",
]


@pytest.mark.parametrize("text", STRANGE)
def test_text_of_a_stranger_is_one_argument_of_the_command(text: str) -> None:
    hint = Hint("import_model", {"source": text, "name": text, "options": {"revision": text}})
    shown = ["lookalike", "models", "import", text, "--revision", text, "--name", text]
    assert shlex.split(as_command(hint)) == shown


@pytest.mark.parametrize(
    "text", ["\x1b[31m", "a\nreboot\n", "a\rb", "\x9b", "\u202egpj", "\u200b", "\udcff", "a\x00b", "x" * 3000]
)
@pytest.mark.parametrize("action", ["import_model", "import_model_again", "remove_model", "create", "reindex"])
def test_text_that_is_not_seen_is_not_offered_to_be_pasted(action: Action, text: str) -> None:
    hint = Hint(action, {"path": text, "source": text, "name": text} if action != "reindex" else {"path": text})
    assert as_command(hint) is None


def test_an_argument_that_begins_with_a_dash_is_no_option() -> None:
    assert as_command(Hint("import_model", {"source": "--help"})) == "lookalike models import ./--help"
    assert as_command(Hint("create", {"path": "-c"})) == "lookalike index ./-c"
    assert as_command(Hint("remove_images", {"path": "p", "image": "-i.jpg"})) == "lookalike remove -c p ./-i.jpg"
