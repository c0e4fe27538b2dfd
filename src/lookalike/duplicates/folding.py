"""Folds copies in an answer behind the first of them, by what a search for copies has found before."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from lookalike.errors import CorruptError, StorageError
from lookalike.results import Match
from lookalike.search.options import SearchOptions
from lookalike.storage import layout

_MORE = 4  # times as many matches are looked for if too few are left


class Folds:
    """Which images are copies of one another, as it is known now. Threads may share it."""

    def __init__(self, path: Path) -> None:
        """`path` is the file of kept pictures and comparisons, which need not be there."""
        self._path, self._files = path, [os.fspath(each) for each in layout.sqlite_files(path)]
        self._known: tuple[tuple[object, ...], Mapping[bytes, bytes]] = (), {}

    def answers(
        self, options: SearchOptions, search: Callable[[SearchOptions], list[list[Match]]]
    ) -> list[list[Match]]:
        """The answers of a search, with their copies folded if that is wanted; there are `options.k` others at most.

        Args:
            options: of the search.
            search: does it.
        """
        if not options.fold:
            return search(options)
        of = self.groups()
        wanted = replace(options, k=2 * options.k)
        while True:
            found = search(wanted)
            answers = [folded(each, of) for each in found]
            if all(
                len(answer) >= options.k or len(each) < wanted.k for answer, each in zip(answers, found, strict=True)
            ):
                return [answer[: options.k] for answer in answers]
            wanted = replace(wanted, k=_MORE * wanted.k)

    def stamp(self) -> tuple[object, ...]:
        """What is another after every change of what is known of copies."""
        return tuple(map(_stamp, self._files))

    def groups(self) -> Mapping[bytes, bytes]:
        """The centre of the group of each image that is in one, both by the SHA-256s of their files.

        It is the image of which all others of the group are copies, and is there itself. Images that are only the same
        bytes are in none.
        """
        stamp = self.stamp()
        if stamp != self._known[0]:
            self._known = stamp, _read(self._path)
        return self._known[1]


def folded(matches: Iterable[Match], of: Mapping[bytes, bytes]) -> list[Match]:
    """The matches without copies of earlier ones, which those have as their `copies`.

    Args:
        matches: best first.
        of: a member of the group of each image that is in one, both by the SHA-256s of their files.
    """
    found = dict[object, list[Match]]()
    for match in matches:
        member = match.id if match.sha256 is None else of.get(match.sha256, match.sha256)
        found.setdefault(member, []).append(match)
    return [replace(first, copies=tuple(copies)) if copies else first for first, *copies in found.values()]


def _read(path: Path) -> dict[bytes, bytes]:
    from lookalike.copies.groups import group
    from lookalike.copies.verification import LEAST_SCORE
    from lookalike.duplicates import comparing
    from lookalike.storage.kept_pictures import KeptPictures, is_usable

    try:
        if not is_usable(path, comparing.REVISION):
            return {}  # and a search never replaces it, as opening would
        with KeptPictures(path, comparing.REVISION) as kept:
            scores = {(pair.first, pair.second): pair.score or 0.0 for pair in kept.pairs(least_score=LEAST_SCORE)}
            hashes = kept.hashes({number for pair in scores for number in pair})
    except (CorruptError, StorageError):  # it is made again by the next search for copies
        return {}
    return {
        hashes[number]: hashes[each.centre]
        for each in group({pair: score for pair, score in scores.items() if hashes.keys() >= {*pair}})
        for number in (each.centre, *each.copies)
    }


def _stamp(path: str) -> object:
    """What tells whether a file has changed; None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - quicker, and done by each search
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
