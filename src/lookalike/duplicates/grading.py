"""Makes groups of what was compared, with the image that is suggested to be kept and the grade of each copy."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lookalike.copies import thumbnails
from lookalike.copies.changes import Changes
from lookalike.copies.groups import group
from lookalike.copies.probability import copy_probability
from lookalike.copies.verification import LEAST_SCORE
from lookalike.duplicates import comparing, keeping
from lookalike.duplicates.examined import Numbered
from lookalike.duplicates.keeping import Traits
from lookalike.duplicates.names import GRADES, Grade
from lookalike.duplicates.pixel_hashes import PixelHashes
from lookalike.duplicates.results import Copy, CopyGroup
from lookalike.errors import ImageError, NoImageError
from lookalike.results import IndexedImage
from lookalike.storage.kept_pictures import ComparedPair, KeptPictures

LEAST_SCENE = 0.45  # two pictures that agree so well show the same scene
LEAST_ALIKE = 0.85  # cosine
_MAYBE_SAME = 0.97  # the score from which on the pixels of two images of one size are compared
_NEVER = 2.0  # no cosine reaches it

_Pairs: TypeAlias = Mapping[tuple[int, int], ComparedPair]
Compare: TypeAlias = Callable[[Sequence[tuple[int, int, float]]], None]
"""Compares pairs of pictures, given with their cosines, and keeps what it finds."""


@dataclass(frozen=True)
class _Numbered:
    """An image with the number of its picture."""

    number: int
    image: IndexedImage


@dataclass(frozen=True)
class _Chosen:
    """A group, and the one of its images that is suggested to be kept.

    Attributes:
        members: all of its images.
        centre: the one of which all others are copies.
        keep: the one to keep.
        why: the reason.
    """

    members: Sequence[_Numbered]
    centre: _Numbered
    keep: _Numbered
    why: str

    @property
    def copies(self) -> list[_Numbered]:
        """All but the one to keep."""
        return [each for each in self.members if each is not self.keep]


class Grader:
    """Makes groups of the pictures of a collection, or of those that are copies of another collection's."""

    def __init__(
        self, kept: KeptPictures, grade: Grade, ours: Numbered, theirs: Numbered | None, compare: Compare
    ) -> None:
        """Reads which pairs count.

        Args:
            kept: what was compared.
            grade: the loosest grade that counts.
            ours: the collection.
            theirs: the other collection, if only copies of its images are wanted.
            compare: compares members of a group that were no candidates, to say how they are related.
        """
        self._kept, self._grade, self._ours, self._theirs, self._compare = kept, grade, ours, theirs, compare
        self._hashes = PixelHashes(kept)
        self._others: _Pairs = {}
        others = (theirs or ours).row_of
        self._pairs: _Pairs = {
            (pair.first, pair.second): pair
            for pair in self._compared()
            if (pair.first in ours.row_of and pair.second in others)
            or (pair.first in others and pair.second in ours.row_of)
        }

    def groups(self) -> Iterator[CopyGroup]:
        """The groups of the collection, in no order."""
        scores = {numbers: _rank(pair) for numbers, pair in self._pairs.items() if self._counts(pair)}
        groups = [[found.centre, *found.copies] for found in group(scores)]
        grouped = {number for numbers in groups for number in numbers}
        several = (number for number in self._ours.row_of if len(self._ours.ids(number)) > 1)
        groups += [[number] for number in several if number not in grouped]
        self._ours.look_up(number for numbers in groups for number in numbers)
        chosen = [self._chosen(numbers) for numbers in groups]
        self._relate(chosen)
        for each in chosen:
            copies = (self._copy(member, each.keep, each.centre) for member in each.copies)
            yield CopyGroup(each.keep.image, each.why, _ordered(copies))
        self._hashes.keep()

    def groups_against(self) -> Iterator[CopyGroup]:
        """The images of the other collection that have copies in this one, each with those, in no order."""
        assert self._theirs
        best = dict[int, tuple[float, bool, int]]()
        for (first, second), pair in self._pairs.items():
            for number, original in ((first, second), (second, first)):
                if number in self._ours.row_of and original in self._theirs.row_of and self._counts(pair):
                    changes = _changes(pair, number)
                    rank = _rank(pair), changes is not None and not changes.tone, -original
                    best[number] = max(best.get(number, rank), rank)
        best |= {number: (_NEVER, True, -number) for number in self._ours.row_of if number in self._theirs.row_of}
        copies = dict[int, list[int]]()
        for number, (*_, original) in best.items():
            copies.setdefault(-original, []).append(number)
        for original, numbers in copies.items():
            [keep, *others] = _images(original, self._theirs)
            # A file that both collections have is no copy of itself, or the last one might be acted upon.
            same = {each.image.path for each in (keep, *others)}
            found = (member for number in numbers for member in _images(number, self._ours))
            members = [member for member in found if member.image.path not in same]
            if members:
                yield CopyGroup(keep.image, "", _ordered(self._copy(member, keep, keep) for member in members))
        self._hashes.keep()

    def _compared(self) -> list[ComparedPair]:
        if self._grade == "same bytes":
            return []
        strict = GRADES.index(self._grade) <= GRADES.index("edited copy")
        least_cosine = LEAST_ALIKE if self._grade == "alike" else _NEVER
        return self._kept.pairs(least_score=LEAST_SCORE if strict else LEAST_SCENE, least_cosine=least_cosine)

    def _counts(self, pair: ComparedPair) -> bool:
        return self._grade != "same pixels" or self._same_pixels(pair)

    def _chosen(self, numbers: list[int]) -> _Chosen:
        """A group with the one to keep; the first number is the centre, of which all others are copies."""
        centre, *others = numbers
        found = [member for number in numbers for member in _images(number, self._ours)]
        middle = next(each for each in found if each.number == centre)
        traits = keeping.traits(dict(self._changes_from(centre, others)), centre)
        keep, why = keeping.best(
            [keeping.member(each.image, traits.get(each.number, Traits()), middle.image) for each in found],
            same_pixels=all(self._same_pixels(pair) for each in others if (pair := self._pair(centre, each))),
        )
        return _Chosen(found, middle, next(each for each in found if each.image.id == keep.id), why)

    def _relate(self, groups: Iterable[_Chosen]) -> None:
        """Learns how all copies are related to those that are kept, comparing them if they were no candidates."""
        numbers = ((copy.number, each.keep.number) for each in groups for copy in each.copies)
        pairs = {(min(pair), max(pair)) for pair in numbers if pair[0] != pair[1]}
        wanted = sorted(pair for pair in pairs if pair not in self._pairs)
        known = self._kept.known(wanted)
        self._compare([(*pair, self._ours.cosine(*pair)) for pair in wanted if pair not in known])
        self._others = self._kept.known(wanted)

    def _changes_from(self, centre: int, others: Iterable[int]) -> Iterator[tuple[int, Changes]]:
        """What was done to the centre to make each of the others."""
        for number in others:
            if (pair := self._pair(centre, number)) and (changes := _changes(pair, number)):
                yield number, changes

    def _copy(self, member: _Numbered, keep: _Numbered, centre: _Numbered) -> Copy:
        """A member of a group with what makes it a copy: of the one to keep, or else of the centre."""
        if member.number == keep.number:
            return Copy(member.image, "same bytes", 1.0, keep.image, None, copy_probability(1.0))
        pair = self._pair(member.number, keep.number)
        original = keep
        if pair is None or (_rank(pair) < LEAST_SCORE and centre.number != member.number):
            between = self._pair(member.number, centre.number)
            pair, original = (between, centre) if between else (pair, keep)
        return self._graded(member, original, pair)

    def _graded(self, member: _Numbered, original: _Numbered, pair: ComparedPair | None) -> Copy:
        score = (pair and pair.score) or 0.0
        probable = None if pair is None or pair.score is None else copy_probability(score)
        if pair and self._same_pixels(pair):
            return Copy(member.image, "same pixels", 1.0, original.image, None, copy_probability(1.0))
        if pair and score >= LEAST_SCORE and (changes := _changes(pair, member.number)):
            return Copy(member.image, "edited copy", score, original.image, changes, probable)
        if score >= LEAST_SCENE:
            return Copy(member.image, "same scene", score, original.image, None, probable)
        return Copy(member.image, "alike", pair.cosine if pair else 0.0, original.image, None, probable)

    def _pair(self, one: int, other: int) -> ComparedPair | None:
        numbers = min(one, other), max(one, other)
        return self._pairs.get(numbers) or self._others.get(numbers)

    def _same_pixels(self, pair: ComparedPair) -> bool:
        """Whether two images, which look alike, show exactly the same."""
        if (pair.score or 0.0) < _MAYBE_SAME:
            return False
        hashes = [self._pixels(number) for number in (pair.first, pair.second)]
        return hashes[0] == hashes[1] and hashes[0] is not None

    def _pixels(self, number: int) -> bytes | None:
        """The hash of the pixels of an image; None if it cannot be read."""
        if found := self._hashes.of(number):
            return found
        for numbered in filter(None, (self._ours, self._theirs)):
            if (data := numbered.original(number)) is not None:
                try:
                    found = thumbnails.pixel_hash(data)
                except ImageError:
                    return None
                self._hashes.add(number, found)
                return found
        return None


def _images(number: int, numbered: Numbered) -> list[_Numbered]:
    found = []
    for image_id in numbered.ids(number):
        try:
            found.append(_Numbered(number, numbered.image_of(image_id)))
        except NoImageError:  # removed meanwhile
            continue
    return found


def _changes(pair: ComparedPair, number: int) -> Changes | None:
    """What was done to the other picture of a pair to make the one with that number."""
    changes = None if pair.found is None else comparing.changes_of(pair.found)
    return changes and (changes if number == pair.first else changes.swapped())


def _rank(pair: ComparedPair) -> float:
    return pair.score or 0.0


def _ordered(copies: Iterable[Copy]) -> tuple[Copy, ...]:
    return tuple(sorted(copies, key=lambda copy: (GRADES.index(copy.grade), -copy.score, copy.image.id)))
