"""How often decoding an image moves between modules, so that the way of an image stays short."""

import importlib
from typing import Any

import pytest

from lookalike.images.decode import Preprocessing, decode
from tests.support.image_samples import painting, saved
from tests.support.project import ROOT


@pytest.fixture
def module_crossings(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the benchmark."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("module_crossings")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_decoding_crosses_between_the_modules_of_its_room_five_times(kind: str, module_crossings: Any) -> None:
    data = saved(painting(), kind)
    decode(data, Preprocessing())
    with module_crossings.crossings() as counted:
        decode(data, Preprocessing())
    within = {names: times for names, times in counted.items() if all("images/" in name for name in names[:2])}
    assert sum(within.values()) == 5, within
