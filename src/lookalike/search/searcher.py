"""Turns query vectors into matches: ranks rows by their stored vectors, then looks up their images."""

import math
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from lookalike.errors import NoImageError
from lookalike.images.grid import grid
from lookalike.results import Match, Region
from lookalike.search.chance import Judged
from lookalike.search.options import SearchOptions
from lookalike.search.probability import KeptCurves
from lookalike.search.ranking import Ranked, best_of, judged, ranked
from lookalike.search.searched import Searched, SearchedStates
from lookalike.sources import places
from lookalike.storage.checksums import check_rows
from lookalike.storage.records import StoredImage
from lookalike.storage.rows import RowSet
from lookalike.storage.vectors import Vectors, unit
from lookalike.system.resources import cores
from lookalike.system.turns import Turns

_TURN_S = 0.25  # so long a search waits for others that are under way in this process
_PATIENCE_S = 0.5  # for so long an answer is found again when the collection has changed meanwhile
_HELD_S = 1.0  # a search that takes longer, waiting included, never holds a read transaction
_HELD_QUERIES = 500  # nor does one of more queries, whose images take about a millisecond each to look up

_Answer: TypeAlias = tuple[Vectors, Ranked]
"""The vectors of a query, and the rows that were found for it."""


class Searcher:
    """Finds a collection's images by vectors. Threads may share it."""

    def __init__(self, snapshots: SearchedStates, folder: Path, curves: KeptCurves) -> None:
        """`folder` is what the keys of the images are relative to; `curves` tell what is probable of them."""
        self._snapshots, self._folder, self._curves = snapshots, folder, curves
        self._turns = Turns(cores(), patience_s=_TURN_S)

    @property
    def folder(self) -> Path:
        """The folder that the keys of the images are relative to."""
        return self._folder

    def by_vectors(
        self, queries: Vectors, options: SearchOptions, *, leave_out: Collection[int] = ()
    ) -> list[list[Match]]:
        """Finds, for each unit vector, float32 (n, dim), the images whose vectors have the largest cosine with it.

        The images with the ids in `leave_out` are not found.

        Raises:
            UsageError: the vectors have another dimension, or the filter asks for an attribute that no image has.
            CorruptError: a vector that would have been returned is damaged.
        """
        extra = len(leave_out)

        def found(snapshot: Searched, row_set: RowSet) -> list[_Answer]:
            answers = ranked(snapshot, queries, options, row_set, extra=extra)
            return [(query[None], answer) for query, answer in zip(queries, answers, strict=True)]

        named = self._found(found, len(queries), options, extra=extra)
        return [[match for match in each if match.id not in leave_out][: options.k] for each in named]

    def by_parts(self, queries: Vectors, options: SearchOptions, regions: Sequence[Region | None]) -> list[Match]:
        """Finds the images that are nearest to any of several unit vectors of one query, float32 (n, dim).

        Args:
            queries: the vectors.
            options: of the search.
            regions: the parts of the query that they are of; None is the whole of it.

        Raises:
            UsageError: the vectors have another dimension, or the filter asks for an attribute that no image has.
            CorruptError: a vector that would have been returned is damaged.
        """

        def found(snapshot: Searched, row_set: RowSet) -> list[_Answer]:
            answers = ranked(snapshot, queries, options, row_set)
            parts = [replace(each, query_parts=np.full(len(each.rows), at)) for at, each in enumerate(answers)]
            return [(queries, best_of(parts, options.k))]

        return self._found(found, len(queries), options, query_regions=regions)[0]

    def by_image(self, image_id: int, options: SearchOptions) -> tuple[Match, list[Match]]:
        """An image of the collection, and the images nearest to it, without itself.

        Raises:
            NoImageError: there is no image of that number.
            UsageError: the filter asks for an attribute that no image has.
            CorruptError: a vector that would have been returned is damaged.
        """
        with self._turn(1), closing(self._attempts(1)) as attempts:
            for patient in attempts:
                with self._snapshots.current(regions=options.regions, augmented=options.refine) as snapshot:
                    image = self._image(snapshot, image_id)
                    query = unit(snapshot.read_checked(np.array([image.row])))
                    row_set = snapshot.row_set(options.where) if options.where else snapshot.live
                answers = ranked(snapshot, query, options, row_set, extra=1)  # it finds itself
                named = self._named(snapshot, [(query, answers[0])], options, extra=1, patient=patient)
                if named is not None:
                    others = [match for match in named[0] if match.id != image_id]
                    return self._match(image, _Told(1.0)), others[: options.k]
        raise AssertionError("attempts do not end")

    def _found(
        self,
        find: Callable[[Searched, RowSet], Sequence[_Answer]],
        queries: int,
        options: SearchOptions,
        *,
        query_regions: Sequence[Region | None] = (None,),
        extra: int = 0,
    ) -> list[list[Match]]:
        """The matches of each answer that `find` gives, which belong to one committed state."""
        with self._turn(queries), closing(self._attempts(queries)) as attempts:
            for number, patient in enumerate(attempts):
                snapshot, row_set = self._searchable(options, is_first=number == 0)
                named = self._named(
                    snapshot,
                    find(snapshot, row_set),
                    options,
                    query_regions=query_regions,
                    extra=extra,
                    patient=patient,
                )
                if named is not None:
                    return named
        raise AssertionError("attempts do not end")

    def _searchable(self, options: SearchOptions, *, is_first: bool) -> tuple[Searched, RowSet]:
        """A state, and the rows of it that may be found.

        The first attempt goes by the state that was used last, which is mostly the newest one: `_named` tells, so that
        the catalog is read once instead of twice. Only a filter needs what the catalog has.
        """
        if (
            is_first
            and options.where is None
            and (last := self._snapshots.last(regions=options.regions, augmented=options.refine))
        ):
            return last, last.live
        with self._snapshots.current(regions=options.regions, augmented=options.refine) as snapshot:
            return snapshot, snapshot.row_set(options.where) if options.where else snapshot.live

    def vector_of(self, image_id: int) -> Vectors:
        """The unit vector of an image of the collection, float32 (1, dim).

        Raises:
            NoImageError: there is no image of that number.
            CorruptError: its vector is damaged.
        """
        with self._snapshots.current() as snapshot:
            row = self._image(snapshot, image_id).row
            return unit(snapshot.read_checked(np.array([row])))

    def _image(self, snapshot: Searched, image_id: int) -> StoredImage:
        if image := snapshot.catalog.image(image_id):
            return image
        if missing := snapshot.catalog.missing(image_id):
            file = places.place_of(self._folder, missing[0].key)
            raise NoImageError(
                f"the image with the id {image_id} is missing; its file {file} is gone or cannot be used"
            )
        raise NoImageError(f"there is no image with the id {image_id}")

    def _turn(self, queries: int) -> AbstractContextManager[None]:
        """Lets no more searches run at once than there are processors; one of many queries does not count.

        They would only take longer each, so that the collection changes meanwhile more often.
        """
        return self._turns.taken() if queries <= _HELD_QUERIES else nullcontext()

    def _attempts(self, queries: int) -> Generator[bool, None, None]:
        """Attempts at an answer that belongs to one committed state; they go on for ever.

        No read transaction is held while searching, since it would keep writers out. An answer is therefore found again
        if the collection has changed meanwhile (True). If that happens again and again, a search that is short is done
        within a transaction; one that is long, or of many queries, goes by what has not changed (False).
        """
        until, last_s = time.monotonic() + _PATIENCE_S, 0.0
        while (begun := time.monotonic()) < until:
            yield True
            last_s = time.monotonic() - begun
        # An attempt that ended at its first query tells little of how long all of them take.
        while queries <= _HELD_QUERIES and last_s < _HELD_S:
            with self._snapshots.current():  # opens the files that have changed
                pass
            with self._snapshots.held() as is_loaded:
                if is_loaded:
                    yield False
        while True:
            yield False

    def _named(
        self,
        snapshot: Searched,
        answers: Sequence[_Answer],
        options: SearchOptions,
        *,
        query_regions: Sequence[Region | None] = (None,),
        extra: int = 0,
        patient: bool,
    ) -> list[list[Match]] | None:
        """The matches of each query, given with its vectors; None if a writer has replaced the files meanwhile, or
        changed anything if `patient`.

        Otherwise, images that were removed meanwhile are left out.
        """
        matches = []
        for queries, ranking in answers:
            answer, near = judged(snapshot, queries, ranking, options)
            with snapshot.catalog.reading():
                named = snapshot.catalog.named(answer.rows.tolist(), where=options.where, limit=options.k + extra)
                seen = snapshot.state
                if named.state.files != seen.files or (patient and named.state != seen):
                    return None
                part_crc32s = snapshot.part_crc32s(answer.part_rows)
            snapshot.check_rows(named.crc32s)
            if snapshot.regions and part_crc32s:
                check_rows(snapshot.regions.vectors, np.array([*part_crc32s], np.int64), part_crc32s)
            told = dict(zip(answer.rows.tolist(), self._told(snapshot, answer, near, query_regions), strict=True))
            matches.append([self._match(image, told[image.row]) for image in named.images])
        return matches

    def _told(
        self, snapshot: Searched, answer: Ranked, near: Judged, query_regions: Sequence[Region | None]
    ) -> Iterator["_Told"]:
        """What is told of each row of an answer beside its image."""
        probable = self._curves.probabilities(near, snapshot.live.size)
        parts = grid(snapshot.regions.per_image) if snapshot.regions else ()
        numbers = answer.scores, near.expected, probable.label, probable.copy
        facts = zip(*numbers, answer.part_rows, answer.query_parts, strict=True)
        for score, expected, label, copy, part_row, query_part in facts:
            region = parts[part_row % len(parts)] if part_row >= 0 else None
            yield _Told(float(score), float(expected), float(label), float(copy), region, query_regions[query_part])

    def _match(self, image: StoredImage, told: "_Told") -> Match:
        # Stored vectors are rounded to half precision, which leaves their lengths within some 1e-4 of 1.
        cosine = min(max(told.score, -1.0), 1.0)
        path = places.place_of(self._folder, image.key)
        facts = image.label, image.width, image.height, image.attributes
        numbers = told.expected, told.label_probability, told.copy_probability
        expected, label, copied = (None if math.isnan(each) else each for each in numbers)
        return Match(
            image.id,
            image.key,
            path,
            cosine,
            *facts,
            sha256=image.sha256,
            expected=expected,
            probability=None if image.label is None else label,
            copy_probability=copied,
            region=told.region,
            query_region=told.query_region,
        )


@dataclass(frozen=True)
class _Told:
    """What a search tells of an image that it has found, see `Match`; NaN where nobody can tell."""

    score: float
    expected: float = math.nan
    label_probability: float = math.nan
    copy_probability: float = math.nan
    region: Region | None = None
    query_region: Region | None = None
