"""How probable it is that a match has the label of its query, and that one is an edited copy of the other.

Both are told by curves that `evaluate` fits, and that are kept beside the vectors. The file can be deleted at any time.
One that is damaged, written by another version or of another model is as good as none, and so is one of a collection
that has grown or shrunk much since. Earlier versions kept no curve of copies.
"""

import json
import math
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.errors import CorruptError, StorageError
from lookalike.search.chance import Judged, Numbers
from lookalike.storage import files, layout
from lookalike.system import durable, forks

MOST_KNOTS = 200
_MAX_BYTES = 50_000
_CHANGE = 0.2  # of the number of vectors, up to which a curve serves
_LEAST_EXPECTED = 1e-12  # so few are never known to be expected


@dataclass(frozen=True)
class Curve:
    """A probability that rises with some evidence.

    Attributes:
        evidence: the knots, finite, rising, at least one and at most 200.
        probability: at each of them, in (0, 1), rising.
    """

    evidence: tuple[float, ...]
    probability: tuple[float, ...]

    def at(self, evidence: Numbers) -> Numbers:
        """The probabilities, float64 (k,): linear between the knots, constant outside, NaN for NaN."""
        found: Numbers = np.interp(evidence, *self._knots)
        return found

    @cached_property
    def _knots(self) -> tuple[Numbers, Numbers]:
        return np.array(self.evidence), np.array(self.probability)


@dataclass(frozen=True)
class LabelCurve(Curve):
    """The probability that a match has its query's label.

    The evidence is the centred cosine, and how many relatives the query has (`chance.Judged`), if that helps.

    Attributes:
        relatives: what these count beside the cosine, in [0, 1].
    """

    relatives: float

    def of(self, near: Judged) -> Numbers:
        """The probabilities of some rows, float64 (k,); NaN if nobody can tell."""
        return self.at(near.centred + self.relatives * near.relatives)


@dataclass(frozen=True)
class CopyCurve(Curve):
    """The probability that of a match and its query one is an edited copy of the other.

    The evidence is how far the match is beyond chance.
    """

    def of(self, near: Judged) -> Numbers:
        """The probabilities of some rows, float64 (k,); NaN if nobody can tell."""
        return self.at(beyond_chance(near))


def beyond_chance(near: Judged) -> Numbers:
    """How far some rows are beyond chance: the logarithm of the number expected as near, negated, float64 (k,)."""
    beyond: Numbers = -np.log(np.maximum(near.expected, _LEAST_EXPECTED))
    return beyond


@dataclass(frozen=True)
class FittedCurve:
    """A curve, and what it was fitted to.

    Attributes:
        curve: the curve.
        fingerprint: of the model whose vectors they were.
        vectors: the number of live vectors.
        queries: the number of images that were asked.
        error: the expected calibration error on held-out queries, in [0, 1].
        date: when it was.
    """

    curve: LabelCurve | CopyCurve
    fingerprint: str
    vectors: int
    queries: int
    error: float
    date: datetime

    def serves(self, vectors: int) -> bool:
        """Whether it still tells of a collection that has so many live vectors by now."""
        return abs(vectors - self.vectors) <= _CHANGE * self.vectors


@dataclass(frozen=True)
class FittedCurves:
    """What a collection has learned of probabilities.

    Attributes:
        labels: that a match has its query's label; None if that has not been learned.
        copies: that one of both is an edited copy of the other, likewise.
    """

    labels: FittedCurve | None = None
    copies: FittedCurve | None = None


@dataclass(frozen=True)
class Probable:
    """How probable it is of some rows, float64 (k,) each, NaN if nobody can tell.

    Attributes:
        label: that they have the query's label.
        copy: that they are edited copies of the query, or it of them.
    """

    label: Numbers
    copy: Numbers


