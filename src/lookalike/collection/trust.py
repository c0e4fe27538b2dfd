"""Which folders outside of a collection may be read again without being named.

A collection may come from a stranger, and says by itself which folders and lists it was made of. What is outside of the
folder that it is in is read only if this user has named it before, or says so now. That is noted in a folder of the
user's own, $LOOKALIKE_TRUST or "trusted" in the user's data directory, as an empty file. Its name is a SHA-256 of the
collection and of all the places together, so that a collection that names another place has to be trusted again. In the
same way it is noted which runs of actions on copies this user has done.
"""

import hashlib
import json
import os
from collections.abc import Container
from contextlib import suppress
from pathlib import Path

import platformdirs

from lookalike.errors import StorageError
from lookalike.sources.places import Place, place_of
from lookalike.sources.remote import RemotePath
from lookalike.storage.made_of import MadeOf
from lookalike.storage.manifest import Manifest
from lookalike.system import durable

SINGLE = "single files elsewhere"  # which only the catalog names
_ENVIRONMENT = "LOOKALIKE_TRUST"
_TRUSTED: set[str] = set()  # the names of the notes that this process has made


def outside(directory: Path, manifest: Manifest, made_of: MadeOf) -> list[str]:
    """What a collection was made of and is not in the folder that it is in; a list counts, as it may name anything."""
    folder = manifest.folder
    is_inside = folder == directory.parent
    places = [place_of(folder, key) for key in (*made_of.folders, *made_of.shards)]
    found = [str(place) for place in places if not (is_inside and _is_in(place, folder))]
    found += [str(folder / each.path) for each in made_of.lists]
    found += [str(folder)] * (made_of.single and not is_inside) + [SINGLE] * made_of.elsewhere
    return list(dict.fromkeys(found))


def _is_in(place: Place, folder: Path) -> bool:
    return not isinstance(place, RemotePath) and place.resolve().is_relative_to(folder)


def is_trusted(directory: Path, manifest: Manifest, made_of: MadeOf, named: Container[str] = ()) -> bool:
    """Whether what a collection was made of may be read: it is inside, or named now, or this user has trusted it."""
    if all(place in named for place in outside(directory, manifest, made_of)):
        return True
    note = _note(directory, manifest, made_of)
    return note.name in _TRUSTED or os.path.exists(note)


def trust(directory: Path, manifest: Manifest, made_of: MadeOf) -> None:
    """Notes that this user trusts what a collection was made of; without a folder for notes, in this process only."""
    if not outside(directory, manifest, made_of):
        return
    with suppress(StorageError):
        _write(_note(directory, manifest, made_of))


def note_run(token: str) -> None:
    """Notes that this user is doing a run of actions on copies; without a folder for notes, in this process only.

    Raises:
        StorageError: the disk is full or failing.
    """
    _write(_place(_run_name(token)))


def is_own_run(token: str) -> bool:
    """Whether this user has done that run: another one's log may name any file of this user's."""
    note = _place(_run_name(token))
    return note.name in _TRUSTED or os.path.exists(note)


def _run_name(token: str) -> str:
    return hashlib.sha256(f"run {token}".encode()).hexdigest()


def _write(note: Path) -> None:
    _TRUSTED.add(note.name)
    try:
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        note.touch(mode=0o600)
    except OSError as error:  # a home that is not there, or may not be written to
        if error.errno in durable.DISK_ERRORS:
            raise StorageError(f"{note.parent}: {error.strerror}") from error


def _note(directory: Path, manifest: Manifest, made_of: MadeOf) -> Path:
    """The file that notes it."""
    places = sorted(outside(directory, manifest, made_of))
    facts = [manifest.catalog or str(directory), str(manifest.folder), *places]
    return _place(hashlib.sha256(json.dumps(facts).encode()).hexdigest())


def _place(name: str) -> Path:
    """The file of a note."""
    if named := os.environ.get(_ENVIRONMENT):
        return Path(named) / name
    try:
        return platformdirs.user_data_path("lookalike", appauthor=False) / "trusted" / name
    except (RuntimeError, KeyError, OSError):  # there is no home directory
        return Path(os.devnull) / name
