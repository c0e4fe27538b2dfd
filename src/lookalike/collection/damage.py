"""Finds what is damaged in a collection."""

from pathlib import Path

from lookalike.errors import CorruptError
from lookalike.search.snapshot import Snapshots
from lookalike.storage import made_of
from lookalike.storage.catalog import Catalog


def find_damage(directory: Path, catalog: Catalog, snapshots: Snapshots) -> list[CorruptError]:
    """Reads everything, and returns each damage as an error that says what to do about it."""
    found: list[CorruptError] = []
    try:
        if damage := catalog.damage():
            found.append(CorruptError(f"{catalog.path}: the catalog is damaged: {damage}"))
        found += snapshots.find_damage()
    except CorruptError as error:
        found.append(error)
    try:
        made_of.read(directory)
    except CorruptError as error:
        found.append(error)
    return found
