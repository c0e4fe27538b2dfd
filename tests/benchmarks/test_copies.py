"""The benchmark of copies: its edits, and the thresholds that it chooses."""

import importlib
import math
import random
from typing import Any

import numpy as np
import pytest

from tests.support.edited_pictures import scene
from tests.support.project import ROOT


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the benchmark."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("copies")


@pytest.mark.parametrize(
    ("scores", "of_copies", "expected"),
    [
        ([0.6, 0.9, 0.7, 0.8], [True, True, False, True], 0.8),  # below 0.8 one in three is wrong
        ([0.9, 0.8, 0.8], [True, True, False], 0.9),  # a threshold cannot tell the two at 0.8
        ([0.9, 0.8], [True, True], 0.8),
        ([0.9, 0.8], [False, True], math.inf),
    ],
)
def test_the_threshold_is_the_lowest_that_keeps_the_precision(
    scores: list[float], of_copies: list[bool], expected: float, copies: Any
) -> None:
    assert copies.threshold(np.array(scores), np.array(of_copies)) == expected


def test_every_edit_changes_the_image_and_is_the_same_again(copies: Any) -> None:
    image = scene(1)
    assert len(copies.EDITS) >= 20
    for name, edit in copies.EDITS.items():
        edited, again = (edit(image, random.Random(name)) for _ in range(2))
        assert edited.mode == "RGB"
        assert edited.tobytes() == again.tobytes()
        assert (edited.size, edited.tobytes()) != (image.size, image.tobytes()), name
