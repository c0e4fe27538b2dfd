"""Hints as shell commands."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike.display.text import is_harmless
from lookalike.errors import Hint

_LONGEST = 2000  # characters of a command that anybody would paste


def as_command(hint: Hint) -> str | None:
    """The shell command that does what a hint says; a Python call where there is no such command.

    It is to be pasted, and names and sources in it may come from a stranger: they are quoted. None if it has characters
    that cannot be seen, or is longer than anybody would read.
    """
    command = _command(hint)
    return command if is_harmless(command) and len(command) <= _LONGEST else None


def _command(hint: Hint) -> str:
    match hint.action, hint.arguments:
        case "create", {"path": path}:
            return command_for("index", _operand(path))
        case "keep_regions", {"path": path}:
            return f"{command_for('index', *_collection(path))} --regions"
        case "maintain", {"path": path}:
            return command_for("index", *_collection(path))
        case "reindex", {"path": path, **options} if "encoder" not in options:
            return f"{command_for('index', *_collection(path), **options)} --reindex"
        case "trust", {"path": path}:
            return command_for("index", "-c", path, "--trust")
        case "forget_sources", {"file": file}:
            return shlex.join(["rm", _operand(file)])
        case "relocate", {"path": path, "old": old, "new": new}:
            return command_for("relocate", "-c", path, _operand(old), "NEW" if new is ... else _operand(new))
        case "remove_images", {"path": path, "image": image}:
            return command_for("remove", "-c", path, _operand(image))
        case "import_model", arguments:
            return _import(arguments)
        case "import_model_again", arguments:
            return f"{command_for('models', 'remove', _operand(arguments['name']))} && {_import(arguments)}"
        case "remove_model", {"name": name}:
            return command_for("models", "remove", _operand(name))
        case "inspect_model", {"file": file}:
            return command_for("models", "inspect", "FILE" if file is ... else _operand(file))
        case "find_models", _:
            return command_for("models", "path")
        case "open_shard", {"path": path}:
            return shlex.join(["-c", _operand(path)])
        case "overwrite", _:
            return "--overwrite"
    return str(hint)


def command_for(*arguments: str | Path, **options: Any) -> str:
    """A shell command of Lookalike's, with the options that are not None."""
    given = {name: value for name, value in options.items() if value is not None}
    named = [text for name, value in given.items() for text in (f"--{name}", _value(value))]
    return shlex.join(["lookalike", *map(str, arguments), *named])


def _import(arguments: Mapping[str, Any]) -> str:
    source = "SOURCE" if arguments["source"] is ... else _operand(arguments["source"])
    name = {"name": arguments["name"]} if "name" in arguments else {}
    return command_for("models", "import", source, **{**arguments.get("options", {}), **name})


def _collection(path: str | Path) -> list[str]:
    """A collection as `lookalike index` takes it: the folder of its images, or -c and its own directory."""
    from lookalike.storage.layout import MANIFEST

    return ["-c", str(path)] if os.path.exists(Path(path) / MANIFEST) else [_operand(path)]


def _operand(text: str | Path) -> str:
    """An argument that is no option, even if it begins with a dash."""
    return f"./{text}" if str(text).startswith("-") else str(text)


def _value(value: Any) -> str:
    return ",".join(map(repr, value)) if isinstance(value, tuple) else str(value)
