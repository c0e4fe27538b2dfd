"""Lays out the plot of recall against time; positions are in percent of its width and height."""

import math
from dataclasses import dataclass

from lookalike.evaluation.results import Evaluation

_MAX_TICKS = 7  # as many as fit the width of a phone
_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # of recall, from one tick to the next
_MIN_MILLISECONDS = 1e-3  # no search is faster, and a logarithm needs a number above 0


@dataclass(frozen=True)
class Tick:
    """A grid line at a position, and its label."""

    at: float
    text: str


@dataclass(frozen=True)
class Mark:
    """An operating point: its time at `x`, its recall at `y`, and the lower bound of its recall at `low`."""

    x: float
    y: float
    low: float


@dataclass(frozen=True)
class Plot:
    """Recall on the vertical axis, milliseconds on a logarithmic horizontal axis, in percent from the top left.

    Attributes:
        marks: one for each point of the evaluation, in its order.
        line: the same marks from left to right, for the line through them.
        exact: exact search, whose recall is 1.
        target_recall: the position of the target recall, or None if there is none.
        milliseconds: the ticks of the horizontal axis.
        recalls: the ticks of the vertical axis.
    """

    marks: tuple[Mark, ...]
    line: tuple[Mark, ...]
    exact: Mark
    target_recall: float | None
    milliseconds: tuple[Tick, ...]
    recalls: tuple[Tick, ...]


def plot(evaluation: Evaluation) -> Plot:
    """Lays out the points of an evaluation; there has to be at least one."""
    times = [point.milliseconds for point in evaluation.points]
    columns = _time_ticks(*_range([*times, evaluation.exact_milliseconds]))
    lows = [point.recall_low for point in evaluation.points]
    rows = _recall_ticks(min(lows if evaluation.target_recall is None else [*lows, evaluation.target_recall]))
    start, end, bottom = columns[0], columns[-1], rows[0]
    decimals = max(len(f"{tick:g}") for tick in rows) - 2

    def across(milliseconds: float) -> float:
        return 100 * math.log(max(milliseconds, _MIN_MILLISECONDS) / start) / math.log(end / start)

    def down(recall: float) -> float:
        return 100 * (1 - recall) / (1 - bottom)

    marks = tuple(
        Mark(across(point.milliseconds), down(point.recall), down(point.recall_low)) for point in evaluation.points
    )
    return Plot(
        marks,
        tuple(sorted(marks, key=lambda mark: mark.x)),
        Mark(across(evaluation.exact_milliseconds), 0, 0),
        None if evaluation.target_recall is None else down(evaluation.target_recall),
        tuple(Tick(across(tick), f"{tick:,.10g}") for tick in _few(columns)),
        tuple(Tick(down(tick), f"{tick:.{decimals}f}") for tick in rows),
    )


def _range(times: list[float]) -> tuple[float, float]:
    """The lowest and the highest of the times, with a margin."""
    return max(min(times), _MIN_MILLISECONDS) / 1.15, max(*times, _MIN_MILLISECONDS) * 1.15


def _time_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, 20 ..., from the last one that is at most `low` to the first one that is at least `high`."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    first = max(position for position, tick in enumerate(ticks) if tick <= low)
    last = min(position for position, tick in enumerate(ticks) if tick >= high)
    return ticks[first : last + 1]


def _few(ticks: list[float]) -> list[float]:
    """All ticks, or only the powers of ten if there are too many."""
    if len(ticks) <= _MAX_TICKS:
        return ticks
    return [tick for tick in ticks if f"{tick:e}".startswith("1.")]


def _recall_ticks(low: float) -> list[float]:
    """Evenly spaced round numbers up to 1; the first is below `low`, with a margin, but at least 0."""
    height = min(max(1.1 * (1 - low), _STEPS[0]), 1.0)
    step = next((step for step in _STEPS if height / step < _MAX_TICKS), _STEPS[-1])
    steps = math.ceil(height / step - 1e-9)
    return [round(1 - number * step, 6) for number in range(steps, -1, -1)]
