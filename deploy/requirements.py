"""Prints what Lookalike requires, so that it can be installed before Lookalike itself is there.

    python deploy/requirements.py server > requirements.txt

The arguments are extras. It runs in a folder with pyproject.toml.
"""

import sys
import tomllib
from pathlib import Path

if __name__ == "__main__":
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    sys.stdout.writelines(f"{each}\n" for each in project["dependencies"])
    sys.stdout.writelines(f"{each}\n" for name in sys.argv[1:] for each in extras[name])
