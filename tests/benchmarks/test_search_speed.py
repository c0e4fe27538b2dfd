"""The search benchmark runs, and its results are right where the right answer is known."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.project import ROOT

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def search_speed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the benchmark."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("search_speed")


def results(search_speed: Any, *arguments: str) -> dict[str, dict[str, Any]]:
    """The JSON of each contender by its name, for Lookalike and NumPy."""
    arguments = (*arguments, "--queries", "50", "--only", "lookalike,numpy", "--json")
    done = CliRunner().invoke(search_speed.main, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return {result["name"]: result for result in map(json.loads, done.stdout.splitlines())}


def test_a_small_collection_is_measured_with_an_index(search_speed: Any) -> None:
    found = results(search_speed, "--vectors", "2000", "--dim", "32", "--spec", "IVF32,SQ8")
    assert list(found) == ["Lookalike", "Lookalike, search_vector", "NumPy, exact"]
    own, whole, exact = found.values()
    assert own["settings"].startswith("IVF32,SQ8, nprobe ")
    assert 0.9 < own["recall"] == whole["recall"] <= 1
    assert 0.9 < own["recall_within"] <= 1
    assert exact["recall"] == 1
    assert own["mapped_bytes"] == 64
    for result in (own, whole, exact):
        assert result["milliseconds"] > 0
        assert result["queries_per_second"] > 0
    assert own["build_seconds"] > 0


def test_vectors_of_a_file_are_searched_by_others_of_the_same_file(search_speed: Any, tmp_path: Path) -> None:
    vectors = np.random.default_rng(2).standard_normal((550, 8), np.float32)
    np.save(tmp_path / "vectors.npy", vectors)
    found = results(search_speed, str(tmp_path / "vectors.npy"), "--vectors", "500")
    assert [result["recall"] for result in found.values()] == pytest.approx([1, 1, 1], abs=0.01)
    assert found["Lookalike"]["settings"] == "exact search, without an index"


def test_the_right_answers_are_those_of_the_definition(search_speed: Any, tmp_path: Path) -> None:
    search_speed.draw(tmp_path, 300, 16, 20, 4)
    stored = np.load(tmp_path / "vectors.npy").astype(np.float64)
    queries = np.load(tmp_path / "queries.npy").astype(np.float64)
    for query, rows in zip(queries, search_speed.nearest(tmp_path), strict=True):
        assert rows.tolist() == sorted(range(300), key=lambda row: -float(stored[row] @ query))[:10]
    assert np.linalg.norm(stored, axis=1) == pytest.approx(np.ones(300), abs=1e-3)
