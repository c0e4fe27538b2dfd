"""The layout of the plot of recall against time."""

import dataclasses

import pytest

from lookalike.display.plot import plot
from lookalike.index.operating_point import OperatingPoint, SearchParameters
from tests.support.evaluations import INDEXED


@pytest.mark.parametrize("milliseconds", [0.0, 1e-9, 0.2, 1.0, 3.0, 5000.0])
@pytest.mark.parametrize("low", [0.0, 0.5, 0.9, 0.9996, 1.0])
def test_marks_and_ticks_are_within_the_plot(milliseconds: float, low: float) -> None:
    points = (OperatingPoint(10, SearchParameters(8, 2), low, low, milliseconds),)
    for target in (None, 0.01, 1.0):
        made = plot(dataclasses.replace(INDEXED, points=points, target_recall=target))
        marks = [*made.marks, made.exact]
        positions = [position for mark in marks for position in (mark.x, mark.y, mark.low)]
        ticks = [tick.at for tick in (*made.milliseconds, *made.recalls)]
        assert all(-1e-9 <= position <= 100 + 1e-9 for position in [*positions, *ticks, made.target_recall or 0])
        assert 2 <= len(made.recalls) <= 8
        assert 2 <= len(made.milliseconds) <= 8
        assert len({tick.text for tick in made.recalls}) == len(made.recalls)
