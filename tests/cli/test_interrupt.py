"""Ctrl-C while a command starts, works and ends: no traceback, exit code 130."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lookalike.demo import write_gallery

# Sends itself Ctrl-C as soon as a module is imported, whoever imports it, and then runs `lookalike`.
PROGRAM = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

module = sys.argv.pop(1)
from lookalike.__main__ import main
sys.meta_path.insert(0, Interrupting())
main()
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve images that is indexed."""
    folder = tmp_path_factory.mktemp("photos")
    write_gallery(folder, per_kind=1)
    subprocess.run([sys.executable, "-m", "lookalike", "index", str(folder)], check=True, capture_output=True)
    return folder


def assert_stops_quietly(program: str) -> None:
    """Python ends with the exit code of Ctrl-C, and without a word."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def interrupted(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "module",
    [
        *("lookalike.cli.main", "click", "lookalike.errors", "json", "lookalike.cli.models", "lookalike.filters"),
        *("lookalike.collection.opening", "numpy", "numpy._core._multiarray_umath", "faiss", "faiss._swigfaiss"),
        *("PIL.Image", "openvino", "openvino._pyopenvino", "sqlite3", "lookalike.search.searcher"),
    ],
)
def test_ctrl_c_while_modules_are_imported_is_quiet(photos: Path, module: str) -> None:
    done = interrupted(module, "search", str(next(photos.rglob("*.jpg"))), "-c", str(photos), "-k", "1")
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["models", "list"], ["info", "-c", "{}"], ["index", "{}"], ["nonsense"]]
)
def test_ctrl_c_while_any_command_starts_is_quiet(photos: Path, arguments: list[str]) -> None:
    done = interrupted("click", *(argument.format(photos) for argument in arguments))
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")


def test_ctrl_c_that_a_script_ignores_stays_ignored(photos: Path) -> None:
    program = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + PROGRAM
    command = [sys.executable, "-c", program, "numpy", "info", "-c", str(photos)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "12" in done.stdout


def test_an_error_that_ctrl_c_was_turned_into_is_not_shown() -> None:
    """As a library in C++ does that calls Python."""
    program = """
import os, signal
from lookalike.cli import main
from lookalike.errors import ModelError

@main.cli.command("broken")
def broken():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        os.getpid()
    except KeyboardInterrupt:
        raise ModelError("it is all broken")

import sys
sys.argv = ["lookalike", "broken"]
main.main()
"""
    assert_stops_quietly(program)


def test_ctrl_c_while_an_object_is_destroyed_ends_the_command() -> None:
    program = """
import os, signal, sys
from lookalike import __main__
from lookalike.cli import main

class Destroyed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        os.getpid()

@main.cli.command("lasting")
def lasting():
    Destroyed()
    print("went on")

sys.argv = ["lookalike", "lasting"]
__main__.main()
"""
    assert_stops_quietly(program)


def test_errors_of_destroyed_objects_are_still_shown() -> None:
    program = """
import sys
from lookalike import __main__
from lookalike.cli import main

class Destroyed:
    def __del__(self):
        raise RuntimeError("not quiet")

@main.cli.command("lasting")
def lasting():
    Destroyed()

sys.argv = ["lookalike", "lasting"]
__main__.main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "RuntimeError: not quiet" in done.stderr


def test_ctrl_c_at_any_moment_of_a_search_prints_no_traceback(photos: Path) -> None:
    """After Python itself has started, which no program can change."""
    program = "from lookalike.__main__ import main; print(flush=True); main()"
    command = [sys.executable, "-c", program, "search", str(next(photos.rglob("*.jpg"))), "-c", str(photos)]
    for milliseconds in range(10, 900, 180):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout
        process.stdout.readline()
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert err.strip() == ""
        assert process.returncode in (130, 0, -signal.SIGINT)  # 0 at its end; a shell turns -SIGINT into 130
