"""The plot of recall against time: where everything in it lies, in percent of its width and height."""

import math
from dataclasses import dataclass

from lookalike.evaluation.results import Evaluation

_MOST_TICKS = 7  # that a phone's width has room for
_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
_FASTEST = 1e-3  # milliseconds; no search is faster, and a logarithm needs more than 0


@dataclass(frozen=True)
class Tick:
    """A line of the grid, and what is written at its end."""

    at: float
    text: str


@dataclass(frozen=True)
class Mark:
    """An operating point: the recall at `y`, its lower bound at `low`."""

    x: float
    y: float
    low: float


@dataclass(frozen=True)
class Plot:
    """Recall upwards, milliseconds to the right on a logarithmic scale. Everything is in percent from the top left.

    Attributes:
        marks: one for each point of the evaluation, in its order.
        line: the same from left to right, for drawing a line through them.
        exact: exact search, which finds everything.
        promise: the height of the recall that was promised, or None.
        milliseconds: the grid across.
        recalls: the grid upwards.
    """

    marks: tuple[Mark, ...]
    line: tuple[Mark, ...]
    exact: Mark
    promise: float | None
    milliseconds: tuple[Tick, ...]
    recalls: tuple[Tick, ...]


def plot(evaluation: Evaluation) -> Plot:
    """Lays out the points of an evaluation, of which there must be one at least."""
    times = [point.milliseconds for point in evaluation.points]
    columns = _time_ticks(*_range([*times, evaluation.exact_milliseconds]))
    lows = [point.recall_low for point in evaluation.points]
    rows = _recall_ticks(min(lows if evaluation.promise is None else [*lows, evaluation.promise]))
    start, end, bottom = columns[0], columns[-1], rows[0]
    decimals = max(len(f"{tick:g}") for tick in rows) - 2

    def across(milliseconds: float) -> float:
        return 100 * math.log(max(milliseconds, _FASTEST) / start) / math.log(end / start)

    def down(recall: float) -> float:
        return 100 * (1 - recall) / (1 - bottom)

    marks = tuple(
        Mark(across(point.milliseconds), down(point.recall), down(point.recall_low)) for point in evaluation.points
    )
    return Plot(
        marks,
        tuple(sorted(marks, key=lambda mark: mark.x)),
        Mark(across(evaluation.exact_milliseconds), 0, 0),
        None if evaluation.promise is None else down(evaluation.promise),
        tuple(Tick(across(tick), f"{tick:,.10g}") for tick in _few(columns)),
        tuple(Tick(down(tick), f"{tick:.{decimals}f}") for tick in rows),
    )


def _range(times: list[float]) -> tuple[float, float]:
    """A little more than what they span."""
    return max(min(times), _FASTEST) / 1.15, max(*times, _FASTEST) * 1.15


def _time_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, 20 ... from the last one that is not above `low` to the first one that is not below `high`."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    first = max(place for place, tick in enumerate(ticks) if tick <= low)
    last = min(place for place, tick in enumerate(ticks) if tick >= high)
    return ticks[first : last + 1]


def _few(ticks: list[float]) -> list[float]:
    """All of them, or only powers of ten where there are many."""
    if len(ticks) <= _MOST_TICKS:
        return ticks
    return [tick for tick in ticks if f"{tick:e}".startswith("1.")]


def _recall_ticks(low: float) -> list[float]:
    """Round numbers up to 1, of which the first is a little below `low`, if there is room."""
    height = min(max(1.1 * (1 - low), _STEPS[0]), 1.0)
    step = next((step for step in _STEPS if height / step < _MOST_TICKS), _STEPS[-1])
    steps = math.ceil(height / step - 1e-9)
    return [round(1 - place * step, 6) for place in range(steps, -1, -1)]
