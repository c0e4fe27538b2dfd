"""The benchmark of copies: its edits, and the thresholds that it chooses."""

import importlib
import math
import random
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

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


def test_probabilities_are_the_shares_of_bands_which_rise_and_are_nowhere_certain(copies: Any) -> None:
    scores = np.array([0.0] * 9 + [0.47] * 10 + [0.52] * 10 + [0.95] * 9)
    of_copies = np.array([False] * 9 + [True] * 4 + [False] * 6 + [True] * 2 + [False] * 8 + [True] * 9)
    places, told = copies.probabilities(scores, of_copies)
    assert places == pytest.approx([0, 0.47, 0.52, 0.95], abs=0.1)
    assert told == pytest.approx([1 / 10, 3 / 10, 3 / 10, 9 / 10])


@pytest.fixture
def bursts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that photographs a scene again."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("bursts")


def test_a_scene_is_photographed_again_in_the_same_way(bursts: Any) -> None:
    image = scene(1)
    for name, again in bursts.BURSTS.items():
        first, same, other = (again(image, random.Random(seed)) for seed in ("a", "a", "b"))
        assert first.size == image.size, name
        assert first.tobytes() == same.tobytes()
        assert first.tobytes() != other.tobytes()


def test_the_layers_move_by_as_much_as_is_said(bursts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dot in the nearer layer moves by the parallax; one in the corner stays, as the hand does."""
    monkeypatch.setattr(bursts, "_HAND", 0.0)
    monkeypatch.setattr(bursts, "_ROLL", 0.0)
    monkeypatch.setattr(bursts, "_ZOOM", 0.0)
    moved = []
    for seed in range(8):
        for x, y in ((200, 195), (10, 10)):
            image = Image.new("RGB", (400, 300), "black")
            image.paste("white", (x - 4, y - 4, x + 4, y + 4))
            again = np.asarray(bursts.again(image, random.Random(seed), parallax=0.05).convert("L"), float)
            again[again < 100] = 0
            rows, columns = np.nonzero(again)
            place = np.average(columns, weights=again[rows, columns]), np.average(rows, weights=again[rows, columns])
            moved.append(np.hypot(place[0] - x + 0.5, place[1] - y + 0.5))
    assert np.median(moved[::2]) == pytest.approx(0.05 * 400, abs=2)
    assert np.max(moved[1::2]) < 1


def test_hashes_of_imagededup_are_measured_if_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method gives 64 bits as 16 hexadecimal digits; without the package there are none."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    peers = importlib.import_module("imagededup_hashes")
    monkeypatch.setitem(sys.modules, "imagededup.methods", None)
    assert peers.hashes() == {}

    class Method:
        def __init__(self, verbose: bool) -> None:
            assert not verbose

        def encode_image(self, image_array: Any) -> str:
            assert image_array.shape == (300, 400, 3)
            return "8000000000000001"

    monkeypatch.setitem(sys.modules, "imagededup.methods", SimpleNamespace(**dict.fromkeys(peers.METHODS, Method)))
    found = peers.hashes()
    assert [*found] == ["id-PHash", "id-DHash", "id-WHash", "id-AHash"]
    assert np.flatnonzero(found["id-PHash"](scene(1))).tolist() == [0, 63]
