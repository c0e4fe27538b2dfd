"""Skips tests where an optional dependency is missing, and fails them where all must be there."""

import os
import sys
from importlib.util import find_spec
from threading import Event

import pytest

started = Event()  # set as soon as pytest has read its configuration, from when on it can skip tests
_INSTALL = "pip install --editable '.[all]' --group dev"


def needs(*packages: str) -> None:
    """At the top of a test module, or of a folder's `conftest.py`: what it takes.

    pytest reads the `conftest.py` of a folder that it is told to test before it can skip anything; then it ends here.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if not missing:
        return
    told = f"{', '.join(missing)}: not installed; {_INSTALL}"
    if not started.is_set():
        sys.exit(told)
    if os.environ.get("CI"):
        pytest.fail(told, pytrace=False)
    pytest.skip(told, allow_module_level=True)
