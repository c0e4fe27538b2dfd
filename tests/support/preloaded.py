"""Libraries in C that are loaded into a process by LD_PRELOAD, where they stand in for functions of the system."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def compiled(source: str, path: Path) -> Path:
    """The library that this source makes, written beside `path`."""
    code, library = path.with_suffix(".c"), path.with_suffix(".so")
    code.write_text(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(code), "-ldl"], check=True)
    return library


def needs_compiler() -> None:
    """Skips a test where such libraries cannot be made, and fails it there in CI."""
    if shutil.which("cc") and sys.platform.startswith("linux"):
        return
    reason = "it takes Linux and a C compiler"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
