"""collection.json: what made a collection, so that nothing made by anything else is mixed into it, and of what."""

import json
import os
import re
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lookalike import encoders
from lookalike.encoders import Encoder
from lookalike.errors import CorruptError, IncompatibleError, ModelError, StorageError, UsageError
from lookalike.system.durable import sync_folder

HOME = ".lookalike"  # the directory of a collection, inside its folder, unless another is named
NAME = "collection.json"
NEXT = "reindexing.json"  # what that is going to be, while the images are indexed again with another model
_FORMAT = 1
_DTYPE = "float16"
_PARENT = ".."
_DATA = re.compile(r"data\.(\d{6})")


@dataclass(frozen=True)
class Identity:
    """What made a collection.

    Attributes:
        model: the encoder's name.
        precision: what the encoder computes with, or "" where it came as an object.
        fingerprint: the encoder's.
        dim: of the vectors.
        source: what `lookalike models import` is told to have it, or where it comes from, or None where that is not
            known. It tells no encoders apart.
    """

    model: str
    precision: str
    fingerprint: str
    dim: int
    source: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.model} ({self.precision})" if self.precision else self.model


def of_encoder(encoder: Encoder) -> Identity:
    """The identity of collections made with an encoder that came as an object."""
    return Identity(encoder.name, "", encoder.fingerprint, encoder.dim)


def of_model(name: str, precision: str | None) -> Identity:
    """The identity of collections made with a model that Lookalike has.

    Raises:
        UsageError: it has no such model.
        ModelError: the card of an imported one is damaged.
    """
    card = encoders.card(name, precision=precision)
    return Identity(name, card.precision, card.fingerprint, card.dim, card.command or card.source)


@dataclass(frozen=True)
class Origin:
    """What collection.json holds.

    Attributes:
        made_by: what made the collection.
        folder: which folder it is of.
        data: the folder in the collection's directory that its catalog, vectors and index are in; None where they are
            in the directory itself, as they are until the images are indexed again with another model.
    """

    made_by: Identity
    folder: Path
    data: str | None = None

    def place(self, directory: Path) -> Path:
        """Where the catalog, the vectors and the index are."""
        return directory / self.data if self.data else directory

    @property
    def next_data(self) -> str:
        """The name that the data of the next model gets, which none has had before."""
        return f"data.{_number(self.data) + 1:06}"

    def is_earlier(self, name: str) -> bool:
        """Whether that is the name of the data of a model that served before."""
        return bool(_DATA.fullmatch(name)) and _number(name) < _number(self.data)


def _number(data: str | None) -> int:
    found = _DATA.fullmatch(data or "")
    return int(found[1]) if found else 0


# The file


