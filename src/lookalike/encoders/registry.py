"""The folder of imported models: for each a folder of its own, with a card and the files that OpenVINO runs.

    ~/.local/share/lookalike/models/resnet50/
      card.json                 what it is, and the SHA-256 of each of the others
      model.xml, model.bin      from pixels to a vector
      text.xml, text.bin, tokenizer.json    from words to a vector, where it has that

A model is written beside and then renamed, so that it is there whole or not at all.
"""

import ast
import hashlib
import json
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from lookalike.encoders.card import Card, as_facts, from_facts
from lookalike.errors import Hint, LookalikeError, ModelError, StorageError, UsageError
from lookalike.system.durable import sync_folder

CARD, GRAPH, TEXT_GRAPH, TOKENIZER = "card.json", "model.xml", "text.xml", "tokenizer.json"
_LOCK = ".lock"
_FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ENVIRONMENT = "LOOKALIKE_MODELS"


@dataclass(frozen=True)
class ImportedModel:
    """An imported model.

    Attributes:
        card: what it is; its precision is the one that it has unless another is asked for.
        folder: where its files are.
        sha256s: of each file but the card, in hexadecimal, by name.
    """

    card: Card
    folder: Path
    sha256s: dict[str, str]

    @property
    def bytes(self) -> int:
        """The size of its files."""
        return sum((self.folder / name).stat().st_size for name in (CARD, *self.sha256s))

    def check(self, *names: str) -> None:
        """Makes sure that these files, and the weights that belong to them, are the ones that were imported.

        Raises:
            ModelError: they are not, or are missing.
        """
        weights = [str(Path(name).with_suffix(".bin")) for name in names if name.endswith(".xml")]
        for name in (*names, *weights):
            if name not in self.sha256s or _sha256(self.folder / name) != self.sha256s[name]:
                raise ModelError(
                    f"{self.folder / name}: this is not what was imported", _import_again(self.card.name, self.card)
                )


def folder() -> Path:
    """Where imported models are: $LOOKALIKE_MODELS, or where the system keeps what belongs to a program."""
    named = os.environ.get(_ENVIRONMENT)
    return Path(named) if named else platformdirs.user_data_path("lookalike", appauthor=False) / "models"


def names() -> list[str]:
    """The names of all imported models, in their order."""
    try:
        return sorted(filter(has, os.listdir(folder())))
    except FileNotFoundError:
        return []


def has(name: str) -> bool:
    """Whether there is an imported model of that name."""
    return _NAME.fullmatch(name) is not None and (folder() / name / CARD).is_file()


def read(name: str) -> ImportedModel:
    """An imported model; its files are not looked at.

    Raises:
        UsageError: there is none of that name.
        ModelError: its card is damaged.
    """
    if not has(name):
        raise UsageError(f"there is no imported model {name!r}")
    place = folder() / name
    try:
        facts = json.loads((place / CARD).read_bytes())
        if facts["format"] != _FORMAT:
            raise ModelError(f"{place / CARD}: it has the unknown format {facts['format']}", _import_again(name))
        card = from_facts(facts["card"])
        if card.name != name:
            raise ValueError(f"it is that of {card.name!r}")
        return ImportedModel(card, place, {str(name): str(sha256) for name, sha256 in facts["files"].items()})
    except ModelError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, LookalikeError) as error:
        raise ModelError(f"{place / CARD}: the card is damaged ({error})", _import_again(name)) from error


def save(card: Card, write: Callable[[Path], None]) -> ImportedModel:
    """Makes a model of what `write` puts into a folder.

    Raises:
        UsageError: the name cannot be that of a folder, or there is a model of that name.
        StorageError: it cannot be written.
    """
    check_name(card.name)
    check_is_free(card.name)
    home = folder()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".importing-") as name:
            beside = Path(name) / card.name
            beside.mkdir()
            write(beside)
            sha256s = {path.name: _sha256(path) for path in sorted(beside.iterdir())}
            facts: dict[str, Any] = {"format": _FORMAT, "card": as_facts(card), "files": sha256s}
            (beside / CARD).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
            for path in beside.iterdir():
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
            with filelock.FileLock(home / _LOCK):
                check_is_free(card.name)  # another process may have been quicker
                shutil.rmtree(home / card.name, ignore_errors=True)  # what has no card is left of a removal
                beside.replace(home / card.name)
            sync_folder(home)
    except OSError as error:
        raise StorageError(f"{home}: {error.strerror or error}") from error
    return ImportedModel(card, home / card.name, sha256s)


def remove(name: str) -> None:
    """Deletes an imported model, a damaged one too.

    Raises:
        UsageError: there is none of that name.
        StorageError: it cannot be deleted.
    """
    if not has(name):
        raise UsageError(f"there is no imported model {name!r}")
    try:
        (folder() / name / CARD).unlink()  # without which it is none
        shutil.rmtree(folder() / name)
    except OSError as error:
        raise StorageError(f"{folder() / name}: {error.strerror or error}") from error


def check_name(name: str) -> None:
    """Raises UsageError for what cannot be the name of a model."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a model's name; take letters, digits, '.', '_' and '-'")


def check_is_free(name: str) -> None:
    """Raises UsageError where there is a model of that name."""
    if has(name):
        raise UsageError(
            f"there is a model {name!r} already, from {read(name).card.source}; give the new one another name",
            Hint("remove_model", {"name": name}),
        )


def import_hint(command: str, name: str, *, again: bool = False) -> Hint:
    """How to import a model that is to have this name.

    Args:
        command: the source and the options, as a shell reads them; "" where nothing is known of them.
        name: the model's.
        again: whether a model of that name has to be removed first.
    """
    source: Any
    try:
        source, *words = shlex.split(command)
        pairs = zip(words[::2], words[1::2], strict=True)
        options = {name.removeprefix("--"): _value(name, text) for name, text in pairs}
    except (ValueError, SyntaxError):  # it is empty, or no command that Lookalike has written
        source, options = command or ..., {}
    arguments = {"source": source, "name": name} | ({"options": options} if options else {})
    return Hint("import_model_again" if again else "import_model", arguments)


def _value(option: str, text: str) -> Any:
    return ast.literal_eval(text) if option in ("--size", "--crop", "--mean", "--std") else text


def _import_again(name: str, card: Card | None = None) -> Hint:
    command = (card.command or shlex.quote(card.source)) if card else ""
    return import_hint(command, name, again=True)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