class KeptCurves:
    """The curves beside the vectors, which are read again when their file has changed. Threads may share it."""

    def __init__(self, data_directory: Path, fingerprint: str) -> None:
        """`fingerprint` is that of the model that made the vectors."""
        self._path, self._fingerprint = data_directory / layout.PROBABILITY, fingerprint
        self._lock = forks.lock()
        self._seen: tuple[int, int, int] | None = None
        self._fitted = FittedCurves()

    def fitted(self) -> FittedCurves:
        """The curves that are of this model and can be read."""
        seen = self._version()
        with self._lock:
            if seen != self._seen:
                found = kept(self._path) if seen else FittedCurves()
                self._fitted = FittedCurves(self._own(found.labels), self._own(found.copies))
                self._seen = seen
            return self._fitted

    def probabilities(self, near: Judged, vectors: int) -> Probable:
        """How probable it is of each of some rows that it is of the query's label, and that it is a copy.

        Args:
            near: what a sample tells of them.
            vectors: the number of live vectors.
        """
        fitted = self.fitted()
        return Probable(*(_told(each, near, vectors) for each in (fitted.labels, fitted.copies)))

    def keep(self, fitted: FittedCurves) -> None:
        """Keeps curves, or that there are none, unless the directory cannot be written to."""
        facts = _as_facts(fitted)
        with suppress(StorageError, CorruptError), durable.storage_errors(self._path):
            if facts:
                durable.replace(self._path, (json.dumps(facts, indent=2) + "\n").encode())
            else:
                files.remove(self._path)

    def _own(self, fitted: FittedCurve | None) -> FittedCurve | None:
        return fitted if fitted and fitted.fingerprint == self._fingerprint else None

    def _version(self) -> tuple[int, int, int] | None:
        """What changes whenever the file does; None if there is none."""
        try:
            status = os.lstat(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def kept(path: Path) -> FittedCurves:
    """The curves in a file that can be read."""
    try:
        facts = json.loads(files.read(path, max_bytes=_MAX_BYTES))
        return FittedCurves(_fitted(facts, _label_curve), _fitted(facts.get("copies"), _copy_curve))
    except (OSError, CorruptError, ValueError, AttributeError, RecursionError):
        return FittedCurves()


def _told(fitted: FittedCurve | None, near: Judged, vectors: int) -> Numbers:
    if fitted is None or not fitted.serves(vectors):
        return np.full(len(near.centred), np.nan)
    return fitted.curve.of(near)


def _as_facts(fitted: FittedCurves) -> dict[str, Any]:
    """What is kept: the curve of labels as earlier versions have it, and beside it that of copies."""
    copies = {"copies": _curve_facts(fitted.copies)} if fitted.copies else {}
    return (_curve_facts(fitted.labels) if fitted.labels else {}) | copies


def _curve_facts(fitted: FittedCurve) -> dict[str, Any]:
    return {**vars(fitted), "curve": asdict(fitted.curve), "date": fitted.date.isoformat(timespec="seconds")}


def _fitted(facts: Any, curve: Callable[[dict[str, Any]], LabelCurve | CopyCurve]) -> FittedCurve | None:
    """A curve, if every field is what Lookalike writes."""
    try:
        found, vectors, queries = curve(facts["curve"]), facts["vectors"], facts["queries"]
        error, date = _number(facts["error"]), datetime.fromisoformat(facts["date"])
    except (ValueError, KeyError, TypeError):
        return None
    is_measured = type(vectors) is int and type(queries) is int and min(vectors, queries) > 0 and 0 <= error <= 1
    if not (is_measured and isinstance(facts["fingerprint"], str)):
        return None
    return FittedCurve(found, facts["fingerprint"], vectors, queries, error, date)


def _label_curve(facts: dict[str, Any]) -> LabelCurve:
    relatives = _number(facts["relatives"])
    if not 0 <= relatives <= 1:
        raise ValueError("no weight")
    return LabelCurve(*_checked_knots(facts), relatives)


def _copy_curve(facts: dict[str, Any]) -> CopyCurve:
    return CopyCurve(*_checked_knots(facts))


def _checked_knots(facts: dict[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The knots of a curve; raises ValueError and the like if they are none."""
    evidence, probability = (tuple(map(_number, facts[name])) for name in ("evidence", "probability"))
    is_curve = len(evidence) == len(probability) <= MOST_KNOTS and _is_rising(evidence) and _is_rising(probability)
    if not (evidence and is_curve and probability[0] > 0 and probability[-1] < 1):
        raise ValueError("no curve")
    return evidence, probability


def _number(value: object) -> float:
    if type(value) not in (int, float) or not math.isfinite(number := float(value)):  # type: ignore[arg-type]
        raise ValueError("no number")
    return number


def _is_rising(numbers: tuple[float, ...]) -> bool:
    return all(before < after for before, after in pairwise(numbers))
