"""What is printed has no character that a terminal acts upon, and no such command is offered to be pasted."""

import ast
from pathlib import Path

import click
import pytest

import lookalike
from lookalike.cli import output
from lookalike.cli.hints import as_command
from lookalike.cli.main import _failed
from lookalike.errors import DamagedIndexWarning, Hint, ImageError, UsageError, with_hints

HOSTILE = "a\x1b[31m\x07\x9b\u202e\u200b\rb"


def test_lines_have_escapes_shown_and_keep_backslashes_and_breaks(capfd: pytest.CaptureFixture[str]) -> None:
    for print_line in (output.say, output.note):
        print_line(f"{HOSTILE} \\n é\n2")
    for printed in capfd.readouterr():
        assert printed == "a\\x1b[31m\\x07\\u009b\\u202e\\u200b\\rb \\n é\n2\n"


def test_json_has_no_character_that_a_terminal_acts_upon(capfd: pytest.CaptureFixture[str]) -> None:
    output.print_json({"label": HOSTILE})
    printed = capfd.readouterr().out
    assert printed == '{"label": "a\\u001b[31m\\u0007\\u009b\\u202e\u200b\\rb"}\n'


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[0m", "\udcff", "a\u202eb"])
def test_a_command_with_characters_that_cannot_be_seen_is_not_offered(name: str) -> None:
    hint = Hint("import_model", {"source": name, "name": "model"})
    assert as_command(hint) is None
    assert with_hints("message", [hint, Hint("find_models")], as_command).count("; to ") == 1


def test_a_command_of_a_stranger_is_quoted() -> None:
    hint = Hint("import_model", {"source": "timm:x; rm -rf ~", "name": "$(a)", "options": {"name": "other"}})
    assert as_command(hint) == "lookalike models import 'timm:x; rm -rf ~' --name '$(a)'"


def test_commands_print_by_these_functions_only() -> None:
    """Every module of the command line, whatever it will be called, but the one that has these functions."""
    modules = sorted((Path(lookalike.__file__).parent / "cli").glob("*.py"))
    assert {"models", "demo", "missing", "tables", "upkeep", "output"} <= {path.stem for path in modules}
    for path in modules:
        tree = ast.parse(path.read_text())
        named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert path.stem == "output" or not (named | called) & {"echo", "secho", "print", "write"}, path.name


def test_a_message_is_one_line_whatever_is_in_a_strangers_name(capfd: pytest.CaptureFixture[str]) -> None:
    for error in (
        UsageError("a\nError: no", Hint("find_models")),
        ImageError("truncated", "a\nb.jpg"),
        OSError("a\nb"),
        click.UsageError("a\x1b[31m"),
    ):
        _failed(error)
        printed = capfd.readouterr().err
        assert printed.count("\n") == 1
        assert printed[:-1].isprintable()
    output.show_warning(DamagedIndexWarning("a\nb"))
    assert capfd.readouterr().err == "Warning: a\\nb\n"
    _failed(output.ExplainedError("a\nb"))
    assert capfd.readouterr().err == "Error: a\nb\n"
