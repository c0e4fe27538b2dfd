"""The registry of imported models: a folder that holds a directory for each, with a card and OpenVINO's files.

    ~/.local/share/lookalike/models/resnet50/
      card.json                             the card, and the SHA-256 of each of the other files
      model.xml, model.bin                  the image encoder: from pixels to a vector
      text.xml, text.bin, tokenizer.json    the text encoder, if the model has one

A model is written to a temporary directory and then renamed, so that it is there completely or not at all; likewise it
is renamed before it is deleted. What a process that was killed has left of either, the next one deletes.
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

import platformdirs

from lookalike import arguments
from lookalike.encoders.card import Card
from lookalike.errors import Hint, LookalikeError, ModelError, StorageError, UsageError
from lookalike.system import durable, regular_file, scratch

CARD, GRAPH, TEXT_GRAPH, TOKENIZER = "card.json", "model.xml", "text.xml", "tokenizer.json"
_LOCK = ".lock"
_FORMAT = 1
_MAX_CARD = 2**20  # bytes
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_FILE = re.compile(r"[a-z]+\.(?:xml|bin|json)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = ".importing-"
_ENVIRONMENT = "LOOKALIKE_MODELS"
_ADVICE = f"set ${_ENVIRONMENT} to a folder of your own"
# The options of an import: those whose values are Python literals, and those whose values are texts.
_LITERAL_OPTIONS = {"size", "crop", "mean", "std"}
_TEXT_OPTIONS = {"revision", "output", "resample", "fit", "channels", "licence"}
_MAX_COMMAND = 2000  # characters


@dataclass(frozen=True)
class ImportedModel:
    """An imported model.

    Attributes:
        card: its card, in the precision that is used by default.
        folder: the directory of its files.
        sha256s: the SHA-256 of each file but the card, in hexadecimal, by file name.
    """

    card: Card
    folder: Path
    sha256s: dict[str, str]

    @property
    def bytes(self) -> int:
        """The total size of its files, in bytes; raises ModelError if one is missing."""
        try:
            return sum((self.folder / name).stat().st_size for name in (CARD, *self.sha256s))
        except OSError as error:
            raise ModelError(f"{error.filename}: {error.strerror}", import_again_hint(self.card)) from error

    def identity(self, graph: str) -> str:
        """What tells a graph, with its weights, from all others."""
        return " ".join(str(self.sha256s.get(name)) for name in (graph, _weights(graph)))

    def check(self, *names: str) -> None:
        """Verifies the checksums of these files, and of the weights (.bin) of each graph (.xml) among them.

        Raises:
            ModelError: a file is missing, or is not the one that was imported.
        """
        for name in (*names, *(_weights(name) for name in names if name.endswith(".xml"))):
            if name not in self.sha256s or _sha256(self.folder / name) != self.sha256s[name]:
                raise ModelError(f"{self.folder / name}: this is not what was imported", import_again_hint(self.card))


def _weights(graph: str) -> str:
    """The name of the file with the weights of a graph."""
    return str(Path(graph).with_suffix(".bin"))


def folder() -> Path:
    """The folder of imported models: $LOOKALIKE_MODELS, or "models" in the user's data directory.

    Raises:
        UsageError: the variable is not set, and the user has no home directory.
    """
    if named := os.environ.get(_ENVIRONMENT):
        return Path(named)
    try:
        return platformdirs.user_data_path("lookalike", appauthor=False) / "models"
    except (RuntimeError, KeyError, OSError) as error:
        raise UsageError(f"there is no home directory for imported models; {_ADVICE}") from error


def names() -> list[str]:
    """The names of all imported models, sorted; none if their folder cannot be read."""
    try:
        return sorted(filter(has, os.listdir(folder())))
    except (UsageError, OSError):
        return []


def has(name: str) -> bool:
    """Whether there is an imported model of that name; False if their folder cannot be read."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return False
    try:
        return os.path.lexists(folder() / name / CARD)
    except (UsageError, OSError):
        return False


def why_unreadable() -> str | None:
    """Why the folder of imported models cannot be read, and what to do; None if it can, or is not there yet."""
    try:
        os.listdir(folder())
    except FileNotFoundError:
        return None
    except UsageError as error:
        return error.message
    except OSError as error:
        return f"{folder()}: {_reason(error)}; {_ADVICE}"
    return None


def make_folder() -> Path:
    """Makes the folder of imported models, unless it is there.

    Raises:
        UsageError: the user has no home directory.
        StorageError: the folder cannot be made or written to.
    """
    home = folder()
    try:
        home.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
    except OSError as error:
        raise StorageError(f"{home}: {_reason(error)}; {_ADVICE}") from error
    return home


