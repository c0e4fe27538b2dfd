"""How probable it is that a match has the label of its query: a curve that `evaluate` fits, kept beside the vectors.

The file can be deleted at any time. One that is damaged, written by another version or of another model is as good as
none, and so is one of a collection that has grown or shrunk much since.
"""

import json
import math
import os
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


@dataclass(frozen=True)
class Curve:
    """The probability that a match has its query's label, by the evidence for it.

    The evidence is the centred cosine, and how many relatives the query has (`chance.Judged`), if that helps.

    Attributes:
        relatives: what these count beside the cosine, in [0, 1].
        evidence: the knots, finite, rising, at least one and at most 200.
        probability: at each of them, in (0, 1), rising.
    """

    relatives: float
    evidence: tuple[float, ...]
    probability: tuple[float, ...]

    def of(self, near: Judged) -> Numbers:
        """The probabilities of some rows, float64 (k,); NaN if nobody can tell."""
        return self.at(near.centred + self.relatives * near.relatives)

    def at(self, evidence: Numbers) -> Numbers:
        """The probabilities, float64 (k,): linear between the knots, constant outside, NaN for NaN."""
        found: Numbers = np.interp(evidence, *self._knots)
        return found

    @cached_property
    def _knots(self) -> tuple[Numbers, Numbers]:
        return np.array(self.evidence), np.array(self.probability)


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

    curve: Curve
    fingerprint: str
    vectors: int
    queries: int
    error: float
    date: datetime

    def serves(self, vectors: int) -> bool:
        """Whether it still tells of a collection that has so many live vectors by now."""
        return abs(vectors - self.vectors) <= _CHANGE * self.vectors


class KeptCurve:
    """The curve beside the vectors, which is read again when its file has changed. Threads may share it."""

    def __init__(self, data_directory: Path, fingerprint: str) -> None:
        """`fingerprint` is that of the model that made the vectors."""
        self._path, self._fingerprint = data_directory / layout.PROBABILITY, fingerprint
        self._lock = forks.lock()
        self._seen: tuple[int, int, int] | None = None
        self._fitted: FittedCurve | None = None

    def fitted(self) -> FittedCurve | None:
        """The curve; None if there is none of this model that can be read."""
        seen = self._version()
        with self._lock:
            if seen != self._seen:
                found = kept(self._path) if seen else None
                self._fitted = found if found and found.fingerprint == self._fingerprint else None
                self._seen = seen
            return self._fitted

    def probabilities(self, near: Judged, vectors: int) -> Numbers:
        """How probable it is that each of some rows has the query's label: float64 (k,), NaN if nobody can tell.

        Args:
            near: what a sample tells of them.
            vectors: the number of live vectors.
        """
        fitted = self.fitted()
        if fitted is None or not fitted.serves(vectors):
            return np.full(len(near.centred), np.nan)
        return fitted.curve.of(near)

    def keep(self, fitted: FittedCurve | None) -> None:
        """Keeps a curve, or that there is none, unless the directory cannot be written to."""
        with suppress(StorageError, CorruptError), durable.storage_errors(self._path):
            if fitted is None:
                files.remove(self._path)
            else:
                durable.replace(self._path, (json.dumps(_as_facts(fitted), indent=2) + "\n").encode())

    def _version(self) -> tuple[int, int, int] | None:
        """What changes whenever the file does; None if there is none."""
        try:
            status = os.lstat(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def kept(path: Path) -> FittedCurve | None:
    """The curve in a file; None if there is none that can be read."""
    try:
        return _fitted(json.loads(files.read(path, max_bytes=_MAX_BYTES)))
    except (OSError, CorruptError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _as_facts(fitted: FittedCurve) -> dict[str, Any]:
    return {**vars(fitted), "curve": asdict(fitted.curve), "date": fitted.date.isoformat(timespec="seconds")}


def _fitted(facts: dict[str, Any]) -> FittedCurve:
    """A curve, of which every field is what Lookalike writes; raises ValueError and the like otherwise."""
    relatives = _number(facts["curve"]["relatives"])
    evidence, probability = (tuple(map(_number, facts["curve"][name])) for name in ("evidence", "probability"))
    is_curve = len(evidence) == len(probability) <= MOST_KNOTS and _is_rising(evidence) and _is_rising(probability)
    if not (0 <= relatives <= 1 and evidence and is_curve and probability[0] > 0 and probability[-1] < 1):
        raise ValueError("no curve")
    vectors, queries, error = facts["vectors"], facts["queries"], _number(facts["error"])
    if not (type(vectors) is int and type(queries) is int and min(vectors, queries) > 0 and 0 <= error <= 1):
        raise ValueError("no measurement")
    if not isinstance(facts["fingerprint"], str):
        raise ValueError("no fingerprint")
    date = datetime.fromisoformat(facts["date"])
    return FittedCurve(Curve(relatives, evidence, probability), facts["fingerprint"], vectors, queries, error, date)


def _number(value: object) -> float:
    if type(value) not in (int, float) or not math.isfinite(number := float(value)):  # type: ignore[arg-type]
        raise ValueError("no number")
    return number


def _is_rising(numbers: tuple[float, ...]) -> bool:
    return all(before < after for before, after in pairwise(numbers))
