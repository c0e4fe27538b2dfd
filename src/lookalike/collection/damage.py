"""Finds what is damaged in a collection."""

from lookalike.errors import CorruptError
from lookalike.search.snapshot import Snapshots
from lookalike.storage.catalog import Catalog


def find_damage(catalog: Catalog, snapshots: Snapshots) -> list[CorruptError]:
    """Reads everything, and returns each damage as an error that says what to do about it."""
    found: list[CorruptError] = []
    try:
        if damage := catalog.damage():
            found.append(CorruptError(f"{catalog.path}: the catalog is damaged: {damage}"))
        found += snapshots.find_damage()
    except CorruptError as error:
        found.append(error)
    return found
