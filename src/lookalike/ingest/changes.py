"""Compares the files of a source with the files that the catalog knows."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from lookalike.sources.folder import Files, Found, Source, Unreadable
from lookalike.storage import unread
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import FileKind, KnownFile


@dataclass(frozen=True)
class Changed:
    """A file that is new, or has changed since it was indexed or skipped."""

    found: Found


@dataclass(frozen=True)
class Unchanged:
    """A file that is as it was when it was indexed or skipped, or that of a missing image, which is back as it was.

    Its image may still get another vector, if the file was read by earlier decoders: `known.is_outdated`.
    """

    known: KnownFile
    found: Found


@dataclass(frozen=True)
class Vanished:
    """A known file that is gone."""

    known: KnownFile


Change = Changed | Unchanged | Vanished | Unreadable


def changes(source: Source, catalog: Catalog) -> Iterator[Change]:
    """Compares a source's files with the catalog, in the order of their keys' bytes.

    The catalog is read a page at a time. Files may be added in the order of their keys meanwhile.
    """
    if source.within is not None:
        known = (each for each in catalog.known_files(source.within) if source.covers(each.key))
        return compare(source.files(), known)
    files = list(source.files())  # single files: only these are asked about
    keys = source.all_keys() if isinstance(source, Files) else [file.key for file in files]
    return compare(iter(files), catalog.known_among(keys))


def compare(files: Iterator[Found | Unreadable], known: Iterator[KnownFile]) -> Iterator[Change]:
    """Merges two sequences of files, both in the order of their keys' bytes.

    A known file in a folder that could not be listed may be there or gone: nothing is reported of it. Nor is anything
    of the file of a missing image that is still gone, or of an imported one that was never read. A file that earlier
    decoders have refused may be read now.
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
        elif before and before.status.is_same(file.status) and not _may_be_read_now(before):
            yield Unchanged(before, file)
        else:
            yield Changed(file)
        if before:
            waiting = next(known, None)
    while waiting:
        yield from _gone(waiting, unreadable)
        waiting = next(known, None)


def _may_be_read_now(known: KnownFile) -> bool:
    return known.kind is FileKind.SKIPPED and known.is_outdated


def _gone(known: KnownFile, unreadable: list[bytes]) -> Iterator[Vanished]:
    is_hidden = any(os.fsencode(known.key).startswith(folder) for folder in unreadable)
    was_there = known.kind is not FileKind.MISSING and known.status != unread.STATUS
    if was_there and not is_hidden:
        yield Vanished(known)
