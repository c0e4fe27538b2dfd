"""Skips tests where an optional dependency is missing, and fails them where all must be there."""

import os
from importlib.util import find_spec

import pytest


def needs(*packages: str) -> None:
    """At the top of a test module: what it takes."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"{', '.join(missing)}: not installed", pytrace=False)
    if missing:
        pytest.skip(f"{', '.join(missing)}: not installed", allow_module_level=True)
