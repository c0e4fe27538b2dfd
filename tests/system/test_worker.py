"""Work in a process of its own: what comes back, what happens when it fails or is stopped, and that nothing stays."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.errors import ModelError
from lookalike.system import worker
from tests.support import worker_tasks
from tests.support.project import ROOT

SCRIPT = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.support import worker_tasks
from lookalike.system import worker
"""
SLEEPER = f"""{SCRIPT}
try:
    worker.run(worker_tasks.sleep, None, name="a nap", tell=lambda number: print(number, flush=True))
except KeyboardInterrupt:
    sys.exit(130)
"""


def run(work: Callable[..., object], task: object, progress: Callable[[int], None] = lambda _: None) -> object:
    return worker.run(work, task, name="the work", progress=progress)


def has_ended(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_result_and_what_is_told_come_back_from_another_process() -> None:
    told: list[int] = []
    result = run(worker_tasks.count, 3, told.append)
    assert isinstance(result, tuple)
    process, parent, numbers = result
    assert (parent, numbers, told) == (os.getpid(), [0, 1, 2], [0, 1, 2])
    assert process != parent
    assert has_ended(process)


@pytest.mark.parametrize("name", worker_tasks.ERRORS)
def test_an_error_comes_back_as_what_it_is(name: str) -> None:
    error = worker_tasks.ERRORS[name]
    with pytest.raises(type(error)) as raised:
        run(worker_tasks.fail, name)
    assert type(raised.value) is type(error)
    assert (str(raised.value), vars(raised.value)) == (str(error), vars(error))


def test_a_mistake_is_told_where_programmers_look(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"^the work: the process that ran it ended .*exit code 1.*standard error"):
        run(worker_tasks.stumble, None)
    assert "ZeroDivisionError: a mistake" in capfd.readouterr().err


def test_a_process_that_is_killed_is_taken_for_one_that_has_had_too_little_memory() -> None:
    with pytest.raises(ModelError, match="killed, most likely because memory ran short"):
        run(worker_tasks.die, signal.SIGKILL)


def test_what_takes_too_long_is_ended() -> None:
    told: list[int] = []
    with pytest.raises(TimeoutError, match="the work: it is not done after 1 seconds"):
        worker.run(worker_tasks.sleep, None, name="the work", progress=told.append, seconds=1)
    assert has_ended(told[0])


def test_what_is_done_in_time_is_not_ended() -> None:
    before = threading.enumerate()
    result = worker.run(worker_tasks.count, 1, name="the work", progress=lambda _: None, seconds=60)
    assert isinstance(result, tuple)
    assert result[2] == [0]
    assert threading.enumerate() == before


@pytest.mark.parametrize("code", [-signal.SIGSEGV, -signal.SIGKILL, 1])
def test_a_crash_is_told_from_a_mistake(code: int, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(worker.EndedError) as raised:
        run(*((worker_tasks.die, -code) if code < 0 else (worker_tasks.stumble, None)))
    assert raised.value.code == code


def test_an_error_of_the_caller_ends_the_work() -> None:
    told: list[int] = []

    def stop(number: int) -> None:
        told.append(number)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(worker_tasks.sleep, None, stop)
    assert has_ended(told[0])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_nothing_is_left_over_or_said_when_the_caller_is_stopped(number: int, code: int) -> None:
    """Ctrl-C goes to all processes of a terminal; the worst goes to the caller alone."""
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as caller:
        assert caller.stdout is not None
        caller.stdout.readline()  # it is at work
        (os.killpg if number == signal.SIGINT else os.kill)(caller.pid, number)
        _, said = caller.communicate(timeout=20)  # until nobody has standard error any more
    assert (caller.returncode, said) == (code, "")


def test_a_script_needs_no_guard_and_no_file_and_the_current_folder_is_no_library(tmp_path: Path) -> None:
    """multiprocessing would run the script again, and take `signal` from here."""
    (tmp_path / "signal.py").write_text("raise SystemExit('from the current folder')")
    script = f"{SCRIPT}\nprint(worker.run(worker_tasks.count, 2, name='', tell=print)[2])"
    done = subprocess.run(
        [sys.executable, "-P", "-"], input=script, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "0\n1\n[0, 1]\n")
    assert done.stderr == "what a library may say\n"


def test_libraries_are_found_where_the_caller_finds_them(tmp_path: Path) -> None:
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "twice.py").write_text("def twice(number, tell): return 2 * number")
    script = "import twice; from lookalike.system import worker as o; print(o.run(twice.twice, 4, name='', tell=print))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": "libraries"},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout == b"8\n"