def write(directory: Path, origin: Origin, name: str = NAME) -> None:
    """Makes the directory a collection, all at once; under the name `NEXT`, only writes down what it is to become.

    The folder that it lies in is not written down by its name, so that the two can be moved together.

    Raises:
        StorageError: it cannot be written.
    """
    # Whatever is not UTF-8 in a name, JSON escapes.
    folder = _PARENT if origin.folder == directory.parent else str(origin.folder)
    facts = {"format": _FORMAT, **asdict(origin.made_by), "dtype": _DTYPE, "folder": folder, "data": origin.data}
    facts = {name: value for name, value in facts.items() if value is not None}
    beside = directory / f"{name}.new"
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(json.dumps(facts, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(directory / name)
        # New names last only once the folders that hold them are on the disk.
        for changed in (directory, directory.parent):
            sync_folder(changed)
    except OSError as error:
        raise StorageError(f"{directory}: {error.strerror}") from error


def switch(directory: Path) -> None:
    """Makes the collection what `NEXT` says, all at once.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        (directory / NEXT).replace(directory / NAME)
        sync_folder(directory)
    except OSError as error:
        raise StorageError(f"{directory}: {error.strerror}") from error


def read(directory: Path, name: str = NAME) -> Origin:
    """What made this collection, and the folder that it is of.

    Raises:
        CorruptError: the file is damaged.
        IncompatibleError: a newer Lookalike wrote it.
    """
    path = directory / name
    try:
        facts = json.loads(path.read_bytes())
        if facts["format"] > _FORMAT:
            raise IncompatibleError(
                f"{path}: it has format {facts['format']} and this Lookalike knows up to {_FORMAT}; upgrade Lookalike"
            )
        source, data = facts.get("source"), facts.get("data")
        model, precision, fingerprint = (str(facts[each]) for each in ("model", "precision", "fingerprint"))
        made_by = Identity(model, precision, fingerprint, int(facts["dim"]), None if source is None else str(source))
        if (facts["format"], facts["dtype"]) != (_FORMAT, _DTYPE) or made_by.dim < 1:
            raise ValueError("it has an unknown layout")
        if data is not None and not _DATA.fullmatch(data):
            raise ValueError("it names a folder that is not Lookalike's")
        folder = str(facts["folder"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise CorruptError(f"{path}: the file is damaged: {error}") from error
    return Origin(made_by, directory.parent if folder == _PARENT else Path(folder), data)


def read_next(directory: Path) -> Origin | None:
    """What the collection is going to be; None where that is not written down, or cannot be read."""
    try:
        return read(directory, NEXT)
    except (CorruptError, IncompatibleError):
        return None


# What goes with it


def now(directory: Path, origin: Origin, *, model: str | None = None, precision: str | None = None) -> Identity:
    """The identity that the collection's own model has here and now, or that of another one, or in another precision.

    Raises:
        UsageError: there is no such model.
        ModelError: its card is damaged.
        IncompatibleError: the collection's own is not to be had here.
    """
    stored = origin.made_by
    if model is not None and (model != stored.model or not stored.precision):
        return of_model(model, precision)
    if not stored.precision or stored.model not in encoders.names():
        command = _command(directory, origin, f"--model {encoders.BUNDLED}")
        raise IncompatibleError(
            f"{directory}: its vectors were made by {stored}, which is not to be had here; {_how_to_have(stored)},"
            f" or index its images again with a model that is: {command}"
        )
    return of_model(stored.model, precision or stored.precision)


def here(stored: Identity) -> Identity | None:
    """The identity that a collection's own model has here and now; None where it is not to be had."""
    try:
        return of_model(stored.model, stored.precision) if stored.precision else None
    except (UsageError, ModelError):
        return None


def check(directory: Path, origin: Origin, wanted: Identity) -> None:
    """Makes sure that what is about to be used is what made this collection.

    Raises:
        IncompatibleError: it is not; the message names both and says how to index again.
    """
    made_by = origin.made_by
    if wanted == made_by:
        return
    made, asked, remedy = str(made_by), str(wanted), ""
    if made == asked:
        made, asked = _version(made_by), f"another version of it, {_version(wanted)}"
        remedy = f" To have the first one here, {_how_to_have_again(made_by)}."
    raise IncompatibleError(
        f"{directory}: its vectors were made by {made} and cannot be compared with those of {asked}.{remedy}"
        f" To index its images again with that, {how_to_reindex(directory, origin, wanted)}"
    )


def check_serves(directory: Path, origin: Origin) -> None:
    """Makes sure that a collection that was opened earlier is still the one that is there.

    Raises:
        IncompatibleError: its images have been indexed again with another model.
        CorruptError: collection.json is missing or damaged.
    """
    present = read(directory)
    if (present.made_by, present.data) != (origin.made_by, origin.data):
        raise IncompatibleError(
            f"{directory}: since it was opened, it has been indexed again with {present.made_by}; open it again"
        )


def how_to_reindex(directory: Path, origin: Origin, wanted: Identity) -> str:
    """What to do to index the images of a collection again, as the end of a sentence."""
    if not wanted.precision:
        return f"call: lookalike.reindex({str(directory)!r}, encoder=...)"
    return f"run: {_command(directory, origin, options(origin, wanted))}"


def options(origin: Origin, wanted: Identity) -> str:
    """What names a model that Lookalike has on a command line, for a collection that is made by another one."""
    if wanted.model != origin.made_by.model and wanted.precision == encoders.precisions(wanted.model)[0]:
        return f"--model {wanted.model}"
    return f"--model {wanted.model} --precision {wanted.precision}"


def _command(directory: Path, origin: Origin, options: str) -> str:
    return f"lookalike index {_named(directory, origin)} {options} --reindex"


def _named(directory: Path, origin: Origin) -> str:
    """A collection as it is named on a command line, after `lookalike index`."""
    if directory == origin.folder / HOME:
        return shlex.quote(str(origin.folder))
    return f"-c {shlex.quote(str(directory))}"


def _version(identity: Identity) -> str:
    source = f" from {identity.source}" if identity.source else ""
    return f"{identity} {identity.fingerprint[:8]}{source}"


def _how_to_have(stored: Identity) -> str:
    if not stored.precision:
        return "open it with that encoder"
    return f"import it: lookalike models import {stored.source or 'SOURCE'} --name {stored.model}"


def _how_to_have_again(stored: Identity) -> str:
    if not stored.precision:
        return "open it with that one"
    if stored.model == encoders.BUNDLED:
        return "install the version of Lookalike that it came with"
    return f"run: lookalike models remove {stored.model}, and {_how_to_have(stored)}"
