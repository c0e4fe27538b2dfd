"""Finds the copies in a collection: what is near by cosine is compared by its pictures, and copies are grouped.

The same bytes share a vector, so the catalog names them. All else is known by the numbers of the kept pictures, which
stay the same when rows are moved; what was compared once is not compared again.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from lookalike.copies import thumbnails
from lookalike.duplicates import candidates, comparing
from lookalike.duplicates.candidates import Candidates
from lookalike.duplicates.examined import Numbered
from lookalike.duplicates.ordering import Pair, in_order
from lookalike.errors import ImageError
from lookalike.storage.kept_pictures import KeptPictures

_FEW = 0.05  # of the images: if no more are new, only they are looked at
_AT_ONCE = 256  # pictures that are made before they are kept
# What looking for candidates, making pictures, and comparing the candidates take, of 100.
_SEARCHED, _MADE, _COMPARED = 5, 10, 80


@dataclass(frozen=True)
class Effort:
    """How much is done at the same time, and who is told.

    Attributes:
        nearest: how many of the nearest of each image are compared with it.
        processes: how many compare.
        progress: is called with the share that is done, in [0, 1].
    """

    nearest: int
    processes: int
    progress: Callable[[float], None]


def compare_copies(numbered: Numbered, kept: KeptPictures, effort: Effort) -> int:
    """Compares what may be copies within a collection and has not been compared; returns the number of pairs."""
    _look_for_candidates(numbered, kept, effort)
    live = numbered.row_of
    waiting = [pair for pair in kept.uncompared() if pair[0] in live and pair[1] in live]
    return _compare(kept, waiting, [numbered], effort)


def compare_between(numbered: Numbered, other: Numbered, kept: KeptPictures, effort: Effort) -> int:
    """Compares what may be copies of images of another collection; returns the number of pairs."""
    total = max(1, len(numbered.rows) + len(other.rows))
    snapshots = numbered.snapshot, other.snapshot
    pairs = candidates.between(*snapshots, effort.nearest, lambda done: effort.progress(done / total * _SEARCHED / 100))
    _add(kept, pairs, numbered.numbers, other.numbers)
    ours, theirs = numbered.row_of, other.row_of
    waiting = [
        (first, second)
        for first, second in kept.uncompared()
        if (first in ours and second in theirs) or (first in theirs and second in ours)
    ]
    return _compare(kept, waiting, [numbered, other], effort)


def _look_for_candidates(numbered: Numbered, kept: KeptPictures, effort: Effort) -> None:
    """Adds the pairs of images that are new, or of all if many are."""
    snapshot, rows, numbers = numbered.snapshot, numbered.rows, numbered.numbers
    known = kept.reaches(effort.nearest)
    is_new = np.array([numbers[row] not in known for row in rows.tolist()], bool)
    if is_new.sum() > _FEW * len(rows):
        is_new[:] = True
    new, older = rows[is_new], rows[~is_new]
    if not len(new):
        return

    def progress(done: int) -> None:
        effort.progress(done / len(new) * _SEARCHED / 100)

    found = candidates.nearest(snapshot, new, effort.nearest, progress)
    reaches = np.array([known[numbers[row]] for row in older.tolist()], np.float32)
    _add(kept, found.pairs, numbers, numbers)
    _add(kept, candidates.nearer(snapshot, new, older, reaches), numbers, numbers)
    # After the pairs, so that none is missed if this is stopped between.
    kept.keep_reaches({numbers[row]: reach for row, reach in found.reaches.items()}, effort.nearest)


def _add(kept: KeptPictures, pairs: Candidates, first: Mapping[int, int], second: Mapping[int, int]) -> None:
    ones = (first.get(row) for row in pairs.first.tolist())
    others = (second.get(row) for row in pairs.second.tolist())
    triples = zip(ones, others, pairs.cosines.tolist(), strict=True)
    kept.add_pairs((a, b, cosine) for a, b, cosine in triples if a is not None and b is not None and a != b)


def _compare(kept: KeptPictures, pairs: Sequence[Pair], of: Sequence[Numbered], effort: Effort) -> int:
    wanted = {number for pair in pairs for number in pair}
    _make_pictures(kept, wanted, of, effort)

    def progress(done: int) -> None:
        effort.progress((_SEARCHED + _MADE + _COMPARED * done / max(1, len(pairs))) / 100)

    comparing.compare_pairs(kept, in_order(pairs), processes=effort.processes, progress=progress)
    return len(pairs)


def compare_members(kept: KeptPictures, pairs: Sequence[tuple[int, int, float]], effort: Effort) -> None:
    """Compares pictures that are in one group without having been candidates, given with their cosines."""
    if not effort.processes or not pairs:
        return
    before = _SEARCHED + _MADE + _COMPARED

    def progress(done: int) -> None:
        effort.progress((before + (100 - before) * done / len(pairs)) / 100)

    kept.add_pairs(pairs, candidates=False)
    numbers = in_order([(first, second) for first, second, _ in pairs])
    comparing.compare_pairs(kept, numbers, processes=effort.processes, progress=progress)


def _make_pictures(kept: KeptPictures, wanted: set[int], of: Sequence[Numbered], effort: Effort) -> None:
    """Makes the small pictures that are missing, of the files; what cannot be read is left out."""
    missing = sorted(wanted - kept.have_packed())
    with ThreadPoolExecutor(effort.processes, "lookalike-pictures") as pool:
        for start in range(0, len(missing), _AT_ONCE):
            part = missing[start : start + _AT_ONCE]
            made = zip(part, pool.map(lambda number: _packed(number, of), part), strict=True)
            kept.keep_packed({number: data for number, data in made if data is not None})
            effort.progress((_SEARCHED + _MADE * (start + len(part)) / len(missing)) / 100)


def _packed(number: int, of: Sequence[Numbered]) -> bytes | None:
    for numbered in of:
        if (data := numbered.original(number)) is not None:
            with suppress(ImageError):
                return thumbnails.pack(data)
    return None
