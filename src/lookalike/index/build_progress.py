"""How long building an index takes, told before it is begun and better while it goes on."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lookalike.index import tuning
from lookalike.index.spec import IndexSpec

_TRIAL = 1024  # rows and columns of the matrices whose product is timed
_MEASURING = 12.0  # seconds that trying efforts takes at 100,000 vectors; it grows with the square root


@dataclass(frozen=True)
class BuildProgress:
    """How far a build is.

    Attributes:
        stage: what is being done: "training", "adding", "comparing" or "measuring".
        done: how much of the whole, from 0 to 1.
        seconds_left: how long the rest takes, more or less.
        spec: which index it is.
    """

    stage: str
    done: float
    seconds_left: float
    spec: str


def stages(spec: IndexSpec, rows: int) -> dict[str, float]:
    """The seconds that each stage of building an index of so many vectors takes on this machine."""
    rate = _multiplications_per_second()
    comparing = tuning.QUERIES * rows * spec.dim
    measuring = _MEASURING * (rows / 100_000) ** 0.5
    return {
        "training": spec.training_cost(rows) / rate,
        "adding": spec.adding_cost(rows) / rate,
        "comparing": comparing / rate,
        "measuring": measuring,
    }


class Schedule:
    """Tells somebody how far a build is."""

    def __init__(self, spec: IndexSpec, rows: int, progress: Callable[[BuildProgress], None] | None) -> None:
        self._spec, self._progress = spec, progress
        self._seconds = stages(spec, rows) if progress else {}
        self._begun = time.monotonic()

    def of(self, stage: str) -> Callable[[int, int], None]:
        """What tells of one stage, by how many of how many are done."""
        return lambda done, total: self.at(stage, done, total)

    def at(self, stage: str, done: int = 0, total: int = 1) -> None:
        """So many of `total` of a stage are done."""
        if self._progress is None:
            return
        names = list(self._seconds)
        before = sum(self._seconds[name] for name in names[: names.index(stage)])
        whole = sum(self._seconds.values())
        share = (before + self._seconds[stage] * done / max(total, 1)) / whole
        elapsed = time.monotonic() - self._begun
        pace = max(elapsed / (share * whole), 0.1) if share > 0.1 else 1.0  # how much slower than was thought
        self._progress(BuildProgress(stage, share, (1 - share) * whole * pace, self._spec.factory))


def _multiplications_per_second() -> float:
    """Of a product of matrices in single precision, on all cores: the best of three."""
    matrix = np.ones((_TRIAL, _TRIAL), np.float32)
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - begun)
    return float(_TRIAL**3 / min(seconds))
