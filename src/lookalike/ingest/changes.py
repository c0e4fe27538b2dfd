"""Compares the files that there are with the files that are known."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from lookalike.sources.folder import Found, Source, Unreadable
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import KnownFile


@dataclass(frozen=True)
class Changed:
    """A file that is new, or no longer the one that is known."""

    found: Found


@dataclass(frozen=True)
class Unchanged:
    """A file that is as it was when it was indexed or skipped."""

    known: KnownFile


@dataclass(frozen=True)
class Vanished:
    """A file that is known and no longer there."""

    key: str


Change = Changed | Unchanged | Vanished | Unreadable


def changes(source: Source, catalog: Catalog) -> Iterator[Change]:
    """What has happened to a source's files, in the order of their keys' bytes.

    It reads the catalog a page at a time; files that are added meanwhile, in that order, do not confuse it.
    """
    return compare(source.files(), _known(source, catalog))


def compare(files: Iterator[Found | Unreadable], known: Iterator[KnownFile]) -> Iterator[Change]:
    """Merges the two, which both come in the order of their keys' bytes.

    What lies in a folder that could not be listed is neither there nor gone: nothing is said of it.
    """
    unreadable: list[bytes] = []
    waiting = next(known, None)
    for file in files:
        place = os.fsencode(file.key)
        while waiting and os.fsencode(waiting.key) < place:
            yield from _gone(waiting, unreadable)
            waiting = next(known, None)
        before = waiting if waiting and waiting.key == file.key else None
        if isinstance(file, Unreadable):
            unreadable.append(place)
            yield file
        elif before and file.size >= 0 and (file.size, file.changed_ns) == (before.size, before.changed_ns):
            yield Unchanged(before)
        else:
            yield Changed(file)
        if before:
            waiting = next(known, None)
    while waiting:
        yield from _gone(waiting, unreadable)
        waiting = next(known, None)


def _gone(known: KnownFile, unreadable: list[bytes]) -> Iterator[Vanished]:
    if not any(os.fsencode(known.key).startswith(folder) for folder in unreadable):
        yield Vanished(known.key)


def _known(source: Source, catalog: Catalog) -> Iterator[KnownFile]:
    if source.within is not None:
        yield from catalog.known_files(source.within)
        return
    for file in source.files():  # single files: only these are asked about
        if found := catalog.known_file(file.key):
            yield found
