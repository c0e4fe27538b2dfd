"""Where the project is, and how a process of its own imports these tests."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process that imports `tests`, with these variables changed."""
    return os.environ | {"PYTHONPATH": str(ROOT)} | changes
