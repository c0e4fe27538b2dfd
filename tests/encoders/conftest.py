"""Fixtures of all tests of encoders."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_compiled_models_of_other_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that another test has compiled would be used without its graph and its weights."""
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "cache"))
