"""The commands that take collections to other programs and back."""

import json
from pathlib import Path

from lookalike import Collection
from tests.cli.conftest import Run
from tests.exchange.conftest import filled as filled
from tests.exchange.conftest import folder as folder


def test_the_command_says_what_it_has_written(filled: Collection, folder: Path, call: Run) -> None:
    place = str(filled.directory)
    code, out, err = call("export", "-c", place, "--to", "a.npy", "--to", "a.csv", cwd=folder)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "a.npy: 290 images, 14 kB"
    assert call("export", "-c", place, "--to", "a.npy", cwd=folder)[0] == 2
    code, out, err = call("export", "-c", place, "--to", "a.npy", "--overwrite", "--json", cwd=folder)
    assert json.loads(out) == {"images": 290, "files": {"a.npy": 14048}}
