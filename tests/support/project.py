"""Where the project is, and how a process of its own imports these tests."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
THOROUGH = os.environ.get("LOOKALIKE_THOROUGH") == "1"  # each write fails once, and random tests are longer


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process that imports `tests`, with these variables changed."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": path} | changes
