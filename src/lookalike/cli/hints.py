"""Hints as shell commands."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike.errors import Hint


def as_command(hint: Hint) -> str:
    """The shell command that does what a hint says; a Python call where there is no such command."""
    match hint.action, hint.arguments:
        case "create", {"path": path}:
            return _command("index", path)
        case "maintain", {"path": path}:
            return _command("index", *_collection(path))
        case "reindex", {"path": path, **options} if "encoder" not in options:
            return _command("index", *_collection(path), *_options(options), "--reindex")
        case "remove_images", {"path": path, "image": image}:
            return _command("remove", "-c", path, image)
        case "import_model", arguments:
            return _import(arguments)
        case "import_model_again", arguments:
            return f"{_command('models', 'remove', arguments['name'])} && {_import(arguments)}"
        case "remove_model", {"name": name}:
            return _command("models", "remove", name)
        case "inspect_model", {"file": file}:
            return _command("models", "inspect", file)
        case "find_models", _:
            return _command("models", "path")
    return str(hint)


def _import(arguments: Mapping[str, Any]) -> str:
    source = "SOURCE" if arguments["source"] is ... else arguments["source"]
    name = {"name": arguments["name"]} if "name" in arguments else {}
    return _command("models", "import", source, *_options({**arguments.get("options", {}), **name}))


def _collection(path: str | Path) -> list[str]:
    """A collection as `lookalike index` takes it: the folder of its images, or -c and its own directory."""
    return ["-c", str(path)] if os.path.exists(Path(path) / "collection.json") else [str(path)]


def _options(options: Mapping[str, Any]) -> list[str]:
    given = {name: value for name, value in options.items() if value is not None}
    return [word for name, value in given.items() for word in (f"--{name}", _value(value))]


def _value(value: Any) -> str:
    return ",".join(map(repr, value)) if isinstance(value, tuple) else str(value)


def _command(*words: str | Path) -> str:
    return shlex.join(["lookalike", *map(str, words)])
