"""An import that was killed: its processes end with it, and the next import sweeps what it left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import openvino as ov
import pytest

from lookalike.encoders import registry
from tests.support import tiny_models

# Stops where a file named on the command line comes into being, so that the test can kill it there.
IMPORT = """
import pathlib, sys, time
from lookalike import importers
from lookalike.encoders import registry
from lookalike.importers import encoder_graph

def pause(*_):
    print("here", flush=True)
    time.sleep(60)

setattr(*{"building": (encoder_graph, "build"), "writing": (registry, "_sha256")}[sys.argv[1]], pause)
importers.import_model("net.xml", name="tiny")
"""
# The process that reads the file waits for ever.
READ = """
import sys
from lookalike.importers import isolated_read
from tests.support import worker_tasks
isolated_read._read_and_write = worker_tasks.wait
run, show = isolated_read.worker.run, {"progress": lambda number: print(number, flush=True)}
isolated_read.worker.run = lambda *work, **options: run(*work, **options | show)
isolated_read.read("ir", b"", b"")
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a network in net.xml; models go into models/, temporary files into temporary/."""
    ov.save_model(tiny_models.colours(), tmp_path / "net.xml", compress_to_fp16=False)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def killed(script: str, *arguments: str) -> str:
    """Runs a script until its first line of output, which is returned, and then kills it."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        line = process.stdout.readline().strip()
        process.kill()
        _, errors = process.communicate(timeout=20)  # returns when no process has standard error open
    assert (process.returncode, errors) == (-signal.SIGKILL, "")
    return line


def imported() -> None:
    subprocess.run(
        [sys.executable, "-m", "lookalike", "models", "import", "net.xml", "--name", "tiny"],
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("stage", ["building", "writing"])
def test_the_next_import_sweeps_what_a_killed_one_left(home: Path, stage: str) -> None:
    assert killed(IMPORT, stage) == "here"
    left = list((home / "models").glob(".importing-*"))
    assert len(left) == (stage == "writing")
    assert registry.names() == []
    imported()
    assert registry.names() == ["tiny"]
    assert {path.name for path in (home / "models").iterdir()} <= {"tiny", ".lock", ".downloads"}
    assert list((home / "temporary").iterdir()) == []


def test_the_process_that_reads_ends_with_a_killed_import(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    assert killed(READ).isdecimal()  # the process that reads, which has ended, as nothing holds standard error open
    assert len(list((home / "temporary").glob("lookalike-reading-*"))) == 1
    imported()
    assert list((home / "temporary").iterdir()) == []
