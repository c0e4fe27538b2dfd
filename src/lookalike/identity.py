"""collection.json: what made a collection, so that nothing made by anything else is mixed into it, and of what."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from lookalike import encoders
from lookalike.encoders import Encoder
from lookalike.errors import CorruptError, IncompatibleError, StorageError, UsageError
from lookalike.storage import sync_folder

NAME = "collection.json"
_FORMAT = 1
_DTYPE = "float16"
_PARENT = ".."


@dataclass(frozen=True)
class Identity:
    """What made a collection.

    Attributes:
        model: the encoder's name.
        precision: what the encoder computes with, or "" where it came as an object.
        fingerprint: the encoder's.
        dim: of the vectors.
    """

    model: str
    precision: str
    fingerprint: str
    dim: int


def of_encoder(encoder: Encoder) -> Identity:
    """The identity of collections made with an encoder that came as an object."""
    return Identity(encoder.name, "", encoder.fingerprint, encoder.dim)


def of_model(name: str, precision: str) -> Identity:
    """The identity of collections made with a model that Lookalike has.

    Raises:
        UsageError: it has no such model.
    """
    card = encoders.card(name, precision=precision)
    return Identity(name, precision, card.fingerprint, card.dim)


@dataclass(frozen=True)
class Origin:
    """What collection.json holds: what made the collection, and the folder that it is of."""

    made_by: Identity
    folder: Path


def write(directory: Path, origin: Origin) -> None:
    """Makes the directory a collection, all at once.

    The folder that it lies in is not written down by its name, so that the two can be moved together.

    Raises:
        StorageError: it cannot be written.
    """
    # Whatever is not UTF-8 in a name, JSON escapes.
    folder = _PARENT if origin.folder == directory.parent else str(origin.folder)
    facts = {"format": _FORMAT, **asdict(origin.made_by), "dtype": _DTYPE, "folder": folder}
    beside = directory / f"{NAME}.new"
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(json.dumps(facts, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(directory / NAME)
        # New names last only once the folders that hold them are on the disk.
        for changed in (directory, directory.parent):
            sync_folder(changed)
    except OSError as error:
        raise StorageError(f"{directory}: {error.strerror}") from error


def read(directory: Path) -> Origin:
    """What made this collection, and the folder that it is of.

    Raises:
        CorruptError: the file is damaged.
        IncompatibleError: a newer Lookalike wrote it.
    """
    path = directory / NAME
    try:
        facts = json.loads(path.read_bytes())
        if facts["format"] > _FORMAT:
            raise IncompatibleError(
                f"{path}: it has format {facts['format']} and this Lookalike knows up to {_FORMAT}; upgrade Lookalike"
            )
        made_by = Identity(str(facts["model"]), str(facts["precision"]), str(facts["fingerprint"]), int(facts["dim"]))
        if (facts["format"], facts["dtype"]) != (_FORMAT, _DTYPE) or made_by.dim < 1:
            raise ValueError("it has an unknown layout")
        folder = str(facts["folder"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise CorruptError(f"{path}: the file is damaged: {error}") from error
    return Origin(made_by, directory.parent if folder == _PARENT else Path(folder))


def check(directory: Path, origin: Origin, wanted: Identity) -> None:
    """Makes sure that what is about to be used is what made this collection.

    Raises:
        IncompatibleError: it is not; the message names both and says how to index again.
    """
    if wanted == origin.made_by:
        return
    made, asked = _told(origin.made_by), _told(wanted)
    if made == asked:
        made, asked = f"{made} {origin.made_by.fingerprint[:8]}", f"another version of it, {wanted.fingerprint[:8]}"
    raise IncompatibleError(
        f"{directory}: its vectors were made by {made} and cannot be compared with those of {asked}."
        f" To index again with that, delete {directory} and run: lookalike index {origin.folder}"
    )


def now(directory: Path, stored: Identity, *, model: str | None = None, precision: str | None = None) -> Identity:
    """The identity that the collection's own model has here and now, or that of another one, or in another precision.

    Raises:
        UsageError: there is no such model.
        IncompatibleError: the collection's own is not to be had here.
    """
    try:
        return of_model(model or stored.model, precision or stored.precision)
    except UsageError as error:
        if model or precision:
            raise
        raise IncompatibleError(
            f"{directory}: its vectors were made by {_told(stored)}, which is not to be had here ({error});"
            " open it with that encoder"
        ) from error


def _told(identity: Identity) -> str:
    return f"{identity.model} ({identity.precision})" if identity.precision else identity.model
