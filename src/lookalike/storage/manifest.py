"""collection.json: which model made a collection, of which folder, and which data directory serves."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lookalike.errors import CorruptError, IncompatibleError
from lookalike.storage import files, layout
from lookalike.system import durable

_FORMAT = 1
_DTYPE = "float16"
_PARENT = ".."
_MAX_BYTES = 2**20
_MAX_NAME = 1000  # characters
MAX_DIM = 2**20  # of vectors; larger numbers only come from damage


@dataclass(frozen=True)
class Identity:
    """The encoder that made a collection.

    Attributes:
        model: its name.
        precision: its inference precision, or "" for an encoder that was given as an object.
        fingerprint: two encoders' vectors can be compared if, and only if, this is equal.
        dim: the dimension of the vectors.
        source: what the model was imported from, as its card says; None if that is not known. It does not count when
            identities are compared.
    """

    model: str
    precision: str
    fingerprint: str
    dim: int
    source: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.model} ({self.precision})" if self.precision else self.model


@dataclass(frozen=True)
class Manifest:
    """The contents of collection.json.

    Attributes:
        made_by: the encoder that made the vectors.
        folder: the folder that the keys of the images are relative to.
        data: the name of the directory, inside the collection's, that holds the catalog, vectors and index; None if
            they are in the collection's directory itself, as they are until it is indexed again with another model.
        catalog: the catalog's random identity, in hexadecimal digits; None if an earlier version made it.
    """

    made_by: Identity
    folder: Path
    data: str | None = None
    catalog: str | None = None

    def data_directory(self, directory: Path) -> Path:
        """The directory of the catalog, the vectors and the index, for the collection in `directory`."""
        return directory / self.data if self.data else directory

    def path(self, directory: Path) -> Path:
        """The shortest path that names the collection: its folder if the directory is inside, else the directory."""
        return self.folder if directory == self.folder / layout.DIRECTORY else directory


def write(directory: Path, manifest: Manifest, name: str = layout.MANIFEST) -> None:
    """Writes the manifest, which makes the directory a collection, all at once.

    The folder that the collection is in is not written down by its name, so that both can be moved together.

    Args:
        directory: the collection's.
        manifest: the new contents.
        name: `layout.NEXT_MANIFEST` only notes what the collection is to become.

    Raises:
        StorageError: it cannot be written.
    """
    folder = _PARENT if manifest.folder == directory.parent else str(manifest.folder)  # JSON escapes what is not UTF-8
    facts = {"format": _FORMAT, **asdict(manifest.made_by), "dtype": _DTYPE, "folder": folder, "data": manifest.data}
    facts["catalog"] = manifest.catalog
    facts = {name: value for name, value in facts.items() if value is not None}
    with durable.storage_errors(directory):
        durable.replace(directory / name, (json.dumps(facts, indent=2) + "\n").encode())
        durable.sync_folder(directory.parent)  # the directory may be new as well


def switch(directory: Path) -> None:
    """Makes the next manifest the one that counts, all at once, or raises StorageError."""
    with durable.storage_errors(directory):
        durable.rename(directory / layout.NEXT_MANIFEST, directory / layout.MANIFEST)


def read(directory: Path, name: str = layout.MANIFEST) -> Manifest:
    """Reads the manifest of the collection in a directory.

    Raises:
        CorruptError: the file is damaged.
        IncompatibleError: a newer Lookalike wrote it.
    """
    path = directory / name
    try:
        facts = json.loads(files.read(path, max_bytes=_MAX_BYTES))
        if (found := whole(facts, "format")) > _FORMAT:
            raise IncompatibleError(
                f"{path}: it has format {found} and this Lookalike knows up to {_FORMAT}; upgrade Lookalike"
            )
        return _from_facts(facts, directory)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptError(f"{path}: the file is damaged: {error}") from error


def _from_facts(facts: Mapping[str, Any], directory: Path) -> Manifest:
    """The manifest of a collection; raises ValueError for what Lookalike does not write."""
    if (facts["format"], facts["dtype"]) != (_FORMAT, _DTYPE):
        raise ValueError("it has an unknown layout")
    data = facts.get("data")
    if data is not None and not layout.is_data(data):
        raise ValueError("it names a directory that is not Lookalike's")
    catalog = _text(facts, "catalog") if "catalog" in facts else None
    return Manifest(identity(facts), _folder(facts["folder"], directory), data, catalog)


def identity(facts: Mapping[str, Any]) -> Identity:
    """The encoder that JSON names; raises ValueError for what Lookalike does not write."""
    model, precision, fingerprint = (_text(facts, name) for name in ("model", "precision", "fingerprint"))
    dim, source = whole(facts, "dim"), _text(facts, "source") if "source" in facts else None
    if not 1 <= dim <= MAX_DIM:
        raise ValueError(f"dim is {dim}, not from 1 to {MAX_DIM:,}")
    return Identity(model, precision, fingerprint, dim, source)


def _folder(written: Any, directory: Path) -> Path:
    if written == _PARENT:
        return directory.parent
    if not isinstance(written, str) or "\0" in written or os.path.normpath(written) != written or written[0] != "/":
        raise ValueError("its folder is not an absolute path")
    return Path(written)


def whole(facts: Mapping[str, Any], name: str) -> int:
    """A whole number of a manifest; raises ValueError for anything else."""
    if type(facts[name]) is not int:  # a bool is an int, too
        raise ValueError(f"{name} is not a whole number")
    return int(facts[name])


def _text(facts: Mapping[str, Any], name: str) -> str:
    """A text that can be shown: it may come from a stranger, and ends up in messages and commands to be pasted."""
    value = facts[name]
    if not is_name(value):
        raise ValueError(f"{name} is not a text of printable characters")
    return str(value)


def is_name(value: object) -> bool:
    """Whether a value can be the name of an encoder, or another of the texts of a manifest."""
    return isinstance(value, str) and len(value) <= _MAX_NAME and value.isprintable()


def read_next(directory: Path) -> Manifest | None:
    """Reads the manifest that the collection is going to have; None if there is none, or it cannot be read."""
    try:
        return read(directory, layout.NEXT_MANIFEST)
    except (CorruptError, IncompatibleError):
        return None
