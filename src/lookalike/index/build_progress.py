"""How long building an index takes: estimated before it begins, and better while it goes on."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lookalike.index.policies import TuningPolicy
from lookalike.index.spec import IndexSpec

_TRIAL = 1024  # rows and columns of the matrices whose product is timed
_MEASURING = 12.0  # seconds that measuring operating points takes at 100,000 vectors; grows with the square root


@dataclass(frozen=True)
class BuildProgress:
    """How far a build is.

    Attributes:
        stage: "training", "adding", "comparing" or "measuring".
        done: the share of the whole that is done, in [0, 1].
        seconds_left: the estimated time of the rest.
        spec: the FAISS index factory string.
    """

    stage: str
    done: float
    seconds_left: float
    spec: str


OnBuildProgress = Callable[[BuildProgress], None]


def stage_seconds(spec: IndexSpec, rows: int, policy: TuningPolicy) -> dict[str, float]:
    """The seconds that each stage of building an index of that many vectors takes on this machine."""
    rate = _multiplications_per_second()
    comparing = policy.most_queries * rows * spec.dim
    return {
        "training": spec.training_cost(rows) / rate,
        "adding": spec.adding_cost(rows) / rate,
        "comparing": comparing / rate,
        "measuring": _MEASURING * (rows / 100_000) ** 0.5,
    }


class BuildReporter:
    """Reports how far a build is to a callback."""

    def __init__(self, spec: IndexSpec, rows: int, policy: TuningPolicy, progress: OnBuildProgress | None) -> None:
        self._spec, self._progress = spec, progress
        self._seconds = stage_seconds(spec, rows, policy) if progress else {}
        self._begun = time.monotonic()

    def of(self, stage: str) -> Callable[[int, int], None]:
        """The callback for the progress of one stage."""
        return lambda done, total: self.at(stage, done, total)

    def at(self, stage: str, done: int = 0, total: int = 1) -> None:
        """Reports that `done` of `total` steps of a stage are done."""
        if self._progress is None:
            return
        names = list(self._seconds)
        before = sum(self._seconds[name] for name in names[: names.index(stage)])
        whole = sum(self._seconds.values())
        share = (before + self._seconds[stage] * done / max(total, 1)) / whole
        elapsed = time.monotonic() - self._begun
        pace = max(elapsed / (share * whole), 0.1) if share > 0.1 else 1.0  # how much slower than was estimated
        self._progress(BuildProgress(stage, share, (1 - share) * whole * pace, self._spec.factory))


def _multiplications_per_second() -> float:
    """The speed of a single-precision matrix product on all cores: the best of three."""
    matrix = np.ones((_TRIAL, _TRIAL), np.float32)
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - begun)
    return float(_TRIAL**3 / min(seconds))