def read(name: str) -> ImportedModel:
    """Reads the card of an imported model, without verifying its other files.

    Raises:
        UsageError: there is no imported model of that name.
        ModelError: its card is damaged.
    """
    directory = _directory(name)
    path, again = directory / CARD, import_hint("", name, again=True)
    try:
        facts = json.loads(regular_file.read(path, most=_MAX_CARD))
        if type(facts["format"]) is not int or facts["format"] != _FORMAT:  # True equals 1
            raise ModelError(f"{path}: it has the unknown format {arguments.shown(facts['format'])}", again)
        card = Card.from_dict(facts["card"])
        if card.name != name:
            raise ValueError(f"it is that of {arguments.shown(card.name)}")
        return ImportedModel(card, directory, _checked_sha256s(facts["files"]))
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(f"{path}: the card cannot be read ({_reason(error)})", again) from error
    except KeyError as error:
        raise ModelError(f"{path}: the card is damaged ({error.args[0]} is missing)", again) from error
    except (ValueError, TypeError, OverflowError, RecursionError, LookalikeError) as error:
        raise ModelError(f"{path}: the card is damaged ({error})", again) from error


def save(card: Card, write: Callable[[Path], None]) -> ImportedModel:
    """Saves a model whose files `write` puts into the directory that it is called with.

    Raises:
        UsageError: the name cannot be that of a directory, or is taken.
        StorageError: the files cannot be written.
    """
    import filelock  # which only an import needs

    check_name(card.name)
    check_is_free(card.name)
    home = make_folder()
    with durable.storage_errors(home), scratch.directory(home, _TEMPORARY) as temporary:
        new = temporary / card.name
        sha256s = _write_files(new, card, write)
        with filelock.FileLock(home / _LOCK):
            check_is_free(card.name)  # another process may have been quicker
            shutil.rmtree(home / card.name, ignore_errors=True)  # without a card: an interrupted removal
            durable.rename(new, home / card.name)
    return ImportedModel(card, home / card.name, sha256s)


def remove(name: str) -> None:
    """Deletes an imported model, even a damaged one.

    Raises:
        UsageError: there is no imported model of that name.
        StorageError: it cannot be deleted.
    """
    directory = _directory(name)
    with durable.storage_errors(directory), scratch.directory(directory.parent, _TEMPORARY) as temporary:
        durable.rename(directory, temporary / name)  # from here on it is no model; of a link, only the link is deleted
        durable.sync_folder(directory.parent)


def check_name(name: str) -> None:
    """Raises UsageError for a text that cannot be the name of a model."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a model's name; take letters, digits, '.', '_' and '-'")


def check_is_free(name: str) -> None:
    """Raises UsageError if there is a model of that name."""
    if has(name):
        raise UsageError(
            f"there is a model {name!r} already, from {read(name).card.source}; give the new one another name",
            Hint("remove_model", {"name": name}),
        )


def import_hint(command: str, name: str, *, again: bool = False) -> Hint:
    """Returns the hint that imports a model under a name.

    Args:
        command: the source and the options, as a shell reads them; "" if they are unknown.
        name: the model's name.
        again: whether a model of that name has to be removed first.
    """
    source: Any
    try:
        source, *rest = shlex.split(command if len(command) <= _MAX_COMMAND else "")
        pairs = zip(rest[::2], rest[1::2], strict=True)
        options = dict(_option(flag, text) for flag, text in pairs)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        source, options = command or ..., {}  # it is empty, or not in the form that Lookalike writes
    arguments = {"source": source, "name": name} | ({"options": options} if options else {})
    return Hint("import_model_again" if again else "import_model", arguments)


def import_again_hint(card: Card) -> Hint:
    """Returns the hint that imports a model again, from the source on its card."""
    return import_hint(card.command or shlex.quote(card.source), card.name, again=True)


def _option(flag: str, text: str) -> tuple[str, Any]:
    name = flag.removeprefix("--")
    if name in _LITERAL_OPTIONS:
        return name, ast.literal_eval(text)
    if name not in _TEXT_OPTIONS:
        raise ValueError(f"{flag} is no option of an import")
    return name, text


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _directory(name: str) -> Path:
    """The directory of an imported model.

    Raises:
        UsageError: there is no imported model of that name.
    """
    if not has(name):
        raise UsageError(f"there is no imported model {name!r}")
    return folder() / name


def _checked_sha256s(files: Any) -> dict[str, str]:
    """The SHA-256s on a card; raises ValueError if a file or a SHA-256 cannot be a model's."""
    if not isinstance(files, dict):
        raise ValueError("files is not an object")
    for name, sha256 in files.items():
        if not _FILE.fullmatch(name) or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise ValueError(f"files has the entry {arguments.shown(name)}: {arguments.shown(sha256)}")
    return files


def _write_files(directory: Path, card: Card, write: Callable[[Path], None]) -> dict[str, str]:
    """Writes a model's files and card into a new directory, syncs them, and returns the files' SHA-256s."""
    directory.mkdir()
    write(directory)
    sha256s = {path.name: _sha256(path) for path in sorted(directory.iterdir())}
    facts: dict[str, Any] = {"format": _FORMAT, "card": card.as_dict(), "files": sha256s}
    (directory / CARD).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    for path in directory.iterdir():
        with path.open("rb+") as file:
            durable.sync(file.fileno())
    return sha256s


def _sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; "" if it cannot be read."""
    try:
        with regular_file.open_to_read(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
