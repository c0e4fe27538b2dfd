"""Where the project is, and how a process of its own imports these tests."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
THOROUGH = os.environ.get("LOOKALIKE_THOROUGH") == "1"  # each write fails once, and random tests are longer


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process that imports `tests`, with these variables changed."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": path} | changes


def printed(program: str) -> list[str]:
    """The lines that a new Python process prints, which has two minutes."""
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
